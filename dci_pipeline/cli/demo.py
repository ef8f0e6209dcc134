"""`dci demo`: the whole path once: simulated partners, the pipeline, the published index, and what to try next."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dci_pipeline.cli import options, run, screen, simulate
from dci_pipeline.periods import Period

if TYPE_CHECKING:
    from dci_pipeline.work import Work

EXAMPLES = "Example: dci demo\n\nA second time it finds nothing to compute, and says so. The same as: make run"

SEED = 7


def demo(index: options.Index = None) -> None:
    """Two years of simulated deliveries through the whole pipeline, and the ten leading places of the last year.

    Ends with where the files are and what to try next. Deliveries that are there already are not made again, and what
    is up to date is not computed again.
    """
    work = options.open_work(index)
    periods = simulate.usual_periods(work)
    _deliver(work, periods)
    report, waiting = run.refresh_index(work, None)
    if report is not None:
        run.outcome(work, report)
    else:
        screen.say("Nothing has changed since the last run.")
    run.said_waiting(waiting)
    leading(work)
    run.where_things_are(work)
    _next(work)
    if report is not None and report.held:
        raise typer.Exit(1)


def _deliver(work: Work, periods: Sequence[Period]) -> None:
    """Simulate and land what these periods still wait for."""
    from dci_pipeline import refresh

    _, waiting = refresh.delivered_periods(work, periods)
    if not waiting:
        screen.say(f"Deliveries of {screen.ranges(periods)} are there.")
        return
    from dci_pipeline.cli import partners
    from dci_pipeline.warehouse import deliveries

    layout = work.warehouse.layout
    requested = [
        item
        for item in partners.requests(work, sorted(waiting), feeds=None, partner=None)
        if item.partner not in deliveries.current(layout, item.feed, item.period)
    ]
    folder = Path("deliveries") / work.index
    made, _, _ = simulate.produce(work, requested, folder=folder, rows=None, seed=SEED, form="csv.gz")
    screen.say(
        f"{screen.count(len(made), 'delivery')} of {screen.ranges(waiting)} made under {folder} and taken in: "
        f"{sum(one.rows for one in made):,} rows."
    )


def leading(work: Work) -> None:
    """The ten leading places of the last whole year, for each tree of the index."""
    import polars as pl

    from dci_pipeline.report.top import top

    year = last_whole_year(work)
    kind = next((entity.type for entity in work.framework.place_types if entity.ranked), None)
    if year is None or kind is None:
        screen.say("No whole year is published yet.", style="yellow")
        return
    rows = work.warehouse.read("marts", "index_year", year)
    for root in work.framework.roots:
        best = top(rows, work.geography.places, entity_type=kind, node=root)
        if best.is_empty():
            continue
        nation = rows.filter((pl.col("entity_code") == work.framework.nation["code"]) & (pl.col("node") == root))
        node = work.framework.by_node[root]
        screen.show(
            f"{node.name_en} {node.name_zh}, {year}: the ten leading of type {kind}",
            ("rank", "name", "", "points", "share", "growth", "ranks gained"),
            [_line(row) for row in best.iter_rows(named=True)],
            right=("rank", "points", "share", "growth", "ranks gained"),
        )
        if not nation.is_empty():
            total = nation.row(0, named=True)
            screen.say(
                f"{work.framework.nation['name_en']}: {total['points']:.2f} points{_grown(total['growth_yoy'])}."
                f" {work.framework.base_points:g} is the nation over the reference period."
            )


def _line(row: dict[str, object]) -> list[object]:
    def form(name: str, pattern: str) -> str:
        return "" if row[name] is None else format(row[name], pattern)

    return [
        row["rank"],
        row["name_zh"],
        row["name_en"],
        form("points", ".2f"),
        form("share", ".2%"),
        form("growth_yoy", "+.1%"),
        form("rank_change", "+d") if row["rank_change"] else form("rank_change", "d"),
    ]


def _grown(growth: float | None) -> str:
    return "" if growth is None else f", {growth:+.1%} on the year before"


def last_whole_year(work: Work) -> Period | None:
    """The last year of which every period is in the published table, or None."""
    from dci_pipeline import periods

    covered = f"{work.framework.cadence}s_covered"
    for path in reversed(work.warehouse.partitions("marts", "index_year")):
        year = periods.parse(path.parent.name.removeprefix("year="), "year")
        rows = work.warehouse.read("marts", "index_year", year)
        if not rows.is_empty() and rows[covered].min() == Period(year.start, work.framework.cadence).per_year:
            return year
    return None


def _next(work: Work) -> None:
    name = f" --index {work.index}" if work.index != options.DEFAULT_INDEX else ""
    query = "SELECT year, node, points, growth_yoy FROM index_year WHERE entity_type = 'nation' ORDER BY node, year"
    screen.say("What to try next", style="bold")
    for what, how in (
        ("the asset graph, runs and checks in a browser", "make ui"),
        ("a query on the published tables", f'{_command()} sql{name} "{query}"'),
        ("every test", "make test"),
    ):
        screen.say(f"  {what}: {how}")


def _command() -> str:
    """How to call this command from here: by its name where the shell finds it, else by its path."""
    beside = Path(sys.executable).with_name("dci")
    return run.here(beside) if beside.is_file() and shutil.which("dci") is None else "dci"
