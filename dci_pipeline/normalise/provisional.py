"""What stands in for a feed that is late as a whole (METHOD section 6): last year's volumes, moved on.

x_ct = x_c,t-12 * X_t-1 / X_t-13, place by place. It waits where there is no history; whether an index takes provisional
numbers at all is the index file's choice. Missing places of a feed that has arrived belong to `shares`.
"""

from collections.abc import Collection

import polars as pl


def estimates(
    late: Collection[str],
    *,
    places: pl.DataFrame,
    year_before: pl.DataFrame,
    before: pl.DataFrame,
    year_before_that: pl.DataFrame,
) -> pl.DataFrame | None:
    """Provisional volumes of the late indicators, or None when one of them has no history to go by.

    late: indicators; places [place, indicator] that are valid now. The three frames are `normalise.shares` of the same
    period a year before, of the period before this one, and of the period a year before that one. Out: [place,
    indicator, estimate Float64], sorted by indicator, place. A place that was not there a year before keeps its volume
    of the period before, or 0.
    """
    growth: list[tuple[str, float]] = []
    for indicator in sorted(late):
        now, then = (_total(frame, indicator) for frame in (before, year_before_that))
        if now is None or not then or _total(year_before, indicator) is None:
            return None
        growth.append((indicator, now / then))
    moved = pl.DataFrame(growth, schema={"indicator": pl.String, "growth": pl.Float64}, orient="row")
    keys = ["place", "indicator"]
    return (
        places.select(keys)
        .join(moved, on="indicator", how="inner")
        .join(year_before.select(*keys, then="estimate"), on=keys, how="left")
        .join(before.select(*keys, last="estimate"), on=keys, how="left")
        .select(
            *keys,
            estimate=pl.when(pl.col("then").is_not_null())
            .then(pl.col("then") * pl.col("growth"))
            .otherwise(pl.col("last").fill_null(0.0)),
        )
        .sort("indicator", "place")
    )


def _total(shares: pl.DataFrame, indicator: str) -> float | None:
    found = shares.filter(pl.col("indicator") == indicator)["total"].drop_nulls()
    return None if found.is_empty() else float(found[0])
