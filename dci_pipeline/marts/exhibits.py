"""The table `exhibit_values`: every figure, table and claim of the printed report, for any period its tables have.

Each item of the declarations selects published rows and applies one operator; nothing here knows an exhibit. The shape
is that of the printed values, so that comparing is one join.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from dci_pipeline.exhibits import Counts, Item, Selection, Split
from dci_pipeline.marts import operators
from dci_pipeline.marts.selections import Moment, Surroundings, select, statistic

KEY = ("exhibit_id", "subject", "entity_type", "entity_zh", "period", "measure")
_Rows = Callable[[Selection], pl.DataFrame]
SCHEMA = {**dict.fromkeys(KEY, pl.String()), "value": pl.Float64(), "unit": pl.String()}


def exhibit_values(
    items: Sequence[Item],
    tables: Mapping[str, pl.DataFrame],
    *,
    about: Surroundings,
    counted: Mapping[Counts, int],
    year: int,
    first_year: int,
) -> pl.DataFrame:
    """One year's partition: what the items give for the year, its halves and its months.

    tables: published rows by table, of the year and of those before that the items look back to; an item whose table is
    not there gives nothing. counted: counts of the index's structure. Out, sorted by KEY: [exhibit_id, subject,
    entity_type, entity_zh, period, measure, value, unit].
    """
    found = [pl.DataFrame(schema=SCHEMA)]
    for item in items:
        if not all(selection.table in tables for selection in item.selections):
            continue
        for moment in moments(item, year, first_year):
            rows = _structure(item, counted, about) if item.counts is not None else values(item, tables, moment, about)
            if not rows.is_empty():
                found += [_named(rows, item, measure, unit, moment) for measure, unit in item.measures.items()]
    return pl.concat(found).sort(KEY)


def moments(item: Item, year: int, first_year: int) -> list[Moment]:
    """The year itself, its halves or its months, those the item is made for.

    A moment whose period, as the item words it, is not of this year belongs to another partition.
    """
    numbers = {"year": range(1, 2), "half": range(1, 3), "month": item.months or range(1, 13)}[item.grain]
    found = [Moment(item.grain, year, number, first_year) for number in numbers]
    return [moment for moment in found if str(year) in item.period.format(**moment.fields)]


def values(item: Item, tables: Mapping[str, pl.DataFrame], moment: Moment, about: Surroundings) -> pl.DataFrame:
    """The rows of an item at one moment with their value and the names of what they are about."""

    def rows(selection: Selection) -> pl.DataFrame:
        return select(selection, tables, moment, about)

    if item.x is not None and item.y is not None:
        found = _on_plane(item, rows(item.x), rows(item.y), rows)
    else:
        assert item.read is not None
        found = _of_rows(item, rows(item.read), rows(item.to) if item.to is not None else None)
    if item.top is not None:
        found = found.filter(pl.col("value") <= item.top)
    return operators.sign(found) if item.then is not None else found


def _of_rows(item: Item, found: pl.DataFrame, to: pl.DataFrame | None) -> pl.DataFrame:
    assert item.read is not None
    per = item.read.per if item.read.reduce is None else ()
    if found.is_empty():
        return found
    if item.operator == "rank":
        return operators.rank(found, per=per, descending=item.order == "descending")
    if item.operator == "position":
        return operators.position(found)
    if item.operator in ("argmax", "argmin"):
        return operators.extreme_month(found, per=per, largest=item.operator == "argmax")
    return found if to is None else operators.relate(found, to, item.operator)


def _on_plane(item: Item, x: pl.DataFrame, y: pl.DataFrame, rows: _Rows) -> pl.DataFrame:
    found = operators.plane(x, y)
    if item.operator == "correlation":
        return operators.correlation(found)
    split_x, split_y = _split(item.split_x, found["x"], rows), _split(item.split_y, found["y"], rows)
    if split_x is None or split_y is None:
        return found.clear().with_columns(value=pl.col("x"))
    operator = operators.quadrant if item.operator == "quadrant" else operators.both_high
    return operator(found, split_x=split_x, split_y=split_y)


def _split(split: Split | None, values: pl.Series, rows: _Rows) -> float | None:
    """The number that parts high from low: given, a statistic of the values, or the one value of a selection."""
    if isinstance(split, Selection):
        found = rows(split)
        return found["value"].item() if found.height == 1 else None
    return statistic(split, values.to_list()) if isinstance(split, str) else split


def _structure(item: Item, counted: Mapping[Counts, int], about: Surroundings) -> pl.DataFrame:
    assert item.counts is not None
    names = about.entities.filter(pl.col("entity_type") == item.entity_type)["name"]
    return pl.DataFrame({"entity": [names[0]], "value": [float(counted[item.counts])]})


def _named(rows: pl.DataFrame, item: Item, measure: str, unit: str, moment: Moment) -> pl.DataFrame:
    """Rows in the published shape, under one of the item's names."""
    said = [
        {
            "entity": item.labels.get(row.get("entity") or "", row.get("entity")),
            "scope": row.get("scope"),
            "member": item.labels.get(row.get("member_name") or "", row.get("member_name")),
            "node": row.get("node_name"),
            "group": row.get("group_name"),
            "set": "+".join(item.read.named) if item.read is not None else "",
            "node_code": row.get("node"),
        }
        for row in rows.iter_rows(named=True)
    ]
    return pl.DataFrame(
        {
            "exhibit_id": [item.exhibit] * len(said),
            "subject": [item.subject.format(**row) for row in said],
            "entity_type": [item.entity_type] * len(said),
            "entity_zh": [item.label.format(**row) for row in said],
            "period": [item.period.format(**moment.fields)] * len(said),
            "measure": [measure.format(**moment.fields)] * len(said),
            "value": rows["value"],
            "unit": [unit] * len(said),
        },
        schema=SCHEMA,
    )
