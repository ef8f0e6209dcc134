"""The whole path on simulated deliveries: the laws of the method through every stage, and the same bytes every way."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from dci_pipeline import refresh
from dci_pipeline.periods import Period, parse
from dci_pipeline_tests.conftest import MONTHS, Simulated, World

pytestmark = [pytest.mark.slow]

TOLERANCE = 1e-12


def nation(world: World, table: str, period: Period) -> pl.DataFrame:
    return world.read("marts", table, [period]).filter(pl.col("entity_type") == "nation")


def test_nothing_is_held(world: World) -> None:
    assert world.report.held == {}


@pytest.mark.parametrize("column", ["share", "points", "composite_points"])
def test_places_add_to_every_grouping_and_to_the_nation(world: World, column: str) -> None:
    for period in MONTHS:
        table = world.read("marts", "index_month", [period])
        whole = dict(table.filter(pl.col("entity_type") == "nation").select("node", column).iter_rows())
        for kinds in (["city", "residual"], ["province"], ["region3"], ["region4"], ["area7"]):
            part = table.filter(pl.col("entity_type").is_in(kinds)).group_by("node").agg(pl.col(column).sum())
            for node, total in part.iter_rows():
                assert total == pytest.approx(whole[node], rel=TOLERANCE), (period.key, kinds, node)


def test_shares_sum_to_one_by_node_and_by_indicator(world: World) -> None:
    for period in MONTHS:
        assert nation(world, "index_month", period)["share"].to_list() == pytest.approx([1.0] * 6, rel=TOLERANCE)
        shares = world.read("normalise", "shares", [period]).group_by("indicator").agg(pl.col("share").sum())
        assert shares["share"].to_list() == pytest.approx([1.0] * 5, rel=TOLERANCE)


def test_leaves_add_to_their_root(world: World) -> None:
    root = world.work.framework.roots[0]
    for period in MONTHS:
        table = world.read("marts", "index_month", [period])
        leaves = (
            table.filter(pl.col("node") != root)
            .group_by("entity_type", "entity_code")
            .agg(pl.col("composite_points").sum().alias("leaves"))
        )
        joined = table.filter(pl.col("node") == root).join(leaves, on=["entity_type", "entity_code"])
        assert joined["composite_points"].to_list() == pytest.approx(joined["leaves"].to_list(), rel=TOLERANCE)


def test_the_nation_averages_one_hundred_over_the_reference(world: World) -> None:
    reference = world.work.framework.links[0].reference
    for node in world.work.framework.by_node:
        points = [
            nation(world, "index_month", period).filter(pl.col("node") == node)["points"].item() for period in reference
        ]
        assert math.fsum(points) / len(points) == pytest.approx(100.0, rel=TOLERANCE)


def test_months_average_to_the_year(world: World) -> None:
    months = (
        world.read("marts", "index_month", MONTHS[:12])
        .group_by("entity_type", "entity_code", "node")
        .agg(pl.col("points").mean().alias("mean"))
    )
    year = world.read("marts", "index_year", [parse("2018", "year")])
    joined = year.join(months, on=["entity_type", "entity_code", "node"])
    assert joined.height == year.height
    assert joined["points"].to_list() == pytest.approx(joined["mean"].to_list(), rel=TOLERANCE)
    assert year["months_covered"].unique().to_list() == [12]


def test_a_running_year_is_compared_with_the_same_months(world: World) -> None:
    months = world.read("marts", "index_month", [*MONTHS[:3], *MONTHS[12:]])
    root = world.work.framework.roots[0]
    level = months.filter((pl.col("entity_type") == "nation") & (pl.col("node") == root)).sort("month")["points"]
    year = nation(world, "index_year", parse("2019", "year")).filter(pl.col("node") == root).row(0, named=True)
    assert year["growth_yoy"] == pytest.approx(math.fsum(level[3:]) / math.fsum(level[:3]) - 1, rel=TOLERANCE)
    assert (year["months_covered"], year["maturity"], year["cagr"]) == (3, "provisional", None)


def test_the_pipeline_agrees_with_the_public_door(world: World) -> None:
    from dci_pipeline.index import compute, links

    framework = world.work.framework
    link = framework.links[0]
    values = world.read("indicators", "values", MONTHS)
    complete = values.filter(pl.col("value").is_null().sum().over("indicator") == 0)
    assert complete.height == values.height, "this world has no missing values"
    weights = world.work.warehouse.read("weight", "alphas").select(
        pl.lit(0, dtype=pl.Int64).alias("link"), pl.col("child").alias("indicator"), "alpha"
    )
    chain = links(
        "fixed_base",
        reference_start=link.reference[0].start,
        reference_end=link.reference[-1].start,
        end=MONTHS[-1].start,
    )
    found = compute(values, weights, chain)
    root = framework.roots[0]
    table = world.read("marts", "index_month", MONTHS).filter(
        (pl.col("node") == root) & pl.col("entity_type").is_in(["city", "residual"])
    )
    joined = table.join(found.places, left_on=["month", "entity_code"], right_on=["period", "place"], suffix="_door")
    assert joined.height == table.height
    for column in ("points", "share", "growth_yoy"):
        pairs = joined.select(column, f"{column}_door").drop_nulls()
        assert pairs[column].to_list() == pytest.approx(pairs[f"{column}_door"].to_list(), rel=1e-11)


def test_the_root_is_exact_fractions_of_the_typed_rows(world: World) -> None:
    """From typed rows to the nation's points in Python's fractions, sharing nothing with the pipeline but the data."""
    work, framework = world.work, world.work.framework
    from dci_pipeline.warehouse import deliveries

    def total(leaf, period: Period) -> int:
        contract = framework.feeds[leaf.feed]
        summed = 0
        for delivery in deliveries.current(work.warehouse.layout, leaf.feed, period).values():
            typed = pl.read_parquet(delivery.typed)
            known = work.geography.aliases_at(period).filter(pl.col("scope") == "in").select("alias")
            typed = typed.join(known, left_on=contract.place.name, right_on="alias", how="semi")
            for name, value in leaf.where.items():
                typed = typed.filter(pl.col(name) == value)
            summed += sum(typed[leaf.measure].to_list())
        return summed

    period, link = MONTHS[-1], framework.links[0]
    scores = framework.waves["survey_2018"].scores
    points = Fraction(0)
    for leaf in framework.leaves:
        alpha = Fraction(
            sum(score for _, _, child, score in scores if child == leaf.node and score),
            sum(score for _, _, _, score in scores if score),
        )
        mean = Fraction(sum(total(leaf, item) for item in link.reference), len(link.reference))
        points += 100 * alpha * Fraction(total(leaf, period)) / mean
    found = nation(world, "index_month", period).filter(pl.col("node") == framework.roots[0])["points"].item()
    assert found == pytest.approx(float(points), rel=TOLERANCE)


def marts(world: World) -> dict[str, bytes]:
    home = world.work.warehouse.layout.home / "marts"
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(home.rglob("*.parquet"))}


def catalogue(world: World) -> dict[str, list[tuple[object, ...]]]:
    import duckdb

    with duckdb.connect(str(world.work.warehouse.layout.catalogue), read_only=True) as connection:
        tables = connection.sql(
            "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        columns = connection.sql(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        return {"": tables, " columns": columns} | {
            name: connection.sql(f'SELECT * FROM "{name}"').fetchall() for name, _ in tables
        }


def reversed_rows(files: list[Simulated]) -> list[Simulated]:
    """The same records in the opposite order, in other files."""
    turned: list[Simulated] = []
    for item in files:
        header, *lines = item.path.read_bytes().splitlines(keepends=True)
        path = item.path.with_name("turned_" + item.path.name)
        path.write_bytes(header + b"".join(reversed(lines)))
        turned.append(Simulated(item.feed, item.partner, item.period, path))
    return turned


FIVE = [*MONTHS[:3], *MONTHS[12:14]]


@pytest.fixture(scope="module")
def plain(build_world: Callable[..., World], tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("plain"), months=FIVE)


def test_another_engine_gives_the_same_bytes(plain: World, build_world: Callable[..., World], tmp_path: Path) -> None:
    other = build_world(tmp_path, months=FIVE, engine="duckdb")
    assert marts(other) == marts(plain)
    assert catalogue(other) == catalogue(plain)


def provenance_apart(world: World) -> dict[str, list[tuple[object, ...]]]:
    """The catalogue without the hashes that name the deliveries."""
    tables = catalogue(world)
    tables["quality_month"] = [
        tuple(value for value in row if not (isinstance(value, str) and len(value) == 64))
        for row in tables["quality_month"]
    ]
    return tables


def test_another_order_of_rows_gives_the_same_numbers(
    plain: World, build_world: Callable[..., World], tmp_path: Path
) -> None:
    other = build_world(tmp_path, months=FIVE, change=reversed_rows)
    index = {name: content for name, content in marts(plain).items() if not name.startswith("quality")}
    assert {name: content for name, content in marts(other).items() if not name.startswith("quality")} == index
    assert provenance_apart(other) == provenance_apart(plain)


def test_another_split_into_files_gives_the_same_numbers(
    plain: World, build_world: Callable[..., World], tmp_path: Path
) -> None:
    from dci_pipeline.settings import Settings
    from dci_pipeline.warehouse import deliveries
    from dci_pipeline.work import Work

    work = Work(Settings(tmp_path / "warehouse", plain.work.settings.contracts, "polars"), plain.work.index)
    for feed, contract in work.framework.feeds.items():
        for period in FIVE:
            for partner, delivery in deliveries.current(plain.work.warehouse.layout, feed, period).items():
                header, *lines = (delivery.folder / delivery.parts[0].name).read_bytes().splitlines(keepends=True)
                halves = []
                for number, part in enumerate((lines[::2], lines[1::2])):
                    halves.append(tmp_path / f"{feed}_{partner}_{period.key}_{number}.csv")
                    halves[-1].write_bytes(header + b"".join(part))
                deliveries.land(
                    work.warehouse.layout, halves, contract=contract, cadence="month", partner=partner, period=period
                )
    other = World(work, FIVE, refresh.run_direct(work, FIVE))
    index = {name: content for name, content in marts(plain).items() if not name.startswith("quality")}
    assert {name: content for name, content in marts(other).items() if not name.startswith("quality")} == index
    assert provenance_apart(other) == provenance_apart(plain)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_another_number_of_threads_gives_the_same_bytes(plain: World, tmp_path: Path, threads: str) -> None:
    import os
    import shutil
    import subprocess
    import sys

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
    from dci_pipeline.settings import Settings
    from dci_pipeline.work import Work

    other = World(
        Work(Settings(root, plain.work.settings.contracts, "polars"), plain.work.index), FIVE, refresh.Report()
    )
    assert marts(other) == marts(plain)


def test_a_second_refresh_finds_nothing_to_do(world: World) -> None:
    assert refresh.stale(world.work, MONTHS) == {}
    again = refresh.run_direct(world.work, MONTHS)
    assert again.count("written", "same") == 0
    assert again.count("unchanged") == len(again.outcomes)


def test_every_table_and_column_has_a_comment(world: World) -> None:
    import duckdb

    with duckdb.connect(str(world.work.warehouse.layout.catalogue), read_only=True) as connection:
        bare = connection.sql(
            "SELECT table_name, '' AS column_name FROM duckdb_tables() "
            "WHERE NOT internal AND coalesce(comment, '') = '' UNION ALL "
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''"
        ).fetchall()
        tables = {name for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert bare == []
    assert tables == set(world.work.framework.tables)
