"""The index as data: trees, links, baskets, entities and missing-data policy, read from one index file.

Structure only. Weights come from expert scores, places from the geography, feeds and tables from their contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from dci_pipeline import periods
from dci_pipeline.contracts import FeedContract, TableContract, Versions
from dci_pipeline.corrections import Correction
from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Finding
from dci_pipeline.periods import Period


@dataclass(frozen=True)
class Quality:
    """A rating or rate that turns a volume into a volume of quality (METHOD section 5).

    A row counts measure x |column - worst|; the constant 1 / |best - worst| drops out of every share. `per` turns the
    column into the unit in which the rate itself is published.
    """

    column: str
    worst: int
    best: int
    per: int


@dataclass(frozen=True)
class Node:
    """One node of a tree; a leaf names the feed, measure and rows it is made of. A root may name its types of place."""

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
    quality: Quality | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """One member of a breakdown: the values of the column, or the child nodes, that it gathers."""

    member: str
    name_zh: str
    name_en: str
    of: tuple[str, ...]


@dataclass(frozen=True)
class Breakdown:
    """A node split by a column of its feed, or by its children when `column` is None. Its members are no nodes."""

    dimension: str
    node: str
    name_zh: str
    name_en: str
    column: str | None
    members: tuple[Member, ...]
    assumption: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Tracked:
    """One key indicator: a leaf followed as index points, as an amount in a unit, or per another indicator."""

    tracked: str
    node: str
    name_zh: str
    name_en: str
    form: str
    unit: str
    divisor: float
    per: str | None
    per_day: bool


@dataclass(frozen=True)
class Divide:
    """How the digital divide is measured, and which groups Theil's index is split by (METHOD section 10)."""

    measure: str
    theil_groups: str | None
    assumption: bool
    reason: str


@dataclass(frozen=True)
class RevisionWindow:
    """For how many months after its end a reference period is provisional: 0 is none, what is published is final."""

    months: int
    assumption: bool = False
    reason: str = ""


@dataclass(frozen=True)
class AppCategories:
    """Where penetration and time per user come from: a breakdown's dimension, and the nodes of users and seconds."""

    dimension: str
    users: str
    seconds: str


@dataclass(frozen=True)
class Link:
    """A stretch of the index computed with one reference period, one basket and one set of weights per tree."""

    link: str
    reference: tuple[Period, ...]
    start: Period
    end: Period | None
    wave: Mapping[str, str]
    basket: Mapping[str, tuple[str, ...]]
    assumption: bool = False
    reason: str = ""
    of: str = ""

    @property
    def declared(self) -> str:
        """The link of the index file this one repeats: itself, but for the later years of `annual_overlap`."""
        return self.of or self.link


