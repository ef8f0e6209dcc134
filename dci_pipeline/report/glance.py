"""A table at a glance: which rows of a partition are shown, whatever table it is, and the first of them.

What is shown follows from the table's columns: its first number is measured, over the entities of the preferred slice
(the index itself, places). `glance_panels` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from dci_pipeline.report.numbers import MISSING, decimals_for, number

# The columns of a key that say when, from the longest span on.
WHEN = ("year", "half", "quarter", "month", "period")
_ENTITIES = ("entity_code", "place", "code")
TYPE, TYPE_OF_NATION = "entity_type", "nation"
# Columns whose codes are of a kind that another column says, or that has another name.
_KIND_IN = {"entity_code": TYPE, "scope_code": "scope_type", "group_code": "group_type"}
_NODES = ("node", "child", "root", "parent")
_ROWS, _COLUMNS = 8, 6


@dataclass(frozen=True)
class Table:
    """How a table is read: its key, the unit of every number that is no key, in the contract's order.

    `preferred`: by key column the value to show, such as the root of the tree; `names`: what codes are called, a
    place by its code, all else as 'kind:code', such as 'node:total' or a type of group and its code.
    """

    key: tuple[str, ...]
    units: Mapping[str, str]
    preferred: Mapping[str, Sequence[str]]
    names: Mapping[str, str]

    @property
    def measure(self) -> str | None:
        return next(iter(self.units), None)


@dataclass(frozen=True)
class Slice:
    """The rows that are shown: one per entity, the column that names it, and what they were limited to."""

    rows: pl.DataFrame
    entity: str
    limits: Mapping[str, object]


def sliced(frame: pl.DataFrame, table: Table) -> Slice:
    """One row per entity that is measured: every other column of the key at its preferred value, else the commonest.

    Of several periods in a partition the last is shown.
    """
    keys = [name for name in table.key if name in frame.columns]
    if table.measure is not None and frame[table.measure].null_count() < frame.height:
        frame = frame.filter(pl.col(table.measure).is_not_null())
    when = next((name for name in reversed(WHEN) if name in keys), None)
    entity = next((name for name in _ENTITIES if name in keys), None)
    if entity is None:
        others = [name for name in keys if name != when] or frame.columns[:1]
        entity = max(others, key=lambda name: frame[name].n_unique())
    rows, limits = frame, dict[str, object]()
    for name in sorted(keys, key=lambda name: name not in table.preferred):
        if name == entity or rows.is_empty():
            continue
        values = rows[name].drop_nulls()
        if values.is_empty():
            continue
        wanted = next((value for value in table.preferred.get(name, ()) if (values == value).any()), None)
        value: object = wanted if wanted is not None else values.max() if name == when else _commonest(values)
        limits[name] = value
        rows = rows.filter(pl.col(name) == value)
    return Slice(rows, entity, limits)


def past_of(shown: Slice, table: Table, frame: pl.DataFrame) -> pl.Expr:
    """Which rows of earlier partitions the trend is made of: the nation's where the table has it, else the slice's."""
    limits = {name: value for name, value in shown.limits.items() if name not in WHEN}
    if TYPE in limits and (frame[TYPE] == TYPE_OF_NATION).any():
        limits[TYPE] = TYPE_OF_NATION
    return pl.all_horizontal(*(pl.col(name) == value for name, value in limits.items()), pl.lit(True))


def first_rows(frame: pl.DataFrame, table: Table, *, lang: str = "en") -> str:
    """The leading rows of what is shown, as a Markdown table; empty for a partition without rows."""
    if frame.is_empty():
        return ""
    if table.measure is None:
        columns = frame.columns[:_COLUMNS]
        cells = [
            ["" if value is None else str(value) for value in row] for row in frame.select(columns).head(_ROWS).rows()
        ]
        return _markdown(columns, [False] * len(columns), cells)
    shown = sliced(frame, table)
    rows = shown.rows
    rows = (
        rows.sort("rank", shown.entity, nulls_last=True)
        if "rank" in rows.columns
        else rows.sort(table.measure, shown.entity, descending=[True, False], nulls_last=True)
    )
    columns = [name for name in table.units if name in rows.columns and rows[name].null_count() < rows.height]
    columns = columns[:_COLUMNS]
    decimals = {name: decimals_for(rows[name].to_list(), table.units[name]) for name in columns}
    cells = [
        [
            name_of(row[shown.entity], shown.entity, table, shown.limits),
            *(number(row[name], table.units[name], lang, decimals=decimals[name]) for name in columns),
        ]
        for row in rows.head(_ROWS).iter_rows(named=True)
    ]
    return _markdown([shown.entity, *columns], [False, *(True for _ in columns)], cells)


def _markdown(head: Sequence[str], right: Sequence[bool], cells: Sequence[Sequence[str]]) -> str:
    def line(values: Sequence[str]) -> str:
        return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") or MISSING for value in values) + " |"

    return "\n".join([line(head), line(["---:" if at else "---" for at in right]), *map(line, cells)])


def _commonest(values: pl.Series) -> object:
    counted = values.value_counts(sort=False).sort("count", values.name, descending=[True, False])
    return counted[values.name][0]


def name_of(code: object, column: str, table: Table, limits: Mapping[str, object]) -> str:
    """What a code of a column is called; the code itself where it has no name."""
    if code is None:
        return MISSING
    kind = "node" if column in _NODES else str(limits.get(_KIND_IN.get(column, ""), column))
    return table.names.get(f"{kind}:{code}") or table.names.get(str(code)) or str(code)
