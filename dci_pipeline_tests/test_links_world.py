"""Indexes with links through the whole pipeline: every table against the public door on the same values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dci_pipeline import plan, refresh
from dci_pipeline.defs.launch import run_in_process
from dci_pipeline.framework import Link
from dci_pipeline.marts import spread
from dci_pipeline.periods import parse, parse_span
from dci_pipeline.work import Work
from dci_pipeline_tests.linked_door import ENTITIES, FIXED, QUARTERS, YEARLY, YEARLY_SECOND, Door, close, year_before
from dci_pipeline_tests.small_worlds import (
    FIRST,
    LEAVES,
    PARENTS,
    PLACES,
    SECOND,
    Chain,
    Towns,
    Values,
    collected_since,
    drawn,
    land,
    through_the_door,
)

pytestmark = pytest.mark.slow

GONE = "T6"
# Tables that take their time and that some worlds go without.
DEAR = ("ranking_year", "inequality_year", "effective_weights_year", "uncertainty_year")


@dataclass(frozen=True)
class Computed:
    """A computed world and the door to the same values."""

    work: Work
    values: Values
    chain: Chain
    report: refresh.Report

    def door(self, node: str = "total") -> Door:
        return Door(through_the_door(self.values, self.chain, node), self.chain)

    def rows(self, table: str, node: str) -> Iterator[dict[str, Any]]:
        home = self.work.warehouse.layout.home
        partitions = sorted((home / "marts" / table).rglob("part.parquet"))
        frame = pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in partitions])
        return frame.filter(pl.col("node") == node).iter_rows(named=True)


def build(folder: Path, towns: Towns, chain: Chain) -> Computed:
    work = towns.write(folder)
    land(work, folder / "files", towns.values, towns.periods)
    return Computed(work, towns.values, chain, refresh.run_direct(work, towns.periods))


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """Two links; one leaf leaves, one enters, the experts are asked again; one town has nothing in the reference."""
    empty = [(period, GONE) for period in parse_span(SECOND.reference, "quarter")]
    towns = Towns([FIRST, SECOND], QUARTERS, drawn(QUARTERS, nothing=empty))
    return build(tmp_path_factory.mktemp("fixed"), towns, FIXED)


@pytest.fixture(scope="module")
def yearly(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """A link every year, with another basket from the third year on."""
    towns = Towns([FIRST, YEARLY_SECOND], QUARTERS, drawn(QUARTERS, seed=2), chaining="annual_overlap")
    return build(tmp_path_factory.mktemp("yearly"), towns, YEARLY)


@pytest.fixture(params=["fixed", "yearly"])
def world(request: pytest.FixtureRequest) -> Computed:
    found: Computed = request.getfixturevalue(request.param)
    assert found.report.held == {}
    return found


@pytest.mark.parametrize("node", ["total", "pay", "orders", "visits", "streams"])
def test_periods_are_those_of_the_door(world: Computed, node: str) -> None:
    door, seen = world.door(node), 0
    for row in world.rows("index_quarter", node):
        places, day = ENTITIES[str(row["entity_type"]), str(row["entity_code"])], row["quarter"]
        assert isinstance(day, date)
        before = parse_span(f"{day:%Y-%m}", "quarter")[0].shift(-1).start
        assert close(row["points"], door.level(places, [day])), row
        assert close(row["growth_yoy"], door.growth(places, [day], year_before([day]))), row
        assert close(row["growth_qoq"], door.growth(places, [day], [before])), row
        assert close(row["link_effect_points"], door.effect(places, [day], year_before([day]))), row
        seen += 1
    assert seen == len(ENTITIES) * len({day for day, _ in door.points})


def test_places_are_the_door_s_own_rows(world: Computed) -> None:
    door = world.door().index.places.with_columns(pl.col("period").dt.strftime("%Y-%m-%d"))
    expected = {(row["period"], row["place"]): row for row in door.iter_rows(named=True)}
    for row in world.rows("index_quarter", "total"):
        own = expected.get((f"{row['quarter']}", row["entity_code"]))
        if own is not None:
            for name in ("points", "share", "growth_yoy", "link_effect_points"):
                assert close(row[name], own[name]), (name, row)


@pytest.mark.parametrize("table", ["index_half", "index_year"])
@pytest.mark.parametrize("node", ["total", "pay", "visits"])
def test_spans_are_means_of_the_door_s_periods(world: Computed, table: str, node: str) -> None:
    door = world.door(node)
    years: set[int] = set()
    for row in world.rows(table, node):
        span = parse(str(row["half"]), "half") if table == "index_half" else parse(str(row["year"]), "year")
        places, days = (
            ENTITIES[str(row["entity_type"]), str(row["entity_code"])],
            [p.start for p in span.parts("quarter")],
        )
        assert close(row["points"], door.level(places, days)), row
        assert close(row["growth_yoy"], door.growth(places, days, year_before(days))), row
        assert close(row["link_effect_points"], door.effect(places, days, year_before(days))), row
        years.add(days[0].year)
        if table == "index_year":
            first = [date(2018, day.month, 1) for day in days]
            grown = door.growth(places, days, first) if days[0].year > 2018 else None
            cagr = None if grown is None else (1 + grown) ** (1 / (days[0].year - 2018)) - 1
            assert close(row["cagr"], cagr), row
    assert years == {2018, 2019, 2020, 2021}


def moved(world: Computed, node: str, days: Sequence[date]) -> dict[str, float]:
    """Place -> mean over the periods of the door's contributions of the leaves under the node, year on year."""
    under = [leaf for leaf in LEAVES if node in (leaf, PARENTS[leaf], PARENTS.get(PARENTS[leaf]))]
    part = world.door().index.contributions.filter(pl.col("period").is_in(list(days)), pl.col("indicator").is_in(under))
    sums: dict[str, list[float]] = {c: [] for c in PLACES}
    for place, points in part.select("place", "contribution_points").iter_rows():
        sums[place].append(points)
    return {place: math.fsum(found) / len(days) for place, found in sums.items()}


