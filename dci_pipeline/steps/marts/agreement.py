"""The warning that goes with the published weights: experts who do not agree (METHOD section 9)."""

from __future__ import annotations

import polars as pl

from dci_pipeline.work import CheckResult

LOWEST = 0.3


def kendall_check(weights: pl.DataFrame) -> CheckResult:
    """Warns of every node whose experts agree too little.

    weights: rows of the published weights [wave, node, kendall_w]; a node without W (incomplete scores, one expert, one
    child) is not judged.
    """
    low = weights.select("wave", "node", "kendall_w").unique().filter(pl.col("kendall_w") < LOWEST).sort("wave", "node")
    says = [f"{node} {w:.2f} ({wave})" for wave, node, w in low.iter_rows()]
    return CheckResult(
        "kendall",
        low.is_empty(),
        "warning",
        f"Kendall's W below {LOWEST}: " + ", ".join(says) if says else f"Kendall's W is {LOWEST} or more at every node",
        tuple(low.iter_rows(named=True)),
    )
