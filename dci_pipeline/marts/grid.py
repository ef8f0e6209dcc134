"""Entities × members as arrays: sums, means and like-for-like growth of the members of breakdowns (METHOD 2 to 4).

Places come first, then groups and the nation; every sum runs over places in the order of their codes. What is published
of it, and how it is ranked, belongs to `breakdown`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, Integers, axis, floats, numbered, positions
from dci_pipeline.index.members import CELL
from dci_pipeline.marts.entities import NATION
from dci_pipeline.marts.laid import ENTITY


@dataclass(frozen=True)
class Stretch:
    """The periods of a span that one link publishes.

    passed: every link after the first up to this one; periods: how many; rows: their mean, `index.mean_members`. What
    is made of the rows is made once.
    """

    passed: tuple[str, ...]
    periods: int
    rows: pl.DataFrame

    @cached_property
    def cells(self) -> pl.DataFrame:
        """[node, dimension, member] of the rows, sorted."""
        return self._numbered[0]

    @cached_property
    def places(self) -> pl.Series:
        return axis(self.rows, "place")

    @cached_property
    def points(self) -> Floats:
        """place × cell; NaN where it is null or there is no row."""
        found: Floats = np.full((len(self.places), self.cells.height), np.nan)
        (place,) = positions(self.rows, (("place", self.places),))
        found[place, self._numbered[1]] = self.rows.get_column("points").cast(pl.Float64).to_numpy()
        return found

    @cached_property
    def _numbered(self) -> tuple[pl.DataFrame, Integers]:
        return numbered(self.rows, CELL)


@dataclass(frozen=True)
class Grid:
    """The axes: cells [node, dimension, member]; places; entities [entity_type, entity_code], the places and then the
    groups, with the rows of `places` each is made of; which places are members."""

    cells: pl.DataFrame
    places: pl.Series
    entities: pl.DataFrame
    inside: tuple[Integers, ...]
    member: Flags

    def points(self, stretch: Stretch) -> Floats:
        """place × cell points of a stretch; NaN where they are null or there is no row. Other places are left out."""
        found: Floats = np.full((len(self.places), self.cells.height), np.nan)
        on = stretch.places.cast(pl.Enum(self.places), strict=False).to_physical()
        at = on.cast(pl.Int64).fill_null(-1).to_numpy()
        cells = stretch.cells.join(self.cells.with_row_index("cell"), on=list(CELL), how="left", maintain_order="left")
        found[np.ix_(at[at >= 0], cells.get_column("cell").to_numpy())] = stretch.points[at >= 0]
        return found

    def of(self, rows: pl.DataFrame, column: str) -> Floats:
        """place × cell array of a column; NaN where it is null or there is no row. Other places are left out."""
        numbered = self.cells.with_row_index("cell")
        placed = rows.filter(pl.col("place").is_in(self.places.implode())).join(numbered, on=list(CELL))
        return floats(placed, column, (("place", self.places), ("cell", numbered.get_column("cell"))))

    def sums(self, values: Floats) -> Floats:
        """entity × cell sums of a place × cell array; NaN adds nothing, and nothing but NaN gives NaN."""
        whole, given = np.nan_to_num(values), ~np.isnan(values)
        own = len(self.places)
        summed = [np.where(np.any(given[rows], axis=0), whole[rows].sum(axis=0), np.nan) for rows in self.inside[own:]]
        return np.vstack([values, *summed])

    def means(self, values: Floats) -> tuple[Floats, Integers]:
        """entity × cell means over member places that have a value, and their number; NaN and 0 for places."""
        whole, given = np.nan_to_num(values), ~np.isnan(values)
        total: Floats = np.zeros((len(self.inside), self.cells.height))
        count: Integers = np.zeros(total.shape, dtype=np.int64)
        for number in range(len(self.places), len(self.inside)):
            rows = self.inside[number][self.member[self.inside[number]]]
            total[number] = whole[rows].sum(axis=0)
            count[number] = given[rows].sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan), count

    def levels(self, span: Sequence[Stretch]) -> Floats:
        """place × cell means over the periods in which the cell's node is in the basket; a place without a row in some
        of them counts 0 there, NaN without any."""
        total: Floats = np.zeros((len(self.places), self.cells.height))
        there: Flags = np.zeros(total.shape, dtype=np.bool_)
        for stretch in span:
            part = self.points(stretch)
            total += stretch.periods * np.nan_to_num(part)
            there |= ~np.isnan(part)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(there, total / self._covered(span), np.nan)

    def growth(self, now: Sequence[Stretch], base: Sequence[Stretch], links: pl.DataFrame) -> Floats:
        """entity × cell growth of `now` on `base`, like for like; NaN without a base or on one of zero.

        links: [link, node, dimension, member, place, points_before, points_after]. What both spans passed cancels.
        """
        passed = [frozenset(stretch.passed) for stretch in (*now, *base)]
        common = passed[0].intersection(*passed[1:])
        later, earlier = (self._chained(span, links, common) for span in (now, base))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(earlier > 0.0, later / earlier - 1.0, np.nan)

    def _chained(self, span: Sequence[Stretch], links: pl.DataFrame, common: frozenset[str]) -> Floats:
        total: Floats = np.zeros((len(self.inside), self.cells.height))
        there: Flags = np.zeros(total.shape, dtype=np.bool_)
        for stretch in span:
            part = self.sums(self.points(stretch))
            here = ~np.isnan(part)
            for link in stretch.passed:
                if link not in common:
                    part *= self._bridge(links.filter(pl.col("link") == link))
            # NaN where a link cannot be crossed: nothing, or one basket only, over its reference
            total += stretch.periods * np.where(here, part, 0.0)
            # a member outside the basket of its node for a part of the span compares with nothing
            total[:, self._in_basket(stretch) & ~np.any(here, axis=0)] = np.nan
            there |= here
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(there, total / self._covered(span), np.nan)

    def _bridge(self, link: pl.DataFrame) -> Floats:
        before, after = (self.sums(self.of(link, name)) for name in ("points_before", "points_after"))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((before > 0.0) & (after > 0.0), before / after, np.nan)

    def _covered(self, span: Sequence[Stretch]) -> Integers:
        """Number of periods in which each cell's node is in the basket."""
        covered: Integers = np.zeros(self.cells.height, dtype=np.int64)
        for stretch in span:
            covered += stretch.periods * self._in_basket(stretch)
        return covered

    def _in_basket(self, stretch: Stretch) -> Flags:
        nodes = stretch.cells.get_column("node").unique()
        return self.cells.get_column("node").is_in(nodes.implode()).to_numpy()


