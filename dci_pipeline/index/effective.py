"""Effective weights away from the reference period, and their concentration (METHOD section 2).

omega_j = w_j (X_j / mean_j) / sum of the same over all leaves. A leaf that outgrows twice its weight asks for a new
link.
"""

import math

import polars as pl

LIMIT = 2.0


def effective_weights(
    totals: pl.DataFrame, *, reference_means: pl.DataFrame, node_weights: pl.DataFrame, root: str
) -> pl.DataFrame:
    """Effective weights of the leaves in one period.

    In: one period of `normalise.totals`; reference_means [indicator, mean_total]; `weight.node_weights`; any node as
    root. Out: [node, indicator, omega] sorted by indicator; omega null when every total is 0.
    Raises ValueError when a leaf has no defined total or no reference mean.
    """
    leaves = node_weights.filter(pl.col("node") == root).sort("indicator")
    rows = leaves.join(totals, on="indicator", how="left", maintain_order="left").join(
        reference_means, on="indicator", how="left", maintain_order="left"
    )
    lacking = rows.filter(pl.col("total").is_null() | pl.col("mean_total").is_null()).get_column("indicator").to_list()
    if rows.is_empty() or rows.height != leaves.height or lacking:
        raise ValueError(
            f"effective weights of {root!r}: found {rows.height} rows for {leaves.height} leaves, without total or "
            f"reference mean {lacking}; expected one period with both for every leaf"
        )
    rows = rows.with_columns(moved=pl.col("weight") * (pl.col("total") / pl.col("mean_total")))
    whole = math.fsum(rows.get_column("moved"))
    omega = pl.col("moved") / whole if whole > 0 else pl.lit(None, pl.Float64)
    return rows.select("node", "indicator", omega=omega).sort("indicator")


def concentration(effective: pl.DataFrame) -> float | None:
    """1 / sum of omega^2, the number of equally weighted leaves with the same concentration; None when undefined."""
    squares = math.fsum(effective.select(pl.col("omega") ** 2).get_column("omega").drop_nulls())
    return 1.0 / squares if squares > 0 else None


def drifted(effective: pl.DataFrame, *, node_weights: pl.DataFrame, limit: float = LIMIT) -> pl.DataFrame:
    """The leaves whose effective weight has passed `limit` times their weight: [node, indicator, omega, weight]."""
    weights = node_weights.select("node", "indicator", "weight")
    return (
        effective.join(weights, on=["node", "indicator"], how="left", maintain_order="left")
        .filter(pl.col("omega") > limit * pl.col("weight"))
        .sort("node", "indicator")
    )
