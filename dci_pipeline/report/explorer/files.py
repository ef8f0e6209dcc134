"""The script files of the explorer: what there is, then the numbers of one node and one kind of period at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.report.explorer.columns import encoded, grid
from dci_pipeline.report.explorer.measures import CONTRIBUTION, LINK_EFFECT, STATUSES, Measure, of_table
from dci_pipeline.report.explorer.places import Places, Read, places
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


@dataclass(frozen=True)
class Written:
    """One file: its name below the folder of the explorer, and its text."""

    name: str
    text: str


def explorer_files(read: Read, framework: Framework, about: About, sheet: Sheet | None = None) -> Iterator[Written]:
    """Every data file of the explorer, from the published tables and the map; equal ones give equal files.

    Nothing for an index that publishes no table of the explorer (`explorable`).
    """
    if not explorable(framework):
        return
    read = _promised(read, framework)
    found = frequencies(read, framework)
    there = {key for item in found for key in read(item.table, ("entity_type", "entity_code")).unique().iter_rows()}
    known = places(read, framework.nation, framework.entities, sorted(there))
    having: dict[str, dict[str, list[str]]] = {}
    kinds: dict[str, dict[str, None]] = {}
    for item in found:
        tables = tuple(name for name in (item.table, item.contributions, item.uncertainty) if name is not None)
        for node, made in series(read, item, tables, known):
            having.setdefault(node, {})[item.id] = sorted(made["measures"])
            kinds.setdefault(node, {}).update(dict.fromkeys(known.rows[at]["type"] for at in made["entities"]))
            yield script(f"{item.id}/{node}", made)
    for item in found:
        if item.contributions is not None:
            for parent, made in contributions(read, item, framework, known):
                having[parent].setdefault("contributions", []).append(item.id)
                yield script(f"contributions/{item.id}/{parent}", made)
    if sheet is not None:
        yield script("map", {**sheet.maps.as_data(), "approval": sheet.approval})
    yield script("manifest", manifest(framework, about, found, known, having, kinds, sheet))


def explorable(framework: Framework) -> bool:
    """Whether the index publishes any table that the explorer shows."""
    return any(f"index_{kind}" in framework.tables for kind in _kinds(framework))


def _kinds(framework: Framework) -> list[str]:
    return list(dict.fromkeys(("year", "half", framework.cadence)))


def _promised(read: Read, framework: Framework) -> Read:
    """Reads the tables that the index has a contract of; another one is empty."""

    def promised(table: str, columns: Sequence[str]) -> pl.DataFrame:
        if table in framework.tables:
            return read(table, columns)
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))

    return promised


def script(name: str, content: Mapping[str, Any]) -> Written:
    """A file that hands its content to the page that asked for it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Two line ends that JSON allows in a text and older scripts do not; `</` would end the script in a page.
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("</", "<\\/")
    return Written(f"data/{name}.js", f"dciExplorer.take({json.dumps(name)},{text})\n")


def frequencies(read: Read, framework: Framework) -> list[Frequency]:
    """The kinds of period that the index publishes: year first, the cadence last."""
    found: list[Frequency] = []
    for kind in _kinds(framework):
        table, beside = f"index_{kind}", [f"contribution_{kind}", f"uncertainty_{kind}"]
        if table not in framework.tables:
            continue
        rows = read(table, (kind, "months_covered", "quarters_covered"))
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


def series(
    read: Read, frequency: Frequency, tables: Sequence[str], known: Places
) -> Iterator[tuple[str, dict[str, Any]]]:
    """By node: the entities it has, their measures, and the status of each row, over the periods of the frequency."""
    laid: dict[str, dict[str, Any]] = {}
    for table in tables:
        measures = of_table(table)
        rows = _located(read(table, _columns(frequency, measures)), frequency, known)
        for (node,), part in sorted(rows.partition_by("node", as_dict=True).items()):
            if table == frequency.table:
                laid[str(node)] = {
                    "entities": part["entity"].unique().sort().to_list(),
                    "measures": {},
                    "status": _statuses(part, len(frequency.periods)),
                }
            _lay(laid[str(node)], part, measures, len(frequency.periods))
    yield from laid.items()


