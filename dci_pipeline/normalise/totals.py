"""National totals of the indicators in one or more periods, and how much of them is estimated (METHOD section 2 and 6).

Reads what `shares` made; estimates are part of a total. The limits on imputation belong to the index stage.
"""

import math

import polars as pl


def totals(shares: pl.DataFrame) -> pl.DataFrame:
    """Take the national totals out of the shares.

    In: rows of `normalise.shares`, any number of periods. Out, sorted by period, indicator: [period, indicator,
    total Float64, imputed_share Float64, places Int64 (places in the total, observed or estimated)].
    imputed_share is the summed share of the places not observed, but for those of a late feed (P): 1 when the total is
    undefined, null when it is 0.
    """
    grouped = (
        shares.sort("period", "indicator", "place")
        .group_by("period", "indicator", maintain_order=True)
        .agg(
            pl.col("total").first(),
            imputed=pl.col("share").filter(pl.col("value").is_null() & (pl.col("obs_status") != "P")).drop_nulls(),
            places=pl.len().cast(pl.Int64),
        )
    )
    imputed = pl.Series([math.fsum(values) for values in grouped.get_column("imputed")], dtype=pl.Float64)
    return grouped.select(
        "period",
        "indicator",
        "total",
        imputed_share=pl.when(pl.col("total").is_null()).then(1.0).when(pl.col("total") > 0).then(imputed),
        places="places",
    ).sort("period", "indicator")
