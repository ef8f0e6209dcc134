"""An explanation of one published number, read from the warehouse: no more than the periods it rests on is opened."""

from __future__ import annotations

from datetime import date

import polars as pl

from dci_pipeline.findings import Finding
from dci_pipeline.framework import Node
from dci_pipeline.marts import NATION
from dci_pipeline.periods import Period
from dci_pipeline.steps.trail_deliveries import corrections_in, delivered
from dci_pipeline.steps.trail_parts import Parts
from dci_pipeline.steps.trail_span import Span, named_period, outdated, published_rows, published_span
from dci_pipeline.trail.cells import imputed
from dci_pipeline.trail.names import Named, Register, nearest_of, plain
from dci_pipeline.trail.statement import statement
from dci_pipeline.work import Work

FORMAT = 1


def explain(
    work: Work, place: str, node: str | None, period: str, *, kind: str | None = None, rows_of_place: bool = False
) -> dict[str, object]:
    """Everything there is to say of one published number, as `trail.statement` puts it.

    place: a name, alias or code; node: of a tree, the first root when not named; period: of the index's cadence, a half
    or a year; kind: an entity type, where a name is of several; rows_of_place: also how many rows of each delivery are
    the entity's own. Raises Finding for what is not known, with the nearest names, and Held for what is not published.
    """
    wanted = named_node(work, node)
    span = published_span(work, named_period(work, period))
    named = register(work).find(place, kind=kind)
    published, members = published_rows(work, span, named, wanted), _members(work, span, named, wanted)
    parts = Parts(work, span, wanted, members)
    now, base = parts.moments
    deliveries = delivered(work, span.now, span.base, parts.indicators, members if rows_of_place else None)
    about: dict[str, object] = {
        "format": FORMAT,
        "index": work.index,
        "entity": {
            "type": named.type,
            "code": named.code,
            "name_zh": named.name_zh,
            "name_en": named.name_en,
            "places": len(members),
        },
        "node": {
            "node": wanted.node,
            "name_zh": wanted.name_zh,
            "name_en": wanted.name_en,
            "root": work.framework.root_of(wanted.node),
        },
        "period": span.period.key,
        "base_period": span.period.year_before().key if span.base else None,
        "table": span.table,
        "periods_used": [item.key for item in span.now],
        "base_periods_used": [item.key for item in span.base],
    }
    return statement(
        about,
        published,
        nodes=parts.nodes(),
        stretches=parts.stretches,
        now=now,
        base=base,
        further={
            "imputed": _imputed(work, parts.rows.filter(pl.col("period").is_in([item.start for item in span.now]))),
            "deliveries": deliveries,
            "corrections": corrections_in(deliveries),
            "outdated": outdated(work, span),
        },
    )


def register(work: Work) -> Register:
    """The names of the index's places, groups and nation."""
    geography, nation = work.geography, work.framework.nation
    return Register(
        geography.places,
        geography.groups,
        geography.aliases,
        geography.excluded,
        Named(NATION, nation["code"], nation.get("name_zh", ""), nation.get("name_en", "")),
        [entity.type for entity in work.framework.place_types],
    )


def named_node(work: Work, name: str | None) -> Node:
    by_node = work.framework.by_node
    if name is None:
        # The tree with the most in it is what an index is about.
        return by_node[max(work.framework.roots, key=lambda root: len(work.framework.leaves_under(root)))]
    if name in by_node:
        return by_node[name]
    called = [(text, node) for node in by_node.values() for text in (node.node, node.name_zh, node.name_en) if text]
    same = {node.node: node for text, node in called if plain(text) == plain(name)}
    if len(same) == 1:
        return next(iter(same.values()))
    near = nearest_of(name, [text for text, _ in called])
    meant = list(same) or list(dict.fromkeys(node.node for item in near for text, node in called if text == item))
    raise Finding(
        "an ambiguous name" if same else "no such node",
        where="--node",
        found=name,
        expected=" or ".join(meant) or "one of " + ", ".join(by_node),
        todo="name a node of the index's trees",
    )


def _members(work: Work, span: Span, named: Named, node: Node) -> list[str]:
    """The places the entity is made of, sorted: itself, or the primary members of the group on the span's last day."""
    if named.type == NATION:
        return sorted(work.geography.codes)
    if named.type in work.framework.places_of(node):
        return [named.code]
    members = work.geography.members_at(span.at)
    inside = members.filter((pl.col("group_type") == named.type) & (pl.col("group") == named.code))
    return inside["place"].sort().to_list()


def _imputed(work: Work, rows: pl.DataFrame) -> list[dict[str, object]]:
    cadence = work.framework.cadence

    def key(day: date | None) -> str | None:
        return None if day is None else Period(day, cadence).key

    return [
        {
            "place": item.place,
            "indicator": item.indicator,
            "first": key(item.first),
            "last": key(item.last),
            "periods": item.periods,
            "observed": key(item.observed),
            "carried": item.carried,
            "share": item.share,
            "obs_status": item.status,
        }
        for item in imputed(rows)
    ]
