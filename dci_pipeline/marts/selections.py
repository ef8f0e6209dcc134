"""Rows of the published tables as an exhibit selects them, with the names of what they are about, one value each.

Exact sums (`math.fsum`), so that the order of rows does not matter. What is made of the values is in `operators`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from dci_pipeline.exhibits import Condition, Selection

# What identifies a row within a period; a table has some of these.
KEYS = ("scope_type", "scope_code", "entity_type", "entity_code", "node", "dimension", "member")
NAMES = {"scope_code": "scope", "entity_code": "entity", "node": "node_name", "member": "member_name"}
PERIODS = ("month", "half", "year")


@dataclass(frozen=True)
class Moment:
    """The year, half or month an item is made for. `number` counts halves or months within the year, from 1."""

    grain: str
    year: int
    number: int
    first_year: int

    @property
    def months(self) -> list[int]:
        """Numbers of the months it covers."""
        length = {"year": 12, "half": 6, "month": 1}[self.grain]
        return [length * (self.number - 1) + step for step in range(1, length + 1)]

    @property
    def fields(self) -> dict[str, str]:
        """What the texts of an item can name; of a year no half, of a half no month."""
        found = {
            "year": f"{self.year}",
            "year_before": f"{self.year - 1}",
            "two_years_before": f"{self.year - 2}",
            "first_year": f"{self.first_year}",
            "first_month": f"{self.year}-{self.months[0]:02d}",
            "last_month": f"{self.year}-{self.months[-1]:02d}",
        }
        if self.grain == "half":
            found |= {
                "half": f"{self.year}H{self.number}",
                "half_year_before": f"{self.year - 1}H{self.number}",
                "half_two_years_before": f"{self.year - 2}H{self.number}",
            }
        return found | ({"month": found["first_month"]} if self.grain == "month" else {})


@dataclass(frozen=True)
class Surroundings:
    """What rows are about, beside their codes; every frame is text.

    entities [entity_type, entity_code, name]; nodes [node, name]; members [node, dimension, member, name]; places:
    primary memberships [group_type, group, place]; wider: [node, dimension, member, wide, wide_member] of breakdowns
    whose members gather those of another.
    """

    entities: pl.DataFrame
    nodes: pl.DataFrame
    members: pl.DataFrame
    places: pl.DataFrame
    wider: pl.DataFrame


def select(
    selection: Selection, tables: Mapping[str, pl.DataFrame], moment: Moment, about: Surroundings
) -> pl.DataFrame:
    """The rows a selection means at one moment, sorted by key.

    tables: published rows by table, with one of the columns month (date), half, year. Out: the KEYS that the table has
    or that are left by `per`, their NAMES, the value, the month where the table has one, and group, group_name with
    `by`. Rows without a value are left out; nothing is there when a year of `years` is not.
    """
    frame = _rows(selection, tables, moment, about)
    if selection.column:
        frame = frame.with_columns(value=pl.col(selection.column).cast(pl.Float64) * selection.scale)
        frame = frame.filter(pl.col("value").is_not_null() & pl.col("value").is_finite())
    if selection.test:
        frame = frame.with_columns(passes=_all(selection.test, frame, moment).fill_null(False))
    if selection.by is not None:
        frame = _grouped(frame, selection.by, about)
    if selection.reduce is not None:
        return _reduced(frame, selection)
    kept = [name for name in (*KEYS, *NAMES.values(), "month", "value") if name in frame.columns]
    return frame.select(kept).sort([name for name in (*KEYS, "month") if name in kept])


def _rows(
    selection: Selection, tables: Mapping[str, pl.DataFrame], moment: Moment, about: Surroundings
) -> pl.DataFrame:
    frame = _at(tables[selection.table], selection, moment)
    frame = frame.filter(_all(selection.where, frame, moment))
    if "entity_code" not in frame.columns:
        frame = frame.rename({"scope_type": "entity_type", "scope_code": "entity_code"})
    frame = _with_names(frame, about)
    if selection.named:
        frame = frame.filter(pl.col("entity").is_in(selection.named))
    if selection.but:
        frame = frame.filter(~pl.col("entity").is_in(selection.but))
    for kind, groups in selection.within:
        inside = about.places.filter((pl.col("group_type") == kind) & pl.col("group").is_in(groups))
        frame = frame.join(inside, left_on="entity_code", right_on="place", how="semi")
    if selection.among is not None:
        among = _rows(selection.among, tables, moment, about)
        frame = frame.join(among, on=["entity_type", "entity_code"], how="semi")
    return frame


def _at(frame: pl.DataFrame, selection: Selection, moment: Moment) -> pl.DataFrame:
    """Rows of the moment, `lag` years back, and of the years before that are asked for; none unless all are there."""
    column = next(name for name in PERIODS if name in frame.columns)
    found: list[pl.DataFrame] = []
    for back in range(selection.lag, selection.lag + selection.years):
        year = moment.year - back
        wanted: Sequence[object] = {
            "year": [year],
            "half": [f"{year}H{moment.number}"],
            "month": [date(year, month, 1) for month in moment.months],
        }[column]
        rows = frame.filter(pl.col(column).is_in(wanted))
        if rows.is_empty():
            return rows
        found.append(rows)
    return pl.concat(found)


def _all(conditions: Sequence[Condition], frame: pl.DataFrame, moment: Moment) -> pl.Expr:
    found = pl.lit(True)
    for condition in conditions:
        column = pl.col(condition.column)
        if condition.values:
            values = [value.format(**moment.fields) for value in condition.values]
            inside = column.cast(pl.String).is_in(values)
            found &= ~inside if condition.negated else inside
        for name, limit in condition.limits:
            found &= _within(column, name, _number(limit, frame[condition.column]))
    return found


def _within(column: pl.Expr, name: str, limit: float) -> pl.Expr:
    return {"at_least": column >= limit, "at_most": column <= limit, "above": column > limit, "below": column < limit}[
        name
    ]


def _number(limit: float | str, column: pl.Series) -> float:
    return statistic(limit, column.drop_nulls().to_list()) if isinstance(limit, str) else float(limit)


def statistic(name: str, values: Sequence[float]) -> float:
    """Mean or median of values; not a number without any."""
    if not values:
        return math.nan
    ordered = sorted(values)
    if name == "mean":
        return math.fsum(ordered) / len(ordered)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _with_names(frame: pl.DataFrame, about: Surroundings) -> pl.DataFrame:
    frame = frame.join(
        about.entities.rename({"name": "entity"}), on=["entity_type", "entity_code"], how="left", maintain_order="left"
    )
    if "scope_code" in frame.columns:
        scopes = about.entities.rename({"entity_type": "scope_type", "entity_code": "scope_code", "name": "scope"})
        frame = frame.join(scopes, on=["scope_type", "scope_code"], how="left", maintain_order="left")
    if "node" in frame.columns:
        frame = frame.join(about.nodes.rename({"name": "node_name"}), on="node", how="left", maintain_order="left")
    if "member" in frame.columns:
        on = [name for name in ("node", "dimension", "member") if name in frame.columns]
        names = about.members.select(*on, member_name="name").unique(on, keep="first", maintain_order=True)
        frame = frame.join(names, on=on, how="left", maintain_order="left")
    return frame


def _grouped(frame: pl.DataFrame, by: str, about: Surroundings) -> pl.DataFrame:
    """Rows with the group each belongs to: a group of places, or the member of a wider breakdown that gathers it."""
    if by in set(about.wider["wide"]) and "member" in frame.columns:
        wide = about.wider.filter(pl.col("wide") == by).select("node", "dimension", "member", group="wide_member")
        names = about.members.filter(pl.col("dimension") == by).select("node", group="member", group_name="name")
        return frame.join(wide, on=["node", "dimension", "member"]).join(names, on=["node", "group"], how="left")
    groups = about.places.filter(pl.col("group_type") == by).select("group", entity_code="place")
    names = about.entities.filter(pl.col("entity_type") == by).select(group="entity_code", group_name="name")
    return frame.join(groups, on="entity_code").join(names, on="group", how="left")


def _reduced(frame: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """One value per key: the columns of `per` with their names, the group, the value."""
    keys = [*selection.per, *(["group"] if selection.by is not None else [])]
    named = [NAMES[key] for key in selection.per if key in NAMES] + (["group_name"] if selection.by is not None else [])
    parts = frame.partition_by(keys, maintain_order=True) if keys else [frame]
    if frame.is_empty():
        return pl.DataFrame(schema=dict.fromkeys((*keys, *named), pl.String) | {"value": pl.Float64})
    reduce = _REDUCTIONS[str(selection.reduce)]
    rows = [part.select(*keys, *named).head(1).with_columns(value=pl.lit(reduce(part), pl.Float64)) for part in parts]
    reduced = pl.concat(rows) if keys else pl.DataFrame({"value": [reduce(frame)]})
    return reduced.sort(keys) if keys else reduced


def _values(part: pl.DataFrame) -> list[float]:
    return part["value"].to_list()


def _passed(part: pl.DataFrame) -> float:
    return float(part["passes"].sum()) if "passes" in part.columns else float(part.height)


_REDUCTIONS: dict[str, Callable[[pl.DataFrame], float]] = {
    "sum": lambda part: math.fsum(_values(part)),
    "mean": lambda part: math.fsum(_values(part)) / part.height,
    "minimum": lambda part: min(_values(part)),
    "maximum": lambda part: max(_values(part)),
    "count": _passed,
    "proportion": lambda part: _passed(part) / part.height,
}
