"""The published table of the uncertainty that the experts' weights bring, by year."""

from __future__ import annotations

from itertools import groupby

import polars as pl

from dci_pipeline.framework import Link
from dci_pipeline.marts.promise import promised
from dci_pipeline.marts.uncertainty import Part, points_errors, uncertainty_year
from dci_pipeline.periods import Period
from dci_pipeline.steps import spans
from dci_pipeline.steps.commits import commit
from dci_pipeline.steps.weight import node_weights, wave_scores
from dci_pipeline.weight.scores import questions
from dci_pipeline.work import Outcome, Work


def of_year(work: Work, period: Period | None) -> Outcome:
    """Standard errors of one year's points, link by link."""
    assert period is not None
    table = work.framework.table("uncertainty_year")
    year = spans.compared(work, period)
    used = sorted({wave for item in year.now for wave in _link(work, item).wave.values()})
    inputs = spans.inputs(work, year.now, at=year.last) | {
        f"wave {wave}": work.framework.waves[wave].sha256 for wave in used
    }

    def compute() -> pl.DataFrame:
        parts: dict[str, list[Part]] = {}
        for _, group in groupby(year.now, key=lambda item: _link(work, item).start):
            items = list(group)
            link = _link(work, items[0])
            for root in sorted(link.basket):
                parts.setdefault(root, []).append(_part(work, link, root, items, year.last))
        frame = uncertainty_year(
            pl.concat([points_errors(found) for _, found in sorted(parts.items())]),
            entities=spans.span_entities(work, year.now, at=year.last),
            year=period.start.year,
            whole=year.whole,
        )
        return promised(frame, table)

    return commit(work, ("marts", table.table), period, inputs, table.sha256, compute)


def _part(work: Work, link: Link, root: str, items: list[Period], at: Period) -> Part:
    weights = node_weights(work, link, root)
    children = {
        node: found
        for node, found in work.framework.basket_children(link).items()
        if work.framework.root_of(node) == root
    }
    asked = questions(wave_scores(work, link.wave[root]), children=children)
    return Part(
        periods=len(items),
        wave=link.wave[root],
        entities=spans.span_entities(work, items, at=at),
        beta=dict(weights.select("node", "beta").unique().iter_rows()),
        questions={question.node: question for question in asked},
    )


def _link(work: Work, item: Period) -> Link:
    link = work.framework.link_at(item)
    assert link is not None
    return link
