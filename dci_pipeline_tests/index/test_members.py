"""Members of a breakdown add up to their node, whatever is missing and whatever the basket; units do not matter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.index import Basket, entry_scales, link_levels, linked_scales, points, reference_means
from dci_pipeline.index.members import UNALLOCATED, mean_members, member_levels, members
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import node_weights

DAYS = [date(2020, month, 1) for month in (1, 2, 3)]
PLACES = "ABC"
LEAVES = ("one", "three", "two")
COLOURS = ("blue", "green", "red")
# (place, leaf) -> what its rows say of each colour, and what names none; None where nothing was delivered
Month = Mapping[tuple[str, str], "tuple[int, ...] | None"]


def tree(one: float = 0.6) -> pl.DataFrame:
    """r = g (1/2: `one` and `two`) and three (1/2)."""
    alphas = {"node": ["r", "r", "g", "g"], "child": ["g", "three", "one", "two"], "alpha": [0.5, 0.5, one, 1 - one]}
    return node_weights(pl.DataFrame(alphas), root="r")


def parts(
    gathered: Mapping[str, tuple[str, ...]], *, column: str | None, node: str, additive: bool = True
) -> pl.DataFrame:
    rows = [(node, "d", member, column, part, additive) for member, of in gathered.items() for part in of]
    schema = dict.fromkeys(("node", "dimension", "member", "column", "part"), pl.String) | {"additive": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


BY_COLOUR = parts({colour: (colour,) for colour in COLOURS}, column="colour", node="g")
WARM = parts({"warm": ("red", "green"), "cold": ("blue",)}, column="colour", node="g")
BY_CHILD = parts({"leaf_one": ("one",), "leaf_two": ("two",)}, column=None, node="g")


def frames(months: list[Month]) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """Shares of the months, each carried from the one before, and their members."""
    found: list[pl.DataFrame] = []
    rows: list[tuple[date, str, str, str, str, int]] = []
    for day, month in zip(DAYS, months, strict=False):
        values = [(place, leaf, None if said is None else sum(said)) for (place, leaf), said in month.items()]
        schema = {"place": pl.String, "indicator": pl.String, "value": pl.Int64}
        frame = pl.DataFrame(values, schema=schema, orient="row")
        found.append(shares(frame, period=day, previous=found[-1] if found else None))
        rows += [
            (day, place, leaf, "colour", colour, said[k])
            for (place, leaf), said in month.items()
            if said is not None
            for k, colour in enumerate(COLOURS)
            if said[k]
        ]
    schema = {"period": pl.Date} | dict.fromkeys(("place", "indicator", "column", "member"), pl.String)
    return found, pl.DataFrame(rows, schema=schema | {"value": pl.Int64}, orient="row")


def baskets(months: list[pl.DataFrame]) -> tuple[Basket, Basket]:
    """The first link, based on the first month, and a later one with other weights, based on the second."""
    first = Basket(tree(), reference_means(totals(months[0])), entry_scales(tree(), base_points=100.0))
    weights = tree(0.3)
    scales = linked_scales(totals(months[1]), before=first, node_weights=weights, root="r", base_points=100.0)
    return first, Basket(weights, reference_means(totals(months[1])), scales)


def lookup(frame: pl.DataFrame, value: str = "points") -> dict[tuple[str, str], float]:
    return {(place, member): found for place, member, found in frame.select("place", "member", value).iter_rows()}


def of_node(frame: pl.DataFrame, node: str) -> dict[str, float]:
    return dict(frame.filter(pl.col("node") == node).select("place", "points").iter_rows())


def by_place(frame: pl.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {}
    for place, value in frame.select("place", "points").iter_rows():
        found[place] = found.get(place, 0.0) + value
    return found


cell = st.tuples(*[st.integers(0, 10**6) for _ in (*COLOURS, "none")])


@st.composite
def histories(draw: st.DrawFn) -> list[Month]:
    """Two complete months, and a third in which places may be missing."""
    keys = [(place, leaf) for place in PLACES for leaf in LEAVES]
    complete = [{key: draw(cell.filter(any)) for key in keys} for _ in range(2)]
    gone = draw(st.sets(st.sampled_from(keys), max_size=4).filter(lambda found: not _whole_leaf(found)))
    return [*complete, {key: None if key in gone else draw(cell) for key in keys}]


def _whole_leaf(gone: set[tuple[str, str]]) -> bool:
    return any(all((place, leaf) in gone for place in PLACES) for leaf in LEAVES)


@given(histories())
@settings(max_examples=25, deadline=None)
def test_members_add_up_to_the_node_in_every_basket(months: list[Month]) -> None:
    found, values = frames(months)
    for basket in baskets(found):
        for day, rows in zip(DAYS, found, strict=False):
            level = points(
                rows, node_weights=basket.node_weights, reference_totals=basket.reference_totals, scales=basket.scales
            )
            said = values.filter(pl.col("period") == day)
            for split in (BY_COLOUR, WARM, BY_CHILD):
                frame = members(rows, said, parts=split, basket=basket)
                assert by_place(frame) == pytest.approx(of_node(level, "g"), rel=1e-9, abs=1e-9)


@given(histories(), st.integers(2, 10**6))
@settings(max_examples=15, deadline=None)
def test_neither_unit_nor_order_of_rows_matters(months: list[Month], factor: int) -> None:
    scaled = [
        {
            key: said if said is None or key[1] != "one" else tuple(factor * x for x in said)
            for key, said in month.items()
        }
        for month in months
    ]
    (found, values), (other, others) = frames(months), frames(scaled)
    basket, other_basket = baskets(found)[1], baskets(other)[1]
    now = members(found[2], values.filter(pl.col("period") == DAYS[2]), parts=BY_COLOUR, basket=basket)
    then = members(
        other[2].sample(fraction=1, shuffle=True, seed=1),
        others.filter(pl.col("period") == DAYS[2]).sample(fraction=1, shuffle=True, seed=2),
        parts=BY_COLOUR.reverse(),
        basket=other_basket,
    )
    # a remainder that is rounding alone may be left out on one side
    for key in {*lookup(now), *lookup(then)}:
        assert lookup(now).get(key, 0.0) == pytest.approx(lookup(then).get(key, 0.0), rel=1e-9, abs=1e-9)


@given(histories())
@settings(max_examples=15, deadline=None)
def test_over_a_reference_members_add_up_as_their_node_does(months: list[Month]) -> None:
    found, values = frames(months[:2])
    before, after = baskets(found)
    stacked = pl.concat(found)
    bridge = member_levels(stacked, values, parts=WARM, before=before, after=after)
    level = link_levels(stacked, before=before, after=after)
    for side in ("points_before", "points_after"):
        summed = by_place(bridge.rename({side: "points"}))
        assert summed == pytest.approx(of_node(level.rename({side: "points"}), "g"), rel=1e-9)


FULL: Month = {
    ("A", "one"): (10, 20, 30, 0),
    ("A", "two"): (1, 2, 3, 4),
    ("A", "three"): (0, 0, 0, 5),
    ("B", "one"): (5, 5, 10, 0),
    ("B", "two"): (0, 10, 0, 0),
    ("B", "three"): (0, 0, 0, 5),
    ("C", "one"): (0, 20, 0, 0),
    ("C", "two"): (10, 0, 0, 0),
    ("C", "three"): (0, 0, 0, 10),
}


def of_third(month: Month, split: pl.DataFrame) -> dict[tuple[str, str], float]:
    found, values = frames([FULL, FULL, month])
    return lookup(members(found[2], values.filter(pl.col("period") == DAYS[2]), parts=split, basket=baskets(found)[0]))


def test_points_are_those_of_the_definition() -> None:
    """100 * (w_one x_one / 100 + w_two x_two / 30), w 3/5 and 2/5, in exact fractions."""

    def exact(one: int, two: int) -> float:
        return float(100 * (Fraction(3, 5) * Fraction(one, 100) + Fraction(2, 5) * Fraction(two, 30)))

    assert of_third(FULL, BY_COLOUR) == pytest.approx(
        {
            ("A", "blue"): exact(10, 1),
            ("A", "green"): exact(20, 2),
            ("A", "red"): exact(30, 3),
            ("A", UNALLOCATED): exact(0, 4),
            ("B", "blue"): exact(5, 0),
            ("B", "green"): exact(5, 10),
            ("B", "red"): exact(10, 0),
            ("C", "blue"): exact(0, 10),
            ("C", "green"): exact(20, 0),
            ("C", "red"): 0.0,
        }
    )
    assert of_third(FULL, BY_CHILD) == pytest.approx(
        {
            ("A", "leaf_one"): exact(60, 0),
            ("A", "leaf_two"): exact(0, 10),
            ("B", "leaf_one"): exact(20, 0),
            ("B", "leaf_two"): exact(0, 10),
            ("C", "leaf_one"): exact(20, 0),
            ("C", "leaf_two"): exact(0, 10),
        }
    )


def test_groups_sum_their_parts() -> None:
    single, grouped = of_third(FULL, BY_COLOUR), of_third(FULL, WARM)
    assert {place: grouped[place, "warm"] for place in PLACES} == pytest.approx(
        {place: single[place, "red"] + single[place, "green"] for place in PLACES}
    )
    assert {place: grouped[place, "cold"] for place in PLACES} == {place: single[place, "blue"] for place in PLACES}


@pytest.mark.parametrize(
    ("gone", "members_left"),
    [
        pytest.param((("B", "one"), ("B", "two")), {UNALLOCATED}, id="nothing observed: all of it is unallocated"),
        pytest.param(
            (("B", "one"),), {*COLOURS, UNALLOCATED}, id="one leaf observed: its members, the rest unallocated"
        ),
        pytest.param((("B", "three"),), set(COLOURS), id="a leaf outside the node does not matter"),
    ],
)
def test_an_estimate_is_unallocated(gone: tuple[tuple[str, str], ...], members_left: set[str]) -> None:
    found = of_third({key: None if key in gone else said for key, said in FULL.items()}, BY_COLOUR)
    assert {member for place, member in found if place == "B"} == members_left


def test_children_hold_their_own_estimates() -> None:
    found = of_third({key: None if key == ("B", "one") else said for key, said in FULL.items()}, BY_CHILD)
    assert (("B", UNALLOCATED) in found, found["B", "leaf_one"]) == (False, pytest.approx(12.0))


def test_children_no_member_names_are_unallocated() -> None:
    found = of_third(FULL, parts({"leaf_one": ("one",)}, column=None, node="g"))
    assert found["C", UNALLOCATED] == pytest.approx(40 / 3)


def test_persons_are_not_added_up() -> None:
    """A user of two categories counts in both: the total is a value of its own and nothing is left over."""
    month = {key: (8, 7, 0, 0) if key[1] == "one" else said for key, said in FULL.items()}
    found, values = frames([FULL, FULL, month])
    total = found[2].with_columns(value=pl.when(pl.col("indicator") == "one").then(10).otherwise("value"))
    split = parts({"blue": ("blue",), "green": ("green",)}, column="colour", node="one", additive=False)
    frame = members(total, values.filter(pl.col("period") == DAYS[2]), parts=split, basket=baskets(found)[0])
    assert lookup(frame) == pytest.approx(
        {(place, colour): x for place in PLACES for colour, x in (("blue", 8.0), ("green", 7.0))}
    )


def test_a_node_outside_the_basket_has_no_members() -> None:
    found, values = frames([FULL, FULL])
    split = parts({"blue": ("blue",)}, column="colour", node="elsewhere")
    assert members(found[0], values, parts=split, basket=baskets(found)[0]).is_empty()


def test_a_mean_counts_an_absent_row_as_zero() -> None:
    rows = pl.DataFrame(
        [(DAYS[0], "A", "n", "d", "x", 4.0), (DAYS[1], "A", "n", "d", "x", 2.0), (DAYS[1], "B", "n", "d", "x", 3.0)],
        schema=["period", "place", "node", "dimension", "member", "points"],
        orient="row",
    )
    assert lookup(mean_members(rows, periods=2)) == {("A", "x"): 3.0, ("B", "x"): 1.5}


def test_a_member_that_a_link_brings_in_has_nothing_before() -> None:
    found, values = frames([FULL, FULL])
    _, after = baskets(found)
    bridge = member_levels(pl.concat(found), values, parts=BY_COLOUR, before=None, after=after)
    assert bridge["points_before"].null_count() == bridge.height
    assert bridge["points_after"].null_count() == 0
