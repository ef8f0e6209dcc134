"""What the engine does about arrival: a sensor that takes in the drop folder.

A tick lands what is whole, records that it has come (so that what depends on it shows as out of date at once), asks for
the run of each feed and period landed, and says in its message what was refused or waits. Notes in the warehouse hold
what was landed until a later tick sees that this one was recorded: a tick that breaks off is made good by the next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from dci_pipeline import due
from dci_pipeline.data_files import content_hash
from dci_pipeline.defs import events
from dci_pipeline.defs.assets import asset_key
from dci_pipeline.defs.jobs import job_names
from dci_pipeline.defs.partitions import Partitions, range_tags
from dci_pipeline.feeds.file_names import shown
from dci_pipeline.findings import Conflict
from dci_pipeline.path import path
from dci_pipeline.periods import Period, stretches
from dci_pipeline.settings import looks_every
from dci_pipeline.work import Work

_EVERY = 30
# The engine gives a tick a minute; a landing begun is finished even so, and told of by the next tick.
_SECONDS = 20.0


def sensors(work: Work, partitions: Partitions) -> list[dg.SensorDefinition]:
    """The sensor of the index's drop folder: on when DCI_DROP is set, since only then anything is expected there."""
    on = work.settings.drop is not None

    @dg.sensor(
        name=f"{work.index}_arrival",
        job_name=job_names(work.index)["period"],
        minimum_interval_seconds=looks_every(_EVERY),
        default_status=dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED,
        tags={"index": work.index},
        description=f"Lands the files in {work.settings.drop_of(work.index)} and starts the run of each feed and "
        f"{work.framework.cadence} landed. On by itself where DCI_DROP is set.",
    )
    def arrival(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return _tick(context, work, partitions)

    return [arrival]


def _tick(context: dg.SensorEvaluationContext, work: Work, partitions: Partitions) -> dg.SensorResult:
    """One look at the folder. Raises RuntimeError for what the system refuses, once nothing else is to be told."""
    from dci_pipeline.warehouse import arrived, drop
    from dci_pipeline.warehouse.drop_look import Seen

    layout, framework = work.warehouse.layout, work.framework
    known, told = _remembered(context)
    arrived.told(layout, {key: said for key, said in arrived.notes(layout, framework.cadence).items() if said in told})
    try:
        look = drop.collect(
            layout,
            drop.folder_of(work.settings, work.index),
            feeds=framework.feeds,
            versions=framework.versions,
            cadence=framework.cadence,
            seen={name: Seen(*item) for name, item in known.items()},
            now=time.time(),
            settle=work.settings.settle,
            notes=True,
            seconds=_SECONDS,
        )
    except Conflict as conflict:
        return dg.SensorResult(skip_reason=conflict.problem, cursor=context.cursor)
    for item in look.refused:
        context.log.error(f"refused, now {item.place}\n{item.finding}")
    for name, why in look.trouble.items():
        context.log.error(f"left where it is: {shown(name)}: {why}")

    notes = arrived.notes(layout, framework.cadence)
    keys = set(partitions.periods.get_partition_keys())
    news = {key: said for key, said in notes.items() if partitions.key(key[1]) in keys}
    early = sorted(f"{feed} {period}" for feed, period in notes.keys() - news.keys())
    expected, reminded = _expected(work, partitions, keys, before=_reminded(context))
    cursor = json.dumps(
        {
            "seen": {name: list(asdict(item).values()) for name, item in sorted(look.seen.items())},
            "told": sorted(news.values()),
            "expected": reminded,
        }
    )
    said = [
        *(f"landed {item.bundle.names}" for item in look.landed),
        *(f"refused {item.names}: {item.finding.problem}" for item in look.refused),
        *(f"left {shown(name)}: {why}" for name, why in look.trouble.items()),
        *(f"{shown(name)}: {why}" for name, why in look.waiting.items()),
        *([f"landed before the {framework.cadence} is over, no run yet: {', '.join(early)}"] if early else []),
    ]
    for line in said:
        context.log.info(line)
    if look.trouble and not news and cursor == context.cursor:
        # Nothing is lost by failing now, and a failed tick is seen.
        raise RuntimeError("; ".join(said))
    requests = _requests(work, partitions, news)
    return dg.SensorResult(
        run_requests=requests,
        asset_events=[*_events(work, partitions, news), *expected],
        cursor=cursor,
        skip_reason=None if requests else "; ".join(said) or "nothing in the folder",
    )


def _remembered(context: dg.SensorEvaluationContext) -> tuple[dict[str, list[Any]], set[str]]:
    """What the tick before saw, and which notes it told. Forgetting costs time and a word said twice, no more."""
    try:
        raw = json.loads(context.cursor or "{}")
        return {name: item for name, item in raw.get("seen", {}).items() if len(item) == 4}, set(raw.get("told", ()))
    except (ValueError, TypeError, AttributeError):
        context.log.warning("the cursor is not one of this sensor's; files settle anew")
        return {}, set()


def _reminded(context: dg.SensorEvaluationContext) -> str:
    try:
        return str(json.loads(context.cursor or "{}").get("expected", ""))
    except (ValueError, AttributeError):
        return ""


def _requests(work: Work, partitions: Partitions, news: dict[tuple[str, Period], str]) -> list[dg.RunRequest]:
    """One run per feed and unbroken stretch of periods; the same deliveries ask for the same run, which is run once.

    The run validates what has come. That partners are still missing fails no run: it stands with the feed's own check.
    """
    found: list[dg.RunRequest] = []
    for feed in sorted({feed for feed, _ in news}):
        for stretch in stretches(period for other, period in news if other == feed):
            state = content_hash([(period.key, news[feed, period]) for period in stretch])
            found.append(
                dg.RunRequest(
                    run_key=f"{feed} {state[:24]}",
                    partition_key=partitions.key(stretch[0]) if len(stretch) == 1 else None,
                    asset_selection=[asset_key(work.index, ("validation", feed))],
                    tags={"index": work.index, "feed": feed, **range_tags(partitions, stretch)},
                )
            )
    return found


def _events(
    work: Work, partitions: Partitions, news: Iterable[tuple[str, Period]]
) -> Iterator[dg.AssetMaterialization]:
    """That a feed's deliveries of a period are others now; the metadata name who has not delivered."""
    from dci_pipeline.steps.feeds import take_stock

    steps = {step.key: step for step in path(work.framework)}
    for feed, period in sorted(news):
        key, stock = partitions.key(period), take_stock(work, period, feed=feed)
        asset = asset_key(work.index, ("feeds", feed))
        yield events.arrived(asset, work.warehouse.layout, steps["feeds", feed], stock, key=key)


def _expected(
    work: Work, partitions: Partitions, keys: set[str], *, before: str
) -> tuple[list[dg.AssetObservation], str]:
    """Observations of who has not delivered for the last period over, before its day and after, once a day.

    Not results of the check `completeness`: the engine stores one outside of a run, and fails at the next.
    """
    now = datetime.now(UTC)
    last = due.last_ended(work.framework.cadence, due.today(now))
    if partitions.key(last) not in keys:
        return [], before
    missing = [item for item in due.calendar(work, [last], now) if item.received is None]
    state = f"{due.today(now)} {content_hash([(item.feed, item.partner, item.period.key) for item in missing])[:16]}"
    if state == before:
        return [], state
    by_feed: dict[str, list[due.Due]] = {}
    for item in missing:
        by_feed.setdefault(item.feed, []).append(item)
    return [_awaited(work, partitions, items) for items in by_feed.values()], state


def _awaited(work: Work, partitions: Partitions, items: Sequence[due.Due]) -> dg.AssetObservation:
    first = items[0]
    missing = ", ".join(item.partner for item in items)
    return dg.AssetObservation(
        asset_key=asset_key(work.index, ("feeds", first.feed)),
        partition=partitions.key(first.period),
        description=f"expected by {first.expected}, {first.says}: {missing}",
        metadata={"expected by": str(first.expected), "state": first.says, "waiting for": missing},
    )
