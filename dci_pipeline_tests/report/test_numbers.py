"""Numbers are worded one way everywhere, and every unit that is published has its form."""

from __future__ import annotations

import math

import pytest
import yaml

from dci_pipeline.report.numbers import (
    FORMATS,
    MISSING,
    NOT_YET,
    decimals_for,
    form_of,
    number,
    ordinal,
    rank_change,
    unit_label,
)
from dci_pipeline_tests.conftest import CONTRACTS

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (1087.1234, "points", "1,087.1", "1,087.1"),
        (53.2149, "points", "53.21", "53.21"),
        (0.65343, "points", "0.653", "0.653"),
        (0.7321, "fraction", "73.2%", f"73.2{NBSP}%"),
        (-0.4696, "fraction (mean)", "−47.0%", f"−47.0{NBSP}%"),
        (-0.0004, "fraction", "0.0%", f"0.0{NBSP}%"),
        (0.034, "fraction (pp/100)", "3.4", "3.4"),
        (-2.25, "percentage points", "−2.2", "−2.2"),
        (7.0, "rank (of 4)", "7", "7"),
        (3, "places", "▲3", "▲3"),
        (-144, "places (derived from swap statement)", "▼144", "▼144"),
        (12345, "count", "12,345", "12,345"),
        (2015, "year", "2015", "2015"),
        (6, "month", "6月", "6"),
        (1.8539, "times", "1.85倍", f"1.85{NBSP}×"),
        (29.2958, "100m GB", "29.30", "29.30"),
        (None, "points", MISSING, MISSING),
        (math.nan, "fraction", MISSING, MISSING),
        (None, "places", NOT_YET, NOT_YET),
    ],
)
def test_in_a_table(value: float | None, unit: str, zh: str, en: str) -> None:
    assert (number(value, unit, "zh"), number(value, unit, "en")) == (zh, en)


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (1087.1, "points", "1,087.1点", f"1,087.1{NBSP}points"),
        (0.732, "fraction", "73.2%", f"73.2{NBSP}%"),
        (0.034, "fraction (pp/100)", "3.4个百分点", f"3.4{NBSP}pp"),
        (4.2, "hours per user and day", "4.20小时", f"4.20{NBSP}hours"),
    ],
)
def test_in_a_sentence_the_unit_is_said(value: float, unit: str, zh: str, en: str) -> None:
    assert (number(value, unit, "zh", said=True), number(value, unit, "en", said=True)) == (zh, en)


def test_a_sign_is_there_when_asked_for_and_never_on_nothing() -> None:
    assert number(0.0312, "fraction", "zh", signed=True) == "+3.1%"
    assert number(-0.0312, "fraction", "zh", signed=True) == "−3.1%"
    assert number(0.0, "fraction", "zh", signed=True) == "0.0%"


def test_a_column_is_written_with_the_decimals_of_its_largest() -> None:
    values = [1087.1, None, 0.5]
    decimals = decimals_for(values, "points")
    assert [number(value, "points", "zh", decimals=decimals) for value in values] == ["1,087.1", MISSING, "0.5"]
    assert decimals_for([], "points") == 1
    assert decimals_for([5.0], "fraction") == 1


def test_arrows_and_ordinals() -> None:
    assert [rank_change(places) for places in (3, -2, 0, None)] == ["▲3", "▼2", MISSING, NOT_YET]
    assert [ordinal(rank, "en") for rank in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]
    )
    assert ordinal(3, "zh") == "第3位"


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*/exhibits.yaml")), ids=lambda path: path.parent.name)
def test_every_unit_of_the_exhibits_has_a_form_or_words(path) -> None:
    exhibits = yaml.safe_load(path.read_text(encoding="utf-8"))["exhibits"]
    units = {
        unit
        for exhibit in exhibits
        for item in exhibit.get("items", [])
        for unit in (item.get("measures") or {}).values()
    }
    assert len(units) > 30
    assert [unit for unit in sorted(units) if form_of(unit).form == "amount" and unit_label(unit, "zh") == unit] == [
        "rate"
    ]
    assert {form_of(unit).form for unit in units} <= set(FORMATS)
