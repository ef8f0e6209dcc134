"""What an explorer holds: the index, its periods, nodes and places, in one file that is read before all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.report.explorer.places import Places, Read
from dci_pipeline.report.layers import Maps
from dci_pipeline.report.style import as_data

# A page of another form does not understand these files, nor this one the files of another.
FORM = 1


@dataclass(frozen=True)
class About:
    """What the numbers are: a release with its day, or what is published now, which has neither."""

    release: str | None
    vintage: str | None


@dataclass(frozen=True)
class Sheet:
    """The map, and its approval number where one was given."""

    maps: Maps
    approval: str | None


@dataclass(frozen=True)
class Frequency:
    """One kind of period: its table, the periods it has, and how many periods of the cadence each of them covers."""

    id: str
    table: str
    periods: tuple[str, ...]
    covered: tuple[int, ...]
    # Another table may be about fewer periods, never about others.
    contributions: str | None
    uncertainty: str | None


def explorable(framework: Framework) -> bool:
    """Whether the index publishes any table that the explorer shows."""
    return any(f"index_{kind}" in framework.tables for kind in _kinds(framework))


def _kinds(framework: Framework) -> list[str]:
    return list(dict.fromkeys(("year", "half", framework.cadence)))


def frequencies(read: Read, framework: Framework) -> list[Frequency]:
    """The kinds of period that the index publishes: year first, the cadence last."""
    found: list[Frequency] = []
    for kind in _kinds(framework):
        table, beside = f"index_{kind}", [f"contribution_{kind}", f"uncertainty_{kind}"]
        if table not in framework.tables:
            continue
        rows = read(table, (kind, "months_covered", "quarters_covered"))
        if rows.is_empty():
            continue
        counted = [name for name in rows.columns if name != kind]
        covered = rows.group_by(kind).agg(pl.col(name).max() for name in counted).sort(kind)
        here = [name if name in framework.tables else None for name in beside]
        found.append(
            Frequency(
                kind,
                table,
                tuple(period_key(value, kind) for value in covered[kind]),
                tuple(covered[counted[0]]) if counted else (),
                *here,
            )
        )
    return found


def period_key(value: object, kind: str) -> str:
    """The period that a value of a table's period column names, as text."""
    return Period(value, kind).key if isinstance(value, date) else str(value)


def manifest(
    framework: Framework,
    about: About,
    found: Sequence[Frequency],
    known: Places,
    having: Mapping[str, Mapping[str, list[str]]],
    kinds: Mapping[str, Iterable[str]],
    sheet: Sheet | None,
) -> dict[str, Any]:
    """What there is: the index, the release, periods, nodes in the order of the tree, entities, decimals."""
    return {
        "form": FORM,
        "index": framework.index,
        "name": {"zh": framework.name_zh, "en": framework.name_en},
        "cadence": framework.cadence,
        "base_points": framework.base_points,
        "release": about.release,
        "vintage": about.vintage,
        "frequencies": [
            {
                "id": item.id,
                "table": item.table,
                "periods": item.periods,
                "covered": item.covered,
                "contributions": item.contributions,
                "uncertainty": item.uncertainty,
            }
            for item in found
        ],
        "nodes": [
            {
                "id": node.node,
                "parent": node.parent,
                "zh": node.name_zh,
                "en": node.name_en,
                "assumption": node.assumption,
                "has": having[node.node],
                "types": list(kinds[node.node]),
            }
            for node in framework.nodes
            if node.node in having
        ],
        "types": list(dict.fromkeys(row["type"] for row in known.rows)),
        "ranked": sorted({kind.type for kind in framework.entities if kind.ranked}),
        "places": known.rows,
        # What the areas of the map are, finest first; empty for a map of points, null without a map.
        "map": None if sheet is None else list(sheet.maps.layers),
        "style": as_data(),
    }
