"""What validation committed of a feed × period, partner by partner: accepted sums, and the rows set aside."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from dci_pipeline.periods import Period
from dci_pipeline.work import Work

SHOWN_ROWS = 10


def slice_sums(work: Work, period: Period, feed: str, partners: list[str]) -> pl.DataFrame:
    """Accepted sums of a feed × period: [partner, place, indicator, value, volume, records]."""
    return _slices(work, period, f"{feed}_sums", partners)


def slice_members(work: Work, period: Period, feed: str, partners: list[str]) -> pl.DataFrame:
    """Accepted breakdown sums: [partner, place, indicator, column, member, value, records]."""
    return _slices(work, period, f"{feed}_members", partners)


def _slices(work: Work, period: Period, table: str, partners: list[str]) -> pl.DataFrame:
    return pl.concat(
        work.warehouse.read("validation", table, period, partner=partner).select(
            pl.lit(partner).alias("partner"), pl.all()
        )
        for partner in partners
    )


def rejected_rows(work: Work, period: Period, feed: str, partner: str) -> int:
    """Rows of a slice in quarantine, each counted once."""
    counts = work.warehouse.read("validation", f"{feed}_rule_counts", period, partner=partner)
    return int(counts.filter(pl.col("rule") == "any")["unexpected"].sum())


def first_offending(work: Work, period: Period, feed: str) -> list[Mapping[str, object]]:
    """The first ten rejected rows of a feed × period, with partner, file, row and the rules they break."""
    shown: list[Mapping[str, object]] = []
    for partner in work.warehouse.slices("validation", f"{feed}_quarantine", period):
        frame = work.warehouse.head(
            "validation", f"{feed}_quarantine", period, partner=partner, rows=SHOWN_ROWS - len(shown)
        )
        for row in frame.iter_rows(named=True):
            shown.append({"partner": partner, **{name: row[name] for name in row if name != "partner"}})
    return shown


def applied_corrections(work: Work, period: Period, feed: str, partners: list[str]) -> list[dict[str, object]]:
    """What the corrections of a feed × period did: partner, correction, action, rows, column, before, after."""
    found: list[dict[str, object]] = []
    for partner in partners:
        if partner in work.warehouse.slices("validation", f"{feed}_corrections", period):
            frame = work.warehouse.read("validation", f"{feed}_corrections", period, partner=partner)
            found += [{"partner": partner, **row} for row in frame.drop("number").iter_rows(named=True)]
    return found
