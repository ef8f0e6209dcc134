"""What an explanation of one published number needs, read from the warehouse: no more than the periods it rests on.

Which periods those are stands in the stamp of the published partition, so that what is explained is what was published.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from dci_pipeline import periods as periods_of
from dci_pipeline.findings import Finding, Held
from dci_pipeline.framework import Link, Node
from dci_pipeline.marts.entities import NATION
from dci_pipeline.periods import Period
from dci_pipeline.steps.links import basket as basket_of
from dci_pipeline.steps.spans import span_entities
from dci_pipeline.steps.trail_deliveries import corrections_in, delivered
from dci_pipeline.trail.cells import cells, imputed, reference_relatives
from dci_pipeline.trail.facts import Basket, Leaf, Moment, Stretch
from dci_pipeline.trail.names import Named, Register, nearest_of
from dci_pipeline.trail.statement import NodeOf, Published, statement
from dci_pipeline.work import Work

FORMAT = 1
_POINTS = re.compile(r"^(?:(?P<key>\S+) )?index/points (?P<period>\S+)$")
_CADENCES = ("year", "half")


@dataclass(frozen=True)
class Span:
    """What was published: the table and its partition, the periods of the span, and those it is compared with."""

    period: Period
    table: str
    partition: Period
    now: list[Period]
    base: list[Period]

    @property
    def column(self) -> str:
        return self.period.cadence

    @property
    def key(self) -> object:
        """The span as its column in the table has it."""
        if self.period.cadence == "year":
            return self.period.start.year
        return self.period.key if self.period.cadence == "half" else self.period.start

    @property
    def at(self) -> Period:
        """The period whose places and memberships hold."""
        return self.now[-1]


def explain(
    work: Work, place: str, node: str | None, period: str, *, kind: str | None = None, rows_of_place: bool = False
) -> dict[str, object]:
    """Everything there is to say of one published number, as `trail.statement` puts it.

    place: a name, alias or code; node: of a tree, the first root when not named; period: of the index's cadence, a half
    or a year; kind: an entity type, where a name is of several; rows_of_place: also how many rows of each delivery are
    the entity's own. Raises Finding for what is not known, with the nearest names, and Held for what is not published.
    """
    wanted = _node(work, node)
    span = published_span(work, named_period(work, period))
    named = register(work).find(place, kind=kind)
    published, members = _published(work, span, named, wanted)
    nodes = _below(work, wanted, span)
    stretches = _stretches(work, span, wanted, members)
    rows, now, base = _moments(work, span, wanted, members)
    used = sorted({name for moment in (*now, *base) for name in moment.cells})
    deliveries = delivered(work, span.now, span.base, used, members if rows_of_place else None)
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
        nodes=nodes,
        stretches=stretches,
        now=now,
        base=base,
        further={
            "imputed": _imputed(work, rows),
            "deliveries": deliveries,
            "corrections": corrections_in(deliveries),
            "outdated": _outdated(work, span),
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


def named_period(work: Work, text: str) -> Period:
    """A period of the index's cadence, a half or a year. Raises Finding for anything else."""
    cadence = work.framework.cadence
    for name in (*_CADENCES, cadence):
        try:
            found = periods_of.parse(text, name, where="--period")
        except Finding as finding:
            if name != cadence:
                continue
            raise Finding(
                "not a period",
                where="--period",
                found=repr(text),
                expected=f"{finding.expected}, a half such as 2019H1, or a year such as 2019",
                todo="write the period in one of these forms",
            ) from None
        # A month's form also names the half or year it opens; only what is written as one is meant as one.
        if name == cadence or found.key == text.strip().replace("-", ""):
            return found
    raise AssertionError(text)


def published_span(work: Work, period: Period) -> Span:
    """The published span, its periods read from the stamp of its partition. Raises Held when it is not published."""
    table = f"index_{period.cadence}"
    if table not in work.framework.tables:
        raise Finding(
            "no table of such periods",
            where="--period",
            found=period.key,
            expected=" or ".join(sorted(name for name in work.framework.tables if name.startswith("index_"))),
        )
    partition = period if period.cadence == work.framework.cadence else period.year()
    said = work.warehouse.inputs("marts", table, partition)
    found: set[Period] = set()
    for name in said:
        match = _POINTS.match(name)
        if match is not None and match["key"] in (None, period.key):
            found.add(periods_of.parse(match["period"], work.framework.cadence))
    parts = [period] if period.cadence == work.framework.cadence else period.parts(work.framework.cadence)
    now = [item for item in parts if item in found]
    if not now or not work.warehouse.existing("marts", table, [partition]):
        raise Held(
            "not published",
            where=f"{work.index} {table}",
            found=f"nothing for {period}",
            expected=_published_range(work, table),
            todo=f"name one of these, or dci run --index {work.index}",
        )
    before = [item.year_before() for item in now]
    return Span(period, table, partition, now, before if found.issuperset(before) else [])


