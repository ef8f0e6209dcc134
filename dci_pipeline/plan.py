"""What has to be computed again: what is out of date, what a restated delivery touches, and in which runs.

What a partition may read is declared in the path. A committed partition says in its stamp what it has really read, so
that a restated period touches exactly the partitions that rest on it (ARCHITECTURE, "Partitions, runs, restatement").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dci_pipeline import periods as periods_of
from dci_pipeline.findings import Held
from dci_pipeline.framework import Framework
from dci_pipeline.path import path
from dci_pipeline.periods import Period, span
from dci_pipeline.reads import Reference, Whole, links_after, may_read
from dci_pipeline.work import Key, Step, Work

Partition = Period | None
# Partitions by table, in the order of the path; None is a table without periods.
Plan = dict[Key, list[Partition]]

_NAMED = re.compile(r"(?:^|\s)(\w+)/(\w+) (\S+)$")
_YEAR = re.compile(r"^\d{4}$")


@dataclass(frozen=True)
class Batch:
    """What one run computes: some tables over an unbroken stretch of periods or years, or tables without periods."""

    scope: str
    tables: tuple[Key, ...]
    periods: tuple[Period, ...]


def scope(framework: Framework, step: Step, periods: Sequence[Period]) -> list[Partition]:
    """The partitions of a step that a refresh of `periods` touches."""
    if step.scope == "period":
        return list(periods)
    if step.scope == "year":
        return list(years(periods))
    if step.scope == "link":
        return list(link_starts(framework, periods))
    return [None]


def years(periods: Iterable[Period]) -> list[Period]:
    """Every year from the first to the last of `periods`: a year is the base of the growth of later ones."""
    found = sorted({period.year() for period in periods})
    return span(found[0], found[-1]) if found else []


def link_starts(framework: Framework, periods: Iterable[Period]) -> list[Period]:
    """Where the links begin that the last of `periods` rests on, in order."""
    last = max(periods, default=None)
    link = framework.link_at(last) if last is not None else None
    return [item.start for item in framework.chain(link)] if link is not None else []


def stale(work: Work, periods: Sequence[Period]) -> Plan:
    """What a refresh of `periods` would compute: the partitions that are out of date, and those that rest on them."""
    return due(work, periods, periods)


def due(work: Work, arrived: Sequence[Period], periods: Sequence[Period], *, try_held: bool = True) -> Plan:
    """As `stale`, for what new deliveries of some periods can have put out of date; `periods` are all that are ready.

    Costs the same after five years as after one: of the other periods only what rests on these is looked at. Without
    `try_held` what a failed check holds back already is left as it is.
    """
    return _closure(work, periods, looked_at=frozenset(arrived), try_held=try_held)


def impact(work: Work, feed: str, period: Period, periods: Sequence[Period]) -> Plan:
    """The partitions that a new delivery of a feed for a period touches, the feed's own included."""
    universe = sorted({*periods, period})
    return _closure(work, universe, looked_at=frozenset(), seeds={("feeds", feed): [period]})


def left_over(work: Work, arrived: Sequence[Period], periods: Sequence[Period], done: Plan) -> Plan:
    """What is still out of date after `done`, where a period has become fit, or unfit, to be published and compared.

    A stamp names what was read, not what was looked for and not there; so whatever may read these periods is asked.
    What is held is left out: nothing is gained by trying it again.
    """
    steps, dry = path(work.framework), work.as_dry()
    touched: Plan = {step.key: list(arrived) for step in steps if step.scope == "period"}
    found: Plan = {}
    for step in steps:
        for partition in scope(work.framework, step, periods):
            if step.scope == "link" or partition in done.get(step.key, ()):
                continue
            may = any(
                may_read(work.framework, partition, reading, other)
                for key, reading in step.reads
                if not isinstance(reading, Whole)
                for other in (*touched.get(key, ()), *found.get(key, ()))
            )
            if (may or (partition is None and found)) and _is_stale(dry, step, partition, when_held=False):
                found.setdefault(step.key, []).append(partition)
    return found


def batches(framework: Framework, plan: Plan, wanted: str) -> list[Batch]:
    """The runs for the part of a plan that one of the jobs computes: 'period', 'year' or 'once', in order.

    Periods next to each other with the same tables go together. No run reads what a later one makes: where a period
    rests on a reference that lies after it, the tables up to the links are made of all periods before the others.
    """
    steps = path(framework)
    own = [step for step in steps if job_of(steps, step) == wanted and step.key in plan]
    if not own:
        return []
    apart = [step for step in own if step.scope in ("link", "once")]
    dated = [step for step in own if step not in apart]
    found = _stretches(wanted, dated, plan)
    if _reads_ahead(framework, dated, found):
        links = next(place for place, step in enumerate(steps) if _is_referred(step))
        early = [step for step in dated if steps.index(step) < links]
        found = _stretches(wanted, early, plan) + _stretches(wanted, [s for s in dated if s not in early], plan)
    if not found:
        return [Batch(wanted, tuple(step.key for step in apart), ())]
    # A table without periods goes with the last run that computes something it reads; the others with the first.
    goes: dict[Key, int] = {}
    for step in apart:
        read = {key for key, _ in step.reads}
        goes[step.key] = max(
            [place for place, batch in enumerate(found) if read & set(batch.tables)]
            + [goes[key] for key in read if key in goes],
            default=0,
        )
    order = {step.key: place for place, step in enumerate(steps)}
    joined: list[Batch] = []
    for place, batch in enumerate(found):
        tables = {*batch.tables, *(key for key, at in goes.items() if at == place)}
        joined.append(Batch(wanted, tuple(sorted(tables, key=order.__getitem__)), batch.periods))
    return joined


