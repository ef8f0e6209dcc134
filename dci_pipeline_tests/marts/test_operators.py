"""The operators of exhibits, each by a small table of rows in and values out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from dci_pipeline.marts import operators


def rows(**values: float) -> pl.DataFrame:
    """One row per entity code."""
    return pl.DataFrame(
        {"entity_code": list(values), "value": list(values.values())}, schema_overrides={"value": pl.Float64}
    )


FOUR = rows(a=4.0, b=9.0, c=9.0, d=1.0)
SCOPED = FOUR.with_columns(member=pl.Series(["x", "x", "y", "y"]))
BASE = rows(a=2.0, b=3.0, c=0.0)

Operation = Callable[[], pl.DataFrame]
SCENARIOS: dict[str, tuple[Operation, dict[str, float]]] = {
    "ties share the smaller rank": (lambda: operators.rank(FOUR), {"a": 3, "b": 1, "c": 1, "d": 4}),
    "smallest first": (lambda: operators.rank(FOUR, descending=False), {"a": 2, "b": 3, "c": 3, "d": 1}),
    "ranked within a key": (lambda: operators.rank(SCOPED, per=["member"]), {"a": 2, "b": 1, "c": 1, "d": 2}),
    "listed, ties by code": (lambda: operators.position(FOUR), {"b": 1, "c": 2, "a": 3, "d": 4}),
    "a ratio to the same entity, none to zero": (lambda: operators.relate(FOUR, BASE, "ratio_to"), {"a": 2, "b": 3}),
    "a gap to the same entity": (lambda: operators.relate(FOUR, BASE, "gap_to"), {"a": 2, "b": 6, "c": 9}),
    "growth on the same entity": (lambda: operators.relate(FOUR, BASE, "growth_on"), {"a": 1, "b": 2}),
    "a ratio to the only row": (
        lambda: operators.relate(FOUR, rows(z=2.0), "ratio_to"),
        {"a": 2, "b": 4.5, "c": 4.5, "d": 0.5},
    ),
    "nothing to compare with": (lambda: operators.relate(FOUR, BASE.clear(), "gap_to"), {}),
    "signs": (lambda: operators.sign(rows(a=-0.1, b=0.0, c=7.0)), {"a": -1, "b": 0, "c": 1}),
    "quadrants; what equals the split is low": (
        lambda: operators.quadrant(PLANE, split_x=1.0, split_y=0.0),
        {"a": 1, "b": 2, "c": 3, "d": 4, "e": 3},
    ),
    "both high": (
        lambda: operators.both_high(PLANE, split_x=1.0, split_y=0.0),
        {"a": 1, "b": 0, "c": 0, "d": 0, "e": 0},
    ),
}
PLANE = operators.plane(
    rows(a=2.0, b=0.5, c=0.5, d=2.0, e=1.0, lost=5.0), rows(a=0.1, b=0.1, c=-0.1, d=-0.1, e=0.0, other=1.0)
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    operation, expected = SCENARIOS[scenario]
    found = operation()
    assert dict(found.select("entity_code", "value").rows()) == pytest.approx(expected)


def test_rows_meet_on_what_differs_and_on_the_entity() -> None:
    """Two members of one entity meet although they differ; categories of one nation each meet themselves."""
    one = rows(a=1.0, b=2.0).with_columns(member=pl.lit("x"))
    other = rows(a=3.0, b=4.0).with_columns(member=pl.lit("y"))
    assert operators.plane(one, other).select("entity_code", "x", "y").rows() == [("a", 1.0, 3.0), ("b", 2.0, 4.0)]
    nation = pl.DataFrame({"entity_code": ["n", "n"], "member": ["x", "y"], "value": [1.0, 2.0]})
    assert operators.plane(nation, nation.reverse()).select("member", "x", "y").rows() == [
        ("x", 1.0, 1.0),
        ("y", 2.0, 2.0),
    ]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ((1.0, 2.0, 3.0), (2.0, 4.0, 6.0), [1.0]),
        ((1.0, 2.0, 3.0), (3.0, 2.0, 1.0), [-1.0]),
        ((1.0, 2.0, 3.0), (1.0, 1.0, 1.0), []),
        ((1.0, 2.0), (1.0, 2.0), []),
        ((0.0, 0.0, 1.0, 1.0), (0.0, 1.0, 0.0, 1.0), [0.0]),
    ],
)
def test_correlation(x: tuple[float, ...], y: tuple[float, ...], expected: list[float]) -> None:
    found = operators.correlation(pl.DataFrame({"x": x, "y": y}))["value"].to_list()
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("largest", "expected"), [(True, {"p": 2, "q": 1}), (False, {"p": 1, "q": 1})])
def test_the_month_of_an_extreme_is_the_first_of_equals(largest: bool, expected: dict[str, int]) -> None:
    months = [date(2020, month, 1) for month in (3, 2, 1)]
    frame = pl.DataFrame({"node": ["p"] * 3 + ["q"] * 3, "month": months * 2, "value": [5.0, 5.0, 1.0, 2.0, 2.0, 2.0]})
    found = operators.extreme_month(frame, per=["node"], largest=largest)
    assert dict(found.select("node", "value").rows()) == expected
