"""The breakdown tables: members of a node in every entity, their shares, growth and ranks (METHOD sections 2 and 4).

A member is ranked within its entity, and the entity within its kind for the member. Growth is like for like; ranks
before are those of what there is now. Points of members come from `index.members`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dci_pipeline.index.dense import Flags, Floats, Integers, axis, floats, nullable
from dci_pipeline.index.members import CELL, UNALLOCATED
from dci_pipeline.index.points import STATUSES
from dci_pipeline.marts.grid import ENTITY, Grid, Stretch, grid
from dci_pipeline.marts.growth import rank_of
from dci_pipeline.marts.index_span import maturity

_RANKED = {"rank_in_entity": "within", "rank_in_member": "among"}


@dataclass(frozen=True)
class Span:
    """A span: its stretches in order, and its entities × nodes [entity_type, entity_code, node, points,
    composite_points, obs_status, imputed_share]."""

    stretches: tuple[Stretch, ...]
    entities: pl.DataFrame


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
    rows = [stretch.rows for item in spans for stretch in item.stretches]
    axes = grid(rows, members=members, types=types, nation=nation)
    standings = [_standing(axes, item.entities, sources) for item in spans]
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
    frame = _flat(axes).with_columns(
        points=nullable(shown[0]),
        mean_points=nullable(np.where(allocated, mean, np.nan)),
        n_members=pl.Series(np.where(allocated, count, 0).reshape(-1)).replace(0, None),
        share_of_entity=nullable(shares[0]),
        share_change_pp=nullable(100.0 * (shares[0] - shares[1]) if len(shares) > 1 else nothing),
        growth_yoy=nullable(grown[0]),
        growth_members_mean=nullable(growth_mean),
        points_before=nullable(shown[1] if len(shown) > 1 else nothing),
        growth_before=nullable(grown[1]),
        obs_status=pl.Series(_status(standing, allocated).reshape(-1).tolist(), dtype=pl.String),
        imputed_share=nullable(standing.imputed),
        allocated=pl.Series(np.broadcast_to(allocated, levels[0].shape).reshape(-1)),
    )
    frame = _with_ranks(frame.filter(pl.Series(known.reshape(-1))), ranked)
    return frame.with_columns(span, conf_status=pl.lit("F"), maturity=maturity(whole=whole)).sort(*ENTITY, *CELL)


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


def _standing(axes: Grid, entities: pl.DataFrame, sources: pl.DataFrame) -> _Standing:
    """A member of children stands as the strongest of these children, any other member as the node.

    What is imputed in several children is weighed by their composite points.
    """
    nodes = axis(entities, "node")
    numbered = axes.entities.with_row_index("entity")
    rows = entities.join(numbered, on=list(ENTITY)).with_columns(
        rank=pl.col("obs_status").replace_strict(STATUSES, range(len(STATUSES)), return_dtype=pl.Float64)
    )
    on = (("entity", numbered.get_column("entity")), ("node", nodes))
    rank, imputed, composite, points = (
        floats(rows, name, on) for name in ("rank", "imputed_share", "composite_points", "points")
    )
    position = {node: number for number, node in enumerate(nodes.to_list())}
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


def _status(standing: _Standing, allocated: Flags) -> np.ndarray[tuple[int, ...], np.dtype[np.str_]]:
    """What is unallocated is an estimate at best; while a late feed stands in, it is that (P)."""
    left = np.where(standing.node_status == STATUSES.index("A"), STATUSES.index("E"), standing.node_status)
    return np.array(STATUSES)[np.where(allocated, standing.status, left)]


def _flat(axes: Grid) -> pl.DataFrame:
    """entity × cell rows in the order of the arrays; `within` numbers entity × dimension, `among` type × cell."""
    entities = axes.entities.with_row_index("entity").with_columns(kind=pl.col("entity_type").rank("dense"))
    cells = axes.cells.with_row_index("cell").with_columns(split=pl.struct("node", "dimension").rank("dense"))
    numbered = entities.join(cells, how="cross", maintain_order="left_right")
    return numbered.select(
        *ENTITY,
        *CELL,
        within=pl.col("entity").cast(pl.Int64) * (cells.height + 1) + pl.col("split"),
        among=pl.col("kind").cast(pl.Int64) * cells.height + pl.col("cell"),
    )


def _with_ranks(frame: pl.DataFrame, ranked: Collection[str]) -> pl.DataFrame:
    """Adds the ranks of points and growth, within the entity and among entities of its type, and their changes."""
    kinds = pl.col("entity_type").is_in(sorted(ranked))
    values = {"": ("points", "points_before"), "growth_": ("growth_yoy", "growth_before")}
    found: list[pl.Expr] = []
    masked = frame.with_columns(
        pl.when("allocated").then(name).alias(f"within_{name}") for pair in values.values() for name in pair
    ).with_columns(
        pl.when(kinds).then(f"within_{name}").alias(f"among_{name}") for pair in values.values() for name in pair
    )
    for prefix, (now, before) in values.items():
        for name, frame_of in _RANKED.items():
            rank, rank_before = (
                rank_of(f"{frame_of}_{value}", (frame_of,), growth=prefix != "") for value in (now, before)
            )
            found += [rank.alias(f"{prefix}{name}"), (rank_before - rank).alias(f"{prefix}{name}_change")]
    dropped = [name for name in masked.columns if name.startswith(("within_", "among_"))]
    return masked.with_columns(found).drop(*dropped, *_RANKED.values(), "points_before", "growth_before", "allocated")