@pytest.mark.parametrize("table", ["contribution_quarter", "contribution_year"])
@pytest.mark.parametrize("node", ["total", "pay", *LEAVES])
def test_contributions_are_those_of_the_door(world: Computed, table: str, node: str) -> None:
    door = world.door()
    by_span: dict[tuple[date, ...], dict[str, float]] = {}
    for row in world.rows(table, node):
        span = parse(str(row["year"]), "year") if table == "contribution_year" else None
        days = [p.start for p in span.parts("quarter")] if span else [row["quarter"]]
        places = ENTITIES[str(row["entity_type"]), str(row["entity_code"])]
        if tuple(days) not in by_span:
            by_span[tuple(days)] = moved(world, node, days)
        own = math.fsum(by_span[tuple(days)][c] for c in places)
        change = door.level(PLACES, days) - door.level(PLACES, year_before(days))
        base = door.level(PLACES, year_before(days))
        assert close(row["contribution_points"], own), row
        assert close(row["contribution_pp"], 100 * own / base), row
        assert close(row["contribution_rate"], own / change), row
        if node == "total":
            assert close(row["link_effect_points"], door.effect(places, days, year_before(days))), row
    # A leaf that has left contributes until no compared period knows it.
    last = {"amount": max(p.start for p in QUARTERS if world.work.framework.link_at(p) == first_link(world)).year + 1}
    assert max(days[-1].year for days in by_span) == last.get(node, 2021)


def first_link(world: Computed) -> Link:
    """The last link with the first basket."""
    links = [world.work.framework.link_at(period) for period in QUARTERS]
    return [link for link in links if link is not None and "amount" in link.basket["total"]][-1]


def test_the_change_is_contributions_and_the_link_effect(world: Computed) -> None:
    points = {(row["entity_code"], row["quarter"]): row["points"] for row in world.rows("index_quarter", "total")}
    for row in world.rows("contribution_quarter", "total"):
        now, then = (points[row["entity_code"], day] for day in (row["quarter"], row["base_period"]))
        assert close(now - then, row["contribution_points"] + row["link_effect_points"]), row


