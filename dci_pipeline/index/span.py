"""A half-year, a year or any other span of periods (METHOD section 2 and 8).

The level of a span is the mean of its periods; the position is made of summed volumes. Growth does not belong here.
"""

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, added, axis, floats, nullable, several
from dci_pipeline.index.points import node_by_place
from dci_pipeline.index.position import position
from dci_pipeline.normalise.statuses import STATUSES


def span(points: pl.DataFrame, shares: pl.DataFrame, *, node_weights: pl.DataFrame) -> pl.DataFrame:
    """Level and position of a span, from the points and the shares of the same periods.

    Out, sorted by node, place: [place, node, points, composite_points, share, imputed_share, obs_status,
    periods_covered]. Raises ValueError when the two frames do not cover the same periods.
    """
    if axis(points, "period").to_list() != axis(shares, "period").to_list():
        raise ValueError(
            f"points of {axis(points, 'period').to_list()} and shares of {axis(shares, 'period').to_list()}; "
            "expected the same periods in both"
        )
    level, place_share = span_points(points), span_shares(shares, node_weights=node_weights)
    return level.join(place_share, on=["place", "node"], how="left", maintain_order="left").select(
        "place", "node", "points", "composite_points", "share", "imputed_share", "obs_status", "periods_covered"
    )


def span_points(points_by_period: pl.DataFrame) -> pl.DataFrame:
    """Mean level over the periods of a span.

    In: frames of `points`, stacked. Out, sorted by node, place: [place, node, points, composite_points, obs_status
    (strongest of the periods), periods_covered Int64 (periods with a row of the place)]. The divisor is the number of
    periods in the frame for every place, so that places keep adding up to the nation when one enters or leaves in
    between; null when any period's points are null.
    """
    nodes, places, periods = (axis(points_by_period, name) for name in ("node", "place", "period"))
    axes = (("period", periods), ("node", nodes), ("place", places))
    rank = pl.col("obs_status").replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Float64)
    rows = points_by_period.with_columns(rank=rank, present=pl.lit(1.0))
    level, composite, ranks, given = several(rows, ("points", "composite_points", "rank", "present"), axes)
    present = given > 0.0
    if present.sum() != rows.height:
        key = pl.struct("period", "node", "place")
        twice = points_by_period.filter(key.is_duplicated()).sort("period", "node", "place")
        raise ValueError(f"points: one row per period, place and node expected; found twice {twice.row(0, named=True)}")
    status = np.where(present, ranks, 0.0).max(axis=0).astype(np.int64)
    frame = pl.DataFrame(
        {
            **node_by_place(nodes, places),
            "points": nullable(_mean(level, present)),
            "composite_points": nullable(_mean(composite, present)),
            "obs_status": pl.Series(STATUSES).gather(status.reshape(-1)),
            "periods_covered": present.sum(axis=0, dtype=np.int64).reshape(-1),
        }
    )
    return frame.filter(pl.col("periods_covered") > 0)


def span_shares(shares_by_period: pl.DataFrame, *, node_weights: pl.DataFrame) -> pl.DataFrame:
    """Position over a span: sum over j of (w_j / beta) * (sum of x_cj / sum of X_j), both over the periods.

    In: frames of `normalise.shares`, stacked; `weight.node_weights`. Out: [place, node, share, imputed_share] sorted by
    node, place; the same rules for a total of 0 and an undefined one as `points`.
    """
    basket, nodes = axis(node_weights, "indicator"), axis(node_weights, "node")
    unseen = pl.col("value").is_null() & (pl.col("obs_status") != "P")
    rows = shares_by_period.filter(pl.col("indicator").is_in(basket.implode())).with_columns(
        imputed=pl.when(unseen).then("estimate").otherwise(0.0), unseen=pl.when(unseen).then(1.0).otherwise(0.0)
    )
    places, periods = axis(rows, "place"), axis(rows, "period")
    axes = (("period", periods), ("place", places), ("indicator", basket))
    estimates, guessed, unobserved = several(rows, ("estimate", "imputed", "unseen"), axes)
    present = ~np.isnan(unobserved)
    volume, imputed = added(estimates, present), added(guessed, present)
    national = rows.select("period", "indicator", "total").unique(["period", "indicator"], maintain_order=True)
    totals = floats(national, "total", (("period", periods), ("indicator", basket)))
    total = totals[0].copy()
    for period in range(1, len(periods)):
        total += totals[period]
    missing: Flags = np.any(unobserved > 0.0, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = volume / total
        imputed_part = imputed / total
    weights = np.nan_to_num(floats(node_weights, "weight", (("indicator", basket), ("node", nodes))))
    place_share = position(share, imputed_part, missing, total, weights)
    return pl.DataFrame(
        {
            **node_by_place(nodes, places),
            "share": nullable(place_share.share.T),
            "imputed_share": nullable(place_share.imputed_share.T),
        }
    )


def _mean(array: Floats, present: Flags) -> Floats:
    return added(array, present) / array.shape[0]
