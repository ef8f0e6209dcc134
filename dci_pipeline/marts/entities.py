"""From places to entities: groups and the nation as sums of places, means over members (METHOD sections 2, 4).

Floats are added in one fixed order (places sorted by code), so the same places give the same bits everywhere. A tree
may be made of some types of place only: an entity has a row for a node when one of its places has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, Integers, axis, nullable, positions
from dci_pipeline.marts import NATION
from dci_pipeline.normalise.statuses import STATUSES

KEY = ("entity_type", "entity_code", "node")
_ESTIMATED = STATUSES.index("E")


@dataclass(frozen=True)
class _Groups:
    """Groups and the nation over a frame of place rows: who is in them, on sorted axes of places and nodes."""

    axes: tuple[tuple[str, pl.Series], ...]
    at: tuple[Integers, ...]
    keys: list[tuple[str, str]]
    rows: list[Integers]
    present: Flags
    member: Flags
    types: list[str]

    @property
    def nodes(self) -> pl.Series:
        return self.axes[1][1]

    @cached_property
    def _stacked(self) -> tuple[Integers, Integers]:
        """The places of every group one after the other, and where each group begins; none is empty but the nation."""
        sizes = [len(rows) for rows in self.rows]
        return np.concatenate(self.rows), np.cumsum([0, *sizes[:-1]])

    def cubes(self, frame: pl.DataFrame, columns: Sequence[str]) -> Floats:
        """column x place x node values of the frame the groups were made for; NaN where it has null or no row."""
        found: Floats = np.full((len(columns), *self.present.shape), np.nan)
        for array, column in zip(found, columns, strict=True):
            array[self.at] = frame.get_column(column).cast(pl.Float64).to_numpy()
        return found

    def sums(self, values: Floats, *, members_only: bool = False) -> Floats:
        """value x group x node sums over the places of each group, in the order of places; NaN adds nothing."""
        whole = np.nan_to_num(values)
        chosen = [rows[self.member[rows]] for rows in self.rows] if members_only else self.rows
        # One by one, row after row: what adds up in another order has other last digits.
        found: Floats = np.zeros((len(values), len(chosen), len(self.nodes)))
        for number, rows in enumerate(chosen):
            np.take(whole, rows, axis=1).sum(axis=1, out=found[:, number])
        return found

    def counts(self, of: Flags) -> Integers:
        """group x node numbers of member places for which `of` (place x node) holds."""
        if not of.size:
            return np.zeros((len(self.rows), len(self.nodes)), dtype=np.int64)
        rows, starts = self._stacked
        # Whole numbers are exact in any order.
        return np.add.reduceat((of & self.member[:, None])[rows].astype(np.int64), starts, axis=0)

    def some(self, of: Flags) -> Flags:
        """group x node: whether `of` (place x node) holds for any place of the group, member or not."""
        if not of.size:
            return np.zeros((len(self.rows), len(self.nodes)), dtype=np.bool_)
        rows, starts = self._stacked
        return np.logical_or.reduceat(of[rows], starts, axis=0)

    def strongest(self, ranks: Floats) -> Integers:
        """group x node highest rank of member places; 0 where there is none."""
        found: Integers = np.zeros((len(self.rows), len(self.nodes)), dtype=np.int64)
        for rank in range(1, len(STATUSES)):
            of = ranks == rank
            if of.any():
                found[self.counts(of) > 0] = rank
        return found

    @cached_property
    def _order(self) -> list[int]:
        """Where the sorted entities stand among the places and then the groups."""
        return sorted(range(len(self.entities)), key=self.entities.__getitem__)

    @cached_property
    def entities(self) -> list[tuple[str, str]]:
        return [*zip(self.types, self.axes[0][1].to_list(), strict=True), *self.keys]

    def laid(self, of_places: Floats, of_groups: Floats | Integers) -> Floats:
        """Flat values of every entity x node, entities sorted."""
        return np.concatenate([of_places, of_groups.astype(np.float64)])[self._order].reshape(-1)

    def column(self, of_places: Floats, of_groups: Floats | Integers) -> pl.Series:
        return nullable(self.laid(of_places, of_groups))

    def everything(self, columns: Mapping[str, pl.Series]) -> pl.DataFrame:
        """`laid` columns with their keys, sorted; only rows that stand on a place."""
        there = np.concatenate([self.present, self.some(self.present)])[self._order].reshape(-1)
        keys = keyed([self.entities[number] for number in self._order], self.nodes)
        return keys.with_columns(**columns).filter(pl.Series(there))

    def frame(self, columns: Mapping[str, pl.Series]) -> pl.DataFrame:
        """Flat group x node columns with their keys; only rows that stand on a place."""
        keys = keyed(self.keys, self.nodes)
        return keys.with_columns(**columns).filter(pl.Series(self.some(self.present).reshape(-1)))


def in_order(frame: pl.DataFrame, key: Sequence[str] = KEY) -> pl.DataFrame:
    """The frame sorted by `key`: itself where it stands so, which costs a tenth of sorting it. Nulls come last."""
    return frame if stands_in_order(frame, key) else frame.sort(key, nulls_last=True)


def stands_in_order(frame: pl.DataFrame, key: Sequence[str]) -> bool:
    """Whether every row comes after the one before it: nothing to sort then, and no key twice. A null is not said."""
    after = pl.lit(False)
    for name in reversed(key):
        own, before = pl.col(name), pl.col(name).shift(1)
        after = (own > before) | ((own == before) & after)
    return bool(frame.select(after.slice(1).fill_null(False).all()).item())


def keyed(entities: Sequence[tuple[str, str]], nodes: pl.Series) -> pl.DataFrame:
    """[entity_type, entity_code, node] of every entity x node, in their order."""
    number = np.repeat(np.arange(len(entities)), len(nodes))
    kinds, codes = (pl.Series([key[part] for key in entities], dtype=pl.String) for part in (0, 1))
    node = nodes.gather(np.tile(np.arange(len(nodes)), len(entities)))
    return pl.DataFrame({"entity_type": kinds.gather(number), "entity_code": codes.gather(number), "node": node})


def entities(places: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> pl.DataFrame:
    """Every entity × node of one period or span.

    places: [place, node, points, composite_points, share, imputed_share, obs_status, …]; members: primary memberships
    [group_type, group, place]; types: [place, type, member Boolean]; nation: its code.
    Out: [entity_type, entity_code, node, points, composite_points, share, mean_points, n_members, member_type,
    obs_status, imputed_share], sorted by entity_type, entity_code, node. A place row with status M carries no points
    and no share; its estimate stays in the sums. Means are over member places only; a residual is no member. A group
    is E when anything in it is estimated or a member is withheld, else as strong as its strongest member.
    """
    groups = _groups(places, members=members, types=types, nation=nation)
    rank = pl.col("obs_status").replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Float64)
    rows = places.with_columns(imputed=pl.col("share") * pl.col("imputed_share"), rank=rank)
    own = groups.cubes(rows, ("points", "composite_points", "share", "imputed", "imputed_share", "rank"))
    imputed_share, ranks = own[4], own[5]
    total = groups.sums(own[:4])
    count = groups.counts(groups.present)
    # Also what was never observed and so weighs nothing: a residual's estimate of 0 is an estimate.
    touched = groups.some((ranks >= _ESTIMATED) | (imputed_share > 0))
    status = groups.strongest(np.where(ranks == STATUSES.index("M"), _ESTIMATED, ranks))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = groups.sums(own[:1], members_only=True)[0] / np.where(count > 0, count, np.nan)
        # Where nothing but what was never observed stands, the position is 0 and rests on estimates as a whole.
        blank = np.where(touched, 1.0, 0.0)
        imputed = np.where(total[2] > 0, total[3] / total[2], blank)
    status = np.where(touched, np.maximum(status, _ESTIMATED), status)
    # A withheld place shows its status and how much of it is imputed, no level and no share.
    shown = np.where(ranks != STATUSES.index("M"), own[:3], np.nan)
    nothing: Floats = np.full(groups.present.shape, np.nan)
    points, composite, share = (groups.column(shown[number], total[number]) for number in range(3))
    strength = groups.laid(np.nan_to_num(ranks), status).astype(np.int64)
    kind, kinds = _member_types(groups, types, count)
    return groups.everything(
        {
            "points": points,
            "composite_points": composite,
            "share": share,
            "mean_points": groups.column(nothing, mean),
            "n_members": groups.column(nothing, count).cast(pl.Int64),
            "member_type": kinds.gather(groups.laid(np.full(nothing.shape, len(kinds) - 1.0), kind).astype(np.int64)),
            "obs_status": pl.Series(STATUSES).gather(strength),
            "imputed_share": groups.column(imputed_share, imputed),
        }
    )


def entity_sums(
    places: pl.DataFrame, *, columns: Sequence[str], members: pl.DataFrame, types: pl.DataFrame, nation: str
) -> pl.DataFrame:
    """Places with their types, and sums over groups and the nation, of any Float64 columns of [place, node, …].

    Out: [entity_type, entity_code, node, *columns] sorted by entity_type, entity_code, node. A null adds nothing; the
    sum of nothing but nulls is null.
    """
    groups = _groups(places, members=members, types=types, nation=nation)
    cubes = groups.cubes(places, columns)
    return groups.everything(
        {
            name: groups.column(values, np.where(groups.some(~np.isnan(values)), total, np.nan))
            for name, values, total in zip(columns, cubes, groups.sums(cubes), strict=True)
        }
    )


def members_mean(
    entities: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str, column: str, name: str
) -> pl.DataFrame:
    """Adds `name`: the unweighted mean of the members' `column`, for groups and the nation; null for places.

    entities need `n_members`, null for places: a group may bear the code and type a place has in another tree. A member
    without a value is left out; null where no member has one.
    """
    inside = types.filter("member")["place"]
    summed = entities["n_members"].is_not_null()
    own = entities.filter(~summed & entities["entity_code"].is_in(inside.implode())).select(
        pl.col("entity_code").alias("place"), "node", column
    )
    if own[column].null_count() == own.height:
        return entities.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    groups = _groups(own, members=members, types=types, nation=nation)
    values = groups.cubes(own, [column])
    count = groups.counts(~np.isnan(values[0]))
    mean = groups.sums(values, members_only=True)[0] / np.where(count > 0, count, np.nan)
    rows = entities.select(KEY).filter(summed)
    found = rows.join(groups.frame({name: nullable(mean)}), on=list(KEY), how="left", maintain_order="left")[name]
    array: Floats = np.full(entities.height, np.nan)
    array[summed.to_numpy()] = found.to_numpy()
    return entities.with_columns(nullable(array).alias(name))


def _groups(places: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str) -> _Groups:
    axes = (("place", axis(places, "place")), ("node", axis(places, "node")))
    codes = axes[0][1]
    position = {code: number for number, code in enumerate(codes.to_list())}
    inside: dict[tuple[str, str], list[int]] = {(NATION, nation): list(range(len(codes)))}
    for group_type, group, place in (
        members.select("group_type", "group", "place").sort("group_type", "group", "place").iter_rows()
    ):
        if place in position:
            inside.setdefault((group_type, group), []).append(position[place])
    kinds = {place: (kind, member) for place, kind, member in types.select("place", "type", "member").iter_rows()}
    at = positions(places, axes)
    present: Flags = np.zeros((len(codes), len(axes[1][1])), dtype=np.bool_)
    present[at] = True
    return _Groups(
        axes=axes,
        at=at,
        keys=list(inside),
        rows=[np.array(rows, dtype=np.int64) for rows in inside.values()],
        present=present,
        member=np.array([kinds[code][1] for code in codes.to_list()], dtype=np.bool_),
        types=[kinds[code][0] for code in codes.to_list()],
    )


def _member_types(groups: _Groups, types: pl.DataFrame, count: Integers) -> tuple[Integers, pl.Series]:
    """Of the members behind each group × node the number of their types joined by commas, and these; null is none."""
    kinds = sorted(set(types.filter("member")["type"].to_list()) & set(groups.types))
    of = np.array(groups.types, dtype=object)
    found: Integers = np.zeros(count.shape, dtype=np.int64)
    for number, kind in enumerate(kinds):
        there = groups.counts(groups.present & (of == kind)[:, None]) > 0
        found[there] += 1 << number
    sets, numbers = np.unique(found, return_inverse=True)
    said = [",".join(kind for number, kind in enumerate(kinds) if one >> number & 1) for one in sets.tolist()]
    # Last stands what a place has, which is made of no members.
    labels = pl.Series([*said, ""], dtype=pl.String).replace("", None)
    return numbers.reshape(count.shape).astype(np.int64), labels
