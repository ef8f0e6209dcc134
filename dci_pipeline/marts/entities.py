"""From places to entities: groups and the nation as sums of places, means over members (METHOD sections 2, 4).

Floats are added in one fixed order (places sorted by code), so the same places give the same bits everywhere. A tree
may be made of some types of place only: an entity has a row for a node when one of its places has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, Integers, axis, flags, floats, nullable, several
from dci_pipeline.marts import NATION
from dci_pipeline.normalise.statuses import STATUSES

KEY = ("entity_type", "entity_code", "node")
_ESTIMATED = STATUSES.index("E")


@dataclass(frozen=True)
class _Groups:
    """Groups and the nation over a frame of place rows: who is in them, on sorted axes of places and nodes."""

    axes: tuple[tuple[str, pl.Series], ...]
    keys: list[tuple[str, str]]
    rows: list[npt.NDArray[np.int64]]
    present: Flags
    member: npt.NDArray[np.bool_]
    types: list[str]

    @property
    def nodes(self) -> pl.Series:
        return self.axes[1][1]

    def sums(self, values: Floats, *, members_only: bool = False) -> Floats:
        """group x node sums over the places of each group, in the order of places; NaN adds nothing."""
        whole = np.nan_to_num(values)
        chosen = [rows[self.member[rows]] if members_only else rows for rows in self.rows]
        return np.array([whole[rows].sum(axis=0) for rows in chosen]).reshape(len(self.rows), len(self.nodes))

    def counts(self, of: Flags) -> Integers:
        """group x node numbers of member places for which `of` (place x node) holds."""
        chosen = [rows[self.member[rows]] for rows in self.rows]
        counted = [of[rows].sum(axis=0, dtype=np.int64) for rows in chosen]
        return np.array(counted, dtype=np.int64).reshape(len(self.rows), len(self.nodes))

    def strongest(self, ranks: Floats) -> Integers:
        """group x node highest rank of member places; 0 where there is none."""
        chosen = [rows[self.member[rows]] for rows in self.rows]
        found = [np.nan_to_num(ranks[rows]).max(axis=0, initial=0.0) for rows in chosen]
        return np.array(found).reshape(len(self.rows), len(self.nodes)).astype(np.int64)

    def frame(self, columns: Mapping[str, pl.Series]) -> pl.DataFrame:
        """Flat group x node columns with their keys; only rows that stand on a place."""
        there = np.array([self.present[rows].any(axis=0) for rows in self.rows]).reshape(-1)
        return (
            pl.DataFrame(
                {
                    "entity_type": pl.Series([kind for kind, _ in self.keys], dtype=pl.String).repeat_by(
                        len(self.nodes)
                    ),
                    "entity_code": pl.Series([code for _, code in self.keys], dtype=pl.String).repeat_by(
                        len(self.nodes)
                    ),
                }
            )
            .explode("entity_type", "entity_code")
            .with_columns(pl.Series("node", self.nodes.to_list() * len(self.keys), dtype=pl.String), **columns)
            .filter(pl.Series(there))
        )


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
    rows = places.with_columns(
        imputed=pl.col("share") * pl.col("imputed_share"),
        rank=pl.col("obs_status").replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Float64),
    )
    added = ("points", "composite_points", "share", "imputed")
    *cubes, imputed_share, ranks = several(rows, (*added, "imputed_share", "rank"), groups.axes)
    total = {name: groups.sums(values) for name, values in zip(added, cubes, strict=True)}
    count = groups.counts(groups.present)
    estimated = np.where(imputed_share > 0, 1.0, 0.0)
    # Also what was never observed and so weighs nothing: a residual's estimate of 0 is an estimate.
    touched = groups.sums(np.where(ranks >= _ESTIMATED, 1.0, estimated)) > 0
    status = groups.strongest(np.where(ranks == STATUSES.index("M"), _ESTIMATED, ranks))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = groups.sums(cubes[0], members_only=True) / np.where(count > 0, count, np.nan)
        # Where nothing but what was never observed stands, the position is 0 and rests on estimates as a whole.
        blank = np.where(touched, 1.0, 0.0)
        imputed = np.where(total["share"] > 0, total["imputed"] / total["share"], blank)
    status = np.where(touched, np.maximum(status, _ESTIMATED), status)
    summed = groups.frame(
        {
            "points": nullable(total["points"]),
            "composite_points": nullable(total["composite_points"]),
            "share": nullable(total["share"]),
            "mean_points": nullable(mean),
            "n_members": pl.Series(count.reshape(-1)),
            "member_type": _member_types(groups, types, count),
            "obs_status": pl.Series(np.array(STATUSES)[status.reshape(-1)], dtype=pl.String),
            "imputed_share": nullable(imputed),
        }
    )
    return pl.concat([_own(places, types), summed], how="vertical").sort(KEY)


def entity_sums(
    places: pl.DataFrame, *, columns: Sequence[str], members: pl.DataFrame, types: pl.DataFrame, nation: str
) -> pl.DataFrame:
    """Places with their types, and sums over groups and the nation, of any Float64 columns of [place, node, …].

    Out: [entity_type, entity_code, node, *columns] sorted by entity_type, entity_code, node. A null adds nothing; the
    sum of nothing but nulls is null.
    """
    groups = _groups(places, members=members, types=types, nation=nation)
    found: dict[str, pl.Series] = {}
    for name, values in zip(columns, several(places, columns, groups.axes), strict=True):
        given = np.array([(~np.isnan(values[rows])).any(axis=0) for rows in groups.rows]).reshape(
            len(groups.rows), len(groups.nodes)
        )
        found[name] = nullable(np.where(given, groups.sums(values), np.nan))
    own = places.join(types.select("place", "type"), on="place").select(
        pl.col("type").alias("entity_type"), pl.col("place").alias("entity_code"), "node", *columns
    )
    return pl.concat([own, groups.frame(found)], how="vertical").sort(KEY)


def members_mean(
    entities: pl.DataFrame, *, members: pl.DataFrame, types: pl.DataFrame, nation: str, column: str, name: str
) -> pl.DataFrame:
    """Adds `name`: the unweighted mean of the members' `column`, for groups and the nation; null for places.

    entities need `n_members`, null for places: a group may bear the code and type a place has in another tree. A member
    without a value is left out; null where no member has one.
    """
    inside = types.filter("member").select("place", "type")
    own = (
        entities.filter(pl.col("n_members").is_null())
        .join(inside, left_on=["entity_code", "entity_type"], right_on=["place", "type"], how="semi")
        .select(pl.col("entity_code").alias("place"), "node", column)
    )
    if own[column].null_count() == own.height:
        return entities.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    groups = _groups(own, members=members, types=types, nation=nation)
    values = floats(own, column, groups.axes)
    count = groups.counts(~np.isnan(values))
    mean = groups.sums(values, members_only=True) / np.where(count > 0, count, np.nan)
    return entities.join(groups.frame({name: nullable(mean)}), on=list(KEY), how="left", maintain_order="left")


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
    return _Groups(
        axes=axes,
        keys=list(inside),
        rows=[np.array(rows, dtype=np.int64) for rows in inside.values()],
        present=flags(places.select("place", "node", there=pl.lit(True)), "there", axes),
        member=np.array([kinds[code][1] for code in codes.to_list()], dtype=np.bool_),
        types=[kinds[code][0] for code in codes.to_list()],
    )


def _own(places: pl.DataFrame, types: pl.DataFrame) -> pl.DataFrame:
    """The places' own rows; a withheld one shows its status and how much of it is imputed, no level and no share."""
    shown = pl.col("obs_status") != "M"
    return places.join(types.select("place", "type"), on="place").select(
        entity_type="type",
        entity_code="place",
        node="node",
        points=pl.when(shown).then("points"),
        composite_points=pl.when(shown).then("composite_points"),
        share=pl.when(shown).then("share"),
        mean_points=pl.lit(None, dtype=pl.Float64),
        n_members=pl.lit(None, dtype=pl.Int64),
        member_type=pl.lit(None, dtype=pl.String),
        obs_status="obs_status",
        imputed_share="imputed_share",
    )


def _member_types(groups: _Groups, types: pl.DataFrame, count: Integers) -> pl.Series:
    """Types of the members behind each group × node, joined by commas; null where there is no member."""
    kinds = sorted(set(types.filter("member")["type"].to_list()) & set(groups.types))
    of = np.array(groups.types, dtype=object)
    labels = np.full(count.shape, "", dtype=object)
    for kind in kinds:
        there = groups.counts(groups.present & (of == kind)[:, None]) > 0
        labels[there] = np.where(labels[there] == "", kind, labels[there] + "," + kind)
    return pl.Series(labels.reshape(-1).tolist(), dtype=pl.String).replace("", None)
