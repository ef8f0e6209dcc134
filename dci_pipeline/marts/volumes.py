"""Amounts of indicators by entity over a span, for tables whose shares and ratios need them; never published as such.

An amount is the sum of a flow, the mean of a stock (METHOD section 8). Places are added in one fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from dci_pipeline.index.dense import added, axis, nullable, several
from dci_pipeline.marts.entities import KEY, entity_sums

STOCK = "stock"


def place_amounts(shares: pl.DataFrame, *, kinds: Mapping[str, str], periods: int) -> pl.DataFrame:
    """Amount of every place × indicator over a span.

    shares: rows of `normalise.shares` [period, place, indicator, value, estimate, obs_status]; kinds: indicator →
    'flow' or 'stock'; periods: how many the span has, the divisor of a stock. Out, sorted by place, node: [place, node,
    amount (null when an estimate is undefined), imputed (the part of it that is imputed), status (strongest of the
    periods' M, E, P, A)].
    """
    late = pl.col("obs_status") == "P"
    rows = shares.filter(pl.col("indicator").is_in(sorted(kinds))).select(
        "period",
        "place",
        "indicator",
        "estimate",
        carried=pl.when(pl.col("value").is_null() & ~late).then("estimate").otherwise(0.0),
        late=late.cast(pl.Float64),
        withheld=(pl.col("obs_status") == "M").cast(pl.Float64),
    )
    axes = [(name, axis(rows, name)) for name in ("period", "place", "indicator")]
    estimate, carried, is_late, withheld = several(rows, ("estimate", "carried", "late", "withheld"), axes)
    present, places, nodes = ~np.isnan(is_late), axes[1][1], axes[2][1]
    divisor = np.array([periods if kinds[node] == STOCK else 1 for node in nodes.to_list()])
    amount, imputed = added(estimate, present) / divisor, added(np.nan_to_num(carried), present) / divisor
    return (
        pl.DataFrame(
            {
                "place": places.gather(np.repeat(np.arange(len(places)), len(nodes))),
                "node": nodes.gather(np.tile(np.arange(len(nodes)), len(places))),
                "amount": nullable(amount),
                "imputed": nullable(imputed),
                "late": (is_late > 0.0).any(axis=0).reshape(-1),
                "withheld": (withheld > 0.0).any(axis=0).reshape(-1),
            }
        )
        .filter(pl.Series(present.any(axis=0).reshape(-1)))
        .select("place", "node", "amount", "imputed", status=_status())
    )


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
