"""The growths of a number beside that on the year before: on the period before, and compound over several years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dci_pipeline.framework import Node
from dci_pipeline.periods import Period
from dci_pipeline.steps.trail_parts import Parts
from dci_pipeline.steps.trail_span import Span, entity_row, made_alike, published_span, read_periods, same_members
from dci_pipeline.trail.grown import Grown
from dci_pipeline.trail.levels import level
from dci_pipeline.trail.lines import Row, as_float
from dci_pipeline.trail.names import Named
from dci_pipeline.work import Work


def growths(
    work: Work, span: Span, named: Named, node: Node, members: Sequence[str], row: Mapping[str, object]
) -> list[Grown]:
    """Every growth that the row of the published table has, each with the levels it is of; `row`: the number's own."""
    found: list[Grown] = []
    for measure, against, years in _measured(work, span):
        if measure not in row:
            continue
        now, then = (None, None)
        if against is not None and row.get("points") is not None:
            now, then = _levels(work, span, against, named, node, members, row)
        found.append(Grown(measure, as_float(row, measure), against.key if against else None, years, now, then))
    return found


def _measured(work: Work, span: Span) -> list[tuple[str, Period | None, int]]:
    """Column, the span it compares with (None: it has none), and over how many years it compounds."""
    if span.period.cadence == work.framework.cadence:
        before = span.period.shift(-1)
        there = before in read_periods(work, span)
        return [(name, before if there else None, 1) for name in ("growth_mom", "growth_qoq")]
    if span.period.cadence != "year":
        return []
    read = read_periods(work, span)
    whole = [
        year
        for year in sorted({item.year() for item in read})
        if year < span.period and read.issuperset(year.parts(work.framework.cadence))
    ]
    if len(span.now) < len(span.period.parts(work.framework.cadence)):
        whole = []
    first, two = (whole[0] if whole else None), span.period.shift(-2)
    since = span.period.start.year - first.start.year if first else 1
    return [("cagr", first, since), ("cagr_2y", two if two in whole else None, 2)]


def _levels(
    work: Work, span: Span, against: Period, named: Named, node: Node, members: Sequence[str], row: Row
) -> tuple[float | None, float | None]:
    """The span's level and the other one's, chained over links that lie between them; inside one they are points."""
    cadence = work.framework.cadence
    items = [against] if against.cadence == cadence else against.parts(cadence)
    links = {link.link for item in (items[0], span.at) if (link := work.framework.link_at(item)) is not None}
    if len(links) == 1 and work.warehouse.existing("marts", span.table, [against]):
        before = published_span(work, against)
        alike = before.now == items and made_alike(work, before, span, items)
        if alike and same_members(work, before, span, named, node):
            then = entity_row(work, before, named, node)
            return as_float(row, "points"), as_float(then, "points")
    parts = Parts(work, replace(span, base=items), node, members)
    now, base = (level(moments, parts.stretches) for moments in parts.moments)
    if now.chain_breaks is None or now.chain_breaks != base.chain_breaks:
        return now.chained_points, None
    return now.chained_points, base.chained_points