def _published_range(work: Work, table: str) -> str:
    folders = [path.parent for path in work.warehouse.partitions("marts", table)]
    there = sorted("-".join(part.partition("=")[2] for part in folder.parts if "=" in part) for folder in folders)
    return f"a period of {there[0]} to {there[-1]}" if there else "a published period; there is none yet"


def _node(work: Work, name: str | None) -> Node:
    by_node = work.framework.by_node
    if name is None:
        # The tree with the most in it is what an index is about.
        return by_node[max(work.framework.roots, key=lambda root: len(work.framework.leaves_under(root)))]
    if name in by_node:
        return by_node[name]
    same = [node for node in by_node.values() if name in (node.name_zh, node.name_en)]
    if len(same) == 1:
        return same[0]
    names = [text for node in by_node.values() for text in (node.node, node.name_zh, node.name_en) if text]
    raise Finding(
        "no such node" if not same else "an ambiguous name",
        where="--node",
        found=name,
        expected=" or ".join(node.node for node in same)
        or ", ".join(nearest_of(name, names))
        or "one of " + ", ".join(by_node),
        todo="name a node of the index's trees",
    )


def _published(work: Work, span: Span, named: Named, node: Node) -> tuple[Published, list[str]]:
    """Published rows of the entity and of those beside it; the places it is made of."""
    root = work.framework.root_of(node.node)
    table = work.warehouse.read("marts", span.table, span.partition).filter(pl.col(span.column) == span.key)
    own = table.filter((pl.col("entity_type") == named.type) & (pl.col("entity_code") == named.code))
    below = {str(row["node"]): row for row in own.iter_rows(named=True)}
    if node.node not in below:
        raise Finding(
            "nothing is published of this place at this node",
            where=f"{work.index} {span.table} {span.period}",
            found=f"{named} at {node.node}",
            expected="one of " + ", ".join(below) if below else "a place that is in the index in that period",
            todo="name another node, place or period",
        )
    # With every root, for a span of which a part knows this tree not yet.
    base = _entities(work, span, {node.node, *work.framework.roots})
    members = _members(work, span, named)
    frame = table.filter((pl.col("entity_type") == named.type) & (pl.col("node") == node.node))
    published = Published(
        row=below[node.node],
        base=_row(base, named.type, named.code, node.node),
        below=below,
        contributions=_contributions(work, span, named),
        nation=_row(table, NATION, work.framework.nation["code"], node.node) or {},
        nation_base=_row(base, NATION, work.framework.nation["code"], node.node),
        root=_row(table, NATION, work.framework.nation["code"], root) or {},
        root_base=_row(base, NATION, work.framework.nation["code"], root),
        values=_values(frame),
        base_values=_values(
            base.filter((pl.col("entity_type") == named.type) & (pl.col("node") == node.node))
            if base is not None
            else None
        ),
    )
    return published, members


def _entities(work: Work, span: Span, nodes: Collection[str]) -> pl.DataFrame | None:
    return span_entities(work, span.base, at=span.at, nodes=nodes) if span.base else None


def _row(frame: pl.DataFrame | None, kind: str, code: str, node: str) -> dict[str, object] | None:
    if frame is None:
        return None
    found = frame.filter((pl.col("entity_type") == kind) & (pl.col("entity_code") == code) & (pl.col("node") == node))
    return None if found.is_empty() else found.row(0, named=True)


def _values(frame: pl.DataFrame | None) -> dict[str, float | None]:
    return {} if frame is None else dict(frame.select("entity_code", "points").iter_rows())


def _members(work: Work, span: Span, named: Named) -> list[str]:
    """The places the entity is made of, sorted: itself, or the primary members of the group on the span's last day."""
    if named.type == NATION:
        return sorted(work.geography.codes)
    if named.type in {entity.type for entity in work.framework.place_types}:
        return [named.code]
    members = work.geography.members_at(span.at)
    inside = members.filter((pl.col("group_type") == named.type) & (pl.col("group") == named.code))
    return inside["place"].sort().to_list()


def _contributions(work: Work, span: Span, named: Named) -> dict[str, dict[str, object]] | None:
    """Rows of the contribution table by node; None where there is no such table, or it is of other periods."""
    table = f"contribution_{span.period.cadence}"
    there = table in work.framework.tables and work.warehouse.existing("marts", table, [span.period])
    if not there or not span.base:
        return None
    wanted = {f"index/points {item}" for item in (*span.now, *span.base)}
    if not wanted <= set(work.warehouse.inputs("marts", table, span.period)):
        return None
    rows = work.warehouse.read("marts", table, span.period).filter(
        (pl.col("entity_type") == named.type) & (pl.col("entity_code") == named.code)
    )
    return {str(row["node"]): row for row in rows.iter_rows(named=True)}


def _links(work: Work, span: Span) -> list[Link]:
    """The links from the first that either span touches to the last, in order."""
    first, last = min((*span.now, *span.base)), span.at
    first_link, last_link = work.framework.link_at(first), work.framework.link_at(last)
    assert first_link is not None and last_link is not None
    return [link for link in work.framework.chain(last_link) if link.start.start >= first_link.start.start]


