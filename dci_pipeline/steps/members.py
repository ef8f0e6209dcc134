"""Members of breakdowns in points of their node, by place and period, and over the reference of every later link."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.framework import Breakdown, Link
from dci_pipeline.index.members import CELL, member_levels
from dci_pipeline.index.members import members as member_points
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import commit, versions_of
from dci_pipeline.steps.links import basket, of_tree, ready_links
from dci_pipeline.steps.weight import structure_hash
from dci_pipeline.work import Outcome, Work

_KEY = ("index", "members")
_LINKS_KEY = ("index", "member_links")
_VALUES = {"period": pl.Date, "place": pl.String, "indicator": pl.String, "column": pl.String, "member": pl.String}


def members(work: Work, period: Period | None) -> Outcome:
    """Points of every place × member of the period, on the own level of the node that is broken down."""
    assert period is not None
    link = work.framework.link_at(period)
    if link is None or link not in ready_links(work):
        raise Held(
            "the reference period is not complete" if link is not None else "before the first link",
            where=f"{work.index} {period}",
            expected="the points of the period",
            todo="run the periods of the reference first",
        )
    inputs = _inputs(work, [period], [link])

    def compute() -> pl.DataFrame:
        shares, values = work.warehouse.read("normalise", "shares", period), _values(work, [period])
        frames = [
            member_points(of_tree(work, shares, root), values, parts=_parts(work, link, root), basket=tree)
            for root in sorted(link.basket)
            for tree in [basket(work, link, root)]
        ]
        dated = pl.concat(frames).with_columns(period=pl.lit(period.start, pl.Date))
        return dated.select("period", *CELL, "place", "points").sort(*CELL, "place")

    return commit(work, _KEY, period, inputs, _meaning(work), compute)


def links(work: Work, period: Period | None = None) -> Outcome:
    """Members over the reference of every link after the first, under the basket before and under its own."""
    ready = ready_links(work)
    outcomes = [_link(work, before, link) for before, link in pairwise(ready)]
    states = {outcome.state for outcome in outcomes}
    return Outcome(
        _LINKS_KEY,
        None,
        next((name for name in ("stale", "written", "same") if name in states), "unchanged"),
        sum(outcome.rows for outcome in outcomes),
        content_hash([outcome.data_version for outcome in outcomes]),
    )


def _link(work: Work, before: Link, link: Link) -> Outcome:
    inputs = _inputs(work, link.reference, [before, link])

    def compute() -> pl.DataFrame:
        shares, values = work.warehouse.read("normalise", "shares", link.reference), _values(work, link.reference)
        frames = [
            member_levels(
                of_tree(work, shares, root),
                values,
                parts=pl.concat([_parts(work, before, root), _parts(work, link, root)]).unique().sort(*CELL, "part"),
                before=basket(work, before, root) if root in before.basket else None,
                after=basket(work, link, root) if root in link.basket else None,
            )
            for root in sorted({*before.basket, *link.basket})
        ]
        return pl.concat(frames).select(pl.lit(link.link).alias("link"), pl.all()).sort(*CELL, "place")

    return commit(work, _LINKS_KEY, link.start, inputs, _meaning(work), compute)


def _inputs(work: Work, periods: Iterable[Period], passed: Iterable[Link]) -> dict[str, str]:
    items = list(periods)
    found = versions_of(work, "normalise", "shares", items)
    if _columns(work):
        found |= versions_of(work, "indicators", "members", items)
    for link in passed:
        found |= versions_of(work, "index", "links", [link.start])
        found |= versions_of(work, "normalise", "totals", link.reference)
    return found | {"weights": str(work.warehouse.data_version("weight", "alphas"))}


def _columns(work: Work) -> bool:
    return any(breakdown.column is not None for breakdown in work.framework.breakdowns)


def _values(work: Work, periods: Iterable[Period]) -> pl.DataFrame:
    if not _columns(work):
        return pl.DataFrame(schema={**_VALUES, "value": pl.Int64})
    return work.warehouse.read("indicators", "members", periods).select(*_VALUES, "value")


def _parts(work: Work, link: Link, root: str) -> pl.DataFrame:
    """[node, dimension, member, column, part, additive] of one tree: what every member gathers of the link's basket."""
    framework = work.framework
    rows = [
        (breakdown.node, breakdown.dimension, member.member, breakdown.column, part, _additive(work, breakdown))
        for breakdown in framework.breakdowns
        if framework.root_of(breakdown.node) == root
        for member in breakdown.members
        for part in (member.of if breakdown.column is not None else _leaves(work, link, root, member.of))
    ]
    schema = {**dict.fromkeys((*CELL, "column", "part"), pl.String()), "additive": pl.Boolean()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _leaves(work: Work, link: Link, root: str, nodes: Iterable[str]) -> list[str]:
    found = [leaf.node for node in nodes for leaf in work.framework.leaves_under(node)]
    return [leaf for leaf in found if leaf in link.basket.get(root, ())]


def _additive(work: Work, breakdown: Breakdown) -> bool:
    """Distinct persons do not add over the values of a column: their total comes as a value of its own."""
    leaves = work.framework.leaves_under(breakdown.node)
    return breakdown.column is None or not any(
        leaf.kind == "stock" and breakdown.column in leaf.where for leaf in leaves
    )


def _meaning(work: Work) -> str:
    """What the numbers mean beside their inputs: structure, members, types of place of each tree."""
    framework = work.framework
    return structure_hash(work) + content_hash(
        [
            [
                (item.node, item.dimension, item.column, [(member.member, member.of) for member in item.members])
                for item in framework.breakdowns
            ],
            [(leaf.node, leaf.kind, sorted(leaf.where)) for leaf in framework.leaves],
            [(root, framework.places_of(root)) for root in framework.roots],
        ]
    )
