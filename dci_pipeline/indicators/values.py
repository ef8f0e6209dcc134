"""The values of one period: partners added up, absent places told apart from true zeros (METHOD section 6).

Integers in, integers out. Shares, estimates for what is missing and weights belong to the stages to the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from dci_pipeline.findings import Finding

SCHEMA = {"period": pl.Date(), "place": pl.String(), "indicator": pl.String(), "value": pl.Int64()}


def values(sums: pl.DataFrame, *, period: date, places: pl.DataFrame, indicators: Mapping[str, str]) -> pl.DataFrame:
    """Every place × indicator of one period.

    sums: accepted sums of all partners [place, indicator, value Int64]; places: valid ones [code, type]; indicators:
    what an absent row means for each, 'missing' or 'zero' (the contract's absentRow), for residuals as for any place.
    Out: [period, place, indicator, value Int64], sorted by place, indicator; null is missing, 0 is a true zero. An
    indicator nobody observed at all is missing everywhere, zeros included. Units: those of the measure.
    Raises Finding when a sum over partners leaves 64 bits.
    """
    wide = sums.group_by("place", "indicator").agg(pl.col("value").cast(pl.Int128).sum())
    over = wide.filter(pl.col("value") > 2**63 - 1).sort("place", "indicator")
    if not over.is_empty():
        place, indicator, value = over.row(0)
        raise Finding(
            "a sum that does not fit 64 bits",
            where=f"{indicator}, {place}, {period}",
            found=value,
            expected=f"at most {2**63 - 1}",
            todo="count in a larger unit (contract) from this period on",
        )
    meaning = pl.DataFrame(
        {"indicator": list(indicators), "absent": list(indicators.values())},
        schema={"indicator": pl.String, "absent": pl.String},
    )
    observed = wide.select("indicator").unique().with_columns(observed=pl.lit(True))
    return (
        places.select(place="code")
        .join(meaning, how="cross")
        .join(wide, on=["place", "indicator"], how="left")
        .join(observed, on="indicator", how="left")
        .with_columns(
            period=pl.lit(period, dtype=pl.Date),
            value=pl.when(pl.col("value").is_null() & pl.col("observed") & (pl.col("absent") == "zero"))
            .then(0)
            .otherwise(pl.col("value"))
            .cast(pl.Int64),
        )
        .select(list(SCHEMA))
        .sort("place", "indicator")
    )
