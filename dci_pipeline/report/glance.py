"""A table at a glance: one small chart of a partition and its first rows, for whatever table it is.

What is shown follows from the table's columns: its first number is measured, over the entities of the preferred slice
(the index itself, places); how it is spread, how it went over the last periods, who moved most. A table without
numbers is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from dci_pipeline.report.numbers import MISSING, decimals_for, form_of, number
from dci_pipeline.report.style import LIGHT, Theme

# The columns of a key that say when, from the longest span on.
WHEN = ("year", "half", "quarter", "month", "period")
_ENTITIES = ("entity_code", "place", "code")
_TYPE, _TYPES_NATION = "entity_type", "nation"
# Columns whose codes are of a kind that another column says, or that has another name.
_KIND_IN = {"entity_code": _TYPE, "scope_code": "scope_type", "group_code": "group_type"}
_NODES = ("node", "child", "root", "parent")
_BARS, _BINS, _MOVED, _ROWS, _COLUMNS = 12, 16, 4, 8, 6
_SIZE = {"width": 180, "height": 112}


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
    if _TYPE in limits and (frame[_TYPE] == _TYPES_NATION).any():
        limits[_TYPE] = _TYPES_NATION
    return pl.all_horizontal(*(pl.col(name) == value for name, value in limits.items()), pl.lit(True))


def chart(frame: pl.DataFrame, past: pl.DataFrame, table: Table, *, theme: Theme = LIGHT) -> dict[str, Any] | None:
    """The Vega-Lite specification of a partition; None for one without rows.

    past: rows of this and earlier partitions that `past_of` chooses, with the columns of the table.
    """
    if frame.is_empty():
        return None
    measure = table.measure
    if measure is None:
        return _spec([_counted(frame, table, theme)], "")
    shown = sliced(frame, table)
    shown = replace(shown, rows=shown.rows.filter(pl.col(measure).cast(pl.Float64).is_finite()))
    panels = [_spread(shown, measure, table, theme), _trend(past, measure, table, theme)]
    panels.append(_moved(shown, past, table, theme))
    said = " · ".join(_name(value, column, table, shown.limits) for column, value in shown.limits.items())
    return _spec([panel for panel in panels if panel is not None], said)


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
            _name(row[shown.entity], shown.entity, table, shown.limits),
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


def _name(code: object, column: str, table: Table, limits: Mapping[str, object]) -> str:
    """What a code of a column is called; the code itself where it has no name."""
    if code is None:
        return MISSING
    kind = "node" if column in _NODES else str(limits.get(_KIND_IN.get(column, ""), column))
    return table.names.get(f"{kind}:{code}") or table.names.get(str(code)) or str(code)


def _spread(shown: Slice, measure: str, table: Table, theme: Theme) -> dict[str, Any] | None:
    """A histogram of many entities, on a logarithmic axis where they are that far apart; a bar for each of a few."""
    rows, entity = shown.rows, shown.entity
    if rows.is_empty():
        return None
    values = rows[measure].cast(pl.Float64)
    title = f"{measure}: {rows.height} × {entity}"
    if rows.height <= _BARS:
        bars = _named(rows.select(entity, measure), shown, table)
        return _bars(sorted(bars, key=lambda bar: -bar["value"]), title, table.units[measure], theme.accent)
    low, high = float(values.min() or 0.0), float(values.max() or 0.0)  # pyright: ignore[reportArgumentType]
    wide = low > 0 and high / low > 50
    edges = _edges(low, high, wide=wide)
    placed = values.log(10) if wide else values
    first, last = (math.log10(low), math.log10(high)) if wide else (low, high)
    at = ((placed - first) / ((last - first) or 1.0) * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int64)
    counts = dict(at.value_counts().rows())
    scale = {"type": "log", "nice": False} if wide else {"zero": False, "nice": False}
    axis: dict[str, Any] = {"tickCount": 3, "format": _axis(table.units[measure])}
    if wide:
        axis["values"] = [10.0**power for power in range(math.ceil(first), math.floor(last) + 1)]
    data = [{"from": edges[place], "to": edges[place + 1], "n": counts.get(place, 0)} for place in range(_BINS)]
    return {
        **_SIZE,
        "title": title,
        "data": {"values": data},
        "mark": {"type": "rect", "color": theme.accent, "stroke": theme.surface, "strokeWidth": 1},
        "encoding": {
            "x": {"field": "from", "type": "quantitative", "title": None, "axis": axis, "scale": scale},
            "x2": {"field": "to"},
            "y": {"field": "n", "type": "quantitative", "title": None, "axis": {"tickCount": 3}},
            "y2": {"datum": 0},
        },
    }


def _edges(low: float, high: float, *, wide: bool) -> list[float]:
    if wide:
        return [low * (high / low) ** (place / _BINS) for place in range(_BINS + 1)]
    return [low + ((high - low) or 1.0) * place / _BINS for place in range(_BINS + 1)]


def _trend(past: pl.DataFrame, measure: str, table: Table, theme: Theme) -> dict[str, Any] | None:
    """The last periods: the nation's value, or the sum of points, or the median where nothing may be summed."""
    when = next((name for name in reversed(WHEN) if name in table.key and name in past.columns), None)
    if when is None or measure not in past.columns or past[when].n_unique() < 2:
        return None
    nation = _TYPE in past.columns and (past[_TYPE] == _TYPES_NATION).all()
    summed = form_of(table.units[measure]).form in ("points", "count")
    value = pl.col(measure).first() if nation else pl.col(measure).sum() if summed else pl.col(measure).median()
    rows = past.group_by(when).agg(value.alias("value")).sort(when)
    data = [{"when": _period(at, when), "value": found} for at, found in rows.rows()]
    said = table.names.get(f"{_TYPES_NATION}:", _TYPES_NATION) if nation else "sum" if summed else "median"
    return {
        **_SIZE,
        "title": f"{measure}: {said}, {len(data)} × {when}",
        "data": {"values": data},
        "mark": {"type": "line", "color": theme.accent, "point": {"size": 22, "color": theme.accent}},
        "encoding": {
            "x": {
                "field": "when",
                "type": "ordinal",
                "title": None,
                "axis": {"values": _few([row["when"] for row in data])},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False},
                "axis": {"tickCount": 3, "format": _axis(table.units[measure])},
            },
        },
    }


