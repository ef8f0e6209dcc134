"""One message a day for every feed that is overdue: what is missing, since when, what its periods do meanwhile."""

# No postponed annotations here: the engine looks at the type of `context`.
import json
from datetime import UTC, datetime

import dagster as dg

from dci_pipeline import due
from dci_pipeline.channels import read_channels
from dci_pipeline.findings import Finding
from dci_pipeline.messages import Message
from dci_pipeline.sending import send
from dci_pipeline.settings import automation
from dci_pipeline.work import Work

_EVERY_SECONDS = 600


def overdue(work: Work) -> list[dg.SensorDefinition]:
    """The sensor of an index. Where no channel is set it sends nothing; `dci due` shows the same."""

    @dg.sensor(
        name=f"{work.index}_overdue",
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if automation() else dg.DefaultSensorStatus.STOPPED,
        tags={"index": work.index},
        description="Sends one message a day for every feed that is late, until it has come.",
    )
    def late(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return _tick(context, work, datetime.now(UTC))

    return [late]


def _tick(context: dg.SensorEvaluationContext, work: Work, now: datetime) -> dg.SkipReason:
    """Sends what has not been sent today. Raises Finding when a channel did not take a message; it is tried again."""
    reminders = due.reminders(work, now)
    if not reminders:
        return dg.SkipReason("no feed is late")
    channels = read_channels()
    if not channels.names:
        return dg.SkipReason(f"{len(reminders)} late, and neither DCI_ALERT_WEBHOOK nor DCI_ALERT_EMAIL is set")
    today = {f"{item.key} {name}" for item in reminders for name in channels.names}
    # A day's key is not asked for on the next, so what is kept stays small.
    sent = today & set(json.loads(context.cursor or "[]"))
    refused: list[str] = []
    for item in reminders:
        left = [name for name in channels.names if f"{item.key} {name}" not in sent]
        message = Message(item.key, item.subject, item.text, {"index": item.index, "feed": item.feed})
        for receipt in send(message, channels, only=left):
            if receipt.taken:
                sent.add(f"{item.key} {receipt.channel}")
                context.log.info(f"{item.feed}: {receipt.says}")
            else:
                refused.append(f"{item.feed}: {receipt.says}")
        # Said at once: a tick that breaks off later must not say it again.
        context.update_cursor(json.dumps(sorted(sent)))
    if refused:
        raise Finding(
            "a message was not taken",
            where=f"{work.index}: late feeds",
            found="; ".join(refused),
            expected="every message taken",
            todo=f"dci alert --test --index {work.index} on the machine of the code server, with its environment",
        )
    return dg.SkipReason(f"late: {', '.join(item.feed for item in reminders)}")
