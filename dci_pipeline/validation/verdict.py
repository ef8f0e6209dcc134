"""Pass marks: rule counts of a delivery against its contract, and a feed's period against what was expected of it.

Percentages are of all rows of the delivery; a share equal to its threshold passes. `severity` error holds the period,
warning does not. Counts come from `scan`; nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dci_pipeline import periods
from dci_pipeline.contracts import FeedContract, Threshold
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period
from dci_pipeline.validation.sums import Leaf

_COVERAGE = {
    "check": pl.String,
    "subject": pl.String,
    "found": pl.Float64,
    "threshold": pl.Float64,
    "severity": pl.String,
    "passed": pl.Boolean,
    "missing": pl.String,
}


def verdict(counts: pl.DataFrame, contract: FeedContract) -> pl.DataFrame:
    """[rule, says, severity, threshold, rows, unexpected, percent, passed], one row per rule in contract order.

    `counts` is that of a scan; its row `any` has no threshold and is left out. Raises Finding when the rules differ
    from the contract's: counts of another version judge nothing.
    """
    counted = counts.filter(pl.col("rule") != "any")
    expected = [rule.id for rule in contract.rules]
    if counted["rule"].to_list() != expected:
        raise Finding(
            "counts of another version of the contract",
            where=f"feed {contract.feed}",
            found=", ".join(sorted(set(counted["rule"]) ^ set(expected))),
            expected=", ".join(expected),
            todo="scan the delivery again with this contract",
        )
    rules = pl.DataFrame(
        [(rule.id, rule.says, rule.severity, rule.threshold) for rule in contract.rules],
        schema={"rule": pl.String, "says": pl.String, "severity": pl.String, "threshold": pl.Float64},
        orient="row",
    )
    percent = pl.when(pl.col("rows") > 0).then(pl.col("unexpected") * 100 / pl.col("rows")).otherwise(0.0)
    return (
        rules.join(counted, on="rule", how="left", maintain_order="left")
        .with_columns(percent=percent)
        .with_columns(passed=pl.col("percent") <= pl.col("threshold"))
        .select("rule", "says", "severity", "threshold", "rows", "unexpected", "percent", "passed")
    )


def blocked(judged: pl.DataFrame) -> list[str]:
    """The rules, or checks with their subject, that failed with severity error."""
    failed = judged.filter(~pl.col("passed") & (pl.col("severity") == "error"))
    if "rule" in failed.columns:
        return failed["rule"].to_list()
    return [f"{check} {subject}".rstrip() for check, subject in failed.select("check", "subject").iter_rows()]


def coverage(
    sums_by_partner: pl.DataFrame,
    *,
    contract: FeedContract,
    leaves: Sequence[Leaf],
    places: pl.DataFrame,
    expected_types: Sequence[str],
    delivered: Sequence[str],
    period: Period,
) -> pl.DataFrame:
    """[check, subject, found, threshold, severity, passed, missing] of one feed in one period, all partners together.

    `completeness`: per cent of the contract's partners that have delivered. `coverage`, one row per indicator: per cent
    of the `places` [code, type] of an expected type for which any partner has an accepted value. `missing` names the
    first ten that are not there. An indicator whose measure is collected only since a later period has no row.
    """
    partners = list(contract.partners)
    rows = [_row("completeness", "", contract.completeness, partners, set(delivered))]
    expected = places.filter(pl.col("type").is_in(list(expected_types)))["code"].sort().to_list()
    for leaf in leaves:
        column = contract.by_name[leaf.measure or ""]
        if column.collected_since is not None:
            since = periods.parse(column.collected_since, period.cadence, where=f"{contract.where} {column.name}")
            if since.start > period.start:
                continue
        found = sums_by_partner.filter((pl.col("indicator") == leaf.node) & pl.col("value").is_not_null())["place"]
        rows.append(_row("coverage", leaf.node, contract.coverage, expected, set(found)))
    return pl.DataFrame(rows, schema=_COVERAGE, orient="row")


def _row(
    check: str, subject: str, limit: Threshold, expected: Sequence[str], found: set[str]
) -> tuple[str, str, float, float, str, bool, str]:
    missing = [item for item in expected if item not in found]
    percent = 100 * (len(expected) - len(missing)) / len(expected) if expected else 100.0
    named = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    return check, subject, percent, limit.percent, limit.severity, percent >= limit.percent, named
