"""The explorer as files: the page as it comes with the package, and beside it the data it loads, one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dci_pipeline import report
from dci_pipeline.framework import Framework
from dci_pipeline.report.explorer.files import explorer_files
from dci_pipeline.report.explorer.manifest import About, Sheet
from dci_pipeline.report.explorer.places import Read
from dci_pipeline.warehouse.release_files import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE = "index.html"
# What was built from which sources; only the tests ask.
_RECORD = "build.json"

Progress = Callable[[str], None]


def of_database(connection: DuckDBPyConnection) -> Read:
    """Reads tables of a published file that is open."""

    def read(table: str, columns: Sequence[str]) -> pl.DataFrame:
        there = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE NOT internal AND table_name = ?", [table]
        ).fetchall()
        names = ", ".join(f'"{name}"' for name in columns if (name,) in there)
        return connection.sql(f'SELECT {names} FROM "{table}"').pl()  # noqa: S608 - names of columns that are there

    return read


def of_release(folder: Path) -> Read:
    """Reads the tables of a release, or of one that is being made."""

    def read(table: str, columns: Sequence[str]) -> pl.DataFrame:
        rows = pl.scan_parquet(folder / TABLES / f"{table}.parquet")
        there = rows.collect_schema().names()
        return rows.select(name for name in columns if name in there).collect()

    return read


def page() -> dict[str, bytes]:
    """The files of the page by name."""
    built = Path(report.__file__).parent / "explorer" / "built"
    return {path.name: path.read_bytes() for path in sorted(built.iterdir()) if path.name != _RECORD}


def write_explorer(
    folder: Path,
    read: Read,
    framework: Framework,
    about: About,
    sheet: Sheet | None,
    *,
    progress: Progress = lambda _: None,
) -> None:
    """The whole explorer into `folder`: equal tables, an equal map and an equal page give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in page().items():
        (folder / name).write_bytes(content)
    for made in explorer_files(read, framework, about, sheet):
        progress(made.name)
        path = folder / made.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made.text, encoding="utf-8", newline="\n")
