"""The same bytes every way: another engine, order of rows, split into files, number of threads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.engines import protocol
from dci_pipeline.path import path
from dci_pipeline.periods import Period
from dci_pipeline.settings import Settings
from dci_pipeline.warehouse import deliveries
from dci_pipeline.work import Work
from dci_pipeline_tests.conftest import MONTHS, Build, Deliveries, World, land

pytestmark = [pytest.mark.slow]


def marts(world: World) -> dict[str, bytes]:
    home = world.work.warehouse.layout.home / "marts"
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(home.rglob("*.parquet"))}


def catalogue(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Tables and columns with their comments; of every table the number of rows and a hash of all of them."""
    import duckdb

    with duckdb.connect(str(world.work.warehouse.layout.catalogue), read_only=True) as connection:
        tables = connection.sql(
            "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        columns = connection.sql(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        return {"": tables, " columns": columns} | {
            name: connection.sql(
                f'SELECT * FROM "{name}"'
                if name == "quality_month"
                else f'SELECT count(*), sum(hash(rows)) FROM "{name}" AS rows'
            ).fetchall()
            for name, _ in tables
        }


# A reference, and a month of the year after it: growth on the month and on the year before, every span.
FOUR = [*MONTHS[:3], MONTHS[12]]


@pytest.fixture(scope="module")
def plain(build_world: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("plain"), months=FOUR)


def test_another_engine_gives_the_same_bytes(plain: World, build_world: Build, tmp_path: Path) -> None:
    other = build_world(tmp_path, months=FOUR, engine="duckdb")
    assert marts(other) == marts(plain)
    assert catalogue(other) == catalogue(plain)


def test_each_slice_goes_to_the_engine_for_its_size_and_the_bytes_are_the_same(
    plain: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, month = Work(Settings(tmp_path, plain.work.settings.contracts, "auto"), "dci"), FOUR[0]
    shutil.copytree(plain.work.warehouse.layout.home / "feeds", work.warehouse.layout.home / "feeds")
    sizes = {
        feed: sorted(delivery.rows for delivery in deliveries.current(work.warehouse.layout, feed, month).values())
        for feed in work.framework.feeds
    }
    feed = next(feed for feed, rows in sizes.items() if rows[0] < rows[-1])
    # As if memory were so short that only the smaller deliveries fit.
    monkeypatch.setattr(protocol, "BYTES_A_ROW", work.settings.engine_memory // sizes[feed][0])
    step = next(step for step in path(work.framework) if step.key == ("validation", feed))
    outcome = step.run(work, month)
    assert outcome.facts["engine"] == "duckdb, polars"
    for table in ("rule_counts", "quarantine", "sums", "members", "verdict"):
        for partner in work.framework.contract(feed, month).partners:
            ours, theirs = (
                item.warehouse.layout.table("validation", f"{feed}_{table}", month, partner)
                for item in (work, plain.work)
            )
            assert ours.read_bytes() == theirs.read_bytes(), (table, partner)


def provenance_apart(world: World) -> dict[str, list[tuple[object, ...]]]:
    """The catalogue without the hashes that name the deliveries."""
    tables = catalogue(world)
    tables["quality_month"] = [
        tuple(value for value in row if not (isinstance(value, str) and len(value) == 64))
        for row in tables["quality_month"]
    ]
    return tables


def numbers(world: World) -> dict[str, bytes]:
    """The tables that do not name the deliveries."""
    return {name: content for name, content in marts(world).items() if not name.startswith("quality")}


def test_another_order_of_rows_in_other_files_gives_the_same_numbers(plain: World, tmp_path: Path) -> None:
    work = Work(Settings(tmp_path / "warehouse", plain.work.settings.contracts, "polars"), plain.work.index)
    for feed, contract in work.framework.feeds.items():
        for period in FOUR:
            for partner, delivery in deliveries.current(plain.work.warehouse.layout, feed, period).items():
                header, *lines = (delivery.folder / delivery.parts[0].name).read_bytes().splitlines(keepends=True)
                lines.reverse()
                halves = []
                for number, part in enumerate((lines[::2], lines[1::2])):
                    halves.append(tmp_path / f"{feed}_{partner}_{period.key}_{number}.csv")
                    halves[-1].write_bytes(header + b"".join(part))
                deliveries.land(
                    work.warehouse.layout, halves, contract=contract, cadence="month", partner=partner, period=period
                )
    other = World(work, FOUR, refresh.run_direct(work, FOUR))
    assert numbers(other) == numbers(plain)
    assert provenance_apart(other) == provenance_apart(plain)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_another_number_of_threads_gives_the_same_bytes(plain: World, tmp_path: Path, threads: str) -> None:
    root = tmp_path / "warehouse"
    shutil.copytree(plain.work.warehouse.layout.home / "feeds", root / plain.work.index / "feeds")
    script = (
        "import sys\nfrom pathlib import Path\nfrom dci_pipeline import refresh\n"
        "from dci_pipeline.settings import Settings\n"
        "from dci_pipeline.work import Work\n"
        "work = Work(Settings(Path(sys.argv[1]), Path(sys.argv[2]), 'polars'), sys.argv[3])\n"
        "report = refresh.run_direct(work, refresh.delivered_periods(work)[0])\nassert not report.held, report.held\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(root), str(plain.work.settings.contracts), plain.work.index],
        check=True,
        env={**os.environ, "POLARS_MAX_THREADS": threads},
    )
    other = World(
        Work(Settings(root, plain.work.settings.contracts, "polars"), plain.work.index), FOUR, refresh.Report()
    )
    assert marts(other) == marts(plain)


def test_months_one_after_the_other_give_the_bytes_of_all_in_one_go(
    narrow: Deliveries, build_narrow: Build, tmp_path: Path
) -> None:
    contracts, files = narrow
    months = sorted({item.period for item in files})
    whole = build_narrow(tmp_path / "whole", months=months)
    work = Work(Settings(tmp_path / "grown", contracts, "polars"), "dci")
    for number, month in enumerate(months):
        land(work, [item for item in files if item.period == month])
        work = Work(work.settings, "dci")
        ready = months[: number + 1]

        def run(part: plan.Plan, work: Work = work, ready: list[Period] = ready) -> None:
            refresh.run_direct(work, ready, only=part)

        refresh.bring_up_to_date(work, ready, plan.due(work, [month], ready), run)
        # As after every month's own refresh, nothing is left to do.
        assert plan.left_over(work, ready, ready, {}) == {}
    home, other = work.warehouse.layout.home, whole.work.warehouse.layout.home
    found = {path.relative_to(home): path.read_bytes() for path in home.rglob("part.parquet")}
    assert found == {path.relative_to(other): path.read_bytes() for path in other.rglob("part.parquet")}
