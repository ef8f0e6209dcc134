"""The index as data: trees, links, baskets, entities and missing-data policy, read from one index file.

Structure only. Weights come from expert scores, places from the geography, feeds and tables from their contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dci_pipeline import periods
from dci_pipeline.contracts import FeedContract, TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period


@dataclass(frozen=True)
class Node:
    """One node of a tree; a leaf names the feed, measure and rows it is made of."""

    node: str
    parent: str | None
    name_zh: str
    name_en: str
    status: str
    assumption: bool
    reason: str
    source_partner: str
    unit: str
    kind: str
    since: str
    feed: str | None
    measure: str | None
    where: Mapping[str, str]


@dataclass(frozen=True)
class Link:
    """A stretch of the index computed with one reference period, one basket and one set of weights per tree."""

    link: str
    reference: tuple[Period, ...]
    start: Period
    end: Period | None
    wave: Mapping[str, str]
    basket: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class EntityType:
    """A kind of place or group in the published tables."""

    type: str
    table: str | None
    ranked: bool
    member: bool
    is_group: bool


@dataclass(frozen=True)
class Wave:
    """One wave of the expert survey."""

    wave: str
    effective_from: str
    assumption: bool
    reason: str
    scores: tuple[tuple[str, str, str, int | None], ...]
    sha256: str


@dataclass(frozen=True)
class Framework:
    """One index: everything its folder says except the geography."""

    index: str
    name_zh: str
    name_en: str
    cadence: str
    nation: Mapping[str, str]
    base_points: float
    entities: tuple[EntityType, ...]
    chaining: str
    links: tuple[Link, ...]
    late_feed: str
    carry_periods: int
    nation_imputed_limit: float
    place_imputed_limit: float
    nodes: tuple[Node, ...]
    feeds: Mapping[str, FeedContract]
    tables: Mapping[str, TableContract]
    waves: Mapping[str, Wave]
    sha256: str
    folder: Path

    @cached_property
    def by_node(self) -> dict[str, Node]:
        return {node.node: node for node in self.nodes}

    @cached_property
    def roots(self) -> tuple[str, ...]:
        return tuple(node.node for node in self.nodes if node.parent is None)

    @cached_property
    def leaves(self) -> tuple[Node, ...]:
        """Every node made of a feed, in the file's order, in the basket or not."""
        return tuple(node for node in self.nodes if node.feed)

    def leaves_of(self, feed: str) -> tuple[Node, ...]:
        return tuple(node for node in self.leaves if node.feed == feed)

    def children(self, node: str) -> tuple[str, ...]:
        return tuple(other.node for other in self.nodes if other.parent == node)

    def root_of(self, node: str) -> str:
        current = self.by_node[node]
        while current.parent is not None:
            current = self.by_node[current.parent]
        return current.node

    def basket_children(self, link: Link) -> dict[str, list[str]]:
        """For each node above a basket leaf its children inside the basket: what the weights are computed over."""
        inside: set[str] = set()
        for leaves in link.basket.values():
            for leaf in leaves:
                current: str | None = leaf
                while current is not None:
                    inside.add(current)
                    current = self.by_node[current].parent
        return {
            node.node: [child for child in self.children(node.node) if child in inside]
            for node in self.nodes
            if node.node in inside and self.children(node.node)
        }

    def link_at(self, period: Period) -> Link | None:
        """The link a period is computed in, or None before the first."""
        current = None
        for link in self.links:
            if link.start.start <= period.start and (link.end is None or period.start <= link.end.start):
                current = link
        return current

    def period(self, text: str, *, where: str = "") -> Period:
        return periods.parse(text, self.cadence, where=where)

    @property
    def place_types(self) -> tuple[EntityType, ...]:
        return tuple(entity for entity in self.entities if not entity.is_group)

    @property
    def group_types(self) -> tuple[EntityType, ...]:
        return tuple(entity for entity in self.entities if entity.is_group)

    def table(self, name: str) -> TableContract:
        """The contract of a published table. Raises Finding when there is none."""
        if name not in self.tables:
            raise Finding(
                "no contract for this table",
                where=f"{self.index}/marts",
                found=name,
                expected="one of " + ", ".join(sorted(self.tables)),
                todo=f"write marts/{name}.yaml",
            )
        return self.tables[name]
