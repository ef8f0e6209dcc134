"""The revision window: what a state of the published tables has as final, and what is still open to revision.

A reference period is final once the last published period ends the window's months, or more, after it. Until then its
rows are provisional, however complete they are; what is provisional for another reason stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from dci_pipeline.periods import MONTHS_IN, Period
from dci_pipeline.releases.spans import months_of, time_column

MATURITY, PROVISIONAL, FINAL = "maturity", "provisional", "final"


@dataclass(frozen=True)
class Window:
    """The window as it stands when `last` is the last period published; months counted from end to end."""

    last: Period
    months: int

    @property
    def limit(self) -> date:
        """First day after what is final."""
        return Period(self.last.end, "month").shift(-self.months).start

    def final_to(self, cadence: str) -> Period:
        """The last period of a cadence that is final."""
        limit = self.limit
        month = (limit.month - 1) // MONTHS_IN[cadence] * MONTHS_IN[cadence] + 1
        return Period(date(limit.year, month, 1), cadence).shift(-1)

    def final(self, table: str, key: Sequence[str]) -> tuple[str, date | str | int] | None:
        """The key's column of periods and its last value that is final; None where rows belong to no one period."""
        column = time_column(key)
        if column not in MONTHS_IN:
            return None
        months = months_of(table, column)
        if months < MONTHS_IN[column]:
            return column, self.limit.year - (self.limit.month <= months)
        last = self.final_to(column)
        return column, last.start.year if column == "year" else last.key if column == "half" else last.start

    def applied(self, frame: pl.DataFrame, table: str, key: Sequence[str]) -> pl.DataFrame:
        """`frame` with `maturity` provisional in rows of periods still open; other rows keep what they have."""
        found = self.final(table, key) if MATURITY in frame.columns else None
        if found is None:
            return frame
        column, last = found
        open_yet = pl.col(column) > pl.lit(last, dtype=frame.schema[column])
        return frame.with_columns(pl.when(open_yet).then(pl.lit(PROVISIONAL)).otherwise(MATURITY).alias(MATURITY))
