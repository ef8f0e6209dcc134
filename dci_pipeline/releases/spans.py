"""Which period a row of a published table is about, whatever form its table gives it, and where a release ends."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dci_pipeline.periods import MONTHS_IN, Period

# A published table has one of these in its key, or rows that belong to no period.
_NAMES = ("month", "quarter", "half", "year", "period")
# The last period that a text names: '2019', '2020H1', '2019-04', '2015-01..2015-06', '2015-2019'.
_LAST = r"(\d{4})(?:-(\d{2})|H([12])|Q([1-4]))?$"
_MONTHS = {"month": 1, "half": 6, "quarter": 3}
# Tables whose rows are about fewer months than their column of periods names: the first ones of the year.
_FIRST_MONTHS = {"index_janfeb": 2}


def time_column(key: Sequence[str]) -> str | None:
    """The key's column that says the period; None for a table without periods."""
    return next((name for name in _NAMES if name in key), None)


def until(frame: pl.DataFrame, column: str | None, last: Period | None) -> pl.DataFrame:
    """The rows of periods that begin no later than `last`: a half-year or year that runs on is kept as it stands."""
    if column is None or last is None:
        return frame
    return frame.filter(starts(frame.schema[column], column) <= pl.lit(last.start))


def starts(dtype: pl.DataType, column: str) -> pl.Expr:
    """First day (Date) of the last period that a row's `column` names, from a date, a year or a text."""
    if dtype == pl.Date:
        return pl.col(column)
    if dtype.is_integer():
        return pl.date(pl.col(column), 1, 1)
    parts = pl.col(column).str.extract_groups(_LAST)
    month, half, quarter = (parts.struct.field(str(number)).cast(pl.Int32, strict=False) for number in (2, 3, 4))
    first = pl.coalesce(month, (half - 1) * _MONTHS["half"] + 1, (quarter - 1) * _MONTHS["quarter"] + 1, pl.lit(1))
    return pl.date(parts.struct.field("1").cast(pl.Int32), first, 1)


def months_of(table: str, column: str) -> int:
    """How many months a row of a table is about whose periods are in `column`, from the first one it names."""
    return _FIRST_MONTHS.get(table, MONTHS_IN[column])
