"""The whole path on simulated deliveries: the laws of the method through every stage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import polars as pl
import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.framework import Framework, Node
from dci_pipeline.periods import Period, parse
from dci_pipeline_tests.conftest import MONTHS, World

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
    framework = world.work.framework
    for period in MONTHS:
        nodes = nation(world, "index_month", period)
        assert set(nodes["node"]) == set(framework.by_node)
        indicators = world.read("normalise", "shares", [period]).group_by("indicator").agg(pl.col("share").sum())
        assert set(indicators["indicator"]) == {item.node for item in framework.indicators}
        for shares in (nodes["share"], indicators["share"]):
            assert shares.to_list() == pytest.approx([1.0] * len(shares), rel=TOLERANCE)


def test_leaves_add_to_their_root(world: World) -> None:
    framework = world.work.framework
    for period in MONTHS:
        table = world.read("marts", "index_month", [period])
        for root in framework.roots:
            below = [leaf.node for leaf in framework.leaves_under(root)]
            leaves = (
                table.filter(pl.col("node").is_in(below))
                .group_by("entity_type", "entity_code")
                .agg(pl.col("composite_points").sum().alias("leaves"))
            )
            joined = table.filter(pl.col("node") == root).join(leaves, on=["entity_type", "entity_code"])
            assert joined.height == leaves.height
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
    for root in world.work.framework.roots:
        level = months.filter((pl.col("entity_type") == "nation") & (pl.col("node") == root)).sort("month")["points"]
        year = nation(world, "index_year", parse("2019", "year")).filter(pl.col("node") == root).row(0, named=True)
        assert year["growth_yoy"] == pytest.approx(math.fsum(level[3:]) / math.fsum(level[:3]) - 1, rel=TOLERANCE)
        assert (year["months_covered"], year["maturity"], year["cagr"]) == (3, "provisional", None)


def leaf_weights(framework: Framework, root: str) -> Iterator[tuple[Node, Fraction]]:
    """Every leaf of a tree with its weight in the root, from the experts' scores."""
    scores = framework.waves[framework.links[0].wave[root]].scores

    def below(node: Node, weight: Fraction) -> Iterator[tuple[Node, Fraction]]:
        children = framework.children(node.node)
        whole = sum(score for _, parent, _, score in scores if parent == node.node and score)
        for child in children:
            part = sum(score for _, _, name, score in scores if name == child and score)
            yield from below(framework.by_node[child], weight * Fraction(part, whole))
        if not children:
            yield node, weight

    yield from below(framework.by_node[root], Fraction(1))


TREES = ("digital_first", "dci")


def test_every_tree_is_looked_at(world: World) -> None:
    assert set(TREES) == set(world.work.framework.roots)


@pytest.mark.parametrize("root", TREES)
def test_the_pipeline_agrees_with_the_public_door(world: World, root: str) -> None:
    from dci_pipeline.index import compute, links

    framework = world.work.framework
    link = framework.links[0]
    weights = pl.DataFrame(
        [(0, leaf.node, float(weight)) for leaf, weight in leaf_weights(framework, root)],
        schema={"link": pl.Int64, "indicator": pl.String, "alpha": pl.Float64},
        orient="row",
    )
    values = world.read("indicators", "values", MONTHS).filter(
        pl.col("indicator").is_in(weights["indicator"].implode())
    )
    complete = values.filter(pl.col("value").is_null().sum().over("indicator") == 0)
    assert complete.height == values.height, "this world has no missing values"
    chain = links(
        "fixed_base",
        reference_start=link.reference[0].start,
        reference_end=link.reference[-1].start,
        end=MONTHS[-1].start,
    )
    found = compute(values.select("period", "place", "indicator", "value"), weights, chain)
    table = world.read("marts", "index_month", MONTHS).filter(
        (pl.col("node") == root) & pl.col("entity_type").is_in(["city", "residual"])
    )
    joined = table.join(found.places, left_on=["month", "entity_code"], right_on=["period", "place"], suffix="_door")
    assert joined.height == table.height
    for column in ("points", "share", "growth_yoy"):
        pairs = joined.select(column, f"{column}_door").drop_nulls()
        assert pairs[column].to_list() == pytest.approx(pairs[f"{column}_door"].to_list(), rel=1e-11)


@pytest.mark.parametrize("root", TREES)
def test_the_root_is_exact_fractions_of_the_typed_rows(world: World, root: str) -> None:
    """From typed rows to the nation's points in Python's fractions, sharing nothing with the pipeline but the data."""
    work, framework = world.work, world.work.framework
    from dci_pipeline.warehouse import deliveries

    def total(leaf: Node, period: Period) -> int:
        contract = framework.feeds[str(leaf.feed)]
        summed = 0
        for delivery in deliveries.current(work.warehouse.layout, contract.feed, period).values():
            typed = pl.read_parquet(delivery.typed)
            known = work.geography.aliases_at(period).filter(pl.col("scope") == "in").select("alias")
            typed = typed.join(known, left_on=contract.place.name, right_on="alias", how="semi")
            for name, value in leaf.where.items():
                typed = typed.filter(pl.col(name) == value)
            if leaf.quality is None:
                summed += sum(typed[leaf.measure].to_list())
            else:
                rows = typed.select(leaf.measure, leaf.quality.column).iter_rows()
                summed += sum(volume * abs(rate - leaf.quality.worst) for volume, rate in rows)
        return summed

    period, link = MONTHS[-1], framework.links[0]
    points = Fraction(0)
    for leaf, weight in leaf_weights(framework, root):
        mean = Fraction(sum(total(leaf, item) for item in link.reference), len(link.reference))
        points += 100 * weight * Fraction(total(leaf, period)) / mean
    found = nation(world, "index_month", period).filter(pl.col("node") == root)["points"].item()
    assert found == pytest.approx(float(points), rel=TOLERANCE)


def test_a_second_refresh_finds_nothing_to_do(world: World) -> None:
    assert plan.stale(world.work, MONTHS) == {}
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