def grid(stretches: Sequence[Stretch], *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> Grid:
    """The axes for all of `stretches`.

    members: primary memberships [group_type, group, place]; types: the places there are [place, type, member Boolean];
    nation: its code. A group without a place among the rows is not there.
    """
    cells = pl.concat([stretch.cells for stretch in stretches]).unique().sort(CELL)
    found = pl.concat([stretch.places for stretch in stretches]).unique()
    kinds = types.filter(pl.col("place").is_in(found.implode())).sort("place")
    places = axis(kinds, "place")
    position = {place: number for number, place in enumerate(places.to_list())}
    keys = [(str(kind), str(place)) for place, kind in kinds.select("place", "type").iter_rows()]
    own = [np.array([number], dtype=np.int64) for number in range(len(places))]
    groups: dict[tuple[str, str], list[int]] = {(NATION, nation): list(range(len(places)))}
    ordered = members.select("group_type", "group", "place").sort("group_type", "group", "place")
    for group_type, group, place in ordered.iter_rows():
        if place in position:
            groups.setdefault((group_type, group), []).append(position[place])
    return Grid(
        cells=cells,
        places=places,
        entities=pl.DataFrame([*keys, *groups], schema=dict.fromkeys(ENTITY, pl.String()), orient="row"),
        inside=(*own, *(np.array(inside, dtype=np.int64) for inside in groups.values())),
        member=np.array(kinds.get_column("member").to_list(), dtype=np.bool_),
    )
