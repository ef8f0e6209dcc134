"""The published tables of the index: by period, January and February, half-year and year."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from dci_pipeline.findings import Held
from dci_pipeline.marts.index_span import index_period, index_span, index_year
from dci_pipeline.marts.promise import empty, promised
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.index import imputed_check, publishable
from dci_pipeline.steps.spans import Compared, compared, inputs, published_parts, span_entities
from dci_pipeline.work import Outcome, Work

_BEFORE = {"month": "growth_mom", "quarter": "growth_qoq"}


def of_period(work: Work, period: Period | None) -> Outcome:
    """The published table of one period: entities, ranks, growth. Held when too much of the nation is imputed."""
    assert period is not None
    framework = work.framework
    _hold_imputed(work, period)
    table, found = framework.table(work.period_table), compared(work, period)
    last = publishable(work, [period.shift(-1)])
    stamp = inputs(work, [*found.now, *found.before, *last], at=period)

    def compute() -> pl.DataFrame:
        frame = index_period(
            span_entities(work, found.now, at=period),
            before=_entities(work, last, period),
            year_before=_entities(work, found.before, period),
            period=period.start,
            period_column=framework.cadence,
            before_column=_BEFORE[framework.cadence],
            members=work.geography.members_at(period),
            types=work.types,
            nation=framework.nation["code"],
        )
        return promised(frame, table)

    return commit(work, ("marts", table.table), period, stamp, table.sha256, compute)


def of_janfeb(work: Work, period: Period | None) -> Outcome:
    """January and February of a year together, against the same two of the year before; no rows until both are there.

    A holiday that moves between the two makes each month alone a poor measure.
    """
    assert period is not None
    both = published_parts(work, period, period.parts(work.framework.cadence)[:2])
    spans = [("year", period.start.year, both)] if both.whole else []
    return _of_spans(work, "index_janfeb", period, spans)


def of_half(work: Work, period: Period | None) -> Outcome:
    """The halves of a year, running or whole, each against the same half of the year before over the same periods."""
    assert period is not None
    compared(work, period)
    halves = [(half, published_parts(work, half, half.parts(work.framework.cadence))) for half in period.parts("half")]
    return _of_spans(work, "index_half", period, [("half", half.key, found) for half, found in halves if found.now])


def of_year(work: Work, period: Period | None) -> Outcome:
    """The published table of one year, running or whole: mean level, position of the summed volumes, growth, CAGR."""
    assert period is not None
    table, found = work.framework.table("index_year"), compared(work, period)
    at = found.last
    two_before = _whole_year(work, period.shift(-2))
    first = next((year for year in _years_from_start(work, period) if _whole_year(work, year)), None)
    first_parts = _whole_year(work, first) if first is not None else []
    stamp = inputs(work, [*found.now, *found.before, *two_before, *first_parts], at=at)

    def compute() -> pl.DataFrame:
        base = _entities(work, first_parts, at) if found.whole else None
        frame = index_year(
            span_entities(work, found.now, at=at),
            year_before=_entities(work, found.before, at),
            first=(first.start.year, base) if first is not None and base is not None else None,
            two_before=_entities(work, two_before, at) if found.whole else None,
            year=period.start.year,
            covered=len(found.now),
            whole=found.whole,
            covered_column=_covered(work),
            members=work.geography.members_at(at),
            types=work.types,
            nation=work.framework.nation["code"],
        )
        return promised(frame, table)

    return commit(work, ("marts", table.table), period, stamp, table.sha256, compute)


def _of_spans(work: Work, name: str, year: Period, spans: Sequence[tuple[str, str | int, Compared]]) -> Outcome:
    """One year's partition of a table of shorter spans: (key column, key, periods) each."""
    table = work.framework.table(name)
    stamp = {
        f"{key} {what}": version
        for _, key, found in spans
        for what, version in inputs(work, [*found.now, *found.before], at=found.last).items()
    }

    def rows(column: str, key: str | int, found: Compared) -> pl.DataFrame:
        frame = index_span(
            span_entities(work, found.now, at=found.last),
            year_before=_entities(work, found.before, found.last),
            span=pl.lit(key, dtype=pl.String if isinstance(key, str) else pl.Int32).alias(column),
            covered=len(found.now),
            whole=found.whole,
            covered_column=_covered(work),
            members=work.geography.members_at(found.last),
            types=work.types,
            nation=work.framework.nation["code"],
        )
        return promised(frame, table)

    def compute() -> pl.DataFrame:
        if not spans:
            return empty(table)
        return promised(pl.concat([rows(*span) for span in spans]), table)

    return commit(work, ("marts", name), year, stamp, table.sha256, compute)


def _entities(work: Work, items: list[Period], at: Period) -> pl.DataFrame | None:
    return span_entities(work, items, at=at) if items else None


def _covered(work: Work) -> str:
    return f"{work.framework.cadence}s_covered"


def _hold_imputed(work: Work, period: Period) -> None:
    """Raises Held for a period that is not computed, or of which more is imputed than the index file allows."""
    versions_of(work, "index", "points", [period])
    link = work.framework.link_at(period)
    check = imputed_check(work, period, link) if link is not None else None
    if check is not None and not check.passed:
        raise Held(
            "too much of the nation is imputed to publish",
            where=f"{work.index} {period}",
            found=check.says,
            expected=f"at most {work.framework.nation_imputed_limit:.0%}",
            todo="ask the partners for the missing places, then run again",
        )


def _whole_year(work: Work, year: Period) -> list[Period]:
    parts = year.parts(work.framework.cadence)
    return parts if publishable(work, parts) == parts else []


def _years_from_start(work: Work, last: Period) -> Iterable[Period]:
    year = work.framework.links[0].start.year()
    while year.start < last.start:
        yield year
        year = year.shift(1)
