"""The published table of rates and ratings by year, and what volume and quality did to their level."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.marts.intensive import Span, intensive_year, place_sums
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps import spans
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.work import Outcome, Work


def of_year(work: Work, period: Period | None) -> Outcome:
    """Rates of one year, set beside the same periods a year before."""
    assert period is not None
    framework = work.framework
    table = framework.table("intensive_year")
    year = spans.compared(work, period)
    periods = [*year.now, *year.before]
    inputs = spans.inputs(work, periods, at=year.last) | versions_of(work, "indicators", "values", periods)
    qualities = {leaf.node: leaf.quality for leaf in framework.leaves if leaf.quality is not None}

    def compute() -> pl.DataFrame:
        def of(items: list[Period]) -> Span:
            values = work.warehouse.read("indicators", "values", items)
            return Span(spans.span_entities(work, items, at=year.last), place_sums(values, leaves=qualities))

        frame = intensive_year(
            of(year.now),
            before=of(year.before) if year.before else None,
            qualities=qualities,
            members=work.geography.members_at(year.last),
            types=work.types,
            nation=framework.nation["code"],
            ranked=work.ranked,
            year=period.start.year,
            whole=year.whole,
        )
        return promised(frame, table)

    settings = content_hash([(leaf, str(quality)) for leaf, quality in sorted(qualities.items())])
    return commit(work, ("marts", table.table), period, inputs, table.sha256 + settings, compute)
