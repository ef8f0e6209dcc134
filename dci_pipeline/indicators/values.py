"""The values of one period: partners added up, absent places told apart from true zeros (METHOD section 6).

Integers in, integers out. Shares, estimates for what is missing and weights belong to the stages to the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from dci_pipeline.indicators.partners import added

SCHEMA = {
    "period": pl.Date(),
    "place": pl.String(),
    "indicator": pl.String(),
    "value": pl.Int64(),
    "volume": pl.Int64(),
}


def values(
    sums: pl.DataFrame,
    *,
    period: date,
    places: pl.DataFrame,
    indicators: Mapping[str, str],
    types: Mapping[str, Sequence[str]] | None = None,
) -> pl.DataFrame:
    """Every place × indicator of one period.

    sums: accepted sums of all partners [place, indicator, value Int64, volume Int64]; places: valid ones [code, type];
    indicators: what an absent row means for each, 'missing' or 'zero' (the contract's absentRow), for residuals as for
    any place. types: the types of place an indicator is made of, all of them for one that is not listed; at others it
    is neither missing nor zero.
    Out: [period, place, indicator, value Int64, volume Int64], sorted by place, indicator; null is missing, 0 is a true
    zero. `volume` is the measure alone where the value is measure x quality, null for every other indicator. An
    indicator nobody observed at all is missing everywhere, zeros included. Units: those of the measure.
    Raises Finding when a sum over partners leaves 64 bits.
    """
    found = added(sums, ["place", "indicator"], ["value", "volume"], period=period)
    meaning = pl.DataFrame(
        {"indicator": list(indicators), "absent": list(indicators.values())},
        schema={"indicator": pl.String, "absent": pl.String},
    )
    # Of an indicator with a volume every sum has one, so what was observed tells both.
    observed = found.group_by("indicator").agg(observed=pl.lit(True), rated=pl.col("volume").is_not_null().any())
    zero = pl.col("value").is_null() & pl.col("observed") & (pl.col("absent") == "zero")
    return (
        _pairs(places, meaning, types or {})
        .join(found, on=["place", "indicator"], how="left")
        .join(observed, on="indicator", how="left")
        .with_columns(
            period=pl.lit(period, dtype=pl.Date),
            value=pl.when(zero).then(0).otherwise(pl.col("value")).cast(pl.Int64),
            volume=pl.when(zero & pl.col("rated")).then(0).otherwise(pl.col("volume")).cast(pl.Int64),
        )
        .select(list(SCHEMA))
        .sort("place", "indicator")
    )


def _pairs(places: pl.DataFrame, meaning: pl.DataFrame, types: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Every place × indicator that can have a value: [place, indicator, absent]."""
    kinds = places["type"].unique().to_list()
    made_of = pl.DataFrame(
        [(name, kind) for name in meaning["indicator"] for kind in types.get(name, kinds)],
        schema={"indicator": pl.String, "type": pl.String},
        orient="row",
    )
    return (
        places.select("type", place="code")
        .join(made_of, on="type")
        .join(meaning, on="indicator")
        .select("place", "indicator", "absent")
    )
