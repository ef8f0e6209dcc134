"""`dci sql`: one query on the published tables, which reads and writes no other file. DuckDB alone does the work."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dci_pipeline.warehouse.layout import Layout

EXAMPLES = (
    'Example: dci sql "SELECT year, node, points, growth_yoy FROM index_year '
    "WHERE entity_type = 'nation' ORDER BY node, year\""
    "\n\nWhat there is: dci sql. What a table's columns mean: dci sql --describe index_year"
    "\n\nFrom a file: dci sql - --csv < query.sql > answer.csv"
    "\n\nAs it stood then: dci sql --as-of 2020-07-15 QUERY"
)

Query = Annotated[
    str | None, typer.Argument(metavar="QUERY", show_default=False, help="SQL, or - to read it from standard input.")
]
Describe = Annotated[
    str | None, typer.Option("--describe", metavar="TABLE", help="Every column of a table and what it means.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="The whole answer as CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")]
ToParquet = Annotated[
    Path | None, typer.Option("--parquet", metavar="FILE", help="The whole answer into a Parquet file.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DAY", show_default=False, help="Ask the release that was the newest at the end of this day."
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Rows shown as a table.")]

_BATCH = 10_000
# Nothing is spilled to disk either: a query that needs more memory than there is says so.
_CLOSED = {"enable_external_access": "false", "temp_directory": ""}


def sql(
    query: Query = None,
    *,
    describe: Describe = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    parquet: ToParquet = None,
    limit: Limit = 100,
    as_of: AsOf = None,
    index: options.Index = None,
) -> None:
    """Ask the published tables. Without a query: which tables there are and what they hold."""
    from dci_pipeline.settings import read_settings
    from dci_pipeline.warehouse.layout import Layout

    if sum((as_csv, as_json, parquet is not None)) > 1:
        raise Finding(
            "more than one form of answer", found="--csv, --json or --parquet together", expected="one of them"
        )
    settings = read_settings()
    name = options.chosen_index(settings, index)
    if query == "-":
        query = sys.stdin.read()
    layout = Layout(settings.warehouse, name)
    with connected(_then(layout, as_of) if as_of else published_file(layout), name) as connection, understood():
        if describe is not None:
            _describe(connection, describe)
        elif query is None or not query.strip():
            _tables(connection, name)
        else:
            _answer(connection, query, as_csv=as_csv, as_json=as_json, parquet=parquet, limit=limit)


def published_file(layout: Layout) -> Path:
    """What is published, as a file of this machine."""
    from dci_pipeline.warehouse.published import opened

    path = layout.catalogue
    if not path.is_file():
        raise Finding(
            "nothing is published yet",
            where=str(path),
            found="no such file",
            expected="the published tables",
            todo=f"dci run --index {layout.index}, or dci demo for a first try",
        )
    return opened(layout)


def _then(layout: Layout, day: str) -> Path:
    """The file of the release that a day finds."""
    from dci_pipeline.cli.release import named_day
    from dci_pipeline.warehouse import objects, release_files

    objects.refuse(layout.root, "asking a release", "copy the warehouse to a disk and ask there")
    found = release_files.as_of(layout, named_day(day, where="--as-of"))
    screen.say(f"As of {day}: release {found.id} of {found.vintage}.", stderr=True)
    return found.database


@contextmanager
def connected(path: Path, index: str) -> Iterator[DuckDBPyConnection]:
    import duckdb

    try:
        connection = duckdb.connect(str(path), read_only=True, config=dict(_CLOSED))
        # The published file and its neighbours .wal and .tmp count as internal: this closes them to queries as well.
        connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
    except duckdb.Error as error:
        raise Finding(
            "the published file does not open",
            where=str(path),
            found=_first_line(error),
            expected="a DuckDB file",
            todo=f"delete it and publish again: dci run --index {index}",
        ) from error
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def understood() -> Iterator[None]:
    """DuckDB's own words on a query that fails."""
    import duckdb

    try:
        yield
    except duckdb.PermissionException as error:
        raise Finding(
            "a query may not touch files",
            found=_first_line(error),
            expected="a query on the published tables alone",
            todo="for the answer as a file: --parquet FILE, or --csv > FILE",
        ) from error
    except duckdb.Error as error:
        raise Finding(
            "the query fails",
            found=" ".join(str(error).split()),
            todo="dci sql lists the tables, dci sql --describe TABLE their columns",
        ) from error


