"""The frames of one tree in one link: its weights, its reference means and the scales committed with the link."""

from __future__ import annotations

import polars as pl

from dci_pipeline.framework import Link
from dci_pipeline.normalise.reference import reference_means
from dci_pipeline.steps.weight import node_weights
from dci_pipeline.work import Work


def basket_frames(work: Work, link: Link, root: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`weight.node_weights`, [indicator, mean_total], and [node, scale, composite_scale].

    Raises ValueError where a national total of the reference is not there.
    """
    weights = node_weights(work, link, root)
    scales = (
        work.warehouse.read("index", "links", link.start)
        .filter(pl.col("node").is_in(weights["node"].unique().implode()) & pl.col("scale").is_not_null())
        .select("node", "scale", "composite_scale")
        .unique(maintain_order=True)
    )
    return weights, means_of(link, root, work.warehouse.read("normalise", "totals", link.reference)), scales


def means_of(link: Link, root: str, totals: pl.DataFrame) -> pl.DataFrame:
    """Reference means [indicator, mean_total] of one tree's basket, from the national totals of the reference."""
    return reference_means(totals.filter(pl.col("indicator").is_in(list(link.basket[root]))))