def _stretches(work: Work, span: Span, node: Node, members: Sequence[str]) -> list[Stretch]:
    root = work.framework.root_of(node.node)
    found: list[Stretch] = []
    old_scales: dict[str, float] = {}
    for number, link in enumerate(_links(work, span)):
        basket, scales = _basket(work, link, root, node)
        committed = work.warehouse.read("index", "links", link.start)
        crossed = number > 0
        found.append(
            Stretch(
                link.link,
                (link.reference[0].key, link.reference[-1].key),
                basket,
                reference_relatives(committed, places=members, column="points_before", scales=old_scales)
                if crossed
                else {},
                reference_relatives(committed, places=members, column="points_after", scales=scales) if crossed else {},
            )
        )
        old_scales = scales
    return found


def _basket(work: Work, link: Link, root: str, node: Node) -> tuple[Basket | None, dict[str, float]]:
    """The node's basket in one link, and the scale of each of its indicators; nothing where the node is outside."""
    if root not in link.basket:
        return None, {}
    tree = basket_of(work, link, root)
    rows = tree.node_weights.filter(pl.col("node") == node.node).sort("indicator")
    if rows.is_empty():
        return None, {}
    scales = {name: (own, composite) for name, own, composite in tree.scales.iter_rows()}
    alphas = work.warehouse.read("weight", "alphas").filter(pl.col("link") == link.declared)
    above = {child: (parent, alpha) for parent, child, alpha in alphas.select("node", "child", "alpha").iter_rows()}
    leaves = {
        indicator: Leaf(indicator, root_weight, weight, _path(indicator, root, above))
        for indicator, weight, root_weight in rows.select("indicator", "weight", "root_weight").iter_rows()
    }
    own, composite = scales[node.node]
    return Basket(own, composite, rows["beta"][0], leaves), {name: scales[name][0] for name in leaves}


def _path(indicator: str, root: str, above: Mapping[str, tuple[str, float]]) -> list[tuple[str, str, float]]:
    found: list[tuple[str, str, float]] = []
    child = indicator
    while child != root:
        parent, alpha = above[child]
        found.insert(0, (parent, child, alpha))
        child = parent
    return found


def _moments(
    work: Work, span: Span, node: Node, members: Sequence[str]
) -> tuple[pl.DataFrame, list[Moment], list[Moment]]:
    """The entity's rows of the committed shares, and both spans period by period."""
    items = sorted({*span.now, *span.base})
    means = {item: _means(work, item, node) for item in items}
    wanted = sorted({name for inside in means.values() for name in inside})
    kinds = work.framework.places_of(node)
    inside = work.types.filter(pl.col("type").is_in(list(kinds)) & pl.col("place").is_in(list(members)))["place"]
    rows = work.warehouse.read("normalise", "shares", items).filter(
        pl.col("place").is_in(inside.implode()) & pl.col("indicator").is_in(wanted)
    )
    found = cells(rows, work.warehouse.read("normalise", "totals", items), {item.start: means[item] for item in items})

    def moment(item: Period) -> Moment:
        link = work.framework.link_at(item)
        assert link is not None
        return Moment(item.key, link.link, {name: found[item.start, name] for name in sorted(means[item])})

    return (
        rows.filter(pl.col("period").is_in([item.start for item in span.now])),
        [moment(item) for item in span.now],
        [moment(item) for item in span.base],
    )


def _means(work: Work, item: Period, node: Node) -> dict[str, float]:
    """Reference means of the indicators under a node that are in the basket of a period."""
    link, root = work.framework.link_at(item), work.framework.root_of(node.node)
    if link is None or root not in link.basket:
        return {}
    under = {leaf.node for leaf in work.framework.leaves_under(node.node)}
    tree = basket_of(work, link, root)
    return {name: mean for name, mean in tree.reference_totals.iter_rows() if name in under}


def _below(work: Work, node: Node, span: Span) -> list[NodeOf]:
    """The node and those under it that are in a basket of the span or its base, in the order of the tree."""
    framework = work.framework
    baskets = {leaf for link in _links(work, span) for leaves in link.basket.values() for leaf in leaves}
    found: list[NodeOf] = []

    def walk(name: str, depth: int) -> None:
        own = framework.by_node[name]
        inside = [leaf.node for leaf in framework.leaves_under(name) if leaf.node in baskets]
        if inside:
            found.append(NodeOf(name, own.parent if depth else None, depth, own.name_zh, own.name_en, inside))
            for child in framework.children(name):
                walk(child, depth + 1)

    walk(node.node, 0)
    return found


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


def _outdated(work: Work, span: Span) -> list[str]:
    """What has been computed anew since the number was published: until the next run it explains another number."""
    said = work.warehouse.inputs("marts", span.table, span.partition)
    head = f"{span.period.key} " if span.period.cadence == "half" else ""
    return [
        f"{stage}/{table} {item}"
        for stage, table in (("index", "points"), ("normalise", "shares"))
        for item in (*span.now, *span.base)
        if work.warehouse.data_version(stage, table, item) != said.get(f"{head}{stage}/{table} {item}")
    ]
