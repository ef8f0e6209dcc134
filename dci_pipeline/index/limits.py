"""How much of a period is imputed, and which places are too much so to be published (METHOD section 6).

The numbers a pipeline blocks on; the limits themselves are data of the index file, and blocking is the pipeline's.
"""

from collections.abc import Collection

import numpy as np
import polars as pl

from dci_pipeline.index.dense import axis, floats, nullable, several, weighted


def imputed(shares: pl.DataFrame, *, node_weights: pl.DataFrame) -> pl.DataFrame:
    """The nation's imputed share of every node, sum over j of (w_j / beta) * (summed share of the missing places).

    In: one period of `normalise.shares`, `weight.node_weights`. Out: [period, node, imputed_share] sorted by node; an
    indicator with a total of 0 leaves and the other weights are scaled up; one that is undefined, or has no rows,
    counts as wholly imputed.
    """
    basket, nodes = axis(node_weights, "indicator"), axis(node_weights, "node")
    periods = axis(shares, "period")
    if len(periods) != 1:
        raise ValueError(f"shares of {len(periods)} periods {periods.to_list()[:3]}; expected the shares of one period")
    rows = shares.filter(pl.col("indicator").is_in(basket.implode()))
    places = axis(rows, "place")
    weights = np.nan_to_num(floats(node_weights, "weight", (("indicator", basket), ("node", nodes))))
    axes = (("place", places), ("indicator", basket))
    unseen = (pl.col("value").is_null() & (pl.col("obs_status") != "P")).cast(pl.Float64)
    share, total, is_missing = several(rows.with_columns(unseen=unseen), ("share", "total", "unseen"), axes)
    missing = is_missing > 0.0
    empty = np.any(total == 0.0, axis=0)
    carried = np.where(missing & ~np.isnan(share), share, 0.0).sum(axis=0, keepdims=True)
    carried[0, ~np.any(total >= 0.0, axis=0)] = 1.0
    used = np.where(empty[:, None], 0.0, weights)
    with np.errstate(invalid="ignore"):
        part = weighted(carried, used) / weighted(np.ones((1, len(basket))), used)
    return (
        pl.DataFrame({"node": nodes, "imputed_share": nullable(part)})
        .select(pl.lit(periods[0], pl.Date).alias("period"), "node", "imputed_share")
        .sort("node")
    )


def places_over(points: pl.DataFrame, *, node: str, limit: float) -> pl.DataFrame:
    """The places of which more than `limit` of the position at `node` is imputed.

    In: frame of `points`. Out: [period, place, node, imputed_share], the most imputed first, then by place.
    """
    return (
        points.filter((pl.col("node") == node) & (pl.col("imputed_share") > limit))
        .select("period", "place", "node", "imputed_share")
        .sort("imputed_share", "place", descending=[True, False])
    )


def with_place_limit(points: pl.DataFrame, *, nodes: Collection[str], limit: float) -> pl.DataFrame:
    """Give status M to the rows of `places_over` at any of `nodes`; their numbers stay, so that sums remain exact.

    Meant for nodes composed of several indicators: a single carried indicator is wholly imputed and keeps E.
    """
    over = pl.col("node").is_in(sorted(nodes)) & (pl.col("imputed_share") > limit)
    return points.with_columns(obs_status=pl.when(over).then(pl.lit("M")).otherwise("obs_status"))