def test_no_node_moves_at_a_link(world: Computed) -> None:
    links = pl.concat(
        world.work.warehouse.read("index", "links", parse(start, "quarter")).select(
            pl.lit(start).alias("link"), pl.all()
        )
        for _, _, start in world.chain[1:]
    )
    national = links.group_by("link", "node").agg(pl.col("points_before", "points_after").sum(), pl.len())
    both = links.drop_nulls(["points_before", "points_after"]).select("link", "node").unique()
    for row in national.join(both, on=["link", "node"]).iter_rows(named=True):
        assert math.isclose(row["points_before"], row["points_after"], rel_tol=1e-12), row
    entered = links.filter(pl.col("points_before").is_null())
    left = links.filter(pl.col("points_after").is_null())
    assert (set(entered["node"]), set(left["node"])) == ({"streams"}, {"amount"})
    assert entered.group_by("link", "node").agg(pl.col("points_after").sum())["points_after"].item() == pytest.approx(
        100
    )
    effects = links.with_columns(
        moved=pl.col("composite_after").fill_null(0.0) - pl.col("composite_before").fill_null(0.0)
    ).filter(pl.col("node").is_in(LEAVES))
    for (_,), part in effects.group_by("link"):
        assert math.fsum(part["moved"]) == pytest.approx(0, abs=1e-9)


def test_nothing_is_left_to_do(world: Computed) -> None:
    assert plan.stale(world.work, QUARTERS) == {}
    again = refresh.run_direct(world.work, QUARTERS)
    assert again.count("written", "same", "stale") == 0


@pytest.mark.parametrize("chaining", ["fixed_base", "annual_overlap"])
def test_the_engine_does_the_same(chaining: str, tmp_path: Path) -> None:
    periods = QUARTERS[:12]
    second = SECOND if chaining == "fixed_base" else YEARLY_SECOND
    towns = Towns([FIRST, second], periods, drawn(periods), chaining=chaining, dropped=DEAR)
    found: list[dict[str, bytes]] = []
    for name, run in (("direct", refresh.run_direct), ("engine", run_in_process)):
        work = towns.write(tmp_path / name)
        land(work, tmp_path / name / "files", towns.values, periods)
        assert run(work, periods).held == {}
        assert plan.stale(work, periods) == {}
        home = work.warehouse.layout.home
        found.append({path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("part.parquet")})
    assert found[0] == found[1]


def test_every_year_has_its_link(yearly: Computed) -> None:
    warehouse = yearly.work.warehouse
    starts = [period for period in QUARTERS if warehouse.data_version("index", "links", period) is not None]
    assert [str(start) for start in starts] == ["2018Q1", "2019Q1", "2020Q1", "2021Q1"]
    links = [yearly.work.framework.link_at(start) for start in starts]
    assert [link.link for link in links if link] == ["first", "first_2019", "second", "second_2021"]


def test_a_restated_reference_moves_the_links_after_it_and_nothing_before(tmp_path: Path) -> None:
    towns = Towns([FIRST, YEARLY_SECOND], QUARTERS, drawn(QUARTERS, seed=2), chaining="annual_overlap")
    world = build(tmp_path, towns, YEARLY)
    versions = partitions(world.work)
    restated = parse("2019Q2", "quarter")
    values = {key: 3 * x if x and key[0] == restated and key[2] == "orders" else x for key, x in towns.values.items()}
    land(world.work, tmp_path / "again", values, [restated])
    assert set(plan.stale(world.work, QUARTERS)) >= {("index", "links"), ("index", "points")}
    after = Computed(world.work, values, YEARLY, refresh.run_direct(world.work, QUARTERS))
    now = partitions(world.work)
    changed = {key for key in now if now[key] != versions[key]}
    assert {period for table, period in changed if table == "links"} == {"2020Q1", "2021Q1"}
    assert {period for table, period in changed if table == "points"} == {"2019Q2", *map(str, QUARTERS[8:])}
    test_periods_are_those_of_the_door(after, "total")
    test_contributions_are_those_of_the_door(after, "contribution_year", "total")
    assert plan.stale(world.work, QUARTERS) == {}


def partitions(work: Work) -> dict[tuple[str, str], str]:
    return {
        (table, str(period)): version
        for table in ("links", "points")
        for period in QUARTERS
        if (version := work.warehouse.data_version("index", table, period)) is not None
    }


def growths(world: Computed, table: str, key: str, column: str) -> dict[str, float | None]:
    return {
        str(row[key]): row[column]
        for row in world.rows(table, "total")
        if (row["entity_type"], row["entity_code"]) == ("town", GONE)
    }


