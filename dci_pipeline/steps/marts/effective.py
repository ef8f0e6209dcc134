"""The published table of effective weights by year, with the warning that asks for a new link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import polars as pl

from dci_pipeline.framework import Link
from dci_pipeline.index import drifted, reference_means
from dci_pipeline.marts.effective import effective_children, effective_leaves, effective_weights_year, span_totals
from dci_pipeline.marts.entities import NATION
from dci_pipeline.marts.promise import promised
from dci_pipeline.periods import Period
from dci_pipeline.steps import spans
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.weight import node_weights
from dci_pipeline.work import CheckResult, Outcome, Work

OLDEST_YEARS = 5


def of_year(work: Work, period: Period | None) -> Outcome:
    """Effective weights of one year, in the link of its last period; a check warns when it is time to relink."""
    assert period is not None
    framework = work.framework
    table = framework.table("effective_weights_year")
    year = spans.compared(work, period)
    link = framework.link_at(year.last)
    assert link is not None
    inside = [item for item in year.now if item.start >= link.start.start]
    inputs = spans.inputs(work, year.now, at=year.last) | versions_of(
        work, "normalise", "totals", sorted({*inside, *link.reference})
    )

    def compute() -> pl.DataFrame:
        entities = spans.span_entities(work, year.now, at=year.last)
        frame = effective_weights_year(
            pl.concat([_children(work, link, root, inside) for root in sorted(link.basket)]),
            nation=entities.filter(pl.col("entity_type") == NATION),
            year=period.start.year,
            whole=year.whole,
        )
        return promised(frame, table)

    outcome = commit(work, ("marts", table.table), period, inputs, table.sha256, compute)
    if work.dry:
        return outcome
    return replace(outcome, checks=(relink_check(work, link, inside),))


def relink_check(work: Work, link: Link, items: list[Period]) -> CheckResult:
    """METHOD section 2: an indicator past twice its weight, or a link past five years, asks for a new link."""
    rows: list[Mapping[str, object]] = []
    for root in sorted(link.basket):
        weights = node_weights(work, link, root)
        totals, means = _volumes(work, link, root, items)
        leaves = effective_leaves(totals, reference_means=means, node_weights=weights, root=root)
        rows += drifted(leaves, node_weights=weights).iter_rows(named=True)
    says = [f"{row['indicator']} weighs {row['omega']:.3f} for {row['weight']:.3f} in {row['node']}" for row in rows]
    due = link.start.shift(OLDEST_YEARS * link.start.per_year)
    if items[-1].start >= due.start:
        rows.append({"link": link.link, "start": str(link.start), "due": str(due)})
        says.append(f"link {link.link} has been in use since {link.start}, for more than {OLDEST_YEARS} years")
    return CheckResult(
        "effective_weights",
        not rows,
        "warning",
        "; ".join([*says, "relink"]) if says else "no indicator weighs more than twice its weight",
        tuple(rows),
    )


def _children(work: Work, link: Link, root: str, items: list[Period]) -> pl.DataFrame:
    totals, means = _volumes(work, link, root, items)
    return effective_children(
        totals,
        reference_means=means,
        node_weights=node_weights(work, link, root),
        children=work.framework.basket_children(link),
    )


def _volumes(work: Work, link: Link, root: str, items: list[Period]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Totals of a tree's indicators over some periods, and their means over the link's reference."""
    of_tree = pl.col("indicator").is_in(list(link.basket[root]))
    read = partial(work.warehouse.read, "normalise", "totals")
    return span_totals(read(items).filter(of_tree)), reference_means(read(link.reference).filter(of_tree))
