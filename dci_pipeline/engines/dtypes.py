"""One set of Polars dtypes for the results of every engine: wide, unsigned and decimal integers become Int64."""

from __future__ import annotations

import polars as pl

from dci_pipeline.findings import Finding

LARGEST = 2**63 - 1


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with counts and sums as Int64 and text as String; 32-bit and smaller signed integers stay.

    Raises Finding naming the column when a value does not fit: a sum is never wrapped or rounded.
    """
    casts: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, (pl.UInt8, pl.UInt16, pl.UInt32)):
            casts.append(pl.col(name).cast(pl.Int64))
        elif isinstance(dtype, (pl.UInt64, pl.Int128, pl.UInt128)) or dtype == pl.Decimal(38, 0):
            _fits(frame[name])
            casts.append(pl.col(name).cast(pl.Int64))
        elif isinstance(dtype, (pl.Categorical, pl.Enum)):
            casts.append(pl.col(name).cast(pl.String))
    return frame.with_columns(casts) if casts else frame


def _fits(column: pl.Series) -> None:
    beyond = column.filter(column.is_not_null() & column.cast(pl.Int64, strict=False).is_null())
    if len(beyond):
        raise Finding(
            "an integer beyond 64 bits",
            where=f"column {column.name}",
            found=beyond[0],
            expected=f"at most {LARGEST}",
            todo="count in a larger unit",
        )
