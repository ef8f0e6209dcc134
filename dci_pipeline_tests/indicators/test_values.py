"""Scenario tables for indicator values: what an absent row means, and sums that must stay exact."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.indicators.values import values

MONTH = date(2019, 5, 1)
PLACES = pl.DataFrame({"code": ["A", "B", "R"], "type": ["town", "town", "residual"]})


def sums(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, orient="row", schema={"place": pl.String, "indicator": pl.String, "value": pl.Int64})


def found(frame: pl.DataFrame) -> dict[tuple[str, str], int | None]:
    return {(place, indicator): value for _, place, indicator, value in frame.iter_rows()}


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
    assert frame.schema == {"period": pl.Date, "place": pl.String, "indicator": pl.String, "value": pl.Int64}
    assert frame["place"].is_sorted()


def test_a_place_outside_its_validity_is_neither_missing_nor_imputed() -> None:
    frame = values(
        sums(("A", "x", 5)), period=MONTH, places=PLACES.filter(pl.col("code") != "B"), indicators={"x": "missing"}
    )
    assert "B" not in frame["place"]


def test_a_sum_beyond_64_bits_is_refused() -> None:
    with pytest.raises(Finding, match="does not fit 64 bits"):
        values(sums(("A", "x", 2**63 - 1), ("A", "x", 1)), period=MONTH, places=PLACES, indicators={"x": "missing"})
