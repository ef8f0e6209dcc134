"""The span tables of the simulated world, against plain recomputation from the monthly table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import polars as pl
import pytest

from dci_pipeline.periods import Period, parse
from dci_pipeline_tests.conftest import MONTHS, World

pytestmark = [pytest.mark.slow]

KEY = ("entity_type", "entity_code", "node")
Row = dict[str, object]
Key = tuple[str, str, str]
TOLERANCE = 1e-11
LAST, BEFORE = MONTHS[12:], MONTHS[:3]
YEARS = [parse("2018", "year"), parse("2019", "year")]


def tree(world: World) -> list[str]:
    """The nodes of one tree: they are enough for plain Python, and the other is many times as large."""
    framework = world.work.framework
    return [node for node in framework.by_node if framework.root_of(node) == framework.roots[0]]


def rows(world: World, table: str, periods: Iterable[Period], **where: object) -> dict[Key, Row]:
    frame = world.read("marts", table, list(periods)).filter(
        pl.col("node").is_in(tree(world)), *(pl.col(name) == value for name, value in where.items())
    )
    return {(row["entity_type"], row["entity_code"], row["node"]): row for row in frame.iter_rows(named=True)}


def mean(world: World, months: list[Period], column: str) -> dict[Key, float]:
    """Mean of a column of the monthly table by entity and node; a withheld month withholds the mean."""
    found: dict[Key, list[float]] = defaultdict(list)
    for key, row in ((key, row) for month in months for key, row in rows(world, "index_month", [month]).items()):
        found[key].append(math.nan if row[column] is None else float(row[column]))
    return {key: math.fsum(values) / len(months) for key, values in found.items()}


def close(found: object, expected: float, scale: float = 1.0) -> bool:
    if found is None:
        return math.isnan(expected)
    return found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE * scale)


SPANS = {
    "a running half": ("index_half", {"half": "2019H1"}, LAST, BEFORE, "provisional"),
    "January and February": ("index_janfeb", {"year": 2019}, LAST[:2], BEFORE[:2], "final"),
    "a running year": ("index_year", {"year": 2019}, LAST, BEFORE, "provisional"),
    "a whole half": ("index_half", {"half": "2018H2"}, MONTHS[6:12], [], "final"),
}


@pytest.mark.parametrize("scenario", SPANS)
def test_a_span_is_the_mean_of_its_months_beside_the_same_months(world: World, scenario: str) -> None:
    table, where, months, base, maturity = SPANS[scenario]
    found = rows(world, table, [months[0].year()], **where)
    now, then = mean(world, months, "points"), mean(world, base, "points") if base else {}
    nation = {key[2]: points for key, points in now.items() if key[0] == "nation"}
    nation_then = {key[2]: points for key, points in then.items() if key[0] == "nation"}
    assert found.keys() == now.keys()
    for key, row in found.items():
        if row["obs_status"] == "M" or math.isnan(now[key]):
            continue
        assert close(row["points"], now[key]), key
        assert close(row["points_share"], now[key] / nation[key[2]])
        assert (row["months_covered"], row["maturity"], row["conf_status"]) == (len(months), maturity, "F")
        if not base or not then[key] > 0:
            assert row["growth_yoy"] is None
            continue
        assert close(row["growth_yoy"], now[key] / then[key] - 1)
        assert row["link_effect_points"] == 0.0
        change = 100 * (now[key] / nation[key[2]] - then[key] / nation_then[key[2]])
        assert close(row["points_share_change_pp"], change, 100.0)


def test_january_and_february_wait_for_each_other(world: World) -> None:
    for year in YEARS:
        table = world.read("marts", "index_janfeb", [year])
        assert table["year"].unique().to_list() == [year.start.year]
        assert table["months_covered"].unique().to_list() == [2]


def test_ranks_and_their_changes_are_on_one_frame(world: World) -> None:
    found = rows(world, "index_year", YEARS[1:])
    now, then = mean(world, LAST, "points"), mean(world, BEFORE, "points")
    rivals: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key, row in found.items():
        if row["obs_status"] != "M":
            rivals[key[0], key[2]].append(key)
    for key, row in found.items():
        if row["rank"] is None:
            continue
        others = rivals[key[0], key[2]]
        # Means of floats in another order may split or join a tie: then this says nothing.
        if any(0 < abs(now[key] - now[other]) <= TOLERANCE * now[key] for other in others):
            continue
        assert row["rank"] == 1 + sum(now[other] > now[key] for other in others)
        assert row["rank_change"] == 1 + sum(then[other] > then[key] for other in others) - row["rank"]


def test_contributions_add_to_the_change_of_their_tree(world: World) -> None:
    framework = world.work.framework
    for month, base in zip(LAST, BEFORE, strict=True):
        found = rows(world, "contribution_month", [month])
        now = {key: row["composite_points"] for key, row in rows(world, "index_month", [month]).items()}
        then = {key: row["composite_points"] for key, row in rows(world, "index_month", [base]).items()}
        assert found.keys() == now.keys() | then.keys()
        root = framework.roots[0]
        nation = ("nation", framework.nation["code"], root)
        change = now[nation] - then[nation]
        leaves = {leaf.node for leaf in framework.leaves_under(root)}
        parts = [
            row
            for key, row in found.items()
            if key[0] in {"city", "residual"} and key[2] in leaves and row["contribution_points"] is not None
        ]
        added = math.fsum(row["contribution_points"] for row in parts)
        withheld = math.fsum(row["obs_status"] == "M" for key, row in found.items() if key[2] in leaves)
        if not withheld:
            assert added == pytest.approx(change, rel=1e-9)
            assert math.fsum(row["contribution_pp"] for row in parts) == pytest.approx(
                100 * change / then[nation], rel=1e-9
            )
        for key, row in found.items():
            if row["contribution_points"] is None:
                continue
            assert close(row["contribution_points"], (now[key] or 0.0) - (then[key] or 0.0), 100.0), key
            assert row["link_effect_points"] == 0.0
            assert row["base_period"] == base.start
            if abs(change) >= 0.01 * now[nation]:
                assert close(row["contribution_rate"], row["contribution_points"] / change, 10.0)
            else:
                assert row["contribution_rate"] is None
    assert world.read("marts", "contribution_year", YEARS[:1]).is_empty()
    year = world.read("marts", "contribution_year", YEARS[1:])
    assert set(year["base_period"]) == {2018}
    assert set(year["maturity"]) == {"provisional"}


def test_rankings_list_places_in_their_groups_and_everything_in_the_nation(world: World) -> None:
    work = world.work
    table = world.read("marts", "ranking_year", YEARS[1:]).filter(pl.col("node").is_in(tree(world)))
    year = rows(world, "index_year", YEARS[1:])
    assert set(table["scope_type"]) == set(work.framework.ranking_scopes)
    inside: dict[tuple[str, str], set[str]] = defaultdict(set)
    for group_type, group, place in work.geography.members_at(LAST[-1]).iter_rows():
        inside[group_type, group].add(place)
    residuals = set(work.types.filter(~pl.col("member"))["place"])
    lists: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in table.iter_rows(named=True):
        lists[row["scope_type"], row["scope_code"], row["basis"], row["entity_type"], row["node"]].append(row)
    for (scope_type, scope, basis, kind, node), found in lists.items():
        if scope_type != "nation":
            assert {row["entity_code"] for row in found} == inside[scope_type, scope] - residuals
        values = [row["value"] for row in found]
        for row in found:
            source = year[kind, row["entity_code"], node]
            if row["value"] is None:
                assert row["rank"] is None
                continue
            assert row["rank"] == 1 + sum(value is not None and value > row["value"] for value in values)
            if basis == "points":
                assert row["value"] == source["points"]
                assert row["share_of_scope"] == source["points"] / year[scope_type, scope, node]["points"]
                assert row["rank_change"] == row["rank_before"] - row["rank"]
                if scope_type == "nation":
                    assert (row["rank"], row["rank_change"]) == (source["rank"], source["rank_change"])
            elif basis == "growth":
                assert row["value"] == source["growth_yoy"]
            else:
                assert row["share_of_scope"] is None
                assert row["rank_before"] is None


@pytest.mark.realdata
def test_contributions_lead_across_a_link_on_open_data(pulse: World) -> None:
    """A later link brings an indicator in: contributions still add to the change, link effects cancel."""
    framework = pulse.work.framework
    link = framework.links[-1]
    assert link.start.number == 1
    year = link.start.year()
    assert year.start.year > framework.links[0].start.start.year
    table, now, before = (
        pulse.read("marts", name, [period])
        for name, period in (("contribution_year", year), ("index_year", year), ("index_year", year.shift(-1)))
    )
    for root in framework.roots:
        leaves = [leaf.node for leaf in framework.leaves_under(root)]
        level, base = (
            frame.filter((pl.col("entity_type") == "nation") & (pl.col("node") == root))["points"].item()
            for frame in (now, before)
        )
        of_places = table.filter(pl.col("entity_type").is_in(framework.places_of(root)))
        inside = of_places.filter(pl.col("node").is_in(leaves))
        assert set(inside["node"]) == set(leaves)
        assert math.fsum(inside["contribution_points"].drop_nulls()) == pytest.approx(level - base, rel=1e-9)
        own = of_places.filter(pl.col("node") == root)["link_effect_points"]
        assert math.fsum(own) == pytest.approx(0.0, abs=1e-9 * level)
        assert max(abs(value) for value in own) > 0.0
        nation = table.filter((pl.col("entity_type") == "nation") & pl.col("node").is_in(leaves))
        assert math.fsum(nation["link_effect_points"]) == pytest.approx(0.0, abs=1e-9 * level)
