"""The table `effective_weights_year`: the weights a year's volumes give, and when to relink (METHOD section 2).

omega and concentration themselves are in `index.effective`; here they are put together by node and child.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from dci_pipeline.index import concentration, effective_weights
from dci_pipeline.marts.index_span import maturity

SCHEMA = {"node": pl.String, "child": pl.String, "omega": pl.Float64, "concentration": pl.Float64}


def span_totals(totals: pl.DataFrame) -> pl.DataFrame:
    """National totals over a span: [indicator, total] sorted; null where a period's total is undefined."""
    rows = totals.sort("indicator", "period").group_by("indicator", maintain_order=True).agg("total")
    sums = [None if None in found else math.fsum(found) for found in rows["total"].to_list()]
    return rows.select("indicator", total=pl.Series(sums, dtype=pl.Float64))


def effective_children(
    totals: pl.DataFrame,
    *,
    reference_means: pl.DataFrame,
    node_weights: pl.DataFrame,
    children: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """Effective weights of one tree, every child in its node.

    totals [indicator, total]: of a span inside one link; reference_means [indicator, mean_total] and `node_weights` of
    the link; children: node → its children in the basket. Out, sorted by node, child: [node, child, omega,
    concentration]: omega is the sum over the leaves under the child of their effective weights in the node, and adds
    to 1 over the children; concentration is 1 / Σω² over the leaves of the node, the same on each of its children.
    Both null when all totals of the node are 0, or one is undefined.
    """
    rows: list[tuple[str, str, float | None, float | None]] = []
    inner = {node: found for node, found in children.items() if node in set(node_weights["node"].to_list())}
    for node, found in inner.items():
        leaves = _leaves(totals, reference_means, node_weights, node)
        omega = dict(leaves.select("indicator", "omega").iter_rows())
        for child in found:
            under = node_weights.filter(pl.col("node") == child)["indicator"].sort().to_list()
            known = [omega[leaf] for leaf in under]
            rows.append((node, child, None if None in known else math.fsum(known), concentration(leaves)))
    return pl.DataFrame(rows, orient="row", schema=SCHEMA).sort("node", "child")


def effective_leaves(
    totals: pl.DataFrame, *, reference_means: pl.DataFrame, node_weights: pl.DataFrame, root: str
) -> pl.DataFrame:
    """Effective weights of the leaves in the root: [node, indicator, omega], as `index.effective_weights`."""
    return _leaves(totals, reference_means, node_weights, root)


def effective_weights_year(effective: pl.DataFrame, *, nation: pl.DataFrame, year: int, whole: bool) -> pl.DataFrame:
    """One year's partition.

    effective: `effective_children` of every tree; nation: the nation's rows [node, obs_status, imputed_share], of which
    a child takes its own. Out, sorted by node, child: node, child, year, omega, concentration, obs_status,
    conf_status, maturity, imputed_share.
    """
    return (
        effective.join(
            nation.select("node", "obs_status", "imputed_share"), left_on="child", right_on="node", how="inner"
        )
        .with_columns(year=pl.lit(year, dtype=pl.Int32), conf_status=pl.lit("F"), maturity=maturity(whole=whole))
        .sort("node", "child")
    )


def _leaves(totals: pl.DataFrame, reference_means: pl.DataFrame, node_weights: pl.DataFrame, node: str) -> pl.DataFrame:
    leaves = node_weights.filter(pl.col("node") == node).sort("indicator")
    there = totals.join(leaves, on="indicator", how="semi")
    if there["total"].null_count():
        return leaves.select("node", "indicator", omega=pl.lit(None, dtype=pl.Float64))
    return effective_weights(there, reference_means=reference_means, node_weights=node_weights, root=node)
