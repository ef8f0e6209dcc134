"""A place's share of the national total, with missing places carried at the share last observed (METHOD section 6).

x_c missing: x_c = s_c / (1 - sum of s over the missing places) * sum of the observed, s_c the share last observed.
Skipping the missing and rescaling weights is not offered: shares would no longer sum to 1. Weights do not belong here.
"""

import math
from datetime import date

import polars as pl

# shares are floats: a remainder below this is rounding, and dividing by it would invent a total
SMALLEST_REMAINDER = 1e-9
SCHEMA: dict[str, pl.DataType] = {
    "period": pl.Date(),
    "place": pl.String(),
    "indicator": pl.String(),
    "value": pl.Int64(),
    "estimate": pl.Float64(),
    "total": pl.Float64(),
    "share": pl.Float64(),
    "obs_status": pl.String(),
    "observed_period": pl.Date(),
    "observed_share": pl.Float64(),
    "carried": pl.Int32(),
}


def shares(
    values: pl.DataFrame,
    *,
    period: date,
    previous: pl.DataFrame | None,
    carry_periods: int = 3,
    provisional: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Turn one period's values into shares.

    In: [place, indicator, value integer >= 0 in minor units, null = missing, 0 = a true zero]; a pair that is not
    listed is outside its validity dates, neither missing nor estimated. `previous` is this function's result for the
    period before; `provisional` [place, indicator, estimate] stands in for the indicators of a feed that is late as a
    whole (`provisional.estimates`).
    Out, sorted by indicator, place:
    period, place, indicator, value as delivered
    estimate         the value, or the estimate of a missing one; it stays in the total whatever its status
    total            of the indicator, estimates included
    share            estimate / total
    obs_status       A observed; P provisional, its whole feed is late; E estimated, up to `carry_periods` periods; M
                     after that, or never observed before (then the estimate is 0)
    observed_period, observed_share   the last observation with a defined share
    carried          periods since the last observation, 0 = observed now
    Undefined, not guessed: total 0 gives a null share. Nothing observed at all, or missing places that held the whole
    total, gives null total and shares, null estimates of the missing places, and status M for these.
    Raises ValueError for a negative value, a pair listed twice, a value that is no integer.
    """
    current = _checked(values, period)
    history = _history(previous, period)
    frame = current.join(history, on=["indicator", "place"], how="left", maintain_order="left")
    if provisional is not None:
        frame = frame.join(_late(current, provisional), on=["indicator", "place"], how="left", maintain_order="left")
    else:
        frame = frame.with_columns(late=pl.lit(None, pl.Float64))
    missing = pl.col("value").is_null()
    frame = frame.with_columns(missing=missing, weight=pl.when(missing).then(pl.col("last_share").fill_null(0.0)))
    frame = frame.join(_sums(frame), on="indicator", how="left", maintain_order="left")

    scale = pl.col("observed_sum").cast(pl.Float64) / (1.0 - pl.col("missing_share"))
    frame = frame.with_columns(
        estimate=pl.when(~missing)
        .then(pl.col("value").cast(pl.Float64))
        .when(pl.col("late").is_not_null())
        .then("late")
        .when(pl.col("defined"))
        .then(pl.col("weight") * scale)
    )
    frame = frame.join(_totals(frame), on="indicator", how="left", maintain_order="left")
    share = pl.when(pl.col("total") > 0).then(pl.col("estimate") / pl.col("total"))
    carried = pl.when(missing).then(pl.col("last_carried").fill_null(0) + 1).otherwise(0).cast(pl.Int32)
    return (
        frame.with_columns(period=pl.lit(period, pl.Date), share=share, carried=carried)
        .with_columns(seen=~pl.col("missing") & pl.col("share").is_not_null())
        .with_columns(
            obs_status=pl.when(~missing)
            .then(pl.lit("A"))
            .when(pl.col("late").is_not_null())
            .then(pl.lit("P"))
            .when(pl.col("defined") & pl.col("last_share").is_not_null() & (pl.col("carried") <= carry_periods))
            .then(pl.lit("E"))
            .otherwise(pl.lit("M")),
            observed_period=pl.when("seen").then("period").otherwise("last_period"),
            observed_share=pl.when("seen").then("share").otherwise("last_share"),
        )
        .select(*(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()))
        .sort("indicator", "place")
    )


def _late(current: pl.DataFrame, provisional: pl.DataFrame) -> pl.DataFrame:
    """Estimates of late feeds as a column: only for indicators of which nothing has arrived."""
    arrived = current.filter(pl.col("value").is_not_null()).select("indicator").unique()
    mixed = provisional.join(arrived, on="indicator", how="semi")
    if not mixed.is_empty():
        raise ValueError(
            f"provisional estimates of {mixed.get_column('indicator').unique().sort().to_list()}, which have values; "
            "expected estimates only for indicators whose whole feed is late"
        )
    return provisional.select("indicator", "place", late=pl.col("estimate").cast(pl.Float64))


def _checked(values: pl.DataFrame, period: date) -> pl.DataFrame:
    lacking = [name for name in ("place", "indicator", "value") if name not in values.columns]
    if lacking:
        raise ValueError(
            f"values of {period}: columns {values.columns} lack {lacking}; expected place, indicator, value"
        )
    dtype = values.schema["value"]
    if not (dtype.is_integer() or dtype == pl.Null):
        raise ValueError(f"values of {period}: value has type {dtype}; expected integers in minor units")
    frame = values.select(
        pl.col("place").cast(pl.String), pl.col("indicator").cast(pl.String), pl.col("value").cast(pl.Int64)
    ).sort("indicator", "place")
    negative = frame.filter(pl.col("value") < 0)
    if not negative.is_empty():
        first = negative.row(0, named=True)
        raise ValueError(
            f"values of {period}: {negative.height} negative, first place {first['place']!r}, indicator "
            f"{first['indicator']!r}: {first['value']}; a volume is at least 0, send it back to the partner"
        )
    twice = frame.filter(pl.struct("indicator", "place").is_duplicated())
    if not twice.is_empty():
        raise ValueError(
            f"values of {period}: one row per place and indicator expected; found twice {twice.row(0, named=True)}"
        )
    return frame


def _history(previous: pl.DataFrame | None, period: date) -> pl.DataFrame:
    if previous is None:
        previous = pl.DataFrame(schema=SCHEMA)
    late = previous.filter(pl.col("period") >= period)
    if not late.is_empty():
        raise ValueError(
            f"shares of {late.get_column('period').max()} given as the period before {period}; expected an earlier one"
        )
    return previous.select(
        "indicator", "place", last_period="observed_period", last_share="observed_share", last_carried="carried"
    )


def _sums(frame: pl.DataFrame) -> pl.DataFrame:
    """Per indicator: exact sum of the observed, share the missing last held, whether estimates exist."""
    grouped = frame.group_by("indicator", maintain_order=True).agg(
        observed_sum=pl.col("value").cast(pl.Int128).sum(),
        observed=pl.col("value").count(),
        weights=pl.col("weight").filter(pl.col("missing")),
        late=pl.col("late").is_not_null().any(),
    )
    # fsum is correctly rounded, so neither the order of places nor the engine can change a bit
    missing_share = [math.fsum(weights) for weights in grouped.get_column("weights")]
    # a national sum may pass 2^63 (bytes do): Python rounds its integers correctly in the one step to a float
    observed_sum = [float(total) for total in grouped.get_column("observed_sum")]
    return grouped.with_columns(
        observed_sum=pl.Series(observed_sum, dtype=pl.Float64), missing_share=pl.Series(missing_share, dtype=pl.Float64)
    ).select(
        "indicator",
        "observed_sum",
        "missing_share",
        defined=pl.col("late") | ((pl.col("observed") > 0) & (pl.col("missing_share") < 1.0 - SMALLEST_REMAINDER)),
    )


def _totals(frame: pl.DataFrame) -> pl.DataFrame:
    grouped = frame.group_by("indicator", maintain_order=True).agg(
        pl.col("observed_sum", "defined").first(), estimates=pl.col("estimate").filter(pl.col("missing")).drop_nulls()
    )
    estimated = pl.Series([math.fsum(estimates) for estimates in grouped.get_column("estimates")], dtype=pl.Float64)
    return grouped.select(
        "indicator", total=pl.when("defined").then(pl.col("observed_sum").cast(pl.Float64) + estimated)
    )
