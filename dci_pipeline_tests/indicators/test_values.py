"""Scenario tables for indicator values: what an absent row means, and sums that must stay exact."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.indicators.values import SCHEMA, values

MONTH = date(2019, 5, 1)
PLACES = pl.DataFrame({"code": ["A", "B", "R"], "type": ["town", "town", "residual"]})


def sums(*rows: tuple[str, str, int] | tuple[str, str, int, int | None]) -> pl.DataFrame:
    """[place, indicator, value, volume]; no volume where none is given."""
    return pl.DataFrame(
        [(*row, None)[:4] for row in rows],
        orient="row",
        schema={"place": pl.String, "indicator": pl.String, "value": pl.Int64, "volume": pl.Int64},
    )


def found(frame: pl.DataFrame, column: str = "value") -> dict[tuple[str, str], int | None]:
    return {(place, indicator): value for place, indicator, value in frame.select("place", "indicator", column).rows()}


SCENARIOS = {
    "an absent row is missing": ("missing", [("A", "x", 5)], {"A": 5, "B": None, "R": None}),
    "an absent row is zero": ("zero", [("A", "x", 5)], {"A": 5, "B": 0, "R": 0}),
    "a true zero is kept": ("missing", [("A", "x", 0), ("B", "x", 1)], {"A": 0, "B": 1, "R": None}),
    "partners add up": (
        "missing",
        [("A", "x", 5), ("A", "x", 7), ("B", "x", 1), ("R", "x", 2)],
        {"A": 12, "B": 1, "R": 2},
    ),
    "nobody observed the indicator": ("zero", [], {"A": None, "B": None, "R": None}),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_absence(scenario: str) -> None:
    absent, rows, expected = SCENARIOS[scenario]
    frame = values(sums(*rows), period=MONTH, places=PLACES, indicators={"x": absent})
    assert found(frame) == {(place, "x"): value for place, value in expected.items()}
    assert frame.schema == SCHEMA
    assert set(found(frame, "volume").values()) == {None}
    assert frame["place"].is_sorted()


RATED = {
    "volumes of partners add up, nothing where nothing was": (
        "missing",
        [("A", "x", 5, 2), ("A", "x", 7, 3), ("B", "x", 0, 4)],
        {"A": (12, 5), "B": (0, 4), "R": (None, None)},
    ),
    "an absent row is no volume": ("zero", [("A", "x", 5, 2)], {"A": (5, 2), "B": (0, 0), "R": (0, 0)}),
    "nobody observed it": ("zero", [], {"A": (None, None), "B": (None, None), "R": (None, None)}),
}


@pytest.mark.parametrize("scenario", RATED)
def test_volumes_beside_qualities(scenario: str) -> None:
    absent, rows, expected = RATED[scenario]
    plain = ("A", "y", 1)
    frame = values(sums(*rows, plain), period=MONTH, places=PLACES, indicators={"x": absent, "y": "zero"})
    value, volume = found(frame), found(frame, "volume")
    assert {place: (value[place, "x"], volume[place, "x"]) for place in "ABR"} == expected
    assert [value[place, "y"] for place in "ABR"] == [1, 0, 0]
    assert [volume[place, "y"] for place in "ABR"] == [None, None, None]


def test_a_place_outside_its_validity_is_neither_missing_nor_imputed() -> None:
    frame = values(
        sums(("A", "x", 5)), period=MONTH, places=PLACES.filter(pl.col("code") != "B"), indicators={"x": "missing"}
    )
    assert "B" not in frame["place"]


def test_a_sum_beyond_64_bits_is_refused() -> None:
    with pytest.raises(Finding, match="does not fit 64 bits"):
        values(sums(("A", "x", 2**63 - 1), ("A", "x", 1)), period=MONTH, places=PLACES, indicators={"x": "missing"})
    rated = sums(("A", "x", 0, 2**63 - 1), ("A", "x", 0, 1))
    with pytest.raises(Finding, match=f"{2**63}"):
        values(rated, period=MONTH, places=PLACES, indicators={"x": "missing"})


@pytest.mark.parametrize("absent", ["missing", "zero"])
def test_an_indicator_has_values_at_the_types_of_place_it_is_made_of(absent: str) -> None:
    """Two trees over two types of place: neither is missing, or zero, at the places of the other."""
    rows = sums(("A", "x", 5), ("R", "y", 7))
    frame = values(
        rows,
        period=MONTH,
        places=PLACES,
        indicators={"x": absent, "y": absent, "z": absent},
        types={"x": ("town",), "y": ("residual",)},
    )
    other = 0 if absent == "zero" else None
    expected = {("A", "x"): 5, ("B", "x"): other, ("R", "y"): 7}
    assert found(frame) == expected | {(place, "z"): None for place in "ABR"}
