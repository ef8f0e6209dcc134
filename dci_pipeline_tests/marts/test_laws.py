"""The laws of the method on the published tables, over random nested trees with links."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.index import compute
from dci_pipeline.marts.ranking import ranking
from dci_pipeline_tests.marts.chained import DAYS, LEAVES, NATION, PER_YEAR, RANKED, ROOT, Chained, chained

KEY = ["entity_type", "entity_code", "node"]
CLOSE = 1e-9
LATER = st.integers(PER_YEAR, len(DAYS) - 1)
SPANS = st.tuples(LATER, LATER).map(lambda ends: list(range(min(ends), min(max(ends), min(ends) + 3) + 1)))
laws = settings(max_examples=10)


def total(frame: pl.DataFrame, column: str, by: Sequence[str]) -> dict[tuple[object, ...], float]:
    found: dict[tuple[object, ...], list[float]] = {}
    for row in frame.drop_nulls(column).select(*by, column).iter_rows():
        found.setdefault(tuple(row[:-1]), []).append(row[-1])
    return {key: math.fsum(values) for key, values in found.items()}


def value(frame: pl.DataFrame, column: str, code: str, node: str = ROOT) -> float:
    return frame.filter((pl.col("entity_code") == code) & (pl.col("node") == node))[column].item()


def places(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("entity_type").is_in(["town", "rest"]))


def nation(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("entity_type") == "nation")


def leaves(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("node").is_in(LEAVES))


def same(found: dict[tuple[object, ...], float], expected: dict[tuple[object, ...], float], scale: float = 1.0) -> None:
    assert found.keys() == expected.keys()
    for key, number in found.items():
        assert number == pytest.approx(expected[key], rel=CLOSE, abs=CLOSE * scale), key


def agree(one: pl.DataFrame, other: pl.DataFrame, columns: Sequence[str]) -> None:
    pair = one.join(other, on=KEY, suffix="_other", nulls_equal=True)
    assert pair.height == one.height == other.height
    for column in columns:
        for first, second in pair.select(column, f"{column}_other").iter_rows():
            assert first == (None if second is None else pytest.approx(second, rel=CLOSE, abs=CLOSE))


@laws
@given(chained(), SPANS)
def test_places_and_groups_add_to_the_nation_and_leaves_to_their_root(index: Chained, items: list[int]) -> None:
    frame = index.entities(items)
    for column in ("points", "composite_points", "share"):
        whole = total(nation(frame), column, ["node"])
        same(total(places(frame), column, ["node"]), whole)
        same(total(frame.filter(pl.col("entity_type") == "county"), column, ["node"]), whole)
    same(
        total(leaves(frame), "composite_points", KEY[:2]),
        total(frame.filter(pl.col("node") == ROOT), "points", KEY[:2]),
    )


@laws
@given(chained())
def test_a_link_does_not_move_the_level(index: Chained) -> None:
    for bridge in index.bridges:
        stays = nation(bridge).drop_nulls(["points_before", "points_after"])
        same(total(stays, "points_after", ["node"]), total(stays, "points_before", ["node"]))
        assert ROOT in stays["node"].to_list()


@laws
@given(chained(), SPANS)
def test_link_effects_cancel_over_places_and_over_leaves(index: Chained, items: list[int]) -> None:
    table = index.span_table(items)
    for node, moved in total(places(table), "link_effect_points", ["node"]).items():
        assert moved == pytest.approx(0.0, abs=1e-8), node
    base = [number - PER_YEAR for number in items]
    effects = leaves(index.contribution_table(items, base)).filter(pl.col("entity_type") == "nation")
    assert math.fsum(effects["link_effect_points"]) == pytest.approx(0.0, abs=1e-8)


@laws
@given(chained(), SPANS)
def test_contributions_and_the_link_effect_make_the_change(index: Chained, items: list[int]) -> None:
    base = [number - PER_YEAR for number in items]
    now, before, table = index.entities(items), index.entities(base), index.contribution_table(items, base)
    root = table.filter(pl.col("node") == ROOT)
    added = total(leaves(table), "contribution_points", KEY[:2])
    effect = total(root, "link_effect_points", KEY[:2])
    change = {
        (kind, code): value(now, "composite_points", code) - value(before, "composite_points", code)
        for kind, code in added
    }
    same({key: added[key] + effect[key] for key in added}, change, scale=100.0)
    # Every entity's leaves make its root; over all places and leaves, the change of the level.
    same(added, total(root, "contribution_points", KEY[:2]), scale=100.0)
    moved = value(now, "points", NATION) - value(before, "points", NATION)
    assert math.fsum(places(leaves(table))["contribution_points"]) == pytest.approx(moved, rel=CLOSE, abs=1e-7)
    pp = math.fsum(places(leaves(table))["contribution_pp"])
    assert pp == pytest.approx(100 * moved / value(before, "points", NATION), rel=CLOSE, abs=1e-7)
    rates = leaves(nation(table))["contribution_rate"]
    if abs(moved) >= 0.01 * value(now, "points", NATION):
        assert math.fsum(rates) == pytest.approx(1.0, rel=1e-7)
    else:
        assert rates.null_count() == rates.len()


@laws
@given(chained(), LATER)
def test_the_tables_agree_with_the_public_door(index: Chained, number: int) -> None:
    """Growth, link effects and contributions of the root, against `compute` on the same values."""
    values = pl.DataFrame(
        [(DAYS[day], place, leaf, amount) for (day, place, leaf), amount in index.values.items()],
        schema=["period", "place", "indicator", "value"],
        orient="row",
    )
    weights = pl.concat(
        [
            index.weights(link)
            .filter(pl.col("node") == ROOT)
            .select(link=pl.lit(k), indicator="indicator", alpha="weight")
            for k, link in enumerate(index.links)
        ]
    )
    ends = [link.start - 1 for link in index.links[1:]] + [len(DAYS) - 1]
    links = pl.DataFrame(
        [
            (k, DAYS[link.reference[0]], DAYS[link.reference[-1]], DAYS[link.start], DAYS[end])
            for k, (link, end) in enumerate(zip(index.links, ends, strict=True))
        ],
        schema=["link", "reference_start", "reference_end", "start", "end"],
        orient="row",
    )
    if any(link.start > link.reference[0] for link in index.links[:1]) or index.links[0].reference[-1] > ends[0]:
        return
    door = compute(values, weights, links)
    expected = door.places.filter(pl.col("period") == DAYS[number])
    table = places(index.period_table(number)).filter(pl.col("node") == ROOT).sort("entity_code")
    for column in ("points", "share", "growth_yoy", "link_effect_points"):
        assert table[column].to_list() == pytest.approx(expected[column].to_list(), rel=CLOSE, abs=1e-8), column
    parts = door.contributions.filter(pl.col("period") == DAYS[number])
    found = places(leaves(index.contribution_table([number], [number - PER_YEAR])))
    expected = total(parts, "contribution_points", ["place", "indicator"])
    # A leaf that came and went between the two periods and moved nothing for a place has no row there.
    same(
        dict.fromkeys(expected, 0.0) | total(found, "contribution_points", ["entity_code", "node"]),
        expected,
        scale=100.0,
    )


@laws
@given(chained(), SPANS, st.sampled_from(LEAVES))
def test_a_change_of_unit_leaves_everything_alone(index: Chained, items: list[int], leaf: str) -> None:
    other = index.in_unit(leaf, 1024)
    base = [number - PER_YEAR for number in items]
    assert index.span_table(items).equals(other.span_table(items), null_equal=True)
    assert index.contribution_table(items, base).equals(other.contribution_table(items, base), null_equal=True)


@laws
@given(chained(), SPANS)
def test_a_merger_of_two_places_adds(index: Chained, items: list[int]) -> None:
    merged = index.merged("B", "A")
    base = [number - PER_YEAR for number in items]
    one, other = index.span_table(items), merged.span_table(items)
    kept = ~pl.col("entity_code").is_in(["A", "B"])
    columns = ("points", "composite_points", "share", "growth_yoy", "link_effect_points", "points_share")
    agree(one.filter(kept), other.filter(kept), columns)
    pair = one.filter(~kept)
    for column in ("points", "composite_points", "share", "link_effect_points"):
        same(total(pair, column, ["node"]), total(other.filter(~kept), column, ["node"]), scale=100.0)
    contributed = [frame.contribution_table(items, base).filter(~kept) for frame in (index, merged)]
    for column in ("contribution_points", "link_effect_points"):
        same(*(total(frame, column, ["node"]) for frame in contributed), scale=100.0)


@laws
@given(chained(), st.integers(1, 2))
def test_periods_average_to_halves_and_halves_to_the_year(index: Chained, year: int) -> None:
    items = list(range(year * PER_YEAR, (year + 1) * PER_YEAR))
    whole = index.entities(items)
    single = [index.entities([number]) for number in items]
    halves = [index.entities(items[:2]), index.entities(items[2:])]
    through = set.intersection(*(set(frame["node"]) for frame in single))
    for column in ("points", "composite_points", "chained_points"):
        expected = total(whole.filter(pl.col("node").is_in(through)), column, KEY)
        for parts in (single, halves):
            sums = total(pl.concat([part.select(*KEY, column) for part in parts]), column, KEY)
            same({key: sums[key] / len(parts) for key in expected}, expected)


@laws
@given(chained(), SPANS)
def test_ranks_are_competition_ranks_on_one_frame(index: Chained, items: list[int]) -> None:
    now, before = index.entities(items), index.entities([number - PER_YEAR for number in items])
    table = index.span_table(items)
    for kind, code, node, points, rank, change in table.select(*KEY, "points", "rank", "rank_change").iter_rows():
        if kind not in RANKED:
            assert rank is None
            continue
        rivals = now.filter((pl.col("entity_type") == kind) & (pl.col("node") == node))
        assert rank in possible(points, rivals["points"].to_list())
        then = before.filter((pl.col("entity_type") == kind) & (pl.col("node") == node))
        own = then.filter(pl.col("entity_code") == code)["points"].to_list()
        if own:
            assert change + rank in possible(own[0], then["points"].to_list())
        else:
            assert change is None


def possible(own: float, values: list[float | None]) -> range:
    """Ranks by definition: 1 + how many are higher; what is as good as equal may or may not share the rank."""
    near = 2e-12 * max(1.0, abs(own))
    known = [other for other in values if other is not None]
    return range(1 + sum(other > own + near for other in known), 1 + sum(other > own - near for other in known))


@laws
@given(chained(), SPANS)
def test_the_mean_of_the_members_growth_leaves_residuals_out(index: Chained, items: list[int]) -> None:
    table = index.span_table(items)
    groups = {"east": ["A", "B"], "west": ["C", "D"], NATION: ["A", "B", "C", "D"]}
    for code, node, mean in (
        table.filter(pl.col("entity_code").is_in(list(groups)))
        .select("entity_code", "node", "growth_members_mean")
        .iter_rows()
    ):
        inside = table.filter(pl.col("entity_code").is_in(groups[code]) & (pl.col("node") == node))
        expected = inside["growth_yoy"].drop_nulls().mean()
        assert mean == (None if expected is None else pytest.approx(expected, rel=CLOSE, abs=CLOSE))
    assert places(table)["growth_members_mean"].null_count() == places(table).height


@laws
@given(chained(), st.integers(2 * PER_YEAR, len(DAYS) - 1))
def test_rankings_in_the_nation_and_in_groups(index: Chained, number: int) -> None:
    frames = [index.entities([number - back * PER_YEAR]) for back in range(3)]
    table = ranking(
        frames[0],
        before=frames[1],
        two_before=frames[2],
        span=pl.lit(2000, dtype=pl.Int32).alias("year"),
        whole=True,
        scopes=["nation", "county"],
        ranked=RANKED,
        members=index.members,
    )
    assert set(table["entity_code"]) == {"A", "B", "C", "D", "east", "west"}
    in_west = table.filter((pl.col("scope_code") == "west") & (pl.col("node") == ROOT))
    assert set(in_west["entity_code"]) == {"C", "D"}
    shares = in_west.filter(pl.col("basis") == "points")["share_of_scope"].to_list()
    rest = value(frames[0], "points", "R") / value(frames[0], "points", "west")
    assert math.fsum(shares) == pytest.approx(1 - rest, rel=CLOSE)
    # Every list by its definition: higher values have smaller ranks, ties share the smaller.
    for key, rows in table.group_by("scope_code", "basis", "entity_type", "node"):
        values = rows["value"].to_list()
        for own, rank in zip(values, rows["rank"].to_list(), strict=True):
            assert rank is None if own is None else rank in possible(own, values), key
    by_basis = {
        basis: table.filter(pl.col("basis") == basis).sort("scope_code", *KEY)
        for basis in ("points", "growth", "rank_gain")
    }
    gains = by_basis["points"]["rank_change"].cast(pl.Float64)
    assert by_basis["rank_gain"]["value"].equals(gains, check_names=False, null_equal=True)
    last_year = ranking(
        frames[1],
        before=frames[2],
        two_before=None,
        span=pl.lit(1999, dtype=pl.Int32).alias("year"),
        whole=True,
        scopes=["nation", "county"],
        ranked=RANKED,
        members=index.members,
    )
    key = ["scope_code", "basis", *KEY]
    pair = table.join(last_year.select(*key, earlier="rank"), on=key, how="inner")
    assert pair["rank_before"].equals(pair["earlier"], check_names=False, null_equal=True)
