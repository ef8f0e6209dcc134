"""Which periods a published number rests on, as the stamp of its partition says, and its rows as published."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from dci_pipeline import periods as periods_of
from dci_pipeline.findings import Finding, Held
from dci_pipeline.framework import Node
from dci_pipeline.marts import NATION
from dci_pipeline.periods import Period
from dci_pipeline.trail.names import Named
from dci_pipeline.trail.statement import Published
from dci_pipeline.work import Work

_POINTS = re.compile(r"^(?:(?P<key>\S+) )?index/points (?P<period>\S+)$")
_CADENCES = ("year", "half")
# What of a stamp says that entities were made by the same rules.
_RULES = ("ranked", "weights", "structure", "place_limit")


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
    def head(self) -> str:
        """What stands before the names of its inputs in a stamp that several spans share."""
        return f"{self.period.key} " if self.period.cadence == "half" else ""

    @property
    def at(self) -> Period:
        """The period whose places and memberships hold."""
        return self.now[-1]


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
    found = _read(work, table, partition, period)
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


def read_periods(work: Work, span: Span) -> set[Period]:
    """Every period that the span's rows were made from, those it is compared with among them."""
    return _read(work, span.table, span.partition, span.period)


def _read(work: Work, table: str, partition: Period, period: Period) -> set[Period]:
    found: set[Period] = set()
    for name in work.warehouse.inputs("marts", table, partition):
        match = _POINTS.match(name)
        if match is not None and match["key"] in (None, period.key):
            found.add(periods_of.parse(match["period"], work.framework.cadence))
    return found


def entity_row(work: Work, span: Span, named: Named, node: Node) -> Mapping[str, object] | None:
    """The published row of an entity at a node, of any span; None where it has none."""
    own = (pl.col("entity_type") == named.type) & (pl.col("entity_code") == named.code)
    wanted = own & (pl.col("node") == node.node) & pl.col(span.column).eq(pl.lit(span.key))
    rows = work.warehouse.rows_where("marts", span.table, [span.partition], wanted)
    return None if rows.is_empty() else rows.row(0, named=True)


def _published_range(work: Work, table: str) -> str:
    folders = [path.parent for path in work.warehouse.partitions("marts", table)]
    there = sorted("-".join(part.partition("=")[2] for part in folder.parts if "=" in part) for folder in folders)
    return f"a period of {there[0]} to {there[-1]}" if there else "a published period; there is none yet"


def published_rows(work: Work, span: Span, named: Named, node: Node) -> Published:
    """Rows of the entity, and of those it is set beside. Raises Finding when it has none at the node."""
    nation, root = work.framework.nation["code"], work.framework.root_of(node.node)
    table = _rows(work, span)
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
    base = _base(work, span, named, node) if span.base else table.clear()
    return Published(
        row=below[node.node],
        base=_row(base, named.type, named.code, node.node),
        below=below,
        contributions=_contributions(work, span, named),
        nation=_row(table, NATION, nation, node.node) or {},
        nation_base=_row(base, NATION, nation, node.node),
        root=_row(table, NATION, nation, root) or {},
        root_base=_row(base, NATION, nation, root),
        values=_values(table, named, node),
        base_values=_values(base, named, node),
    )


def _rows(work: Work, span: Span) -> pl.DataFrame:
    from dci_pipeline.warehouse.windows import window

    key = pl.col(span.column).eq(pl.lit(span.key))
    rows = work.warehouse.rows_where("marts", span.table, [span.partition], key)
    still_open = window(work.warehouse, work.framework)
    return rows if still_open is None else still_open.applied(rows, span.table, [span.column])


def _base(work: Work, span: Span, named: Named, node: Node) -> pl.DataFrame:
    """The base span's entities on the places of the span's last day: those published a year before, if made alike."""
    year_before = span.period.year_before()
    if work.warehouse.existing("marts", span.table, [span.partition.year_before()]):
        before = published_span(work, year_before)
        if (
            before.now == span.base
            and made_alike(work, before, span, span.base)
            and same_members(work, before, span, named, node)
        ):
            return _rows(work, before)
    from dci_pipeline.steps.spans import span_entities

    # With every root, for a span of which a part knows this tree not yet.
    return span_entities(work, span.base, at=span.at, nodes={node.node, *work.framework.roots})


def made_alike(work: Work, before: Span, span: Span, items: Sequence[Period]) -> bool:
    """Whether some periods as published in an earlier span are those this span was compared with."""
    own = work.warehouse.inputs("marts", span.table, span.partition)
    other = work.warehouse.inputs("marts", before.table, before.partition)
    names = [f"{stage} {item}" for stage in ("index/points", "normalise/shares") for item in items]
    return all(
        span.head + name in own and own[span.head + name] == other.get(before.head + name) for name in (*names, *_RULES)
    )


def same_members(work: Work, before: Span, span: Span, named: Named, node: Node) -> bool:
    """Whether entities of this type were made of the same places: a place always is, and the nation of all of them."""
    if named.type == NATION or named.type in work.framework.places_of(node):
        return True
    for item in (before, span):
        said = work.warehouse.inputs("marts", item.table, item.partition).get(f"{item.head}members")
        if said != work.geography.members_hash(item.at):
            return False
    now, then = (
        work.geography.members_at(item.at).filter(pl.col("group_type") == named.type) for item in (span, before)
    )
    return now.equals(then)


def _row(frame: pl.DataFrame, kind: str, code: str, node: str) -> Mapping[str, object] | None:
    found = frame.filter((pl.col("entity_type") == kind) & (pl.col("entity_code") == code) & (pl.col("node") == node))
    return None if found.is_empty() else found.row(0, named=True)


def _values(frame: pl.DataFrame, named: Named, node: Node) -> dict[str, float | None]:
    rows = frame.filter((pl.col("entity_type") == named.type) & (pl.col("node") == node.node))
    return dict(rows.select("entity_code", "points").iter_rows())


def _contributions(work: Work, span: Span, named: Named) -> dict[str, Mapping[str, object]] | None:
    """Rows of the contribution table by node; None where there is no such table, or it is of other periods."""
    table = f"contribution_{span.period.cadence}"
    there = table in work.framework.tables and work.warehouse.existing("marts", table, [span.period])
    wanted = {f"index/points {item}" for item in (*span.now, *span.base)}
    if not there or not span.base or not wanted <= set(work.warehouse.inputs("marts", table, span.period)):
        return None
    own = (pl.col("entity_type") == named.type) & (pl.col("entity_code") == named.code)
    rows = work.warehouse.rows_where("marts", table, [span.period], own)
    return {str(row["node"]): row for row in rows.iter_rows(named=True)}


def outdated(work: Work, span: Span) -> list[str]:
    """What has been computed anew since the number was published: until the next run it explains another number."""
    said = work.warehouse.inputs("marts", span.table, span.partition)
    return [
        f"{stage}/{table} {item}"
        for stage, table in (("index", "points"), ("normalise", "shares"))
        for item in (*span.now, *span.base)
        if work.warehouse.data_version(stage, table, item) != said.get(f"{span.head}{stage}/{table} {item}")
    ]
