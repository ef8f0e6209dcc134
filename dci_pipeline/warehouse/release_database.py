"""The DuckDB file of a release beside tables made again: the same columns, comments and rows."""

from __future__ import annotations

from pathlib import Path

import duckdb

from dci_pipeline.framework import Framework
from dci_pipeline.warehouse import catalogue
from dci_pipeline.warehouse.release_files import TABLES

_COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
    "WHERE NOT internal AND database_name = ? ORDER BY ALL"
)
_TABLES = "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal AND database_name = ? ORDER BY ALL"


def differences(released: Path, ready: Path, framework: Framework) -> list[str]:
    """What differs between the content of a released file and the tables in `ready`, a text each."""
    bare = ready / "bare.duckdb"
    # Tables without rows: what a file built now would promise.
    catalogue.write(bare, {name: [] for name in framework.tables}, framework)
    found: list[str] = []
    with duckdb.connect() as connection:
        for path, name in ((released, "released"), (bare, "again")):
            connection.execute(f"ATTACH '{_quoted(path)}' AS {name} (READ_ONLY)")
        for query, what in ((_TABLES, "table"), (_COLUMNS, "column")):
            was, now = (connection.execute(query, [name]).fetchall() for name in ("released", "again"))
            found += [f"{what} {_at(row)}: only in the release" for row in was if row not in set(now)]
            found += [f"{what} {_at(row)}: not in the release" for row in now if row not in set(was)]
        if found:
            return found
        for name in sorted(framework.tables):
            file = ready / TABLES / f"{name}.parquet"
            # A checksum that does not depend on the order of rows; both sides are hashed by this same process.
            was, now = (
                connection.execute(f"SELECT count(*), sum(hash(rows)) FROM {source} AS rows").fetchone()  # noqa: S608
                for source in (f'released."{name}"', f"read_parquet('{_quoted(file)}', hive_partitioning = false)")
            )
            if was != now:
                assert was is not None and now is not None
                found.append(f"{name}: {was[0]:,} rows in the release, {now[0]:,} made again, not the same")
    return found


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _at(row: tuple[object, ...]) -> str:
    return ".".join(str(part) for part in row[:-1][:2])
