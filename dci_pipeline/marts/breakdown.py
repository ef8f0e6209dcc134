"""The breakdown tables: members of a node in every entity, their shares, growth and ranks (METHOD sections 2 and 4).

A member is ranked within its entity, and the entity within its kind for the member. Growth is like for like; ranks
before are those of what there is now. Points of members come from `index.members`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, Integers, nullable
from dci_pipeline.index.members import CELL, UNALLOCATED
from dci_pipeline.marts.grid import Grid, Stretch, grid
from dci_pipeline.marts.growth import comparable_values, competition_ranks
from dci_pipeline.marts.index_span import maturity
from dci_pipeline.marts.laid import ENTITY, STATUS, Laid, laid
from dci_pipeline.normalise.statuses import STATUSES


@dataclass(frozen=True)
class Span:
    """A span: its stretches in order, and its entities × nodes [entity_type, entity_code, node, points,
    composite_points, obs_status, imputed_share]."""

    stretches: tuple[Stretch, ...]
    entities: pl.DataFrame

    @cached_property
    def laid(self) -> Laid:
        """The entities as arrays, made once for every table that the span is part of."""
        return laid(self.entities, ("points", "composite_points", "imputed_share", STATUS))


@dataclass(frozen=True)
class _Standing:
    """By entity × cell: how the row stands, how much of it is imputed, and the points of the cell's node."""

    status: Integers
    imputed: Floats
    node_points: Floats
    node_status: Integers

    @property
    def shown(self) -> Flags:
        return self.status != STATUSES.index("M")


def breakdown(
    now: Span,
    *,
    before: Span | None,
    two_before: Span | None,
    links: pl.DataFrame,
    sources: pl.DataFrame,
    span: pl.Expr,
    whole: bool,
    ranked: Collection[str],
    members: pl.DataFrame,
    types: pl.DataFrame,
    nation: str,
) -> pl.DataFrame:
    """Every entity × node × dimension × member of one span.

    now; before, two_before: the same periods one and two years before, None where they are not published; links
    [link, node, dimension, member, place, points_before, points_after], `index.member_levels` of every link passed;
    sources [node, dimension, member, source]: the nodes whose status a member shares; span: the key of the span as a
    named literal; ranked: types of entity with a rank; members [group_type, group, place], types [place, type, member
    Boolean], nation as in `grid`. Out: the columns of the contract but for their order, sorted by entity, node,
    dimension, member. Means are over the member places that have the member. What is unallocated has no mean, growth
    or rank; a withheld place has no points, its estimate stays in sums and means.
    """
    spans = [item for item in (now, before, two_before if before else None) if item is not None]
    axes = grid([stretch for item in spans for stretch in item.stretches], members=members, types=types, nation=nation)
    standings = [_standing(axes, item.laid, sources) for item in spans]
    places = axes.levels(now.stretches)
    levels = [axes.sums(places), *(axes.sums(axes.levels(item.stretches)) for item in spans[1:])]
    shown = [np.where(standing.shown, level, np.nan) for standing, level in zip(standings, levels, strict=True)]
    known = ~np.isnan(levels[0])
    allocated = (axes.cells.get_column("member") != UNALLOCATED).to_numpy()
    mean, count = axes.means(places)
    grown = _growth(axes, spans, links, standings, allocated)
    growth_mean, _ = axes.means(grown[0][: len(axes.places)])
    shares = [_ratio(level, standing.node_points) for level, standing in zip(shown, standings, strict=True)]
    nothing = np.full(levels[0].shape, np.nan)
    standing = standings[0]
    earlier = shown[1] if len(shown) > 1 else nothing
    frame = _flat(axes).with_columns(
        span,
        points=nullable(shown[0]),
        mean_points=nullable(np.where(allocated, mean, np.nan)),
        n_members=pl.Series(np.where(allocated, count, 0).reshape(-1)).replace(0, None),
        share_of_entity=nullable(shares[0]),
        share_change_pp=nullable(100.0 * (shares[0] - shares[1]) if len(shares) > 1 else nothing),
        growth_yoy=nullable(grown[0]),
        growth_members_mean=nullable(growth_mean),
        obs_status=pl.Series(STATUSES).gather(_status(standing, allocated).reshape(-1)),
        conf_status=pl.lit("F"),
        imputed_share=nullable(standing.imputed),
        **_ranks(axes, (shown[0], earlier), grown, counted=known & allocated, ranked=ranked),
    )
    # How final a row is depends on the rows there are.
    return frame[_sorted_rows(axes, known)].with_columns(maturity=maturity(whole=whole))


def _growth(
    axes: Grid, spans: Sequence[Span], links: pl.DataFrame, standings: Sequence[_Standing], allocated: Flags
) -> tuple[Floats, Floats]:
    """Growth of the span on the year before, and of the year before on the one before it."""
    found = [np.full((axes.entities.height, axes.cells.height), np.nan) for _ in range(2)]
    for number in range(len(spans) - 1):
        grown = axes.growth(spans[number].stretches, spans[number + 1].stretches, links)
        compared = standings[number].shown & standings[number + 1].shown & allocated
        found[number] = np.where(compared, grown, np.nan)
    return found[0], found[1]