def _few(labels: list[str]) -> list[str]:
    """The first, the last and two between them: a label costs more to lay out than what it stands under."""
    return [labels[round(part * (len(labels) - 1) / 3)] for part in range(4)] if len(labels) > 4 else labels


def _period(at: object, when: str) -> str:
    text = str(at)
    return text[:7] if when in ("month", "quarter", "period") and len(text) == 10 else text


def _moved(shown: Slice, past: pl.DataFrame, table: Table, theme: Theme) -> dict[str, Any] | None:
    """Who gained and lost most: by a growth or change of the table, else against the period before."""
    rows, entity = shown.rows, shown.entity
    column = next((name for name in table.units if name.startswith("growth") and "rank" not in name), None)
    column = column or next((name for name in table.units if "change" in name), None)
    unit = table.units.get(column or "", "fraction of 1")
    if column is None or column not in rows.columns or rows[column].null_count() == rows.height:
        rows, column, unit = _against_before(rows, entity, past, table), "change", "fraction of 1"
    rows = rows.filter(pl.col(column).is_not_null() & pl.col(column).is_finite() & (pl.col(column) != 0))
    if rows.height < 2:
        return None
    ordered = rows.select(pl.col(entity), pl.col(column)).sort(column, entity, descending=[True, False])
    few = min(_MOVED, ordered.height // 2)
    ends = pl.concat([ordered.head(few), ordered.tail(few)])
    return _bars(_named(ends, shown, table), f"{column}: most and least", unit, theme.rise, below=theme.fall)


def _named(rows: pl.DataFrame, shown: Slice, table: Table) -> list[dict[str, Any]]:
    """[entity, value] as bars with names; two of one name stand apart by their code."""
    called = [(code, _name(code, shown.entity, table, shown.limits), value) for code, value in rows.rows()]
    names = [name for _, name, _ in called]
    return [
        {"name": name if names.count(name) == 1 else f"{name} {code}", "value": value} for code, name, value in called
    ]


def _against_before(rows: pl.DataFrame, entity: str, past: pl.DataFrame, table: Table) -> pl.DataFrame:
    """[entity, change] against the last period before, where the past holds single entities."""
    when = next((name for name in reversed(WHEN) if name in table.key and name in past.columns), None)
    measure = table.measure
    empty = pl.DataFrame(schema={entity: pl.String, "change": pl.Float64})
    if when is None or measure is None or entity not in past.columns or past[when].n_unique() < 2:
        return empty
    before = past.filter(pl.col(when) == past[when].unique().sort()[-2]).select(entity, before=measure)
    if before.height < 2 or before[entity].is_duplicated().any():
        return empty
    joined = rows.select(entity, measure).join(before, on=entity).filter(pl.col("before") > 0)
    return joined.select(entity, change=pl.col(measure) / pl.col("before") - 1)


def _counted(frame: pl.DataFrame, table: Table, theme: Theme) -> dict[str, Any]:
    """How many rows have each value of the first column with a few of them."""
    texts = frame.select(pl.col(pl.String, pl.Boolean)).columns
    few = next((name for name in texts if 2 <= frame[name].n_unique() <= _BARS), None)
    if few is None:
        return _bars([{"name": "rows", "value": frame.height}], "rows", "count", theme.accent)
    counted = frame[few].cast(pl.String).fill_null(MISSING).value_counts().sort("count", few, descending=[True, False])
    bars = [{"name": _name(value, few, table, {}), "value": count} for value, count in counted.rows()]
    return _bars(bars, f"rows by {few}", "count", theme.accent)


def _bars(bars: list[dict[str, Any]], title: str, unit: str, colour: str, *, below: str = "") -> dict[str, Any]:
    """Bars with their names, in the order given."""
    axis = {"tickCount": 3, "format": _axis(unit)}
    fill: dict[str, Any] = {"value": colour}
    if below:
        fill = {"condition": {"test": "datum.value < 0", "value": below}, "value": colour}
    return {
        **_SIZE,
        "title": title,
        "data": {"values": bars},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 84, "labelFontSize": 10, "labelOverlap": False},
            },
            "x": {"field": "value", "type": "quantitative", "title": None, "axis": axis},
            "color": fill,
        },
    }


def _axis(unit: str) -> str:
    """The d3 format of an axis: as many figures as its ticks need."""
    return "~%" if form_of(unit).form == "fraction" else ",~r"


def _spec(panels: list[dict[str, Any]], said: str) -> dict[str, Any]:
    small = {"labelFontSize": 10, "labelOverlap": False}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        **({"title": {"text": said, "fontSize": 11}} if said else {}),
        "hconcat": panels,
        # Data rectangles in line, whatever the labels beside them need; the widest of these fit between.
        "bounds": "flush",
        "spacing": 92,
        "config": {"axis": small, "title": {"fontSize": 11, "offset": 6}, "padding": 6},
    }
