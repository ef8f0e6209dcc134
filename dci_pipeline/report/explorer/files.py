"""The script files of the explorer: what there is, then the numbers of one node and one kind of period at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dci_pipeline.framework import Framework
from dci_pipeline.report.explorer.columns import encoded, grid
from dci_pipeline.report.explorer.manifest import About, Frequency, Sheet, explorable, frequencies, manifest, period_key
from dci_pipeline.report.explorer.measures import CONTRIBUTION, LINK_EFFECT, STATUSES, Measure, of_table
from dci_pipeline.report.explorer.places import Places, Read, places


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
            entities: list[int] = made["entities"]
            kinds.setdefault(node, {}).update(dict.fromkeys(known.rows[at]["type"] for at in entities))
            yield script(f"{item.id}/{node}", made)
    for item in found:
        if item.contributions is not None:
            for parent, made in contributions(read, item, framework, known):
                having[parent].setdefault("contributions", []).append(item.id)
                yield script(f"contributions/{item.id}/{parent}", made)
    if sheet is not None:
        yield script("map", {**sheet.maps.as_data(), "approval": sheet.approval})
    yield script("manifest", manifest(framework, about, found, known, having, kinds, sheet))


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


def series(
    read: Read, frequency: Frequency, tables: Sequence[str], known: Places
) -> Iterator[tuple[str, dict[str, Any]]]:
    """By node: the entities it has, their measures, and the status of each row, over the periods of the frequency."""
    measures = [of_table(table) for table in tables]
    parts = [
        _located(read(table, _columns(frequency, found)), frequency, known).partition_by("node", as_dict=True)
        for table, found in zip(tables, measures, strict=True)
    ]
    # A node at a time: as whole numbers of Python they are many times what they are in columns.
    for key in sorted(parts[0]):
        own = parts[0][key]
        made: dict[str, Any] = {
            "entities": own["entity"].unique().sort().to_list(),
            "measures": {},
            "status": _statuses(own, len(frequency.periods)),
        }
        for part, found in zip(parts, measures, strict=True):
            if key in part:
                _lay(made, part[key], found, len(frequency.periods))
        yield str(key[0]), made


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


def _columns(frequency: Frequency, measures: Sequence[Measure]) -> tuple[str, ...]:
    return ("entity_type", "entity_code", "node", frequency.id, *(one.column for one in measures), *STATUSES)


def _located(rows: pl.DataFrame, frequency: Frequency, known: Places) -> pl.DataFrame:
    """Rows with the position of their entity and of their period; those of other periods left out."""
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
    located = rows.lazy().join(known.frame.lazy(), on=("entity_type", "entity_code")).join(spans.lazy(), on=kind)
    return located.drop("entity_type", "entity_code", kind).drop_nulls("period").collect()


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
    apart = other.sort("entity", "period").iter_rows()
    return {"usual": [usual.get(at) for at in range(width)], "other": [list(row) for row in apart]}
