"""The table of delivery quality by feed × period × partner: rows, rejections by rule, places, checks, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl


@dataclass(frozen=True)
class SliceQuality:
    """What is known of one partner's delivery; frames are None while nothing has arrived."""

    feed: str
    partner: str
    verdict: pl.DataFrame | None
    sums: pl.DataFrame | None
    rejected: int
    delivery_sha256: str | None
    contract_version: str
    corrections: pl.DataFrame | None = None


def quality(
    slices: Sequence[SliceQuality],
    *,
    period: date,
    period_column: str,
    expected: Mapping[str, Sequence[str]],
    imputed: Mapping[str, float],
) -> pl.DataFrame:
    """One partition of the table, sorted by feed, partner.

    verdict: [rule, rows, unexpected, passed, …]; rejected: rows in quarantine, each counted once; sums [place, …];
    corrections [correction, rows, …]; expected: feed → codes of the places it should cover; imputed: feed → largest
    imputed share of its indicators, a fraction.
    """
    rows: list[dict[str, object]] = []
    for part in slices:
        present, wanted = 0, list(expected[part.feed])
        if part.sums is not None:
            present = part.sums.filter(pl.col("place").is_in(wanted))["place"].n_unique()
        rows.append(
            {
                "feed": part.feed,
                period_column: period,
                "partner": part.partner,
                **_counts(part.verdict, part.rejected),
                "places_expected": len(wanted),
                "places_present": present,
                "coverage": 100.0 * present / len(wanted) if wanted else None,
                "imputed_share": imputed.get(part.feed),
                "delivery_sha256": part.delivery_sha256,
                "contract_version": part.contract_version,
                "corrections": _applied(part.corrections),
            }
        )
    schema = {
        "feed": pl.String,
        period_column: pl.Date,
        "partner": pl.String,
        "rows": pl.Int64,
        "rejected_rows": pl.Int64,
        "rejected_by_rule": pl.String,
        "checks_passed": pl.Int64,
        "checks_failed": pl.Int64,
        "places_expected": pl.Int64,
        "places_present": pl.Int64,
        "coverage": pl.Float64,
        "imputed_share": pl.Float64,
        "delivery_sha256": pl.String,
        "contract_version": pl.String,
        "corrections": pl.String,
    }
    return pl.DataFrame(rows, schema=schema).sort("feed", "partner")


def _applied(corrections: pl.DataFrame | None) -> str:
    """Correction → rows it named, in the order in which they were applied."""
    rows = {} if corrections is None else dict(corrections.select("correction", "rows").iter_rows())
    return json.dumps(rows, ensure_ascii=False)


def _counts(verdict: pl.DataFrame | None, rejected: int) -> dict[str, object]:
    if verdict is None or verdict.is_empty():
        return {"rows": 0, "rejected_rows": 0, "rejected_by_rule": "{}", "checks_passed": 0, "checks_failed": 0}
    broken = {
        str(rule): int(count)
        for rule, count in verdict.filter(pl.col("unexpected") > 0).select("rule", "unexpected").iter_rows()
    }
    return {
        "rows": int(verdict["rows"][0]),
        "rejected_rows": rejected,
        "rejected_by_rule": json.dumps(broken, ensure_ascii=False, sort_keys=True),
        "checks_passed": int(verdict["passed"].sum()),
        "checks_failed": int((~verdict["passed"]).sum()),
    }
