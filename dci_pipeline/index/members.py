"""Members of a breakdown in points of their node's own level (METHOD section 2), place by place, inside one link.

A member is one or more values of a column of the feed, or one or more children of the node. What members say of a whole
entity, its growth and its ranks, belongs to the published tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, Integers, axis, flags, floats, nullable, numbered, positions
from dci_pipeline.index.linking import Basket

# What an estimate, or a row that names no member, leaves over; no member of an index file bears this name.
UNALLOCATED = "unallocated"
TOLERANCE = 1e-12
CELL = ("node", "dimension", "member")
SCHEMA: dict[str, pl.DataType] = {
    "place": pl.String(),
    "node": pl.String(),
    "dimension": pl.String(),
    "member": pl.String(),
    "points": pl.Float64(),
}


def members(shares: pl.DataFrame, values: pl.DataFrame, *, parts: pl.DataFrame, basket: Basket) -> pl.DataFrame:
    """Points of every place × member of one period and one tree.

    In: one period of `normalise.shares`, of the tree's places; values [place, indicator, column, member, value integer
    in the unit of the indicator]; parts [node, dimension, member, column, part, additive]: what a member gathers, the
    values `part` of `column`, or where `column` is null the leaves `part`; additive: members add up to the node.
    Out, sorted by node, dimension, member, place: [place, node, dimension, member, points], points =
    scale * sum of (w_j / beta) x_j / mean_j over what the member gathers of the leaves j under the node. Members that
    are additive add up to the points of the node, with `unallocated`: the estimate of a missing place, and what rows
    without a member hold; it is there only where it is not 0. Where nothing under the node was observed, a place has no
    other member of a column. An undefined national total makes points null.
    Raises ValueError for several periods.
    """
    period = _Period(shares, values, axis(basket.node_weights, "indicator"), basket.reference_totals)
    scale_of = dict(basket.scales.select("node", "scale").iter_rows())
    found: list[tuple[tuple[str, str, str], Floats, Flags]] = []
    for (node, dimension), gathered in _splits(parts):
        under = basket.node_weights.filter(pl.col("node") == node).sort("indicator")
        if under.is_empty():
            continue
        weights: Floats = np.zeros(len(period.basket))
        weights[positions(under, (("indicator", period.basket),))] = under.get_column("weight").to_numpy()
        split = _Split(gathered, scale_of[node] * weights)
        points_of = _by_child(period, split) if split.column is None else _by_column(period, split)
        found += [((node, dimension, member), points, there) for member, points, there in points_of]
    return _long(sorted(found, key=lambda cell: cell[0]), period.places)


def _long(found: Sequence[tuple[tuple[str, str, str], Floats, Flags]], places: pl.Series) -> pl.DataFrame:
    """One row per cell and place that is there, in the order of the cells and of the places."""
    if not found:
        return pl.DataFrame(schema=SCHEMA)
    cells = pl.DataFrame([cell for cell, _, _ in found], schema=list(CELL), orient="row")
    number, row = np.nonzero(np.vstack([there for _, _, there in found]))
    points = np.vstack([points for _, points, _ in found])[number, row]
    return cells[number].with_columns(place=places.gather(row), points=nullable(points)).select(SCHEMA.keys())


def mean_members(rows: pl.DataFrame, *, periods: int) -> pl.DataFrame:
    """Mean points over `periods` periods, an absent row counting 0, so that means add up as their periods do.

    In: frames of `members` with `period`, stacked. Out: [place, node, dimension, member, points], sorted as `members`
    (one period's rows stay in their order); null when any period's points are null.
    """
    if periods == 1:
        return rows.select(SCHEMA.keys())
    cells, cell_of = numbered(rows, CELL)
    places = axis(rows, "place")
    (place_of,) = positions(rows, (("place", places),))
    points = rows.get_column("points").fill_null(float("nan")).to_numpy()
    day_of = rows.get_column("period").to_physical().to_numpy()
    total: Floats = np.zeros((cells.height, len(places)))
    there: Flags = np.zeros(total.shape, dtype=np.bool_)
    there[cell_of, place_of] = True
    for day in np.unique(day_of):
        own = day_of == day
        total[cell_of[own], place_of[own]] += points[own]
    cell, place = np.nonzero(there)
    return (
        cells[cell]
        .with_columns(place=places.gather(place), points=nullable(total[there] / periods))
        .select(SCHEMA.keys())
    )


def member_levels(
    shares: pl.DataFrame, values: pl.DataFrame, *, parts: pl.DataFrame, before: Basket | None, after: Basket | None
) -> pl.DataFrame:
    """Mean points of every place × member over a link's reference, under the basket before it and under its own.

    shares and values as in `members`, of the reference periods, stacked; values with `period`. `before` is None where
    the tree enters, `after` where it leaves. Out, sorted by node, dimension, member, place: [node, dimension, member,
    place, points_before, points_after]; null for a member that is not in that basket or undefined, 0 for a place that
    has nothing of it. Growth of a member across the link is like for like through these (METHOD section 4).
    """
    old = _over_reference(shares, values, parts, before).rename({"points": "points_before"})
    new = _over_reference(shares, values, parts, after).rename({"points": "points_after"})
    key = [*CELL, "place"]
    joined = old.with_columns(old=True).join(new.with_columns(new=True), on=key, how="full", coalesce=True)
    for side, name, frame in (("old", "points_before", old), ("new", "points_after", new)):
        inside = frame.select(CELL).unique().with_columns(inside=True)
        empty = pl.col(side).is_null() & pl.col("inside").fill_null(False)
        joined = (
            joined.join(inside, on=list(CELL), how="left")
            .with_columns(pl.when(empty).then(0.0).otherwise(name).alias(name))
            .drop("inside")
        )
    return joined.select(*key, "points_before", "points_after").sort(key)


def _over_reference(
    shares: pl.DataFrame, values: pl.DataFrame, parts: pl.DataFrame, basket: Basket | None
) -> pl.DataFrame:
    if basket is None:
        return pl.DataFrame(schema=SCHEMA)
    days = axis(shares, "period")
    frames = [
        members(
            shares.filter(pl.col("period") == day), values.filter(pl.col("period") == day), parts=parts, basket=basket
        ).with_columns(period=day)
        for day in days
    ]
    return mean_members(pl.concat(frames), periods=len(days))


@dataclass(frozen=True)
class _Period:
    """One period of one tree as arrays by place × leaf."""

    shares: pl.DataFrame
    values: pl.DataFrame
    basket: pl.Series
    reference_totals: pl.DataFrame

    @cached_property
    def rows(self) -> pl.DataFrame:
        found = self.shares.filter(pl.col("indicator").is_in(self.basket.implode()))
        if found.get_column("period").n_unique() != 1:
            raise ValueError(
                f"shares of {found.get_column('period').n_unique()} periods; expected the shares of one period"
            )
        return found

    @cached_property
    def places(self) -> pl.Series:
        return axis(self.rows, "place")

    @cached_property
    def axes(self) -> tuple[tuple[str, pl.Series], ...]:
        return (("place", self.places), ("indicator", self.basket))

    @cached_property
    def estimate(self) -> Floats:
        """The value or its estimate; NaN for every place where the national total is undefined."""
        defined = self.rows.with_columns(estimate=pl.when(pl.col("total").is_not_null()).then("estimate"))
        return floats(defined, "estimate", self.axes)

    @cached_property
    def missing(self) -> Flags:
        return flags(self.rows.with_columns(pl.col("value").is_null()), "value", self.axes)

    @cached_property
    def observed(self) -> Integers:
        found: Integers = np.zeros((len(self.places), len(self.basket)), dtype=np.int64)
        found[positions(self.rows, self.axes)] = self.rows.get_column("value").fill_null(0).to_numpy()
        return found

    @cached_property
    def means(self) -> Floats:
        inside = self.reference_totals.filter(pl.col("indicator").is_in(self.basket.implode()))
        return floats(inside, "mean_total", (("indicator", self.basket),))


@dataclass(frozen=True)
class _Split:
    """One dimension of one node: what its members gather, and the weight of each leaf in points of the node."""

    gathered: pl.DataFrame
    weights: Floats

    @property
    def column(self) -> str | None:
        return self.gathered.get_column("column")[0]

    @property
    def additive(self) -> bool:
        return bool(self.gathered.get_column("additive").all())

    @property
    def under(self) -> list[int]:
        return [int(j) for j in np.flatnonzero(self.weights)]


_Found = Sequence[tuple[str, Floats, Flags]]


def _splits(parts: pl.DataFrame) -> list[tuple[tuple[str, str], pl.DataFrame]]:
    ordered = parts.sort("node", "dimension", "member", "part")
    return [
        ((str(node), str(dimension)), frame)
        for (node, dimension), frame in ordered.group_by("node", "dimension", maintain_order=True)
    ]


def _by_child(period: _Period, split: _Split) -> _Found:
    everywhere: Flags = np.ones(len(period.places), dtype=np.bool_)
    found: list[tuple[str, Floats, Flags]] = []
    taken: set[int] = set()
    for member, leaves in split.gathered.group_by("member", maintain_order=True).agg("part").iter_rows():
        inside = [j for j in split.under if period.basket[j] in leaves]
        if inside:
            found.append((str(member), _points(period, split, period.estimate, inside), everywhere))
            taken |= set(inside)
    left = [j for j in split.under if j not in taken]
    return [*found, *_left_over(period, split, _points(period, split, period.estimate, left))]


def _by_column(period: _Period, split: _Split) -> _Found:
    names = axis(split.gathered, "member")
    leaves = period.basket.gather(split.under)
    rows = (
        period.values.filter(
            (pl.col("column") == split.column)
            & pl.col("indicator").is_in(leaves.implode())
            & pl.col("place").is_in(period.places.implode())
        )
        .select("place", "indicator", "value", part="member")
        .join(split.gathered.select("member", "part"), on="part")
    )
    axes = (*period.axes, ("member", names))
    at = positions(rows, axes)
    volume: Integers = np.zeros([len(values) for _, values in axes], dtype=np.int64)
    np.add.at(volume, at, rows.get_column("value").fill_null(0).to_numpy())
    reported: Flags = np.zeros(volume.shape[:2], dtype=np.bool_)
    reported[at[:2]] = True
    if split.additive:
        # the estimate of a missing place is not made of what little its rows may say
        volume[period.missing] = 0
        reported = np.zeros(reported.shape, dtype=np.bool_)
    there: Flags = np.any((~period.missing | reported)[:, split.under], axis=1)
    # an undefined total undoes the indicator for every member, as it does for the node
    undone = np.where(np.isnan(period.estimate) & ~period.missing, np.nan, 0.0)
    found = [
        (str(name), _points(period, split, volume[:, :, k].astype(np.float64) + undone, split.under), there)
        for k, name in enumerate(names)
    ]
    if not split.additive:
        return found
    rest = (period.observed - volume.sum(axis=2)).astype(np.float64) + undone
    rest = np.where(period.missing, period.estimate, rest)
    return [*found, *_left_over(period, split, _points(period, split, rest, split.under))]


def _points(period: _Period, split: _Split, volume: Floats, leaves: Sequence[int]) -> Floats:
    total: Floats = np.zeros(len(period.places))
    for j in leaves:
        total += volume[:, j] / period.means[j] * split.weights[j]
    return total


def _left_over(period: _Period, split: _Split, rest: Floats) -> _Found:
    whole = _points(period, split, period.estimate, split.under)
    there: Flags = np.abs(rest) > TOLERANCE * np.abs(whole)
    return [(UNALLOCATED, rest, there)] if there.any() else []
