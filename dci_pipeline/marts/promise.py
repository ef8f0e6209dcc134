"""Holding a frame to its table's contract: every column, in the contract's order and type, nothing else."""

from __future__ import annotations

import polars as pl

from dci_pipeline.contracts import TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.marts.entities import stands_in_order

_TYPES: dict[str, tuple[pl.DataType, ...]] = {
    "string": (pl.String(),),
    "number": (pl.Float64(),),
    "date": (pl.Date(),),
    "boolean": (pl.Boolean(),),
    "integer": (pl.Int64(), pl.Int32()),
}


def promised(frame: pl.DataFrame, contract: TableContract) -> pl.DataFrame:
    """`frame` with the contract's columns in its order, sorted by its key; no zero has a minus.

    Raises Finding for a column that is missing, not promised or of another type, for a null in a required column, and
    for rows that share a key.
    """
    where = f"{contract.index}.{contract.table}"
    names = [column.name for column in contract.columns]
    if set(names) != set(frame.columns):
        raise Finding(
            "the table and its contract name different columns",
            where=where,
            found="not promised: " + (", ".join(sorted(set(frame.columns) - set(names))) or "none"),
            expected="missing: " + (", ".join(sorted(set(names) - set(frame.columns))) or "none"),
        )
    table = frame.select(names)
    for column in contract.columns:
        dtype = table.schema[column.name]
        if dtype not in _TYPES[column.type]:
            raise Finding("a column of another type", where=f"{where}.{column.name}", found=dtype, expected=column.type)
        if column.required and table[column.name].null_count():
            raise Finding(
                "nulls in a required column",
                where=f"{where}.{column.name}",
                found=f"{table[column.name].null_count()} nulls",
                expected="none",
            )
    # One width for whole numbers, so that partitions always stack.
    table = table.with_columns(pl.col(column.name).cast(_TYPES[column.type][0]) for column in contract.columns)
    table = one_zero(table)
    if contract.key and not stands_in_order(table, contract.key):
        twice = table.filter(pl.struct(contract.key).is_duplicated())
        if not twice.is_empty():
            raise Finding("rows that share a key", where=where, found=twice.select(contract.key).row(0, named=True))
        table = table.sort(contract.key, nulls_last=True)
    return table


def one_zero(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with every zero of its numbers plain: equal rows would have other bytes, and a reader sees "-0.0".

    A difference of two zeros comes out with a minus from some of the ways polars takes, and adding 0 leaves it there.
    """
    return frame.with_columns(pl.when(zero == 0.0).then(0.0).otherwise(zero).name.keep() for zero in _numbers(frame))


def _numbers(frame: pl.DataFrame) -> list[pl.Expr]:
    return [pl.col(name) for name, dtype in frame.schema.items() if dtype == pl.Float64]


def empty(contract: TableContract) -> pl.DataFrame:
    """The table without rows: a partition with nothing to say, where an old one must not stay."""
    return pl.DataFrame(schema={column.name: _TYPES[column.type][0] for column in contract.columns})
