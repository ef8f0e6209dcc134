"""`dci run`: bring the index up to date, and say what was written, what was left alone, what is held back and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period

if TYPE_CHECKING:
    from dci_pipeline.plan import Plan
    from dci_pipeline.refresh import Report
    from dci_pipeline.work import Key, Outcome, Step, Work

EXAMPLES = (
    "Example: dci run"
    "\n\nOne month: dci run --months 2019-04. What would be computed: dci run --dry-run"
    "\n\nExit code 1 when a period is held back by a check."
)

Direct = Annotated[
    bool, typer.Option("--direct", help="Call the steps one after the other, without Dagster and its history.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what is out of date, and compute nothing.")]


def run(
    *,
    first: options.First = None,
    last: options.Last = None,
    months: options.Months = None,
    direct: Direct = False,
    dry_run: DryRun = False,
    index: options.Index = None,
) -> None:
    """Compute what is out of date, from validation to the published tables.

    Every period whose deliveries are complete, or those named. What is up to date is left alone, so a second run has
    nothing to do. A period that a check holds back stops only itself. Runs through Dagster, in this process, so that
    the history is there in the UI.
    """
    work = options.open_work(index)
    wanted = options.chosen_periods(work.framework, first, last, months)
    report, waiting = refresh_index(work, wanted, direct=direct, dry_run=dry_run)
    if report is not None:
        outcome(work, report)
    said_waiting(waiting)
    if report is not None:
        where_things_are(work)
        if report.held:
            raise typer.Exit(1)


def refresh_index(
    work: Work, wanted: Sequence[Period] | None, *, direct: bool = False, dry_run: bool = False
) -> tuple[Report | None, Mapping[Period, str]]:
    """Refresh the periods that are complete; None when there was nothing to compute. Raises Finding without any."""
    from dci_pipeline import plan, refresh

    ready, waiting = refresh.delivered_periods(work, wanted)
    if not ready and not waiting:
        raise Finding(
            "nothing has been delivered",
            where=f"{work.index}/feeds",
            found="no delivery",
            expected="deliveries of every feed and partner",
            todo=f"dci simulate --index {work.index}, or dci land FILE --index {work.index} --feed F --partner P",
        )
    if not ready:
        screen.say("No period is complete.", style="yellow")
        said_waiting(waiting)
        raise typer.Exit(1)
    # Beside the periods asked for those computed already may rest on them; the others wait until they are asked for.
    every = ready
    if wanted is not None:
        computed = work.warehouse.existing("normalise", "shares", refresh.delivered_periods(work)[0])
        every = sorted({*computed, *ready})
    out_of_date = plan.due(work, ready, every)
    if not out_of_date:
        screen.say(
            f"Nothing to do: {screen.count(total_partitions(work, ready), 'partition')} up to date "
            f"({screen.ranges(ready)}).",
            style="green",
        )
        return None, waiting
    if dry_run:
        partitions("Out of date", out_of_date)
        return None, waiting
    left = total_partitions(work, every) - sum(map(len, out_of_date.values()))
    report = _compute(work, every, out_of_date, direct=direct)
    if left:
        screen.say(f"{screen.count(left, 'partition')} were up to date and left alone.")
    return report, waiting


def partitions(title: str, plan: Plan) -> None:
    """The table of a plan: how many partitions of each table, and which."""
    screen.show(
        title,
        ("table", "partitions", "which"),
        [
            ["/".join(key), len(parts), screen.ranges(part for part in parts if part is not None) or "the table"]
            for key, parts in plan.items()
        ],
        right=("partitions",),
    )


def _compute(work: Work, periods: Sequence[Period], plan: Plan, *, direct: bool) -> Report:
    with screen.progress() as bar:
        task = bar.add_task("starting", total=sum(map(len, plan.values())))

        def moved(step: Step, period: Period | None, done: Outcome | None) -> None:
            bar.update(
                task,
                description=f"{'/'.join(step.key)} {period or ''}".strip()[:44].ljust(44),
                advance=0 if done is None else 1,
            )

        if direct:
            from dci_pipeline import refresh
            from dci_pipeline.warehouse.places import place

            report = refresh.Report()

            def run(part: Plan) -> None:
                refresh.run_direct(work, periods, only=part, progress=moved, report=report)

            with place(work.warehouse.layout):
                refresh.bring_up_to_date(work, periods, plan, run)
            return report
        from dci_pipeline.defs.launch import refresh_in_process

        return refresh_in_process(work, periods, plan, progress=moved)


def total_partitions(work: Work, periods: Sequence[Period]) -> int:
    """Partitions that a refresh of these periods looks at."""
    from dci_pipeline import path, plan

    return sum(len(plan.scope(work.framework, step, periods)) for step in path.path(work.framework))


def outcome(work: Work, report: Report) -> None:
    """The table of what each step did, and the periods that were held back."""
    by_key: dict[Key, list[Outcome]] = {}
    for done in report.outcomes:
        by_key.setdefault(done.key, []).append(done)
    rows: list[list[object]] = []
    for key, found in by_key.items():
        states = [item.state for item in found]
        warned = sum(1 for item in found for check in item.checks if not check.passed)
        rows.append(
            [
                "/".join(key),
                *[states.count(state) or "" for state in ("written", "same", "unchanged")],
                screen.mark(f"{warned} failed") if warned else "",
            ]
        )
    screen.show(
        f"{work.index}: partitions",
        ("table", "written", "same rows", "up to date", "checks"),
        rows,
        right=("written", "same rows", "up to date"),
    )
    _warnings(report)
    if report.retried:
        screen.show("Faults of disk or network that passed", ("what was met",), [[fault] for fault in report.retried])
    if report.held:
        reasons: dict[str, list[Period]] = {}
        for period, reason in report.held.items():
            reasons.setdefault(reason, []).append(period)
        screen.show(
            "Held back", ("periods", "why"), [[screen.ranges(periods), reason] for reason, periods in reasons.items()]
        )


def _warnings(report: Report) -> None:
    """What failed and held nothing back, with what it says; what held a period back is said with the period."""
    warned: dict[tuple[Key, str, str], list[Period]] = {}
    for done in report.outcomes:
        for check in done.checks:
            if not check.passed and check.severity != "error":
                periods = warned.setdefault((done.key, check.name, check.says), [])
                periods += [done.period] if done.period is not None else []
    if warned:
        screen.show(
            "Checks that failed and hold nothing back",
            ("table", "periods", "it says"),
            [["/".join(key), screen.ranges(periods), says] for (key, _, says), periods in warned.items()],
        )


def said_waiting(waiting: Mapping[Period, str]) -> None:
    """The periods that are not complete, by what they wait for."""
    if not waiting:
        return
    by_reason: dict[str, list[Period]] = {}
    for period, reason in waiting.items():
        by_reason.setdefault(reason, []).append(period)
    screen.show(
        "Waiting",
        ("periods", "for"),
        [[screen.ranges(periods), reason.removeprefix("waits for ")] for reason, periods in by_reason.items()],
    )


def where_things_are(work: Work) -> None:
    """Where the published file, the deliveries and the history are."""
    layout = work.warehouse.layout
    screen.show(
        "Where things are",
        ("", ""),
        [
            ["published tables", here(layout.catalogue)],
            ["deliveries, as received", here(layout.home / "feeds")],
            ["tables of every stage", here(layout.home)],
            ["run history", here(work.settings.dagster_home)],
        ],
    )


def here(path: Path) -> str:
    """The path from the working directory where it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
