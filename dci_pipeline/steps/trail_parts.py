"""The parts of a number: the node's basket in every link, and an entity's shares in it period by period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from dci_pipeline.framework import Link, Node
from dci_pipeline.periods import Period
from dci_pipeline.steps.baskets import basket_frames
from dci_pipeline.steps.trail_span import Span
from dci_pipeline.trail.cells import cells, reference_relatives
from dci_pipeline.trail.facts import Basket, Leaf, Moment, Stretch
from dci_pipeline.trail.statement import NodeOf
from dci_pipeline.work import Work

_NOTHING: tuple[None, dict[str, float], dict[str, float]] = (None, {}, {})


@dataclass(frozen=True)
class Parts:
    """One entity and node over a span and its base; `members`: the places of the entity."""

    work: Work
    span: Span
    node: Node
    members: Sequence[str]

    @cached_property
    def links(self) -> list[Link]:
        """The links from the first that either span touches to the last, in order."""
        framework = self.work.framework
        first = framework.link_at(min((*self.span.now, *self.span.base)))
        last = framework.link_at(self.span.at)
        assert first is not None and last is not None
        return [link for link in framework.chain(last) if link.start.start >= first.start.start]

    @cached_property
    def _baskets(self) -> dict[str, tuple[Basket | None, dict[str, float], dict[str, float]]]:
        """By link: the node's basket, the scales of it and of what is under it, and reference means by indicator."""
        return {link.link: self._basket(link) for link in self.links}

    def _basket(self, link: Link) -> tuple[Basket | None, dict[str, float], dict[str, float]]:
        root = self.work.framework.root_of(self.node.node)
        if root not in link.basket:
            return _NOTHING
        weights, totals, both = basket_frames(self.work, link, root)
        rows = weights.filter(pl.col("node") == self.node.node).sort("indicator")
        if rows.is_empty():
            return _NOTHING
        alphas = self.work.warehouse.read("weight", "alphas").filter(pl.col("link") == link.declared)
        above = {child: (parent, alpha) for parent, child, alpha in alphas.select("node", "child", "alpha").iter_rows()}
        leaves = {
            indicator: Leaf(indicator, root_weight, weight, _path(indicator, root, above))
            for indicator, weight, root_weight in rows.select("indicator", "weight", "root_weight").iter_rows()
        }
        scales = {name: (own, composite) for name, own, composite in both.iter_rows()}
        means = {name: mean for name, mean in totals.iter_rows() if name in leaves}
        own, composite = scales[self.node.node]
        under = {name: scale for name, (scale, _) in sorted(scales.items()) if self._is_under(name)}
        return Basket(own, composite, rows["beta"][0], leaves), under, means

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Every link as the entity meets it."""
        found: list[Stretch] = []
        for number, link in enumerate(self.links):
            basket, scales, _ = self._baskets[link.link]
            before: dict[str, float] = {}
            after: dict[str, float] = {}
            if number:
                committed = self.work.warehouse.read("index", "links", link.start)
                before, after = (
                    self._reference(committed, column, of)
                    for column, of in (("points_before", self.links[number - 1]), ("points_after", link))
                )
            reference = (link.reference[0].key, link.reference[-1].key)
            found.append(Stretch(link.link, reference, basket, scales, before, after))
        return found

    def _reference(self, committed: pl.DataFrame, column: str, link: Link) -> dict[str, float]:
        """The entity over a link's reference, relative to the means of the basket of `link`."""
        _, scales, means = self._baskets[link.link]
        return reference_relatives(
            committed, places=self.members, column=column, scales={name: scales[name] for name in means}
        )

    def _is_under(self, name: str) -> bool:
        above: str | None = name
        while above is not None and above != self.node.node:
            above = self.work.framework.by_node[above].parent
        return above is not None

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The entity's rows of the committed shares, both spans."""
        kinds = set(self.work.framework.places_of(self.node))
        types = dict(self.work.geography.places.select("code", "type").iter_rows())
        inside = [place for place in self.members if types[place] in kinds]
        return self.work.warehouse.rows_where(
            "normalise",
            "shares",
            self._items,
            pl.col("place").is_in(inside) & pl.col("indicator").is_in(self.indicators),
        )

    @cached_property
    def indicators(self) -> list[str]:
        """Those under the node that any of the links weighs, sorted."""
        return sorted({name for _, _, means in self._baskets.values() for name in means})

    @property
    def _items(self) -> list[Period]:
        return sorted({*self.span.now, *self.span.base})

    @cached_property
    def moments(self) -> tuple[list[Moment], list[Moment]]:
        """Both spans, period by period: the span itself and its base."""
        links = {item: self._link(item) for item in self._items}
        means = {item.start: self._baskets[link][2] for item, link in links.items()}
        totals = self.work.warehouse.rows_where(
            "normalise", "totals", self._items, pl.col("indicator").is_in(self.indicators)
        )
        found = cells(self.rows, totals, means)
        made = {
            item: Moment(item.key, link, {name: found[item.start, name] for name in sorted(means[item.start])})
            for item, link in links.items()
        }
        return [made[item] for item in self.span.now], [made[item] for item in self.span.base]

    def _link(self, item: Period) -> str:
        link = self.work.framework.link_at(item)
        assert link is not None
        return link.link

    def nodes(self) -> list[NodeOf]:
        """The node and those under it that are in a basket of the span or its base, in the order of the tree."""
        framework, inside = self.work.framework, set(self.indicators)
        found: list[NodeOf] = []

        def walk(name: str, depth: int) -> None:
            own = framework.by_node[name]
            leaves = [leaf.node for leaf in framework.leaves_under(name) if leaf.node in inside]
            if leaves:
                found.append(NodeOf(name, own.parent if depth else None, depth, own.name_zh, own.name_en, leaves))
                for child in framework.children(name):
                    walk(child, depth + 1)

        walk(self.node.node, 0)
        return found


def _path(indicator: str, root: str, above: Mapping[str, tuple[str, float]]) -> list[tuple[str, str, float]]:
    found: list[tuple[str, str, float]] = []
    child = indicator
    while child != root:
        parent, alpha = above[child]
        found.insert(0, (parent, child, alpha))
        child = parent
    return found