def test_a_town_with_nothing_over_the_reference_has_no_growth_across_the_link(fixed: Computed) -> None:
    yoy = growths(fixed, "index_quarter", "quarter", "growth_yoy")
    qoq = growths(fixed, "index_quarter", "quarter", "growth_qoq")
    known = {day for day, value in yoy.items() if value is not None}
    # 2019Q2 to Q4 are zero: a base of zero in 2020, and nothing to chain by from 2020Q3 on but inside the link.
    assert known == {"2019-01-01", "2019-04-01", "2019-07-01", "2019-10-01", "2020-01-01", "2021-07-01", "2021-10-01"}
    assert qoq["2020-07-01"] is None
    assert qoq["2020-10-01"] is not None
    half = growths(fixed, "index_half", "half", "growth_yoy")
    assert {name for name, value in half.items() if value is not None} == {"2019H1", "2019H2", "2020H1", "2021H2"}
    # The year 2020 lies on both sides of the link, so nothing in it can be chained to 2021 or to 2019.
    year = growths(fixed, "index_year", "year", "growth_yoy")
    assert {name for name, value in year.items() if value is not None} == {"2019"}
    for name in ("cagr", "cagr_2y"):
        assert growths(fixed, "index_year", "year", name)["2021"] is None


def test_what_rests_on_growth_leaves_that_town_out(fixed: Computed) -> None:
    ranks = [
        (row["year"], row["rank"])
        for row in fixed.rows("ranking_year", "total")
        if (row["entity_code"], row["basis"], row["scope_type"]) == (GONE, "growth", "nation")
    ]
    assert {year for year, rank in ranks if rank is not None} == {2019}
    towns = [code for (kind, code) in ENTITIES if kind == "town" and code != GONE]
    door = fixed.door()
    spans: list[Callable[[str], float | None]] = [
        lambda c, year=year: door.chained([c], [date(year, month, 1) for month in (1, 4, 7, 10)])
        for year in (2018, 2021)
    ]
    pairs = [(start, end) for c in towns for start, end in [(spans[0](c), spans[1](c))] if start and end]
    beta = next(
        row["value"]
        for row in fixed.rows("inequality_year", "total")
        if (row["scope_type"], row["measure"], row["year"]) == ("nation", "beta", 2021)
    )
    assert len(pairs) == 5
    assert close(beta, spread.beta(pairs, years=3))
    sigma = next(
        row["value"]
        for row in fixed.rows("inequality_year", "total")
        if (row["scope_type"], row["measure"], row["year"]) == ("nation", "sigma_log", 2021)
    )
    assert close(sigma, spread.sigma_log([end for _, end in pairs]))


def test_a_leaf_not_observed_over_the_reference_holds_its_link_and_says_so(tmp_path: Path) -> None:
    """Collected from 2019Q4 on, it has two of the three quarters of its reference unobserved."""
    periods = QUARTERS[:12]
    towns = Towns([FIRST, SECOND], periods, drawn(periods), dropped=DEAR)
    work = towns.write(tmp_path)
    contract = collected_since(tmp_path, "streams", periods[7])
    early = {key: None if key[2] == "streams" and key[0] < periods[7] else x for key, x in towns.values.items()}
    land(work, tmp_path / "files", early, periods)
    report = refresh.run_direct(work, periods)
    assert set(report.held) == set(periods[10:])
    for period in periods[10:]:
        assert "towns link second: the link cannot be made" in report.held[period]
        assert "indicator 'streams'" in report.held[period]
        assert "observed from 2019Q2 to 2019Q4" in report.held[period]
    assert work.warehouse.existing("index", "points", periods) == periods[:10]
    year = work.warehouse.read("marts", "index_year", parse("2020", "year"))
    assert year["quarters_covered"].unique().to_list() == [2]
    # What was not collected arrives after all.
    contract.write_text(contract.read_text(encoding="utf-8").replace("2019Q4", "2018Q1"), encoding="utf-8")
    again = Work(work.settings, work.index)
    land(again, tmp_path / "again", towns.values, periods)
    done = Computed(again, towns.values, FIXED, refresh.run_direct(again, periods))
    assert done.report.held == {}
    test_periods_are_those_of_the_door(done, "total")


def test_periods_before_the_link_stay_when_the_second_survey_changes(fixed: Computed) -> None:
    """A link reaches back only into its reference: the door's first link alone gives the same points before it."""
    alone = Door(through_the_door(fixed.values, FIXED[:1]), FIXED[:1])
    start = parse(SECOND.start, "quarter").start
    for row in fixed.rows("index_quarter", "total"):
        if row["quarter"] < start:
            places = ENTITIES[str(row["entity_type"]), str(row["entity_code"])]
            assert close(row["points"], alone.level(places, [row["quarter"]]))