def _stretches(wanted: str, steps: Sequence[Step], plan: Plan) -> list[Batch]:
    """One batch for each unbroken stretch of periods with the same tables, in the order of time."""
    by_period: dict[Period, list[Key]] = {}
    for step in steps:
        for partition in plan[step.key]:
            assert partition is not None
            by_period.setdefault(partition, []).append(step.key)
    found: list[Batch] = []
    for period, tables in sorted(by_period.items()):
        last = found[-1] if found else None
        if last is not None and last.tables == tuple(tables) and last.periods[-1] == period.shift(-1):
            found[-1] = Batch(wanted, last.tables, (*last.periods, period))
        else:
            found.append(Batch(wanted, tuple(tables), (period,)))
    return found


def _is_referred(step: Step) -> bool:
    return any(isinstance(reading, Reference) for _, reading in step.reads)


def _reads_ahead(framework: Framework, steps: Sequence[Step], found: Sequence[Batch]) -> bool:
    """Whether a batch may read, as the reference of a link, what only a later one makes."""
    return any(
        key in later.tables and may_read(framework, period, reading, other)
        for place, batch in enumerate(found)
        for later in found[place + 1 :]
        for step in steps
        if step.key in batch.tables
        for key, reading in step.reads
        if isinstance(reading, Reference)
        for period in batch.periods
        for other in later.periods
    )


def job_of(steps: Sequence[Step], step: Step) -> str:
    """The job that computes a step: 'period', 'year' or 'once'. What a period's table reads goes with the periods."""
    if step.scope in ("period", "year"):
        return step.scope
    needed = {key for other in steps if other.scope == "period" for key, _ in other.reads}
    return "period" if step.key in needed else "once"


def _closure(
    work: Work,
    periods: Sequence[Period],
    *,
    looked_at: frozenset[Period],
    seeds: Mapping[Key, list[Period]] = {},
    try_held: bool = True,
) -> Plan:
    """Seeds, what is out of date among `looked_at` periods and tables without periods, and all that rests on these."""
    framework, dry = work.framework, work.as_dry()
    steps = {step.key: step for step in path(framework)}
    years_looked_at = frozenset(period.year() for period in looked_at)
    found: Plan = {}
    for step in steps.values():
        # Landing commits what has arrived; whether it is news its reader knows.
        told_by = steps[("validation", step.key[1])] if step.key[0] == "feeds" else step
        partitions = scope(framework, step, periods)
        resting = _resting(work, step, partitions, found)
        at_once = bool(looked_at) and step.scope == "link" and _is_stale(dry, step, None)
        for partition in partitions:
            own = step.scope != "link" and (
                partition in looked_at or partition in years_looked_at or (partition is None and bool(looked_at))
            )
            if (
                partition in resting
                or partition in seeds.get(step.key, ())
                or at_once
                or (own and _is_stale(dry, told_by, partition, when_held=try_held))
            ):
                found.setdefault(step.key, []).append(partition)
    return found


def _resting(work: Work, step: Step, partitions: Sequence[Partition], found: Plan) -> set[Partition]:
    """The partitions of a step that rest on any found already."""
    framework = work.framework
    if step.scope == "link":
        last = max((item for item in partitions if item is not None), default=None)
        return set() if last is None else _links_resting(framework, step, partitions, found, last)
    resting: set[Partition] = set()
    for partition in partitions:
        read: set[tuple[Key, Partition]] | None = None
        for key, reading in step.reads:
            if partition in resting:
                break
            for other in found.get(key, ()):
                if not may_read(framework, partition, reading, other):
                    continue
                if partition is None or other is None or isinstance(reading, Reference) or other == partition:
                    resting.add(partition)
                    break
                read = _read_by(work, step.key, partition) if read is None else read
                # What it has not read though it was there is nothing to it; what was not there may be now.
                if not read or (key, other) in read or not work.warehouse.existing(*key, [other]):
                    resting.add(partition)
                    break
    return resting


def _links_resting(
    framework: Framework, step: Step, partitions: Sequence[Partition], found: Plan, last: Period
) -> set[Partition]:
    starts: set[Partition] = set()
    for key, reading in step.reads:
        others = found.get(key, [])
        if None in others:
            return set(partitions)
        changed = [other for other in others if other is not None]
        starts |= set(links_after(framework, changed, last) if isinstance(reading, Reference) else changed)
    return starts


def _read_by(work: Work, key: Key, partition: Period) -> set[tuple[Key, Partition]]:
    """What a committed partition was made from, by its stamp; empty when there is none."""
    cadence = work.framework.cadence
    return {
        ((name.group(1), name.group(2)), periods_of.parse(text, "year" if _YEAR.match(text) else cadence))
        for name in map(_NAMED.search, work.warehouse.inputs(*key, partition))
        if name is not None
        for text in (name.group(3),)
    }


def _is_stale(dry: Work, step: Step, partition: Partition, *, when_held: bool = True) -> bool:
    try:
        return step.run(dry, partition).state == "stale"
    except Held:
        return when_held
