"""One period's level and position of every place at every node (METHOD section 2), inside one link.

Reads a period's shares, the weights of a tree and the reference means. Growth, links and limits belong elsewhere.
"""

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Floats, Integers, axis, floats, nullable, several, weighted
from dci_pipeline.index.position import position
from dci_pipeline.normalise.statuses import STATUSES


def points(
    shares: pl.DataFrame,
    *,
    node_weights: pl.DataFrame,
    reference_totals: pl.DataFrame,
    base_points: float = 100.0,
    scales: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Points, position and status of every place x node.

    In: one period of `normalise.shares` (only leaves of the tree are read); `weight.node_weights` of one tree;
    reference_totals [indicator, mean_total]; base_points, the nation's level in the reference period of the first link;
    scales [node, scale, composite_scale], in a later link the level of each node over its reference instead
    (`linking.linked_scales`).
    Out, sorted by node, place:
    period, place, node
    points            own level, scale * sum of (w_j / beta) x_j / mean_j; the scale in the reference
    composite_points  composite_scale * sum of w_j x_j / mean_j; adds up to the root over nodes, to the nation over
                      places
    share             position, sum of (w_j / beta) s_j; indicators whose national total is 0 leave it and the weights
                      of the others are scaled up
    imputed_share     the part of `share` that is imputed (1 when nothing but missing values make it)
    obs_status        strongest of M > B > E > P > A over the indicators under the node
    share_weight      weight of the indicators whose share is defined; below 1 flags a scaled-up `share`
    A leaf whose national total is undefined makes points and shares of the nodes above null with status M.
    Raises ValueError for several periods, an indicator without reference mean, or a place that lacks an indicator.
    """
    basket = axis(node_weights, "indicator")
    rows = shares.filter(pl.col("indicator").is_in(basket.implode()))
    period = _period(rows)
    places, nodes = axis(rows, "place"), axis(node_weights, "node")
    axes = (("place", places), ("indicator", basket))
    tree = (("indicator", basket), ("node", nodes))
    weights = np.nan_to_num(floats(node_weights, "weight", tree))
    root_weights = np.nan_to_num(floats(node_weights, "root_weight", tree))

    defined = rows.with_columns(
        # an undefined total undoes the indicator for every place, observed or not
        estimate=pl.when(pl.col("total").is_not_null()).then("estimate"),
        # a feed that is late as a whole is provisional, not imputed
        missing=(pl.col("value").is_null() & (pl.col("obs_status") != "P")).cast(pl.Float64),
        rank=pl.when(pl.col("total").is_null())
        .then(pl.lit("M"))
        .otherwise("obs_status")
        .replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Float64),
    )
    estimate, share, totals, is_missing, ranks = several(
        defined, ("estimate", "share", "total", "missing", "rank"), axes
    )
    if rows.height != is_missing.size or np.isnan(is_missing).any():
        _refuse_incomplete(rows, places, basket)
    relatives, missing, total = estimate / _means(reference_totals, basket), is_missing > 0.0, totals[0]
    own, composite = _scales(scales, nodes, base_points)
    place_share = position(share, np.where(missing, share, 0.0), missing, total, weights)
    status = _strongest(ranks, weights)
    return pl.DataFrame(
        {
            **node_by_place(nodes, places),
            "points": nullable((own * weighted(relatives, weights)).T),
            "composite_points": nullable((composite * weighted(relatives, root_weights)).T),
            "share": nullable(place_share.share.T),
            "imputed_share": nullable(place_share.imputed_share.T),
            "obs_status": pl.Series(STATUSES).gather(status.T.reshape(-1)),
            "share_weight": nullable(place_share.share_weight.T),
        }
    ).select(period, pl.all())


def node_by_place(nodes: pl.Series, places: pl.Series) -> dict[str, pl.Series]:
    """The columns place and node of node × place rows, in that order."""
    return {
        "place": places.gather(np.tile(np.arange(len(places)), len(nodes))),
        "node": nodes.gather(np.repeat(np.arange(len(nodes)), len(places))),
    }


def _scales(scales: pl.DataFrame | None, nodes: pl.Series, base_points: float) -> tuple[Floats, Floats]:
    if scales is None:
        both: Floats = np.full(len(nodes), base_points)
        return both, both
    on_nodes = (("node", nodes),)
    own, composite = floats(scales, "scale", on_nodes), floats(scales, "composite_scale", on_nodes)
    if np.isnan(own).any() or np.isnan(composite).any():
        lacking = nodes.filter(pl.Series(np.isnan(own) | np.isnan(composite))).to_list()
        raise ValueError(f"scales: none for {lacking}; expected one for every node of the tree")
    return own, composite


def _strongest(ranks: Floats, weights: Floats) -> Integers:
    strongest: Floats = np.zeros((ranks.shape[0], weights.shape[1]))
    for j in range(ranks.shape[1]):
        under = weights[j] != 0.0
        strongest[:, under] = np.maximum(strongest[:, under], ranks[:, j, None])
    return strongest.astype(np.int64)


def _period(rows: pl.DataFrame) -> pl.Expr:
    periods = axis(rows, "period")
    if len(periods) != 1:
        raise ValueError(f"shares of {len(periods)} periods {periods.to_list()[:3]}; expected the shares of one period")
    return pl.lit(periods[0], pl.Date).alias("period")


def _refuse_incomplete(rows: pl.DataFrame, places: pl.Series, basket: pl.Series) -> None:
    twice = rows.filter(pl.struct("place", "indicator").is_duplicated())
    if not twice.is_empty():
        raise ValueError(
            f"shares: one row per place and indicator expected; found twice {twice.sort('indicator', 'place').row(0)}"
        )
    grid = pl.DataFrame({"place": places}).join(pl.DataFrame({"indicator": basket}), how="cross")
    lacking = grid.join(rows, on=["place", "indicator"], how="anti").sort("indicator", "place")
    raise ValueError(
        f"shares: {lacking.height} of {grid.height} place x indicator rows are absent, first {lacking.row(0)}; "
        "expected a row for every place and every leaf of the tree, missing values included"
    )


def _means(reference_totals: pl.DataFrame, basket: pl.Series) -> Floats:
    means = floats(
        reference_totals.filter(pl.col("indicator").is_in(basket.implode())), "mean_total", (("indicator", basket),)
    )
    if not np.all(means > 0.0):
        lacking = basket.filter(pl.Series(~(means > 0.0))).to_list()
        raise ValueError(f"reference totals: no positive mean for {lacking}; expected one for every leaf of the tree")
    return means
