"""Rows of the published file for an export: which tables and periods were asked for, and their rows in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dci_pipeline.findings import Finding
from dci_pipeline.report.covered import period_column, touching

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dci_pipeline.contracts import TableContract
    from dci_pipeline.framework import Framework
    from dci_pipeline.periods import Period
    from dci_pipeline.warehouse.layout import Layout

_BATCH = 10_000


@dataclass(frozen=True)
class Taken:
    """A table asked for: its period column, and how many rows it has by value of it; without one, under None."""

    table: TableContract
    column: str | None
    rows: Mapping[object, int]

    @property
    def values(self) -> tuple[object, ...] | None:
        """The values of the period that are wanted, None for a table without one."""
        return None if self.column is None else tuple(self.rows)


@contextmanager
def published_file(layout: Layout) -> Iterator[DuckDBPyConnection]:
    """The published tables, opened to be read. Raises Finding when there are none, or the file does not open."""
    import duckdb

    from dci_pipeline.warehouse.published import opened

    if not layout.catalogue.is_file():
        raise Finding(
            "nothing is published yet",
            where=str(layout.catalogue),
            found="no such file",
            expected="the published tables",
            todo=f"dci run --index {layout.index}, or dci demo for a first try",
        )
    try:
        connection = duckdb.connect(str(opened(layout)), read_only=True)
    except duckdb.Error as error:
        raise Finding(
            "the published file does not open",
            where=str(layout.catalogue),
            found=" ".join(str(error).split()),
            expected="a DuckDB file",
            todo=f"delete it and publish again: dci run --index {layout.index}",
        ) from error
    try:
        yield connection
    finally:
        connection.close()


def taken(
    connection: DuckDBPyConnection, framework: Framework, names: Sequence[str] | None, wanted: Sequence[Period] | None
) -> list[Taken]:
    """The tables of these names, or all, limited to the wanted periods.

    Raises Finding for an unknown table, and for one whose columns are not those of its contract.
    """
    found: list[Taken] = []
    for name in dict.fromkeys(names or sorted(framework.tables)):
        table = framework.table(name)
        _as_promised(connection, table)
        column = period_column(table)
        counted = _counts(connection, table, column)
        if column is not None and wanted is not None:
            kept = touching(column, counted, wanted[0], wanted[-1])
            counted = {value: counted[value] for value in kept}
        found.append(Taken(table, column, counted))
    return found


def rows_of(
    connection: DuckDBPyConnection, table: TableContract, column: str | None, values: Sequence[object] | None
) -> Iterator[list[tuple[object, ...]]]:
    """The rows in the order of the key, in batches, limited to some values of the period.

    Raises Finding for a number that is none.
    """
    if values is not None and not values:
        return
    names = ", ".join(_name(item.name) for item in table.columns)
    order = ", ".join(_name(key) for key in table.key)
    where = f"WHERE list_contains(?, {_name(str(column))})" if values is not None else ""
    query = f"SELECT {names} FROM {_name(table.table)} {where} ORDER BY {order}"  # noqa: S608 - names are quoted
    connection.execute(query, [list(values)] if values is not None else None)
    while rows := connection.fetchmany(_BATCH):
        for row in rows:
            _finite(table, row)
        yield rows


def _counts(connection: DuckDBPyConnection, table: TableContract, column: str | None) -> dict[object, int]:
    by = "NULL" if column is None else _name(column)
    query = f"SELECT {by}, count(*) FROM {_name(table.table)} GROUP BY 1 ORDER BY 1"  # noqa: S608 - names are quoted
    return {value: int(count) for value, count in connection.execute(query).fetchall()}


def _as_promised(connection: DuckDBPyConnection, table: TableContract) -> None:
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE NOT internal AND table_name = ? ORDER BY column_index",
        [table.table],
    ).fetchall()
    names = [str(name) for (name,) in found]
    promised = [column.name for column in table.columns]
    if names != promised:
        raise Finding(
            "the published file is not the one the contracts describe",
            where=table.table,
            found=", ".join(names) or "no such table",
            expected=", ".join(promised),
            todo=f"dci run --index {table.index}",
        )


def _finite(table: TableContract, row: tuple[object, ...]) -> None:
    for column, value in zip(table.columns, row, strict=True):
        if isinstance(value, float) and not math.isfinite(value):
            raise Finding("a number that is none", where=f"{table.table} {column.name}", found=value)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
