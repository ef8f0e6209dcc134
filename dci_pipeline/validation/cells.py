"""Place × values of the dimensions as one integer, so that an engine groups by a number instead of by several texts.

Only where every dimension takes the values of a list and nothing else is accepted: the cells are then known beforehand,
and so is the memory that grouping takes, however many rows there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.validation.stretches import Engine
from dci_pipeline.validation.sums import PLACE

KEY = "_cell"
_UNREAD = -(2**62)
_MOST = 2**62


@dataclass(frozen=True)
class Cells:
    """The places, and the values of each dimension in the order of the key; null has a number of its own."""

    places: Sequence[str]
    values: Mapping[str, Sequence[str]]

    @staticmethod
    def of(contract: FeedContract, aliases: pl.DataFrame, dimensions: Sequence[str]) -> Cells | None:
        """The cells of a feed; None where a dimension may take other values than those of a list."""
        listed = {rule.column for rule in contract.rules if rule.kind == "one_of"}
        columns = [contract.by_name[name] for name in dimensions]
        if any(column.name not in listed or column.type != "string" for column in columns):
            return None
        cells = Cells(
            aliases["place"].drop_nulls().unique().sort().to_list(),
            {column.name: sorted(column.values) for column in columns},
        )
        return cells if cells.size < _MOST else None

    @property
    def size(self) -> int:
        return (len(self.places) + 1) * math.prod(len(values) + 1 for values in self.values.values())

    def numbered(self, places: pl.DataFrame) -> pl.DataFrame:
        """`places` with the place as its number."""
        return places.with_columns(
            pl.col(PLACE).replace_strict(self.places, range(len(self.places)), return_dtype=pl.Int64)
        )

    def with_numbers(self, engine: Engine, rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The rows with the number of each dimension's value; null for a null and for what is not listed."""
        for name, values in self.values.items():
            numbers = pl.DataFrame({name: values, _number(name): range(len(values))})
            rows = rows.join(engine.small(numbers), on=name, how="left")
        return rows

    def unlisted(self, column: str) -> nw.Expr:
        """Of rows `with_numbers`: whether the value is not listed."""
        return ~nw.col(column).is_null() & nw.col(_number(column)).is_null()

    def key(self, bits: nw.Expr) -> nw.Expr:
        """Of rows `with_numbers` and `_place` as its number: their cell, or a negative number of the rules they break.

        `bits` has a bit for each rule broken, or is -1 for a row that is to be looked at again. A row that breaks a
        rule counts for its rules alone, so that its place and dimensions, which may be anything, make no group.
        """
        cell = nw.col(PLACE).fill_null(len(self.places))
        for name, values in self.values.items():
            cell = cell * (len(values) + 1) + nw.col(_number(name)).fill_null(len(values))
        broken = nw.when(bits < 0).then(nw.lit(_UNREAD)).otherwise(-bits)
        return nw.when(bits == 0).then(cell).otherwise(broken).alias(KEY)

    def named(self, grouped: pl.DataFrame, word: str) -> pl.DataFrame:
        """Groups by key as groups by place, dimensions and rule bits, `word`."""
        key = pl.col(KEY)
        cell = pl.when(key >= 0).then(key)
        found: dict[str, pl.Expr] = {}
        for name, values in reversed(list(self.values.items())):
            found[name] = _text(cell % (len(values) + 1), values)
            cell = cell // (len(values) + 1)
        bits = pl.when(key >= 0).then(0).when(key == _UNREAD).then(-1).otherwise(-key)
        return grouped.select(
            _text(cell, self.places).alias(PLACE),
            *[found[name].alias(name) for name in self.values],
            bits.cast(pl.Int64).alias(word),
            pl.exclude(KEY),
        )


def _number(column: str) -> str:
    return f"_number_{column}"


def _text(number: pl.Expr, texts: Sequence[str]) -> pl.Expr:
    return number.replace_strict(range(len(texts)), texts, default=None, return_dtype=pl.String)
