"""The published contributions to the change of the index on the year before, by period and by year."""

from __future__ import annotations

from datetime import date

import polars as pl

from dci_pipeline.marts.contribution import contribution, standing
from dci_pipeline.marts.promise import empty, promised
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit
from dci_pipeline.steps.spans import Compared, by_link, compared, inputs, passed_links, span_entities
from dci_pipeline.work import Outcome, Work


def of_period(work: Work, period: Period | None) -> Outcome:
    """Contributions of one period to the change on the same one a year before; no rows where that is not there."""
    assert period is not None
    name = f"contribution_{work.framework.cadence}"
    return _of_span(work, name, period, work.framework.cadence, period.start, period.year_before().start)


def of_year(work: Work, period: Period | None) -> Outcome:
    """Contributions of a year, running or whole, to the change on the same periods of the year before."""
    assert period is not None
    return _of_span(work, "contribution_year", period, "year", period.start.year, period.start.year - 1)


def _of_span(work: Work, name: str, period: Period, column: str, key: date | int, base: date | int) -> Outcome:
    table, found = work.framework.table(name), compared(work, period)
    dtype = pl.Int32 if isinstance(key, int) else pl.Date

    def compute() -> pl.DataFrame:
        if not found.before:
            return empty(table)
        frame = contribution(
            _standing(work, found, found.now),
            _standing(work, found, found.before),
            roots={node: work.framework.root_of(node) for node in work.framework.by_node},
            nation=work.framework.nation["code"],
            whole=found.whole,
        )
        return promised(
            frame.with_columns(pl.lit(key, dtype=dtype).alias(column), pl.lit(base, dtype=dtype).alias("base_period")),
            table,
        )

    stamp = inputs(work, [*found.now, *found.before], at=found.last)
    return commit(work, ("marts", name), period, stamp, table.sha256, compute)


def _standing(work: Work, found: Compared, items: list[Period]) -> pl.DataFrame:
    at = found.last
    span = span_entities(work, items, at=at)
    parts = [
        (len(part), span if part == items else span_entities(work, part, at=at), passed_links(work, part[0], at=at))
        for part in by_link(work, items)
    ]
    return standing(span, parts)
