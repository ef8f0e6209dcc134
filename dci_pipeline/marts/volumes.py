"""Amounts of indicators by entity over a span, for tables whose shares and ratios need them; never published as such.

An amount is the sum of a flow, the mean of a stock (METHOD section 8). Places are added in one fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from dci_pipeline.marts.entities import KEY, entity_sums

STOCK = "stock"


def place_amounts(shares: pl.DataFrame, *, kinds: Mapping[str, str], periods: int) -> pl.DataFrame:
    """Amount of every place × indicator over a span.

    shares: rows of `normalise.shares` [period, place, indicator, value, estimate, obs_status]; kinds: indicator →
    'flow' or 'stock'; periods: how many the span has, the divisor of a stock. Out, sorted by place, node: [place, node,
    amount (null when an estimate is undefined), imputed (the part of it that is imputed), status (strongest of the
    periods' M, E, P, A)].
    """
    late = (pl.col("obs_status") == "P").alias("late")
    rows = (
        shares.filter(pl.col("indicator").is_in(sorted(kinds)))
        .with_columns(late, carried=pl.col("value").is_null() & ~late)
        .sort("place", "indicator", "period")
        .group_by("place", pl.col("indicator").alias("node"), maintain_order=True)
        .agg("estimate", "carried", late=pl.col("late").any(), withheld=(pl.col("obs_status") == "M").any())
    )
    amounts: list[float | None] = []
    imputed: list[float] = []
    for node, estimates, carried in rows.select("node", "estimate", "carried").iter_rows():
        divisor = periods if kinds[node] == STOCK else 1
        amounts.append(None if None in estimates else sum(estimates) / divisor)
        parts = [value for value, guessed in zip(estimates, carried, strict=True) if guessed and value is not None]
        imputed.append(sum(parts) / divisor)
    return rows.select(
        "place",
        "node",
        "late",
        "withheld",
        amount=pl.Series(amounts, dtype=pl.Float64),
        imputed=pl.Series(imputed, dtype=pl.Float64),
    ).select("place", "node", "amount", "imputed", status=_status())


def entity_amounts(places: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> pl.DataFrame:
    """Amounts of places, groups and the nation.

    places: `place_amounts`; members [group_type, group, place]; types [place, type, member]. Out, sorted by
    entity_type, entity_code, node: these, amount, obs_status, imputed_share. A place carried throughout (M) has no
    amount; its estimate stays in the sums.
    """
    rows = places.with_columns(
        late=pl.when(pl.col("status") == "P").then(1.0).otherwise(0.0),
        estimated=pl.when(pl.col("status").is_in(["E", "M"])).then(1.0).otherwise(0.0),
        withheld=pl.when(pl.col("status") == "M").then(1.0).otherwise(0.0),
    )
    columns = ["amount", "imputed", "late", "estimated", "withheld"]
    frame = entity_sums(rows, columns=columns, members=members, types=types, nation=nation)
    place = pl.col("entity_type").is_in(types["type"].unique().sort().implode())
    status = (
        pl.when(place & (pl.col("withheld") > 0))
        .then(pl.lit("M"))
        .when(pl.col("estimated") > 0)
        .then(pl.lit("E"))
        .when(pl.col("late") > 0)
        .then(pl.lit("P"))
        .otherwise(pl.lit("A"))
    )
    return frame.with_columns(
        obs_status=status,
        imputed_share=pl.when(pl.col("amount") > 0).then(pl.col("imputed") / pl.col("amount")).otherwise(0.0),
    ).select(
        *KEY,
        amount=pl.when(pl.col("obs_status") != "M").then("amount"),
        obs_status="obs_status",
        imputed_share="imputed_share",
    )


def _status() -> pl.Expr:
    """M when nothing but carried values make the amount and one was carried too long; E when any is carried."""
    everything = pl.col("amount").is_null() | (pl.col("withheld") & (pl.col("imputed") >= pl.col("amount")))
    return (
        pl.when(everything)
        .then(pl.lit("M"))
        .when(pl.col("imputed") > 0)
        .then(pl.lit("E"))
        .when(pl.col("late"))
        .then(pl.lit("P"))
        .otherwise(pl.lit("A"))
    )
