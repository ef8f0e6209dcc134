"""Members of breakdowns in one period: an indicator by the values of a column of its feed, partners added up.

What is not there is not filled: a member nobody reported for a place has no row. Shares and groups of members belong to
the stages to the right (METHOD section 2).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from dci_pipeline.indicators.partners import added

SCHEMA = {
    "period": pl.Date(),
    "place": pl.String(),
    "indicator": pl.String(),
    "column": pl.String(),
    "member": pl.String(),
    "value": pl.Int64(),
}
_KEY = ["place", "indicator", "column", "member"]


def members(sums: pl.DataFrame, *, period: date, places: pl.DataFrame) -> pl.DataFrame:
    """Every place × indicator × member that any partner reported.

    sums: accepted sums of all partners [place, indicator, column, member, value Int64]; places: valid ones [code].
    Out: [period, place, indicator, column, member, value Int64], sorted by the columns after period; `member` is the
    column's own value, a valid place alone has rows. Units: those of the measure (of measure x quality for a rate).
    Raises Finding when a sum over partners leaves 64 bits.
    """
    return (
        added(sums.filter(pl.col("place").is_in(places["code"].implode())), _KEY, ["value"], period=period)
        .with_columns(period=pl.lit(period, dtype=pl.Date))
        .select(list(SCHEMA))
        .sort(_KEY)
    )
