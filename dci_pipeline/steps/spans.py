"""What every published table of the index reads: entities × nodes over a period or span, ready to be compared.

A span is compared with the same periods of the year before, on the places and memberships of one day, so that growth
never mixes two geographies (METHOD sections 4, 7, 8).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from dci_pipeline.data_files import content_hash
from dci_pipeline.findings import Held
from dci_pipeline.framework import Link
from dci_pipeline.marts import growth
from dci_pipeline.marts.entities import entities
from dci_pipeline.marts.linked import linked_entities, together, with_links
from dci_pipeline.normalise.statuses import STATUSES
from dci_pipeline.periods import Period
from dci_pipeline.steps.commits import versions_of
from dci_pipeline.steps.index import publishable, span_of
from dci_pipeline.steps.weight import structure_hash
from dci_pipeline.work import Work

# Those of the months of eight years: a run goes through them once for every table.
_KEPT = 96


@dataclass(frozen=True)
class Compared:
    """A month, half-year or year: its periods that can be published, and the same ones of the year before."""

    span: Period
    now: list[Period]
    before: list[Period]
    whole: bool

    @property
    def last(self) -> Period:
        return self.now[-1]


def compared(work: Work, span: Period) -> Compared:
    """The publishable periods of a span; `before` is empty unless every one of them has its counterpart.

    Raises Held when the span has none.
    """
    parts = [span] if span.cadence == work.framework.cadence else span.parts(work.framework.cadence)
    found = published_parts(work, span, parts)
    if not found.now:
        raise Held(
            f"no {work.framework.cadence} of the {span.cadence} can be published",
            where=f"{work.index} {span}",
            found="none computed, or too much of each imputed",
            expected=", ".join(str(part) for part in parts),
            todo=f"run its {work.framework.cadence}s first",
        )
    return found


def published_parts(work: Work, span: Period, parts: Sequence[Period]) -> Compared:
    """As `compared`, for any list of periods, and without raising."""
    now = publishable(work, parts)
    same = [item.year_before() for item in now]
    before = same if now and publishable(work, same) == same else []
    return Compared(span, now, before, len(now) == len(parts))


def inputs(work: Work, items: Sequence[Period], *, at: Period) -> dict[str, str]:
    """Everything `span_entities` reads of these periods, as named inputs of a stamp."""
    periods = sorted(set(items))
    starts = {link.start for item in periods for link in _chain(work, item)}
    return (
        versions_of(work, "index", "points", periods)
        | versions_of(work, "normalise", "shares", periods)
        | versions_of(work, "index", "links", sorted(starts))
        | {
            "members": work.geography.members_hash(at),
            "ranked": ",".join(work.ranked),
            "weights": str(work.warehouse.data_version("weight", "alphas")),
            "structure": structure_hash(work),
            "place_limit": str(work.framework.place_imputed_limit),
        }
    )


def span_entities(
    work: Work, items: Sequence[Period], *, at: Period, nodes: Collection[str] | None = None
) -> pl.DataFrame:
    """Every entity × node over `items`, with the places and primary memberships of `at`; of some nodes only if named.

    Sorted by entity_type, entity_code, node: points, composite_points, share, points_share, mean_points, n_members,
    member_type, rank, obs_status, imputed_share, and what a comparison needs (`marts.linked.with_links`):
    chained_points, chain_breaks, link_points, composite_link_points. A place row with status M has no points.
    """
    if nodes is not None:
        return _span_entities(work, items, at, nodes)
    key = content_hash(sorted(inputs(work, items, at=at).items()))
    return work.once("entities", key, lambda: _span_entities(work, items, at), most=_KEPT)


def _span_entities(
    work: Work, items: Sequence[Period], at: Period, nodes: Collection[str] | None = None
) -> pl.DataFrame:
    members, nation = work.geography.members_at(at), work.framework.nation["code"]
    parts: list[tuple[int, pl.DataFrame]] = []
    for part in by_link(work, items):
        places = _level(work, part, nodes)
        frames: list[pl.DataFrame] = []
        for root in work.framework.roots:
            below = [node for node in work.framework.by_node if work.framework.root_of(node) == root]
            rows = places.filter(pl.col("node").is_in(below))
            if not rows.is_empty():
                frames.append(entities(rows, members=members, types=work.types, nation=nation))
        parts.append((len(part), with_links(pl.concat(frames), passed_links(work, part[0], at=at, nodes=nodes))))
    frame = together(parts, statuses=STATUSES)
    frame = growth.with_ranks(frame, ranked=work.ranked)
    return growth.with_points_share(frame, nation=nation)


def passed_links(work: Work, item: Period, *, at: Period, nodes: Collection[str] | None = None) -> list[pl.DataFrame]:
    """`linked_entities` of every link up to the one a period lies in, but for the first, in order."""
    return [
        linked_entities(
            _of_nodes(work.warehouse.read("index", "links", link.start), nodes),
            members=work.geography.members_at(at),
            types=work.types,
            nation=work.framework.nation["code"],
        )
        for link in _chain(work, item)[1:]
    ]


def by_link(work: Work, items: Sequence[Period]) -> list[list[Period]]:
    """The periods of a span in order, those of one link together."""
    return [list(group) for _, group in groupby(sorted(items), key=lambda item: _chain(work, item)[-1].start)]


def _level(work: Work, part: list[Period], nodes: Collection[str] | None) -> pl.DataFrame:
    if len(part) == 1:
        return _of_nodes(work.warehouse.read("index", "points", part[0]), nodes)
    return span_of(work, part, nodes=nodes)


def _of_nodes(rows: pl.DataFrame, nodes: Collection[str] | None) -> pl.DataFrame:
    return rows if nodes is None else rows.filter(pl.col("node").is_in(sorted(nodes)))


def _chain(work: Work, item: Period) -> tuple[Link, ...]:
    link = work.framework.link_at(item)
    assert link is not None
    return work.framework.chain(link)
