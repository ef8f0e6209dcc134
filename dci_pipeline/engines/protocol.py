"""What the heavy stage asks of an engine: read typed Parquet, take a small table in, give a result or write it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import polars as pl

# Bytes, where nobody says otherwise: a slice of twenty million rows stays under 1 GB with what the process has.
MEMORY = 700_000_000
# What Polars takes to group a row, at worst, where every row is a group of its own: measured, with strings of twenty
# letters.
BYTES_A_ROW = 320


def rows_in(memory: int) -> int:
    """How many rows Polars groups in so many bytes."""
    return max(memory // BYTES_A_ROW, 1)


class Engine(Protocol):
    """Frames stay lazy between `scan` or `small` and `collect` or `sink`; all of one engine may be joined.

    Raises Finding, from any of these, when it cannot be reached: no engine stands in for another.
    """

    @property
    def rows_at_once(self) -> int | None:
        """How many rows it groups in the memory it was given; None for an engine that spills to disk by itself."""
        ...

    def scan(self, paths: Sequence[Path]) -> nw.LazyFrame[Any]:
        """The rows of Parquet files of one schema, in no particular order. Folder names add no columns."""
        ...

    def small(self, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
        """A small table brought to the engine, for joins."""
        ...

    def keep(self, parts: Iterable[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any] | None:
        """The rows of one or more parts of one schema, worked out once for further use; None when there are none.

        For more rows than `small` is meant for: an engine elsewhere keeps them there.
        """
        ...

    def collect(self, lazy: nw.LazyFrame[Any]) -> pl.DataFrame:
        """The result as a Polars frame with the same dtypes from every engine: counts and sums are Int64.

        Raises Finding naming the column when an integer does not fit Int64.
        """
        ...

    def sink(self, lazy: nw.LazyFrame[Any], path: Path) -> list[Path]:
        """The result as Parquet, without holding it in memory where the engine can avoid it: the files, in order.

        One file at `path`, or a folder there with the part files of those who worked on it.
        """
        ...
