"""A refresh: which periods are ready, what is out of date, and every step in order: periods, years, the rest.

A period held back by a check or a missing input stops only itself; it is named in the report with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dci_pipeline.findings import Held
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.plan import Partition, Plan, left_over, scope
from dci_pipeline.retrying import run_step
from dci_pipeline.work import Outcome, Step, Work

Progress = Callable[[Step, "Period | None", "Outcome | None"], None]


@dataclass
class Report:
    """What a refresh did. `held` maps a period to why it did not go on; `retried` says what passing faults it met."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    held: dict[Period, str] = field(default_factory=dict[Period, str])
    retried: list[str] = field(default_factory=list[str])

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
        early = [feed for feed in used if framework.versions[feed].in_force(period) is None]
        if early:
            waiting[period] = f"lies before the first contract of {', '.join(early)}"
            continue
        late = waits_for(work, period)
        if late and not (len(late) < len(used) and _has_history(work, period, ready)):
            waiting[period] = "waits for " + "; ".join(late)
        else:
            ready.append(period)
    return ready, waiting


def waits_for(work: Work, period: Period) -> list[str]:
    """The feeds of a leaf that are not complete for a period, each with the partners that have not delivered."""
    from dci_pipeline.warehouse import deliveries

    found: list[str] = []
    for feed in sorted({str(leaf.feed) for leaf in work.framework.indicators}):
        if work.framework.versions[feed].in_force(period) is None:
            found.append(f"a contract of {feed}, which has none for it")
            continue
        arrived = deliveries.current(work.warehouse.layout, feed, period)
        missing = [partner for partner in work.framework.contract(feed, period).partners if partner not in arrived]
        found += [f"{feed} from {', '.join(missing)}"] if missing else []
    return found


def _has_history(work: Work, period: Period, ready: Sequence[Period]) -> bool:
    """Whether provisional numbers can stand in for a late feed, now or once the `ready` periods are computed."""
    if work.framework.late_feed != "provisional":
        return False
    before = period.shift(-1)
    wanted = [period.year_before(), before, before.year_before()]
    there = work.warehouse.existing("normalise", "shares", wanted)
    return all(item in there or item in ready for item in wanted)


def bring_up_to_date(work: Work, periods: Sequence[Period], plan: Plan, run: Callable[[Plan], None]) -> None:
    """Runs a plan, and then what its results have put out of date besides; `periods` are all that are ready."""
    done: Plan = {}
    while plan:
        run(plan)
        for key, partitions in plan.items():
            done.setdefault(key, []).extend(partitions)
        changed = [period for period in done.get(("normalise", "shares"), ()) if period is not None]
        plan = left_over(work, changed, periods, done)


def run_direct(
    work: Work,
    periods: Sequence[Period],
    *,
    only: Plan | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Report:
    """Every step over `periods` in this process, one table after the other, without Dagster; `only` what a plan names.

    A period held back at one table keeps its last good partition there; later tables go on from that one where there is
    one, so that what stays published follows a changed reference or weight like every other period.
    """
    report = report or Report()
    for step in path(work.framework):
        for period in targets(work, step, periods, only):
            if progress:
                progress(step, period, None)
            try:
                outcome = run_step(step, work, period, say=report.retried.append)
            except Held as reason:
                if period is not None:
                    report.held.setdefault(period, str(reason))
                continue
            report.outcomes.append(outcome)
            if progress:
                progress(step, period, outcome)
    return report


def targets(work: Work, step: Step, periods: Sequence[Period], only: Plan | None = None) -> list[Partition]:
    """The partitions of a step to go through; the links are made in one go."""
    found = scope(work.framework, step, periods) if only is None else only.get(step.key, [])
    if step.scope == "link":
        return [None] if found or only is None else []
    return list(found)
