"""Shares of the national total, and the totals."""

from __future__ import annotations

import polars as pl

from dci_pipeline.normalise.shares import shares as normalised
from dci_pipeline.normalise.totals import totals as national_totals
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, last_existing, versions_of
from dci_pipeline.work import Outcome, Work


def shares(work: Work, period: Period | None) -> Outcome:
    """Each place's share of the national total by indicator; what is missing carries the share last observed."""
    assert period is not None
    before = last_existing(work, "normalise", "shares", period)
    inputs = versions_of(work, "indicators", "values", [period])
    if before is not None:
        inputs |= versions_of(work, "normalise", "shares", [before])

    def compute() -> pl.DataFrame:
        previous = work.warehouse.read("normalise", "shares", before) if before is not None else None
        return normalised(
            work.warehouse.read("indicators", "values", period).drop("period"),
            period=period.start,
            previous=previous,
            carry_periods=work.framework.carry_periods,
        )

    return commit(work, ("normalise", "shares"), period, inputs, str(work.framework.carry_periods), compute)


def totals(work: Work, period: Period | None) -> Outcome:
    """National total and imputed share of every indicator."""
    assert period is not None
    return commit(
        work,
        ("normalise", "totals"),
        period,
        versions_of(work, "normalise", "shares", [period]),
        "",
        lambda: national_totals(work.warehouse.read("normalise", "shares", period)),
    )