def _tables(connection: DuckDBPyConnection, index: str) -> None:
    found = connection.execute(
        "SELECT table_name, estimated_size, column_count, comment FROM duckdb_tables() WHERE NOT internal ORDER BY 1"
    ).fetchall()
    screen.show(
        f"Published tables of {index}",
        ("table", "rows", "columns", "what it holds"),
        [[name, f"{rows:,}", columns, comment] for name, rows, columns, comment in found],
        right=("rows", "columns"),
    )


def _describe(connection: DuckDBPyConnection, table: str) -> None:
    found = connection.execute(
        "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
        "WHERE NOT internal AND table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()
    if not found:
        known = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
        raise Finding(
            "no such table",
            where="--describe",
            found=table,
            expected="one of " + ", ".join(str(name) for (name,) in known),
            todo="name one of these; dci sql says what each holds",
        )
    screen.show(
        table,
        ("column", "type", "may be empty", "what it means"),
        [[name, kind, "yes" if nullable else "no", comment] for name, kind, nullable, comment in found],
    )


def _answer(
    connection: DuckDBPyConnection, query: str, *, as_csv: bool, as_json: bool, parquet: Path | None, limit: int
) -> None:
    _one_statement(query)
    if parquet is not None:
        import pyarrow.parquet as pq

        if not parquet.absolute().parent.is_dir():
            raise Finding("no such folder", where=str(parquet.parent), todo="make the folder, or give another path")
        answer = connection.sql(query)
        if answer is None:  # DuckDB 1, for a statement that has no rows
            raise Finding(
                "no rows to write", found=query, expected="a query such as SELECT", todo="leave out --parquet"
            )
        pq.write_table(answer.to_arrow_table(), parquet)
        screen.say(f"Written: {parquet}", stderr=True)
        return
    connection.execute(query)
    names = [str(column[0]) for column in connection.description or ()]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        for rows in _batches(connection):
            writer.writerows(rows)
    elif as_json:
        answer = [dict(zip(names, map(_jsonable, row), strict=True)) for rows in _batches(connection) for row in rows]
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1, default=str))
    else:
        shown = connection.fetchmany(limit + 1)
        numbers = {name for at, name in enumerate(names) if all(_is_number(row[at]) for row in shown)}
        cells = [[_cell(value) for value in row] for row in shown[:limit]]
        if _fits(names, cells):
            screen.show("", names, cells, right=sorted(numbers))
        else:
            _upright(names, cells)
        if len(shown) > limit:
            screen.say(
                f"The first {limit:,} rows. More: --limit N, or all of them: --csv, --json or --parquet FILE.",
                stderr=True,
            )


def _one_statement(query: str) -> None:
    """Raise Finding unless there is one statement: of several, only the last one's answer would be seen."""
    import duckdb

    texts = [statement.query.strip() for statement in duckdb.extract_statements(query)]
    # DuckDB 1 takes a PIVOT apart into several statements, some or all of them without a text.
    found = sum(1 for text in texts if text) or min(len(texts), 1)
    if found != 1:
        raise Finding(
            "more than one statement" if found else "no statement",
            found=screen.count(found, "statement"),
            expected="one",
            todo="ask one question at a time",
        )


def _fits(names: list[str], cells: list[list[str]]) -> bool:
    """Whether the columns stand side by side without being folded into shreds."""
    widths = [min(24, max([len(name), *(len(row[at]) for row in cells)])) + 3 for at, name in enumerate(names)]
    return sum(widths) <= screen.out().width


def _upright(names: list[str], cells: list[list[str]]) -> None:
    """One record under the other, a line per column: for more columns than the screen is wide."""
    width = max(map(len, names), default=0)
    for number, row in enumerate(cells, start=1):
        screen.say(f"── row {number} " + "─" * 20)
        for name, cell in zip(names, row, strict=True):
            screen.say(f"{name:<{width}}  {cell}")
    screen.say("Too many columns to stand side by side: name the ones you want, or use --csv.", stderr=True)


def _batches(connection: DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while rows := connection.fetchmany(_BATCH):
        yield rows


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def _cell(value: object) -> str:
    """A value for reading; all its digits are in --csv, --json and --parquet."""
    if value is None:
        return "∅"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _jsonable(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
