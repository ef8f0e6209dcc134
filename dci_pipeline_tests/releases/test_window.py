"""Which periods are final under a revision window, in whatever form a table names them."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from dci_pipeline.periods import parse_span
from dci_pipeline.releases.window import Window

JUNE = parse_span("2020-06", "month")[0]
KEY = ["entity_code", "month"]


@pytest.mark.parametrize("cadence", ["month", "quarter", "half", "year"])
@pytest.mark.parametrize("months", [0, 1, 5, 6, 12, 18, 30])
def test_a_period_is_final_once_the_last_one_ends_the_windows_months_after_it(cadence: str, months: int) -> None:
    for last in parse_span("2019-01:2020-12", "month"):
        final = Window(last, months).final_to(cadence)
        after = (last.end.year - final.end.year) * 12 + last.end.month - final.end.month
        assert months <= after < months + final.months


@pytest.mark.parametrize(
    ("table", "column", "values", "final"),
    [
        ("index_month", "month", [date(2019, 11, 1), date(2019, 12, 1), date(2020, 1, 1)], 2),
        ("index_quarter", "quarter", [date(2019, 7, 1), date(2019, 10, 1), date(2020, 1, 1)], 2),
        ("index_half", "half", ["2019H1", "2019H2", "2020H1"], 2),
        ("index_year", "year", [2018, 2019, 2020], 2),
        ("index_janfeb", "year", [2019, 2020, 2021], 1),
    ],
)
def test_rows_that_are_still_open_are_provisional(table: str, column: str, values: list[object], final: int) -> None:
    frame = pl.DataFrame({"entity_code": "a", column: values, "maturity": "final"})
    found = Window(JUNE, 6).applied(frame, table, ["entity_code", column])["maturity"].to_list()
    assert found == ["final"] * final + ["provisional"] * (3 - final)


def test_january_with_february_is_final_by_the_end_of_february() -> None:
    frame = pl.DataFrame({"year": [2019, 2020], "maturity": "final"})
    for last, final in (("2020-07", 1), ("2020-08", 2)):
        window = Window(parse_span(last, "month")[0], 6)
        assert window.applied(frame, "index_janfeb", ["year"])["maturity"].to_list().count("final") == final


def test_what_is_provisional_for_another_reason_stays_so_and_no_window_leaves_all_as_it_is() -> None:
    frame = pl.DataFrame({"month": [date(2019, 1, 1), date(2020, 6, 1)], "maturity": ["provisional", "final"]})
    assert Window(JUNE, 0).applied(frame, "t", ["month"]).equals(frame)
    found = Window(JUNE, 1).applied(frame, "t", ["month"])
    assert found["maturity"].to_list() == ["provisional", "provisional"]


def test_tables_without_maturity_or_without_one_period_a_row_are_left_alone() -> None:
    plain = pl.DataFrame({"month": [JUNE.start], "value": [1]})
    assert Window(JUNE, 6).applied(plain, "t", ["month"]).equals(plain)
    texts = pl.DataFrame({"period": ["2015-2020"], "maturity": ["final"]})
    assert Window(JUNE, 6).applied(texts, "t", ["period"]).equals(texts)
