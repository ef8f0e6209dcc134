"""One message for every run of an index that failed, whoever started it: a sensor, and a mark on the run.

Each tick looks for failed runs that are not marked yet, sends, and marks the run once a channel has taken the message.
A channel that does not take it is tried again with every tick for a day, and the tick is shown as failed; then the run
is marked as given up. The engine's own sensor for failed runs is not used: it goes on after a message that could not
be sent. A process that dies between sending and marking sends again; the message's key is the same, so that a
receiver can tell.
"""

# No postponed annotations here: the engine looks at the type of `context`.
import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from dci_pipeline.channels import Channels, read_channels
from dci_pipeline.defs.failures import failure_of, is_of
from dci_pipeline.findings import Finding
from dci_pipeline.messages import failed_run
from dci_pipeline.sending import send
from dci_pipeline.settings import looks_every
from dci_pipeline.work import Work

# The mark of a run: one tag for each channel.
MARK = "alert/"
_SENT, _FAILING, _GIVEN_UP = "sent", "failing since", "given up"
_EVERY_SECONDS = 60
_TRIED_FOR = timedelta(days=1)
# Clocks of a database and of this machine may differ; runs marked already are passed over.
_OVERLAP = timedelta(minutes=10)
_AT_ONCE = 200
# A tick that takes longer than a minute is ended by the engine.
_SECONDS = 30.0
_SILENT = "no channel"


def alerts(work: Work) -> list[dg.SensorDefinition]:
    """The sensor of an index. It runs wherever the daemon does; where no channel is set it says so once."""

    @dg.sensor(
        name=f"{work.index}_failed_runs",
        minimum_interval_seconds=looks_every(_EVERY_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends one message for every failed run, to the webhook and the e-mail addresses that are set.",
    )
    def failed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        channels = read_channels()
        if not channels.names:
            said = context.cursor == _SILENT
            context.update_cursor(_SILENT)
            return dg.SkipReason(
                None
                if said
                else "Neither DCI_ALERT_WEBHOOK nor DCI_ALERT_EMAIL is set: failed runs send no message. Said once."
            )
        now = datetime.now(UTC)
        if context.cursor in (None, _SILENT):
            context.update_cursor(now.isoformat())
            return dg.SkipReason(f"From now on failed runs send a message to: {', '.join(channels.names)}.")
        return _tick(context, work, channels, now)

    return [failed_runs]


def _tick(context: dg.SensorEvaluationContext, work: Work, channels: Channels, now: datetime) -> dg.SkipReason:
    """Sends what is due. Raises Finding when a channel did not take a message; the tick then comes again."""
    started, sent = time.monotonic(), 0
    refused: dict[str, str] = {}
    since = datetime.fromisoformat(str(context.cursor))
    records = context.instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since),
        limit=_AT_ONCE,
        order_by="update_timestamp",
        ascending=True,
    )
    upto = now - _OVERLAP if len(records) < _AT_ONCE else _utc(records[-1].update_timestamp)
    # What was tried before comes last, so that one message a receiver never takes keeps none of the others waiting.
    for record in sorted(records, key=lambda record: _tried(record.dagster_run)):
        run = record.dagster_run
        due = [name for name in channels.names if name not in refused and _is_due(run.tags.get(f"{MARK}{name}"))]
        if not due or not is_of(run, work.index):
            continue
        if time.monotonic() - started > _SECONDS:
            upto = since
            break
        message = failed_run(failure_of(context.instance, run, work, channels.ui))
        for receipt in send(message, channels, only=due):
            tag = f"{MARK}{receipt.channel}"
            mark = (
                f"{_SENT} {now:%Y-%m-%d %H:%M} UTC" if receipt.taken else _failing(run.tags.get(tag), now, receipt.says)
            )
            if mark != run.tags.get(tag):
                context.instance.add_run_tags(run.run_id, {tag: mark})
            if receipt.taken:
                sent += 1
                context.log.info(f"run {run.run_id}: {receipt.says}")
            else:
                refused[receipt.channel] = f"run {run.run_id}: {receipt.says}; {mark}"
    # A failed tick keeps its cursor: what is marked is passed over, what is not is tried again.
    if refused:
        raise Finding(
            "a message was not taken",
            where=f"{work.index}: failed runs",
            found="; ".join(refused.values()),
            expected="every message taken",
            todo=f"dci alert --test --index {work.index} on the machine of the code server, with its environment",
        )
    context.update_cursor(max(since, upto).isoformat())
    return dg.SkipReason(f"{sent} message{'' if sent == 1 else 's'} sent." if sent else None)


def _tried(run: dg.DagsterRun) -> bool:
    return any(tag.startswith(MARK) and value.startswith(_FAILING) for tag, value in run.tags.items())


def _is_due(mark: str | None) -> bool:
    return mark is None or mark.startswith(_FAILING)


def _failing(mark: str | None, now: datetime, reason: str) -> str:
    """The mark of a channel that did not take the message: since when, and after a day that it was given up."""
    if mark is None:
        return f"{_FAILING} {now.isoformat(timespec='seconds')}"
    first = datetime.fromisoformat(mark.removeprefix(_FAILING).strip())
    return mark if now - first < _TRIED_FOR else f"{_GIVEN_UP}: {reason}"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
