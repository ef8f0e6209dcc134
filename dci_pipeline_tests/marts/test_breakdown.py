"""The breakdown tables on numbers whose answers are known by construction."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dci_pipeline.index.members import UNALLOCATED
from dci_pipeline.marts.breakdown import Span, breakdown
from dci_pipeline.marts.grid import Stretch

TYPES = pl.DataFrame(
    {"place": ["A", "B", "C", "R"], "type": ["town", "town", "town", "residual"], "member": [True, True, True, False]}
)
MEMBERS = pl.DataFrame(
    [("county", "east", "A"), ("county", "east", "B"), ("county", "west", "C"), ("county", "west", "R")],
    schema=["group_type", "group", "place"],
    orient="row",
)
INSIDE = {"east": "AB", "west": "CR", "X": "ABCR"}
NO_LINKS = pl.DataFrame(
    schema=dict.fromkeys(("link", "node", "dimension", "member", "place"), pl.String)
    | dict.fromkeys(("points_before", "points_after"), pl.Float64)
)
BY_COLUMN = pl.DataFrame(
    [("n", "d", x, "n") for x in "xyz"], schema=["node", "dimension", "member", "source"], orient="row"
)
# place -> points of the members x, y, z and of what is unallocated
Level = Mapping[str, "dict[str, float]"]


def rows(level: Level) -> pl.DataFrame:
    found = [(place, "n", "d", member, float(value)) for place, said in level.items() for member, value in said.items()]
    return pl.DataFrame(found, schema=["place", "node", "dimension", "member", "points"], orient="row")


def span(*levels: Level, status: Mapping[str, str] | None = None, passed: tuple[tuple[str, ...], ...] = ((),)) -> Span:
    """A span of one period in each of its links, with its entities; nodes `x_child`, … stand as their member does."""
    found: list[tuple[str, str, str, float | None, float | None, str, float]] = []
    for code, inside in [*((place, place) for place in "ABCR"), *INSIDE.items()]:
        kind = dict(TYPES.select("place", "type").iter_rows()).get(code, "nation" if code == "X" else "county")
        points = sum(sum(level.get(place, {}).values()) for level in levels for place in inside) / len(levels)
        stands = (status or {}).get(code, "A")
        shown = None if stands == "M" else points
        found.append((kind, code, "n", shown, shown, stands, 0.25 if stands != "A" else 0.0))
    schema = ["entity_type", "entity_code", "node", "points", "composite_points", "obs_status", "imputed_share"]
    stretches = [Stretch(chain, 1, rows(level)) for level, chain in zip(levels, passed, strict=True)]
    return Span(tuple(stretches), pl.DataFrame(found, schema=schema, orient="row"))


def table(now: Span, before: Span | None = None, two_before: Span | None = None, **given: object) -> pl.DataFrame:
    arguments: dict[str, object] = {
        "links": NO_LINKS,
        "sources": BY_COLUMN,
        "span": pl.lit(2020, pl.Int32).alias("year"),
        "whole": True,
        "ranked": ["town", "county"],
        "members": MEMBERS,
        "types": TYPES,
        "nation": "X",
    }
    return breakdown(now, before=before, two_before=two_before, **(arguments | given))  # type: ignore[arg-type]


def cells(frame: pl.DataFrame, column: str, entity: str) -> dict[str, object]:
    return dict(frame.filter(pl.col("entity_code") == entity).select("member", column).iter_rows())


NOW: Level = {
    "A": {"x": 40.0, "y": 40.0, "z": 20.0},
    "B": {"x": 30.0, "y": 10.0, "z": 5.0},
    "C": {"x": 10.0, "y": 20.0, "z": 0.0, UNALLOCATED: 10.0},
    "R": {"x": 90.0, "y": 1.0, "z": 1.0},
}
BEFORE: Level = {
    "A": {"x": 20.0, "y": 40.0, "z": 20.0},
    "B": {"x": 30.0, "y": 20.0, "z": 0.0},
    "C": {"x": 20.0, "y": 10.0, "z": 0.0},
    "R": {"x": 45.0, "y": 1.0, "z": 1.0},
}
TWO_BEFORE: Level = {
    "A": {"x": 40.0, "y": 10.0, "z": 10.0},
    "B": {"x": 10.0, "y": 20.0, "z": 0.0},
    "C": {"x": 20.0, "y": 10.0, "z": 0.0},
    "R": {"x": 45.0, "y": 1.0, "z": 1.0},
}


def published() -> pl.DataFrame:
    return table(span(NOW), span(BEFORE), span(TWO_BEFORE))


@pytest.mark.parametrize(
    ("column", "entity", "expected"),
    [
        ("points", "east", {"x": 70.0, "y": 50.0, "z": 25.0}),
        ("points", "west", {"x": 100.0, "y": 21.0, "z": 1.0, UNALLOCATED: 10.0}),
        ("mean_points", "east", {"x": 35.0, "y": 25.0, "z": 12.5}),
        ("mean_points", "west", {"x": 10.0, "y": 20.0, "z": 0.0, UNALLOCATED: None}),
        ("mean_points", "A", {"x": None, "y": None, "z": None}),
        ("n_members", "X", {"x": 3, "y": 3, "z": 3, UNALLOCATED: None}),
        ("share_of_entity", "C", {"x": 0.25, "y": 0.5, "z": 0.0, UNALLOCATED: 0.25}),
        ("share_change_pp", "A", {"x": 15.0, "y": -10.0, "z": -5.0}),
        ("growth_yoy", "A", {"x": 1.0, "y": 0.0, "z": 0.0}),
        ("growth_yoy", "B", {"x": 0.0, "y": -0.5, "z": None}),
        ("growth_yoy", "C", {"x": -0.5, "y": 1.0, "z": None, UNALLOCATED: None}),
        ("growth_yoy", "east", {"x": 0.4, "y": -1 / 6, "z": 0.25}),
        ("growth_members_mean", "east", {"x": 0.5, "y": -0.25, "z": 0.0}),
        ("growth_members_mean", "A", {"x": None, "y": None, "z": None}),
        ("rank_in_entity", "A", {"x": 1, "y": 1, "z": 3}),
        ("rank_in_entity_change", "A", {"x": 1, "y": 0, "z": -1}),
        ("rank_in_entity", "C", {"x": 2, "y": 1, "z": 3, UNALLOCATED: None}),
        ("rank_in_entity", "X", {"x": 1, "y": 2, "z": 3, UNALLOCATED: None}),
        ("rank_in_member", "C", {"x": 3, "y": 2, "z": 3, UNALLOCATED: None}),
        ("rank_in_member", "R", {"x": None, "y": None, "z": None}),
        ("rank_in_member", "X", {"x": None, "y": None, "z": None, UNALLOCATED: None}),
        ("rank_in_member", "west", {"x": 1, "y": 2, "z": 2, UNALLOCATED: None}),
        ("rank_in_member_change", "A", {"x": 1, "y": 0, "z": 0}),
        ("growth_rank_in_entity", "A", {"x": 1, "y": 2, "z": 2}),
        # growth of the year before: x -1/2, y 3, z 1
        ("growth_rank_in_entity_change", "A", {"x": 2, "y": -1, "z": 0}),
        ("growth_rank_in_member", "B", {"x": 2, "y": 3, "z": None}),
        # growth of x the year before: A -1/2, B 2, C 0
        ("growth_rank_in_member_change", "B", {"x": -1, "y": -1, "z": None}),
        ("obs_status", "C", {"x": "A", "y": "A", "z": "A", UNALLOCATED: "E"}),
    ],
)
def test_columns(column: str, entity: str, expected: dict[str, object]) -> None:
    assert cells(published(), column, entity) == pytest.approx(expected)


def test_without_a_year_before_nothing_is_compared() -> None:
    frame = table(span(NOW))
    compared = [name for name in frame.columns if "growth" in name or "change" in name]
    assert [name for name in compared if frame[name].null_count() != frame.height] == []
    assert cells(frame, "rank_in_entity", "A") == {"x": 1, "y": 1, "z": 3}


def test_a_withheld_place_has_no_points_and_stays_in_the_sums() -> None:
    stands = {"B": "M", "east": "E", "X": "E"}
    frame = table(span(NOW, status=stands), span(BEFORE))
    assert cells(frame, "points", "B") == dict.fromkeys("xyz")
    assert cells(frame, "share_of_entity", "B") == dict.fromkeys("xyz")
    assert cells(frame, "growth_yoy", "B") == dict.fromkeys("xyz")
    assert cells(frame, "obs_status", "B") == dict.fromkeys("xyz", "M")
    assert cells(frame, "rank_in_member", "C")["x"] == 2
    assert cells(frame, "points", "east") == {"x": 70.0, "y": 50.0, "z": 25.0}
    assert cells(frame, "growth_members_mean", "east")["x"] == 1.0
    assert cells(frame, "obs_status", "east") == dict.fromkeys("xyz", "E")
    assert cells(frame, "imputed_share", "east") == dict.fromkeys("xyz", 0.25)


def test_a_member_of_children_stands_as_the_strongest_of_them() -> None:
    child = [("one", "A", 10.0, 0.0), ("two", "E", 30.0, 0.5), ("three", "M", None, 1.0)]
    entities = pl.concat(
        [
            span(NOW).entities,
            pl.DataFrame(
                [("town", "A", node, points, points, status, part) for node, status, points, part in child],
                schema=span(NOW).entities.schema,
                orient="row",
            ),
        ]
    )
    sources = pl.DataFrame(
        [("n", "d", "x", "one"), ("n", "d", "y", "one"), ("n", "d", "y", "two"), ("n", "d", "z", "three")],
        schema=BY_COLUMN.schema,
        orient="row",
    )
    frame = table(Span(span(NOW).stretches, entities), sources=sources)
    assert cells(frame, "obs_status", "A") == {"x": "A", "y": "E", "z": "M"}
    assert cells(frame, "imputed_share", "A") == {"x": 0.0, "y": 0.375, "z": 1.0}
    assert cells(frame, "points", "A") == {"x": 40.0, "y": 40.0, "z": None}


def test_what_is_provisional_says_so() -> None:
    late = table(span(NOW, status={"C": "P"}))
    assert set(late["maturity"]) == {"provisional"}
    assert cells(late, "obs_status", "C")[UNALLOCATED] == "P"
    assert set(table(span(NOW), whole=False)["maturity"]) == {"provisional"}
    assert set(table(span(NOW))["maturity"]) == {"final"}


def link(name: str, before: Level, after: Level) -> pl.DataFrame:
    return (
        rows(before)
        .rename({"points": "points_before"})
        .join(rows(after).rename({"points": "points_after"}), on=["place", "node", "dimension", "member"], how="left")
        .select(pl.lit(name).alias("link"), "node", "dimension", "member", "place", "points_before", "points_after")
    )


def test_growth_across_a_link_is_like_for_like() -> None:
    """g = (now / after)(before / base) - 1, for groups on summed points (METHOD section 4)."""
    over = {place: {"x": 30.0, "y": 30.0, "z": 0.0} for place in "ABCR"}
    again = {place: {"x": 15.0 if place == "A" else 45.0, "y": 60.0, "z": 0.0} for place in "ABCR"}
    frame = table(span(NOW, passed=(("second",),)), span(BEFORE), span(TWO_BEFORE), links=link("second", over, again))
    assert cells(frame, "growth_yoy", "A") == pytest.approx({"x": 3.0, "y": -0.5, "z": None})
    east = Fraction(70, 60) * Fraction(60, 50) - 1
    assert cells(frame, "growth_yoy", "east")["x"] == pytest.approx(float(east))
    # the year before and the one before it lie before the link: z grew although nothing of it links
    assert cells(frame, "growth_rank_in_entity_change", "A")["x"] == 2
    # shares and ranks are never chained
    assert cells(frame, "share_change_pp", "A") == cells(published(), "share_change_pp", "A")


def test_a_link_both_spans_passed_changes_nothing() -> None:
    nothing = {place: {"x": 0.0, "y": 1.0, "z": 0.0} for place in "ABCR"}
    passed = (("second",),)
    frame = table(
        span(NOW, passed=passed), span(BEFORE, passed=passed), span(TWO_BEFORE), links=link("second", nothing, NOW)
    )
    assert cells(frame, "growth_yoy", "A") == {"x": 1.0, "y": 0.0, "z": 0.0}


def test_a_span_over_a_link_is_the_mean_of_its_periods() -> None:
    """Half in either link: (20 before the link + 40 · 30/15 after it) / 2 on a base of 20."""
    over = {place: {"x": 30.0, "y": 30.0, "z": 30.0} for place in "ABCR"}
    again = {place: {"x": 15.0, "y": 30.0, "z": 30.0} for place in "ABCR"}
    frame = table(
        span(BEFORE, NOW, passed=((), ("second",))),
        span(BEFORE, BEFORE, passed=((), ())),
        links=link("second", over, again),
    )
    assert cells(frame, "points", "A")["x"] == 30.0
    assert cells(frame, "growth_yoy", "A")["x"] == pytest.approx(1.5)


def test_a_member_that_leaves_within_a_span_adds_up_and_has_no_growth() -> None:
    left = {place: {"x": said["x"], "y": said["y"]} for place, said in NOW.items()}
    frame = table(
        span(NOW, left, passed=((), ("second",))),
        span(BEFORE, BEFORE, passed=((), ())),
        links=link("second", NOW, left),
    )
    assert cells(frame, "points", "A") == {"x": 40.0, "y": 40.0, "z": 10.0}
    assert cells(frame, "growth_yoy", "A") == pytest.approx({"x": 1.0, "y": 0.0, "z": None})


numbers = st.fixed_dictionaries(
    {place: st.fixed_dictionaries(dict.fromkeys("xyz", st.integers(0, 1000))) for place in "ABCR"}
)


@given(numbers, numbers)
@settings(max_examples=25, deadline=None)
def test_places_add_to_groups_and_order_does_not_matter(now: Level, before: Level) -> None:
    frame = table(span(now), span(before))
    for entity, inside in INSIDE.items():
        summed = {member: float(sum(now[place][member] for place in inside)) for member in "xyz"}
        assert cells(frame, "points", entity) == summed
    shuffled = [
        Span(
            (Stretch((), 1, item.stretches[0].rows.sample(fraction=1, shuffle=True, seed=3)),),
            item.entities.sample(fraction=1, shuffle=True, seed=4),
        )
        for item in (span(now), span(before))
    ]
    assert table(*shuffled).equals(frame)


@given(numbers, numbers)
@settings(max_examples=25, deadline=None)
def test_ranks_are_competition_ranks(now: Level, before: Level) -> None:
    frame = table(span(now), span(before))
    for place in "ABC":
        found = cells(frame, "rank_in_entity", place)
        assert found == {m: 1 + sum(now[place][o] > now[place][m] for o in "xyz") for m in "xyz"}
        was = {m: 1 + sum(before[place][o] > before[place][m] for o in "xyz") for m in "xyz"}
        assert cells(frame, "rank_in_entity_change", place) == {m: was[m] - found[m] for m in "xyz"}
        among = cells(frame, "rank_in_member", place)
        assert among == {m: 1 + sum(now[other][m] > now[place][m] for other in "ABC") for m in "xyz"}
