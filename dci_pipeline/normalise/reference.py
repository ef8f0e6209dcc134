"""National means of the reference period, the denominators of the level (METHOD section 2).

One mean per indicator over a free range of periods. Levels themselves belong to the index.
"""

import math

import polars as pl


def reference_means(totals: pl.DataFrame) -> pl.DataFrame:
    """Mean national total of each indicator over the reference period.

    In: rows of `normalise.totals` for exactly the periods of the reference. Out: [indicator, mean_total] sorted.
    Raises ValueError when an indicator lacks a period that another one has, has an undefined total, or a mean of 0.
    """
    if totals.is_empty():
        raise ValueError("reference totals: found no rows; expected the national totals of every reference period")
    rows = totals.sort("indicator", "period")
    twice = rows.filter(pl.struct("indicator", "period").is_duplicated())
    if not twice.is_empty():
        raise ValueError(
            f"reference totals: one row per indicator and period expected; found twice {twice.row(0, named=True)}"
        )
    periods = rows.get_column("period").unique().sort()
    means: list[tuple[str, float]] = []
    for indicator, found, values in rows.group_by("indicator", maintain_order=True).agg("period", "total").iter_rows():
        lacking = sorted(set(periods) - set(found))
        if lacking:
            raise ValueError(
                f"indicator {indicator!r}: no national total in {len(lacking)} of {len(periods)} reference periods, "
                f"first {lacking[0]}; an indicator of the basket is observed through the whole reference period, "
                "deliver it or leave it to a later link"
            )
        undefined = [day for day, value in zip(found, values, strict=True) if value is None]
        if undefined:
            raise ValueError(
                f"indicator {indicator!r}: the national total of {undefined[0]} is undefined; nothing was observed"
            )
        mean = math.fsum(values) / len(values)
        if not mean > 0:
            raise ValueError(
                f"indicator {indicator!r}: mean total {mean} over the reference period; expected more than 0"
            )
        means.append((indicator, mean))
    return pl.DataFrame(means, schema={"indicator": pl.String, "mean_total": pl.Float64}, orient="row")