def contributions(
    read: Read, frequency: Frequency, framework: Framework, known: Places
) -> Iterator[tuple[str, dict[str, Any]]]:
    """By node with children: the parts of its change that its children made, in points of the root; sums are exact.

    Before rounding the parts of the children add to the part of the node, which is among them under its own name.
    """
    assert frequency.contributions is not None
    rows = _located(read(frequency.contributions, _columns(frequency, (CONTRIBUTION, LINK_EFFECT))), frequency, known)
    parts = {str(node): part for (node,), part in rows.partition_by("node", as_dict=True).items()}
    for parent in framework.nodes:
        inside = [node.node for node in framework.nodes if node.parent == parent.node and node.node in parts]
        if not inside or parent.node not in parts:
            continue
        entities = parts[parent.node]["entity"].unique().sort().to_list()
        made: dict[str, Any] = {"entities": entities, "measures": {}, "decimals": CONTRIBUTION.decimals}
        for node in (parent.node, *inside):
            one: dict[str, Any] = {"entities": entities, "measures": {}}
            _lay(one, parts[node], (CONTRIBUTION,), len(frequency.periods))
            made["measures"][node] = one["measures"][CONTRIBUTION.column]["rows"]
        linked: dict[str, Any] = {"entities": entities, "measures": {}}
        _lay(linked, parts[parent.node], (LINK_EFFECT,), len(frequency.periods))
        made["link"] = linked["measures"].get(LINK_EFFECT.column, {}).get("rows")
        yield parent.node, made


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


def _columns(frequency: Frequency, measures: Sequence[Measure]) -> tuple[str, ...]:
    return ("entity_type", "entity_code", "node", frequency.id, *(one.column for one in measures), *STATUSES)


def _located(rows: pl.DataFrame, frequency: Frequency, known: Places) -> pl.DataFrame:
    """Rows with the position of their entity and of their period, in that order; those of other periods left out."""
    kind = frequency.id
    values = rows[kind].unique().to_list()
    at = {key: place for place, key in enumerate(frequency.periods)}
    keyed = [(value, at.get(period_key(value, kind))) for value in values]
    spans = pl.DataFrame(
        {
            kind: pl.Series([value for value, _ in keyed], dtype=rows.schema[kind]),
            "period": pl.Series([place for _, place in keyed], dtype=pl.Int64),
        }
    )
    located = rows.join(known.frame, on=("entity_type", "entity_code")).join(spans, on=kind)
    return located.drop_nulls("period").sort("node", "entity", "period")


def _lay(made: dict[str, Any], rows: pl.DataFrame, measures: Sequence[Measure], width: int) -> None:
    """Add the measures of some rows of one node to what is made of it."""
    entities = np.asarray(made["entities"], dtype=np.int64)
    rows = rows.filter(pl.col("entity").is_in(made["entities"]))
    across = np.searchsorted(entities, rows["entity"].to_numpy())
    along = rows["period"].to_numpy()
    for measure in measures:
        if measure.column not in rows.columns:
            continue
        values = rows[measure.column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if np.isnan(values).all() or (measure.only_where_not_zero and not np.nan_to_num(values).any()):
            continue
        laid = grid(across, along, values, (len(entities), width))
        made["measures"][measure.column] = {"decimals": measure.decimals, "rows": encoded(laid, measure.decimals)}


def _statuses(rows: pl.DataFrame, width: int) -> dict[str, Any]:
    """The usual status of each period, and the rows that have another: [entity's position, period's, status]."""
    there = [name for name in STATUSES if name in rows.columns]
    said = rows.select("entity", "period", status=pl.concat_str(there, separator=" "))
    counted = said.group_by("period", "status").len().sort(["period", "len", "status"], descending=[False, True, False])
    usual = dict(counted.unique("period", keep="first", maintain_order=True).select("period", "status").iter_rows())
    other = said.filter(pl.col("status") != pl.col("period").replace_strict(usual, return_dtype=pl.String))
    return {"usual": [usual.get(at) for at in range(width)], "other": [list(row) for row in other.iter_rows()]}
