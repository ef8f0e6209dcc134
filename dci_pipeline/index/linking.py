"""What a link of a pipeline needs (METHOD section 3): scales that keep the level, both readings of its reference.

A scale is the level of a node over the reference period under the basket before, so that a link does not move L. One
tree at a time; which periods and baskets, and growth across a link, belong elsewhere.
"""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from dci_pipeline.index.dense import axis, floats
from dci_pipeline.index.points import points
from dci_pipeline.index.span import span_points

SCALES = {"node": pl.String(), "scale": pl.Float64(), "composite_scale": pl.Float64()}
LINKS = {
    "node": pl.String(),
    "place": pl.String(),
    "scale": pl.Float64(),
    "composite_scale": pl.Float64(),
    "points_before": pl.Float64(),
    "points_after": pl.Float64(),
    "composite_before": pl.Float64(),
    "composite_after": pl.Float64(),
}


@dataclass(frozen=True)
class Basket:
    """One tree in one link: `weight.node_weights`, reference means [indicator, mean_total], scales by node."""

    node_weights: pl.DataFrame
    reference_totals: pl.DataFrame
    scales: pl.DataFrame


def entry_scales(node_weights: pl.DataFrame, *, base_points: float) -> pl.DataFrame:
    """Scales of the first link: every node of the tree starts at `base_points`. [node, scale, composite_scale]."""
    nodes = axis(node_weights, "node")
    return pl.DataFrame({"node": nodes}).with_columns(
        scale=pl.lit(base_points, pl.Float64), composite_scale=pl.lit(base_points, pl.Float64)
    )


def linked_scales(
    totals: pl.DataFrame, *, before: Basket, node_weights: pl.DataFrame, root: str, base_points: float
) -> pl.DataFrame:
    """Scales of a later link, [node, scale, composite_scale] sorted by node.

    totals: rows of `normalise.totals` of the later link's reference periods, with every indicator of the basket before;
    node_weights: the later link's. A node keeps its level over these periods under the basket before; one that enters
    starts at base_points. The composite scale is the root's level.
    Raises ValueError when a national total of the reference is undefined.
    """
    levels = national_levels(totals, before)
    root_level = levels.get(root, base_points)
    nodes = axis(node_weights, "node").to_list()
    return pl.DataFrame(
        [(node, levels.get(node, base_points), root_level) for node in nodes], schema=SCALES, orient="row"
    )


def national_levels(totals: pl.DataFrame, basket: Basket) -> dict[str, float]:
    """Node -> the nation's own level over some periods, from national totals."""
    indicators, nodes = axis(basket.node_weights, "indicator"), axis(basket.node_weights, "node")
    periods = axis(totals, "period")
    inside = totals.filter(pl.col("indicator").is_in(indicators.implode()))
    volumes = floats(inside, "total", (("period", periods), ("indicator", indicators)))
    if np.isnan(volumes).any():
        raise ValueError(
            f"a link from {periods.to_list()[0]} to {periods.to_list()[-1]}: a national total of its reference is "
            "undefined; every indicator of the basket before is observed through the whole reference"
        )
    means = floats(basket.reference_totals, "mean_total", (("indicator", indicators),))
    weights = np.nan_to_num(floats(basket.node_weights, "weight", (("node", nodes), ("indicator", indicators))))
    scales = dict(basket.scales.select("node", "scale").iter_rows())
    found: dict[str, float] = {}
    for number, node in enumerate(nodes.to_list()):
        parts = [
            weights[number, j] * math.fsum(volumes[:, j]) / len(periods) / means[j] for j in range(len(indicators))
        ]
        found[node] = scales[node] * math.fsum(parts)
    return found


def link_levels(shares: pl.DataFrame, *, before: Basket | None, after: Basket | None) -> pl.DataFrame:
    """Mean points of every place and node over a link's reference, under the basket before and under its own.

    shares: `normalise.shares` of the reference periods, stacked, the places of the tree. `before` is None at the first
    link or when the tree enters, `after` when it leaves. Out: LINKS, sorted by node, place; null where a node is not in
    the basket. scale and composite_scale are the later basket's. For every place and node,
    lambda = points_after - points_before (METHOD section 3).
    """
    old = _read(shares, before).rename({"points": "points_before", "composite_points": "composite_before"})
    new = _read(shares, after).rename({"points": "points_after", "composite_points": "composite_after"})
    scales = pl.DataFrame(schema=SCALES) if after is None else after.scales
    return (
        new.join(old, on=["node", "place"], how="full", coalesce=True)
        .join(scales, on="node", how="left")
        .select(*(pl.col(name).cast(dtype) for name, dtype in LINKS.items()))
        .sort("node", "place")
    )


def _read(shares: pl.DataFrame, basket: Basket | None) -> pl.DataFrame:
    if basket is None:
        return pl.DataFrame(
            schema={"node": pl.String, "place": pl.String, "points": pl.Float64, "composite_points": pl.Float64}
        )
    frames = [
        points(rows, node_weights=basket.node_weights, reference_totals=basket.reference_totals, scales=basket.scales)
        for _, rows in shares.sort("period").group_by("period", maintain_order=True)
    ]
    return span_points(pl.concat(frames)).select("node", "place", "points", "composite_points")
