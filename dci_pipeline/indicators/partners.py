"""Adding partners up: one exact sum per key over what each partner's accepted rows came to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from dci_pipeline.findings import Finding

LARGEST = 2**63 - 1


def added(sums: pl.DataFrame, keys: Sequence[str], columns: Sequence[str], *, period: date) -> pl.DataFrame:
    """[keys, columns] with one row per key; a column that is null for every partner stays null.

    sums: accepted sums of all partners, at least the keys, `place` and `indicator` among them, and the Int64 columns.
    Raises Finding, naming the first pair, when a sum over partners leaves 64 bits.
    """
    given = [pl.col(column).is_not_null().any() for column in columns]
    wide = sums.group_by(*keys).agg(
        pl.when(there).then(pl.col(column).cast(pl.Int128).sum()).alias(column)
        for column, there in zip(columns, given, strict=True)
    )
    for column in columns:
        over = wide.filter(pl.col(column).abs() > LARGEST).sort(*keys)
        if not over.is_empty():
            row = over.row(0, named=True)
            raise Finding(
                "a sum that does not fit 64 bits",
                where=f"{row['indicator']}, {row['place']}, {period}",
                found=row[column],
                expected=f"at most {LARGEST}",
                todo="count in a larger unit (contract) from this period on",
            )
    return wide.with_columns(pl.col(column).cast(pl.Int64) for column in columns)
