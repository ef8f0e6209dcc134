"""Random indexes with nested trees and links, and their entities over spans, for the laws of the published tables.

Everything is made by the pure functions of the stages; what is drawn is small and whole: no value is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from random import Random

import polars as pl
from hypothesis import strategies as st

from dci_pipeline.index import points as index_points
from dci_pipeline.index import reference_means, span
from dci_pipeline.index.linking import Basket, entry_scales, link_levels, linked_scales
from dci_pipeline.index.points import STATUSES
from dci_pipeline.marts import growth
from dci_pipeline.marts.contribution import contribution, standing
from dci_pipeline.marts.entities import entities
from dci_pipeline.marts.index_span import index_period, index_span
from dci_pipeline.marts.linked import linked_entities, together, with_links
from dci_pipeline.normalise import shares, totals
from dci_pipeline.weight import node_weights

YEARS, PER_YEAR = 3, 4
DAYS = [date(2000 + year, 1 + 3 * quarter, 1) for year in range(YEARS) for quarter in range(PER_YEAR)]
PLACES = ("A", "B", "C", "D", "R")
GROUPS = {"A": "east", "B": "east", "C": "west", "D": "west", "R": "west"}
LEAVES = ("a", "b", "c", "d")
NATION, ROOT = "X", "root"
RANKED = ("town", "county")


@dataclass(frozen=True)
class DrawnLink:
    """One link: the scores of its basket's leaves and of the nodes above them, its reference and its first period."""

    scores: Mapping[str, int]
    reference: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Chained:
    """An index of some links over quarters; values are whole and at least one."""

    parents: Mapping[str, str]
    links: tuple[DrawnLink, ...]
    values: Mapping[tuple[int, str, str], int] = field(repr=False)
    groups: Mapping[str, str]
    drawn: str = ""
    """the seed and the largest of the values"""

    @property
    def places(self) -> list[str]:
        return sorted(self.groups)

    @cached_property
    def types(self) -> pl.DataFrame:
        rows = [(place, "rest" if place == "R" else "town", place != "R") for place in self.places]
        return pl.DataFrame(rows, schema=["place", "type", "member"], orient="row")

    @cached_property
    def members(self) -> pl.DataFrame:
        rows = [("county", group, place) for place, group in sorted(self.groups.items())]
        return pl.DataFrame(rows, schema=["group_type", "group", "place"], orient="row")

    @cached_property
    def seen(self) -> dict[tuple[object, ...], pl.DataFrame]:
        """Frames by what was asked for: the laws ask for the same spans again and again."""
        return {}

    def once(self, key: tuple[object, ...], answer: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        if key not in self.seen:
            self.seen[key] = answer()
        return self.seen[key]

    def shares(self, items: Sequence[int]) -> pl.DataFrame:
        return pl.concat(
            [self.once(("shares", number), lambda number=number: self._shares(number)) for number in items]
        )

    def _shares(self, number: int) -> pl.DataFrame:
        rows = [(place, leaf, self.values[number, place, leaf]) for place in self.places for leaf in LEAVES]
        frame = pl.DataFrame(rows, schema=["place", "indicator", "value"], orient="row")
        return shares(frame, period=DAYS[number], previous=None)

    def weights(self, link: DrawnLink) -> pl.DataFrame:
        return node_weights(self.alphas(link), root=ROOT)

    def alphas(self, link: DrawnLink) -> pl.DataFrame:
        inside = {leaf for leaf in LEAVES if leaf in link.scores}
        inside |= {self.parents[leaf] for leaf in inside} - {ROOT}
        rows: list[tuple[str, str, float]] = []
        for node in sorted({self.parents[child] for child in inside}):
            children = sorted(child for child in inside if self.parents[child] == node)
            whole = sum(link.scores.get(child, 1) for child in children)
            rows += [(node, child, link.scores.get(child, 1) / whole) for child in children]
        return pl.DataFrame(rows, schema=["node", "child", "alpha"], orient="row")

    @cached_property
    def baskets(self) -> list[Basket]:
        found: list[Basket] = []
        for link in self.links:
            weights = self.weights(link)
            reference = totals(self.shares(link.reference))
            inside = reference.filter(pl.col("indicator").is_in(weights["indicator"].unique().implode()))
            scales = (
                linked_scales(reference, before=found[-1], node_weights=weights, root=ROOT, base_points=100.0)
                if found
                else entry_scales(weights, base_points=100.0)
            )
            found.append(Basket(weights, reference_means(inside), scales))
        return found

    @cached_property
    def bridges(self) -> list[pl.DataFrame]:
        """`linked_entities` of every link but the first."""
        return [
            linked_entities(
                link_levels(self.shares(link.reference), before=self.baskets[k], after=self.baskets[k + 1]),
                members=self.members,
                types=self.types,
                nation=NATION,
            )
            for k, link in enumerate(self.links[1:])
        ]

    def link_of(self, number: int) -> int:
        return max(k for k, link in enumerate(self.links) if link.start <= number)

    def level(self, number: int) -> pl.DataFrame:
        tree = self.baskets[self.link_of(number)]
        return index_points(
            self.shares([number]),
            node_weights=tree.node_weights,
            reference_totals=tree.reference_totals,
            scales=tree.scales,
        )

    def parts(self, items: Sequence[int]) -> list[tuple[int, list[int]]]:
        """The periods of a span by their link."""
        found: dict[int, list[int]] = {}
        for number in items:
            found.setdefault(self.link_of(number), []).append(number)
        return sorted(found.items())

    def part(self, link: int, items: Sequence[int]) -> pl.DataFrame:
        return self.once(("part", *items), lambda: self._part(link, items))

    def _part(self, link: int, items: Sequence[int]) -> pl.DataFrame:
        places = span(
            pl.concat([self.once(("level", number), lambda number=number: self.level(number)) for number in items]),
            self.shares(items),
            node_weights=self.baskets[link].node_weights,
        )
        frame = entities(places, members=self.members, types=self.types, nation=NATION)
        return with_links(frame, self.bridges[:link])

    def entities(self, items: Sequence[int]) -> pl.DataFrame:
        """Entities of a span, as the published tables take them."""
        return self.once(("entities", *items), lambda: self._entities(items))

    def _entities(self, items: Sequence[int]) -> pl.DataFrame:
        parts = [(len(part), self.part(link, part)) for link, part in self.parts(items)]
        frame = growth.with_ranks(together(parts, statuses=STATUSES), ranked=RANKED)
        return growth.with_points_share(frame, nation=NATION)

    def period_table(self, number: int) -> pl.DataFrame:
        """`index_quarter` of one period, beside the one a year before."""
        return index_period(
            self.entities([number]),
            before=self.entities([number - 1]),
            year_before=self.entities([number - PER_YEAR]),
            period=DAYS[number],
            period_column="quarter",
            before_column="growth_qoq",
            members=self.members,
            types=self.types,
            nation=NATION,
        )

    def span_table(self, items: Sequence[int]) -> pl.DataFrame:
        """An index table of any span, beside the same periods a year before."""
        return index_span(
            self.entities(items),
            year_before=self.entities([number - PER_YEAR for number in items]),
            span=pl.lit("span").alias("span"),
            covered=len(items),
            whole=True,
            covered_column="quarters_covered",
            members=self.members,
            types=self.types,
            nation=NATION,
        )

    def standing(self, items: Sequence[int]) -> pl.DataFrame:
        parts = [(len(part), self.part(link, part), self.bridges[:link]) for link, part in self.parts(items)]
        return standing(self.entities(items), parts)

    def contribution_table(self, items: Sequence[int], base: Sequence[int]) -> pl.DataFrame:
        return contribution(
            self.standing(items),
            self.standing(base),
            roots=dict.fromkeys([ROOT, *self.parents], ROOT),
            nation=NATION,
            whole=True,
        )

    def in_unit(self, leaf: str, unit: int) -> Chained:
        """The same with an indicator in another unit."""
        return replace(
            self, values={key: value * unit if key[2] == leaf else value for key, value in self.values.items()}
        )

    def merged(self, place: str, into: str) -> Chained:
        """The same with a place that has become part of another."""
        values = {key: value for key, value in self.values.items() if key[1] != place}
        for number in range(len(DAYS)):
            for leaf in LEAVES:
                values[number, into, leaf] += self.values[number, place, leaf]
        return replace(self, values=values, groups={name: of for name, of in self.groups.items() if name != place})


@st.composite
def chained(draw: st.DrawFn) -> Chained:
    """Trees of one to three levels, one to three links with baskets and weights of their own."""
    above = {leaf: draw(st.sampled_from([ROOT, "g", "h"])) for leaf in LEAVES}
    parents = above | {node: ROOT for node in ("g", "h") if node in above.values()}
    starts = [0, *sorted(draw(st.sets(st.integers(2, len(DAYS) - 1), max_size=2)))]
    links: list[DrawnLink] = []
    for k, start in enumerate(starts):
        basket = draw(st.sets(st.sampled_from(LEAVES), min_size=1))
        nodes = sorted(basket | {parents[leaf] for leaf in basket} - {ROOT})
        first, last = (starts[k - 1], start - 1) if k else (0, PER_YEAR - 1)
        begin = draw(st.integers(first, last))
        reference = tuple(range(begin, draw(st.integers(begin, last)) + 1))
        links.append(DrawnLink({node: draw(st.integers(1, 5)) for node in nodes}, reference, start))
    # Values come from one drawn seed: two hundred drawn numbers would say no more and take minutes to shrink.
    seed, largest = draw(st.integers(0, 2**16)), draw(st.sampled_from([3, 1000]))
    source = Random(seed)
    values = {
        (number, place, leaf): source.randint(1, largest)
        for number in range(len(DAYS))
        for place in PLACES
        for leaf in LEAVES
    }
    return Chained(parents, tuple(links), values, GROUPS, f"{seed}, to {largest}")
