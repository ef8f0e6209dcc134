"""Rows in parts that an engine can work on at once: stretches of a delivery, and ranges of its keys.

An engine that spills gets everything in one part. Another is given filters on the row's place, which skip what lies
outside them unread, or on a key's value; what is found in the parts adds up to what one pass would find.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import narwhals.stable.v2 as nw
import polars as pl

# One key in so many is drawn to find ranges of about equal size; any choice gives the same result.
_ONE_IN = 997


class Engine(Protocol):
    """The part of an engine that a scan uses."""

    @property
    def rows_at_once(self) -> int | None:
        """How many rows it groups in the memory it was given; None for an engine that spills to disk by itself."""
        ...

    def small(self, frame: pl.DataFrame) -> nw.LazyFrame[Any]: ...

    def keep(self, parts: Iterable[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any] | None: ...

    def collect(self, lazy: nw.LazyFrame[Any]) -> pl.DataFrame: ...


def stretches(engine: Engine, lazy: nw.LazyFrame[Any], *, at_least: int = 1) -> list[nw.LazyFrame[Any]]:
    """Typed rows [file, file_row, …] in order, in parts of about as many rows as the engine takes at once.

    Or of `at_least` so many, for work that takes less of a row than the engine reckons with.
    """
    if engine.rows_at_once is None:
        return [lazy]
    most = max(engine.rows_at_once, at_least)
    files = engine.collect(
        lazy.group_by("file").agg(
            nw.col("file_row").min().alias("first"), nw.col("file_row").max().alias("last"), nw.len().alias("rows")
        )
    ).sort("file")
    if int(files["rows"].sum()) <= most:
        return [lazy]
    found: list[nw.Expr] = []
    together: list[int] = []
    held = 0
    for file, first, last, rows in files.select("file", "first", "last", "rows").iter_rows():
        if together and held + rows > most:
            found.append(_files(together))
            together, held = [], 0
        if rows <= most:
            together, held = [*together, file], held + rows
            continue
        width = -(-(last - first + 1) * most // rows)
        place = nw.col("file_row")
        found += [
            (nw.col("file") == file) & (place >= start) & (place < start + width)
            for start in range(first, last + 1, width)
        ]
    if together:
        found.append(_files(together))
    return [lazy.filter(part) for part in found]


def key_ranges(engine: Engine, keyed: nw.LazyFrame[Any], key: Sequence[str]) -> list[nw.LazyFrame[Any]]:
    """Rows whose key has no null, in parts that no key is in two of."""
    most = engine.rows_at_once
    if most is None:
        return [keyed]
    rows = int(engine.collect(keyed.select(nw.len().alias("rows")))["rows"][0])
    if rows <= most:
        return [keyed]
    drawn = engine.collect(keyed.filter(nw.col("file_row") % _ONE_IN == 1).select(*key))
    name = max(key, key=lambda column: drawn[column].n_unique())
    values, parts = drawn[name].sort(), -(-rows // most)
    bounds = values.gather([len(values) * part // parts for part in range(1, parts)]).unique().sort()
    found: list[nw.LazyFrame[Any]] = []
    for low, high in zip([None, *bounds], [*bounds, None], strict=True):
        inside = keyed if low is None else keyed.filter(nw.col(name) >= low)
        found.append(inside if high is None else inside.filter(nw.col(name) < high))
    return found


def _files(numbers: Sequence[int]) -> nw.Expr:
    return (nw.col("file") >= numbers[0]) & (nw.col("file") <= numbers[-1])
