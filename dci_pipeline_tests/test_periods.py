"""Periods: their names, their order, their parts; and text that names none."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dci_pipeline.findings import Finding
from dci_pipeline.periods import MONTHS_IN, Period, parse, parse_span, span

PERIODS = st.builds(
    lambda cadence, year, number: Period(
        date(year, (number % (12 // MONTHS_IN[cadence])) * MONTHS_IN[cadence] + 1, 1), cadence
    ),
    st.sampled_from(sorted(MONTHS_IN)),
    st.integers(1990, 2100),
    st.integers(0, 11),
)


@given(PERIODS)
def test_a_period_s_name_names_it(period: Period) -> None:
    assert parse(period.key, period.cadence) == period
    assert parse(period.start.isoformat()[:7], period.cadence) == period


@given(PERIODS, st.integers(-50, 50))
def test_shifting_back_and_forth(period: Period, steps: int) -> None:
    assert period.shift(steps).shift(-steps) == period
    assert period.year_before().start == period.start.replace(year=period.start.year - 1)
    assert period.end == period.shift(1).start


@given(PERIODS)
def test_parts_follow_each_other_without_gap(period: Period) -> None:
    parts = period.parts("month")
    assert (parts[0].start, parts[-1].end, len(parts)) == (period.start, period.end, period.months)


@pytest.mark.parametrize(
    ("text", "cadence"),
    [
        ("2019-13", "month"),
        ("2019-00", "month"),
        ("201901", "month"),
        ("2019Q5", "quarter"),
        ("2019-02", "quarter"),
        ("19", "year"),
        ("", "month"),
        ("2019H3", "half"),
        ("0000Q1", "quarter"),
        ("9999-12", "month"),
        ("٢٠١٩-01-02", "month"),
    ],
)
def test_text_that_names_no_period(text: str, cadence: str) -> None:
    with pytest.raises(Finding, match=f"not a {cadence}"):
        parse(text, cadence, where="here")


def test_spans() -> None:
    assert [item.key for item in parse_span("2019-11:2020-02", "month")] == ["2019-11", "2019-12", "2020-01", "2020-02"]
    assert [item.key for item in parse_span("2019Q4", "quarter")] == ["2019Q4"]
    with pytest.raises(Finding, match="ends before it begins"):
        span(parse("2020-02", "month"), parse("2020-01", "month"))