def _standing(axes: Grid, whole: Laid, sources: pl.DataFrame) -> _Standing:
    """A member of children stands as the strongest of these children, any other member as the node.

    What is imputed in several children is weighed by their composite points.
    """
    at = whole.entities(axes.entities.iter_rows())
    points, composite, imputed, rank = (
        whole.values[name][at] for name in ("points", "composite_points", "imputed_share", STATUS)
    )
    position = {node: number for number, node in enumerate(whole.nodes)}
    own: Integers = np.array([position[node] for node in axes.cells.get_column("node").to_list()], dtype=np.int64)
    shape = (axes.entities.height, axes.cells.height)
    status, part = np.zeros(shape), np.zeros(shape)
    gathered = _gathered(sources)
    for number, cell in enumerate(axes.cells.iter_rows()):
        found = [position[node] for node in gathered.get(cell, [cell[0]]) if node in position]
        if len(found) == 1:
            status[:, number], part[:, number] = rank[:, found[0]], imputed[:, found[0]]
            continue
        status[:, number] = np.nan_to_num(rank[:, found]).max(axis=1, initial=0.0)
        part[:, number] = _ratio((composite * imputed)[:, found].sum(axis=1), composite[:, found].sum(axis=1))
    return _Standing(
        np.nan_to_num(status).astype(np.int64), part, points[:, own], np.nan_to_num(rank[:, own]).astype(np.int64)
    )


def _gathered(sources: pl.DataFrame) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for node, dimension, member, source in sources.select(*CELL, "source").sort(*CELL, "source").iter_rows():
        found.setdefault((node, dimension, member), []).append(source)
    return found


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole != 0.0, part / whole, np.nan)


def _status(standing: _Standing, allocated: Flags) -> Integers:
    """Places in STATUSES. What is unallocated is an estimate at best; while a late feed stands in, it is that (P)."""
    left = np.where(standing.node_status == STATUSES.index("A"), STATUSES.index("E"), standing.node_status)
    return np.where(allocated, standing.status, left)


def _flat(axes: Grid) -> pl.DataFrame:
    """entity × cell rows in the order of the arrays."""
    return axes.entities.select(ENTITY).join(axes.cells.select(CELL), how="cross", maintain_order="left_right")


def _sorted_rows(axes: Grid, known: Flags) -> Integers:
    """Where the known rows of the flat arrays are, by entity and cell: entities put in order, cells are."""
    order = axes.entities.with_row_index("number").sort(ENTITY).get_column("number").to_numpy()
    numbers = np.arange(known.size).reshape(known.shape)[order]
    return numbers[known[order]]


def _ranks(
    axes: Grid, levels: Sequence[Floats], grown: Sequence[Floats], *, counted: Flags, ranked: Collection[str]
) -> dict[str, pl.Series]:
    """The ranks of points and growth, within the entity and among entities of its type, and their changes.

    levels, grown: now and before, by entity × cell; counted: what has a rank now, so that it is compared with the same.
    """
    splits = _groups(axes.cells, ("node", "dimension"))
    kinds = [rows for (kind,), rows in _groups(axes.entities, ("entity_type",)).items() if kind in ranked]
    found: dict[str, pl.Series] = {}
    for prefix, values, growth in (("", levels, False), ("growth_", grown, True)):
        now, before = (comparable_values(np.where(counted, value, np.nan), growth=growth) for value in values)
        within, within_before = (_among(value, splits.values()) for value in (now, before))
        found |= _with_change(f"{prefix}rank_in_entity", within, within_before)
        among, among_before = (_among(value.T, kinds).T for value in (now, before))
        found |= _with_change(f"{prefix}rank_in_member", among, among_before)
    return found


def _among(values: Floats, groups: Iterable[Integers]) -> Floats:
    """Ranks of each row's values among those of the same group of columns; a column of no group has none."""
    rank: Floats = np.full(values.shape, np.nan)
    for columns in groups:
        rank[:, columns] = competition_ranks(values[:, columns])
    return rank


def _groups(axis: pl.DataFrame, by: Sequence[str]) -> dict[tuple[object, ...], Integers]:
    """Where on an axis each group is."""
    numbered = axis.select(*by).with_row_index("number")
    return {
        key: rows.get_column("number").cast(pl.Int64).to_numpy()
        for key, rows in numbered.partition_by(by, as_dict=True).items()
    }


def _with_change(name: str, rank: Floats, before: Floats) -> dict[str, pl.Series]:
    return {name: nullable(rank).cast(pl.Int64), f"{name}_change": nullable(before - rank).cast(pl.Int64)}
