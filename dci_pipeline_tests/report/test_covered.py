"""Which rows a range of periods takes, by the value of the period in a table's key."""

from __future__ import annotations

from datetime import date

import pytest

from dci_pipeline.findings import Finding
from dci_pipeline.periods import parse
from dci_pipeline.report.covered import in_words, stretch, touching

STRETCHES = {
    ("month", date(2019, 4, 1)): ("2019-04-01", "2019-05-01"),
    ("quarter", date(2019, 4, 1)): ("2019-04-01", "2019-07-01"),
    ("year", 2019): ("2019-01-01", "2020-01-01"),
    ("half", "2019H2"): ("2019-07-01", "2020-01-01"),
    ("period", "2019"): ("2019-01-01", "2020-01-01"),
    ("period", "2019Q2"): ("2019-04-01", "2019-07-01"),
    ("period", "2019-04"): ("2019-04-01", "2019-05-01"),
    ("period", "2015-2019"): ("2015-01-01", "2020-01-01"),
    ("period", "2015-07..2015-12"): ("2015-07-01", "2016-01-01"),
}


@pytest.mark.parametrize("found", STRETCHES, ids=lambda item: f"{item[0]} {item[1]}")
def test_what_a_value_stands_for(found: tuple[str, object]) -> None:
    assert tuple(map(str, stretch(*found))) == STRETCHES[found]


def test_what_is_no_period_is_said() -> None:
    with pytest.raises(Finding, match="not a month"):
        stretch("period", "in spring")


def test_a_range_takes_what_shares_a_day_with_it() -> None:
    first, last = parse("2019-04", "month"), parse("2019-07", "month")
    months = [date(2019, month, 1) for month in (8, 7, 4, 3)]
    assert touching("month", months, first, last) == [date(2019, 4, 1), date(2019, 7, 1)]
    assert touching("half", ["2018H2", "2019H1", "2019H2", "2020H1"], first, last) == ["2019H1", "2019H2"]
    assert touching("year", [2018, 2019, 2020], first, last) == [2019]
    assert touching("year", [2020, 2018, 2019], None, None) == [2018, 2019, 2020]


def test_periods_in_words() -> None:
    days = [stretch("month", date(2019, month, 1)) for month in (1, 2, 3, 6)]
    assert in_words(days, "month") == "2019-01 to 2019-03, 2019-06"
    assert in_words([stretch("year", 2019)], "quarter") == "2019Q1 to 2019Q4"
    assert in_words([], "month") == ""
