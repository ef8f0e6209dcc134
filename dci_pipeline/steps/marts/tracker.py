"""The published tables of the key indicators: by period, half-year and year."""

from __future__ import annotations

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.marts import volumes
from dci_pipeline.marts.promise import promised
from dci_pipeline.marts.tracker import Span, tracker
from dci_pipeline.periods import Period
from dci_pipeline.steps import spans
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.work import Outcome, Work

# A period is compared with the same one a year before, and begins or ends its half and its year.
_KEPT = 48


def of_period(work: Work, period: Period | None) -> Outcome:
    """The key indicators of one period."""
    assert period is not None
    cadence = work.framework.cadence
    key = pl.lit(period.start, dtype=pl.Date).alias(cadence)
    return _table(work, f"tracker_{cadence}", period, [(period, key)])


def of_half(work: Work, period: Period | None) -> Outcome:
    """The key indicators of a year's halves, those of which anything can be published."""
    assert period is not None
    halves = [(half, pl.lit(half.key).alias("half")) for half in period.parts("half")]
    return _table(work, "tracker_half", period, halves)


def of_year(work: Work, period: Period | None) -> Outcome:
    """The key indicators of one year."""
    assert period is not None
    key = pl.lit(period.start.year, dtype=pl.Int32).alias("year")
    return _table(work, "tracker_year", period, [(period, key)])


def _table(work: Work, name: str, period: Period, wanted: list[tuple[Period, pl.Expr]]) -> Outcome:
    framework = work.framework
    table = framework.table(name)
    found = [(spans.published_parts(work, span, _parts(work, span)), key) for span, key in wanted]
    there = [(span, key) for span, key in found if span.now]
    if not there:
        # Raises, and says what is lacking.
        spans.compared(work, period)
    inputs: dict[str, str] = {}
    for span, _ in there:
        periods = [*span.now, *span.before]
        own = spans.inputs(work, span.now, at=span.last) | versions_of(work, "normalise", "shares", periods)
        inputs |= {f"{span.span} {key}": version for key, version in own.items()}

    def compute() -> pl.DataFrame:
        return promised(pl.concat([_rows(work, span).with_columns(key) for span, key in there]), table)

    settings = content_hash(
        [[str(item) for item in framework.tracker], sorted(_public(work)), sorted(_kinds(work).items())]
    )
    return commit(work, ("marts", name), period, inputs, table.sha256 + settings, compute)


def _rows(work: Work, span: spans.Compared) -> pl.DataFrame:
    ends = [span.now[0], span.now[-1]]
    return tracker(
        _span(work, span.now, span.last),
        before=_span(work, span.before, span.last) if span.before else None,
        ends=(_span(work, ends[:1], span.last), _span(work, ends[1:], span.last)) if len(span.now) > 1 else None,
        points=spans.span_entities(work, span.now, at=span.last),
        tracked=work.framework.tracker,
        kinds=_kinds(work),
        public=_public(work),
        ranked=work.ranked,
        part=len(span.now) / span.last.per_year,
        whole=span.whole,
    )


def _span(work: Work, items: list[Period], at: Period) -> Span:
    key = (work.geography.members_hash(at), *versions_of(work, "normalise", "shares", items).items())
    days = sum((item.end - item.start).days for item in items)
    return work.once("amounts", key, lambda: Span(_amounts(work, items, at), days), most=_KEPT)


def _amounts(work: Work, items: list[Period], at: Period) -> pl.DataFrame:
    places = volumes.place_amounts(
        work.warehouse.read("normalise", "shares", items), kinds=_kinds(work), periods=len(items)
    )
    return volumes.entity_amounts(
        places, members=work.geography.members_at(at), types=work.types, nation=work.framework.nation["code"]
    )


def _parts(work: Work, span: Period) -> list[Period]:
    return [span] if span.cadence == work.framework.cadence else span.parts(work.framework.cadence)


def _kinds(work: Work) -> dict[str, str]:
    """Flow or stock, of every indicator the tracker reads."""
    used = {name for item in work.framework.tracker for name in (item.node, item.per) if name is not None}
    return {leaf.node: leaf.kind for leaf in work.framework.indicators if leaf.node in used}


def _public(work: Work) -> list[str]:
    """Indicators whose national total their feed's contract declares public."""
    feeds = work.framework.feeds
    return [leaf.node for leaf in work.framework.indicators if leaf.measure in feeds[str(leaf.feed)].public_totals]
