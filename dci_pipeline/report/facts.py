"""The values that sentences name, found in the rows of an exhibit and written as its table writes them.

What would say too much is not found: a superlative that several rows share, a value that is not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from dci_pipeline.report.declared import Column, Fact
from dci_pipeline.report.sentences import Value
from dci_pipeline.report.writing import Writing, sign_of, writing

_JOINED = {"zh": ("、", "和"), "en": (", ", " and ")}
_MOST_NAMED = 5


def found(
    facts: Sequence[Fact], frames: Sequence[pl.DataFrame], columns: Mapping[str, Column], language: str
) -> dict[str, Value]:
    """Fact → value, of those there are. frames: the rows of every drawing, with `entity` in the language."""
    values = {fact.name: _value(fact, frames[fact.drawing], columns, language) for fact in facts}
    return {name: value for name, value in values.items() if value is not None}


def _value(fact: Fact, frame: pl.DataFrame, columns: Mapping[str, Column], language: str) -> Value | None:
    if fact.column not in frame.columns:
        return None
    form = writing(columns[fact.column].unit, frame[fact.column].to_list(), language, said=True)
    rows = frame.filter(pl.col(fact.column).is_not_null())
    if fact.above is not None:
        rows = rows.filter(pl.col(fact.column) > fact.above)
    if fact.below is not None:
        rows = rows.filter(pl.col(fact.column) < fact.below)
    if fact.give == "count":
        return Value(str(rows.height)) if frame.height else None
    if fact.give == "names":
        return _names(rows, language)
    return _picked(fact, rows, form)


def _picked(fact: Fact, rows: pl.DataFrame, form: Writing) -> Value | None:
    if fact.pick == "named":
        rows = rows.filter((pl.col("source_name") == fact.named) | (pl.col("entity") == fact.named))
        if rows.height != 1:
            return None
    elif fact.pick in ("largest", "smallest"):
        by = pl.col(fact.by or fact.column)
        rows = rows.filter(by == (by.max() if fact.pick == "largest" else by.min()))
        if rows.height != 1:
            return None
    if rows.is_empty():
        return None
    row = rows.row(0 if fact.pick == "first" else -1, named=True)
    if fact.give == "entity":
        return Value(str(row["entity"])) if row.get("entity") else None
    number = row[fact.column]
    if isinstance(number, float) and not math.isfinite(number):
        return None
    text = form(number)
    return Value(text, form(abs(number)), sign_of(text)) if isinstance(number, int | float) else Value(text)


def _names(rows: pl.DataFrame, language: str) -> Value | None:
    names = [str(name) for name in rows["entity"].to_list()]
    if not names or len(names) > _MOST_NAMED:
        return None
    comma, last = _JOINED[language]
    return Value(names[0] if len(names) == 1 else comma.join(names[:-1]) + last + names[-1])
