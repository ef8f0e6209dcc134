"""A refresh: which periods are ready, what is out of date, and every step in order: periods, years, the rest.

A period held back by a check or a missing input stops only itself; it is named in the report with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dci_pipeline.findings import Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period, span
from dci_pipeline.work import Key, Outcome, Step, Work

Progress = Callable[[Step, "Period | None", "Outcome | None"], None]


@dataclass
class Report:
    """What a refresh did. `held` maps a period to why it did not go on."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    held: dict[Period, str] = field(default_factory=dict[Period, str])

    def count(self, *states: str) -> int:
        return sum(1 for outcome in self.outcomes if outcome.state in states)


def delivered_periods(work: Work, wanted: Sequence[Period] | None = None) -> tuple[list[Period], dict[Period, str]]:
    """Periods for which every feed of a leaf has all its partners' deliveries, and the others with what they wait for.

    `wanted` limits the answer; without it every period with any delivery counts.
    """
    from dci_pipeline.warehouse import deliveries

    framework, layout = work.framework, work.warehouse.layout
    used = sorted({str(leaf.feed) for leaf in framework.indicators})
    periods = (
        wanted
        if wanted is not None
        else sorted(
            {period for feed in used for period in deliveries.periods_delivered(layout, feed, framework.cadence)}
        )
    )
    ready: list[Period] = []
    waiting: dict[Period, str] = {}
    for period in sorted(periods):
        late = [
            f"{feed} from {', '.join(missing)}"
            for feed in used
            if (
                missing := [
                    partner
                    for partner in framework.feeds[feed].partners
                    if partner not in deliveries.current(layout, feed, period)
                ]
            )
        ]
        if late and not (len(late) < len(used) and _has_history(work, period, ready)):
            waiting[period] = "waits for " + "; ".join(late)
        else:
            ready.append(period)
    return ready, waiting


def _has_history(work: Work, period: Period, ready: Sequence[Period]) -> bool:
    """Whether provisional numbers can stand in for a late feed, now or once the `ready` periods are computed."""
    if work.framework.late_feed != "provisional":
        return False
    before = period.shift(-1)
    wanted = [period.year_before(), before, before.year_before()]
    there = work.warehouse.existing("normalise", "shares", wanted)
    return all(item in there or item in ready for item in wanted)


def stale(work: Work, periods: Sequence[Period]) -> dict[Key, list[Period | None]]:
    """What a refresh of `periods` would compute: by step the partitions that are out of date or read one that is."""
    dry = work.as_dry()
    found: dict[Key, list[Period | None]] = {}
    for step in path(work.framework):
        for period in scope(step, periods):
            if _reads_stale(work, step, period, found) or _is_stale(dry, step, period):
                found.setdefault(step.key, []).append(period)
    return found


def run_direct(work: Work, periods: Sequence[Period], *, progress: Progress | None = None) -> Report:
    """Every step over `periods` in this process, one table after the other, without Dagster.

    A period held back at one table keeps its last good partition there; later tables go on from that one where there is
    one, so that what stays published follows a changed reference or weight like every other period.
    """
    report = Report()
    for step in path(work.framework):
        for period in scope(step, periods):
            if progress:
                progress(step, period, None)
            try:
                outcome = step.run(work, period)
            except Held as reason:
                if period is not None:
                    report.held.setdefault(period, str(reason))
                continue
            report.outcomes.append(outcome)
            if progress:
                progress(step, period, outcome)
    return report


def scope(step: Step, periods: Sequence[Period]) -> list[Period | None]:
    """The partitions of a step that a refresh of `periods` touches."""
    if step.scope == "period":
        return list(periods)
    if step.scope == "year":
        return list(years(periods))
    return [None]


def years(periods: Iterable[Period]) -> list[Period]:
    """Every year from the first to the last of `periods`: a year is the base of the growth of later ones."""
    found = sorted({period.year() for period in periods})
    return span(found[0], found[-1]) if found else []


def _is_stale(dry: Work, step: Step, period: Period | None) -> bool:
    try:
        return step.run(dry, period).state == "stale"
    except Held:
        return True


def _reads_stale(work: Work, step: Step, period: Period | None, found: dict[Key, list[Period | None]]) -> bool:
    """Whether any partition that step × period reads is out of date."""
    for key, how in step.reads:
        out_of_date = found.get(key)
        if not out_of_date:
            continue
        if how == "references":
            # Links are made over their reference periods alone, whatever else has changed.
            if any(other is None or _in_reference(work, other) for other in out_of_date):
                return True
            continue
        if how == "all" or period is None or None in out_of_date:
            return True
        if any(reads(work, step, period, how, other) for other in out_of_date if other is not None):
            return True
    return False


def _in_reference(work: Work, period: Period) -> bool:
    """Whether a period is in the reference of any link, the yearly ones of `annual_overlap` included."""
    framework = work.framework
    if any(period in link.reference for link in framework.links):
        return True
    return framework.chaining == "annual_overlap" and framework.link_at(period) is not None


def _stand_in(work: Work, period: Period) -> set[Period]:
    """The periods whose shares a period goes on from: the one before, for a late feed those it is estimated from."""
    from dci_pipeline.steps.feeds import late_feeds

    before = period.shift(-1)
    return {before, period.year_before(), before.year_before()} if late_feeds(work, period) else {before}


def reads(work: Work, step: Step, period: Period, how: str, other: Period) -> bool:
    """Whether the partition `period` of a step reads the partition `other` of an input, declared as `how`."""
    if how == "same":
        return other == period
    if how == "previous":
        return other == period.shift(-1)
    if how == "stand_in":
        return other in _stand_in(work, period)
    if how == "window":
        return period.year_before().start <= other.start <= period.start
    if how == "two_years":
        return period.year_before().year_before().start <= other.start <= period.start
    if how == "reference":
        link = work.framework.link_at(period)
        return link is not None and other in link.reference
    if how == "history":
        return other.start.year <= period.start.year
    return True