@dataclass(frozen=True)
class EntityType:
    """A kind of place or group in the published tables; `of` names the two kinds of group it is the cross of."""

    type: str
    table: str | None
    ranked: bool
    member: bool
    is_group: bool
    of: tuple[str, ...] = ()


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
    auxiliary: tuple[Node, ...]
    breakdowns: tuple[Breakdown, ...]
    tracker: tuple[Tracked, ...]
    divide: Divide
    app_categories: AppCategories | None
    ranking_scopes: tuple[str, ...]
    revision_window: RevisionWindow
    versions: Mapping[str, Versions]
    tables: Mapping[str, TableContract]
    waves: Mapping[str, Wave]
    corrections: Mapping[str, tuple[Correction, ...]]
    sha256: str
    folder: Path

    @cached_property
    def feeds(self) -> dict[str, FeedContract]:
        """The newest contract of every feed; what holds in a period is asked of `contract`."""
        return {feed: versions.newest for feed, versions in self.versions.items()}

    def contract(self, feed: str, period: Period) -> FeedContract:
        """The version of a feed's contract in force in a period. Raises Held before the first."""
        return self.versions[feed].at(period)

    def corrections_of(self, feed: str, period: Period, partner: str) -> tuple[Correction, ...]:
        """The corrections in force for one slice, in the order of their file."""
        return tuple(
            item
            for item in self.corrections.get(feed, ())
            if item.active and item.partner == partner and period in item.expect
        )

    @cached_property
    def corrections_sha256(self) -> str:
        """What all corrections in force say; apart from `sha256`, for they change single slices and no structure."""
        active = [item for found in self.corrections.values() for item in found if item.active]
        return content_hash(
            [[item.feed, item.partner, str(at), item.content(at)] for item in active for at in item.expect]
        )

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

    @cached_property
    def indicators(self) -> tuple[Node, ...]:
        """Everything that gets a value: the leaves, then what is observed beside the trees."""
        return (*self.leaves, *self.auxiliary)

    def leaves_of(self, feed: str) -> tuple[Node, ...]:
        """The indicators made of a feed."""
        return tuple(node for node in self.indicators if node.feed == feed)

    def leaves_at(self, feed: str, period: Period) -> tuple[Node, ...]:
        """The indicators made of a feed in a period: those whose columns the contract in force has.

        Which may be without them is checked on loading: one that is observed only since a later version.
        """
        contract = self.contract(feed, period)
        return tuple(leaf for leaf in self.leaves_of(feed) if not lacking(leaf, contract))

    def splits_at(self, feed: str, period: Period) -> tuple[tuple[str, str], ...]:
        """`splits_of` in a period: without columns the contract in force does not have, for no row has a member."""
        there = {leaf.node for leaf in self.leaves_at(feed, period)}
        columns = self.contract(feed, period).by_name
        return tuple((leaf, column) for leaf, column in self.splits_of(feed) if leaf in there and column in columns)

    def leaves_under(self, node: str) -> tuple[Node, ...]:
        """The leaves under a node, itself when it is one."""
        found: list[Node] = []
        for leaf in self.leaves:
            current: str | None = leaf.node
            while current is not None and current != node:
                current = self.by_node[current].parent
            if current == node:
                found.append(leaf)
        return tuple(found)

    def places_of_feed(self, feed: str) -> tuple[str, ...]:
        """The types of place a feed is about: those of the trees it feeds, all when it feeds none; in file order."""
        about = {kind for leaf in self.leaves_of(feed) for kind in self.places_of(leaf)}
        return tuple(entity.type for entity in self.place_types if not about or entity.type in about)

    def splits_of(self, feed: str) -> tuple[tuple[str, str], ...]:
        """The (indicator, column) pairs of a feed that a breakdown asks for, each once, sorted."""
        return tuple(
            sorted(
                {
                    (leaf.node, breakdown.column)
                    for breakdown in self.breakdowns
                    if breakdown.column is not None
                    for leaf in self.leaves_under(breakdown.node)
                    if leaf.feed == feed
                }
            )
        )

    def places_of(self, indicator: Node | str) -> tuple[str, ...]:
        """The types of place a tree, and so everything in it, is made of."""
        node = self.by_node[indicator] if isinstance(indicator, str) else indicator
        root = self.by_node[self.root_of(node.node)] if node.node in self.by_node else node
        return root.places or tuple(entity.type for entity in self.place_types)

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
        if current is None or self.chaining == "fixed_base":
            return current
        return self._annual(current, period)

    def _annual(self, link: Link, period: Period) -> Link:
        """The yearly link of `annual_overlap` a period lies in: on the year before, with the declared link's basket."""
        years = (12 * (period.start.year - link.start.start.year) + period.start.month - link.start.start.month) // 12
        if years == 0:
            return link
        start = link.start.shift(years * link.start.per_year)
        reference = tuple(start.shift(-step) for step in range(start.per_year, 0, -1))
        return replace(link, link=f"{link.link}_{start.start.year}", start=start, reference=reference, of=link.declared)

    def chain(self, link: Link) -> tuple[Link, ...]:
        """Every link up to and including this one, in order."""
        found = [link]
        while (before := self.link_at(found[0].start.shift(-1))) is not None:
            found.insert(0, before)
        return tuple(found)

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


def lacking(leaf: Node, contract: FeedContract) -> list[str]:
    """The columns a leaf is made of that a version of its feed's contract does not have, sorted."""
    needed = {str(leaf.measure), *leaf.where} | ({leaf.quality.column} if leaf.quality else set())
    return sorted(needed - set(contract.by_name))
