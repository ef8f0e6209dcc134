"""The published table of inequality: divide, concentration and convergence in every scope, by year."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.marts.inequality import inequality_year
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps import spans
from dci_pipeline.steps.commits import commit
from dci_pipeline.work import Outcome, Work


def of_year(work: Work, period: Period | None) -> Outcome:
    """Inequality of one year; beta needs a whole year and an earlier one to start from."""
    assert period is not None
    framework = work.framework
    table, divide = framework.table("inequality_year"), framework.divide
    year = spans.compared(work, period)
    first = _first_whole(work, period) if year.whole else None
    started = first.now if first is not None else []
    inputs = spans.inputs(work, [*year.now, *started], at=year.last)

    def compute() -> pl.DataFrame:
        now = spans.span_entities(work, year.now, at=year.last)
        since = (
            (period.start.year - first.span.start.year, spans.span_entities(work, started, at=year.last))
            if first is not None
            else None
        )
        frame = inequality_year(
            now,
            first=since,
            members=work.geography.members_at(year.last),
            types=work.types,
            nation=framework.nation["code"],
            year=period.start.year,
            whole=year.whole,
            divide=divide.measure,
            theil_groups=divide.theil_groups,
        )
        return promised(frame, table)

    settings = content_hash([divide.measure, divide.theil_groups])
    return commit(work, ("marts", table.table), period, inputs, table.sha256 + settings, compute)


def _first_whole(work: Work, before: Period) -> spans.Compared | None:
    """The first year before this one of which every period can be published."""
    year = work.framework.links[0].start.year()
    while year.start < before.start:
        found = spans.published_parts(work, year, year.parts(work.framework.cadence))
        if found.whole:
            return found
        year = year.shift(1)
    return None
