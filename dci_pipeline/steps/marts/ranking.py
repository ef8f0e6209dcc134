"""The published rankings by half-year and year, within the nation and within groups of places."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dci_pipeline.marts.promise import promised
from dci_pipeline.marts.ranking import ranking
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit
from dci_pipeline.steps.index import publishable
from dci_pipeline.steps.spans import Compared, compared, inputs, published_parts, span_entities
from dci_pipeline.work import Outcome, Work


def of_half(work: Work, period: Period | None) -> Outcome:
    """Rankings of the halves of a year, running or whole."""
    assert period is not None
    compared(work, period)
    halves = [(half, published_parts(work, half, half.parts(work.framework.cadence))) for half in period.parts("half")]
    return _of_spans(work, "ranking_half", period, [("half", half.key, found) for half, found in halves if found.now])


def of_year(work: Work, period: Period | None) -> Outcome:
    """Rankings of a year, running or whole."""
    assert period is not None
    return _of_spans(work, "ranking_year", period, [("year", period.start.year, compared(work, period))])


def _of_spans(work: Work, name: str, year: Period, spans: Sequence[tuple[str, str | int, Compared]]) -> Outcome:
    table = work.framework.table(name)
    scopes = work.framework.ranking_scopes
    older = {key: _before(work, found) for _, key, found in spans}
    stamp = {"scopes": ",".join(scopes)} | {
        f"{key} {what}": version
        for _, key, found in spans
        for what, version in inputs(work, [*found.now, *found.before, *older[key]], at=found.last).items()
    }

    def rows(column: str, key: str | int, found: Compared) -> pl.DataFrame:
        def of(items: list[Period]) -> pl.DataFrame | None:
            return span_entities(work, items, at=found.last) if items else None

        return ranking(
            span_entities(work, found.now, at=found.last),
            before=of(found.before),
            two_before=of(older[key]),
            span=pl.lit(key, dtype=pl.String if isinstance(key, str) else pl.Int32).alias(column),
            whole=found.whole,
            scopes=scopes,
            ranked=work.ranked,
            members=work.geography.members_at(found.last),
        )

    def compute() -> pl.DataFrame:
        return promised(pl.concat([rows(*span) for span in spans]), table)

    return commit(work, ("marts", name), year, stamp, table.sha256, compute)


def _before(work: Work, found: Compared) -> list[Period]:
    """The same periods two years before, when all of them can be published: last year's growth rests on them."""
    items = [item.year_before() for item in found.before]
    return items if publishable(work, items) == items else []
