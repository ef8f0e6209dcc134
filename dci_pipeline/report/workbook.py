"""A workbook of the published tables, but for the writing: which sheets, how columns look, and the notes.

A sheet of Excel has 1,048,576 rows; a longer table is cut by year.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dci_pipeline.contracts import TableColumn, TableContract
from dci_pipeline.findings import Finding
from dci_pipeline.report.cells import RULE
from dci_pipeline.report.covered import stretch

NOTES = "notes"
# One of Excel's rows is the header.
MOST_ROWS = 1_048_576 - 1
_FORMATS = {"fraction of 1": "0.00%", "points": "0.00", "percentage points": "0.00"}
_STATUSES = ("obs_status", "conf_status", "maturity")
_NARROWEST, _WIDEST = 10, 28


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name, its table, its rows, and the values of the period it is limited to (None: all of them)."""

    name: str
    table: TableContract
    rows: int
    values: tuple[object, ...] | None


def sheets(
    table: TableContract, column: str | None, rows: Mapping[object, int], *, most: int = MOST_ROWS
) -> list[Sheet]:
    """The sheets of a table. `rows`: how many it has by value of its period `column`, or one entry without a column.

    One sheet as long as it holds them all, else one per year, named `<table>_<year>`: the year in which a period
    begins. Raises Finding for a year, or a table without periods, that no sheet holds.
    """
    total = sum(rows.values())
    if total <= most:
        return [Sheet(table.table, table, total, None if column is None else tuple(rows))]
    by_year: dict[int, list[object]] = {}
    for value in rows if column is not None else ():
        by_year.setdefault(stretch(str(column), value)[0].year, []).append(value)
    found = [
        Sheet(f"{table.table}_{year}", table, sum(rows[value] for value in values), tuple(values))
        for year, values in sorted(by_year.items())
    ]
    too_long = next((sheet for sheet in found if sheet.rows > most), None)
    if too_long is not None or not found:
        raise Finding(
            "more rows than a sheet has",
            where=too_long.name if too_long is not None else table.table,
            found=f"{too_long.rows if too_long is not None else total:,} rows",
            expected=f"{most:,} at most",
            todo="leave it out with --table, take a shorter range with --from and --to, or: dci export csv",
        )
    return found


def number_format(column: TableColumn) -> str | None:
    """How Excel shows a column; None for texts. The values themselves are not rounded."""
    if column.type == "date":
        return "yyyy-mm-dd"
    if column.type == "integer":
        return "0"
    return _FORMATS.get(column.unit, "General") if column.type == "number" else None


def width(column: TableColumn) -> int:
    """How wide a column is, in characters: enough for its name."""
    return min(max(len(column.name) + 3, _NARROWEST), _WIDEST)


def notes(
    title: str, made: Sequence[Sheet], periods: str, about: Mapping[str, str]
) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """The sheet of notes, row by row, and whether a row is a heading.

    What it is, which periods, how to read it; per table what it holds, its key, its rows and what to beware of; per
    column its Chinese name, type, unit and meaning.
    """
    tables = list(dict.fromkeys(sheet.table for sheet in made))
    yield True, (title,)
    yield False, ("periods", periods or "none")
    for name, said in about.items():
        yield False, (name, said)
    yield (
        False,
        ("numbers", "Unrounded, with the 16 digits a cell holds; formats only show fewer. An empty cell: null."),
    )
    yield False, ("texts", RULE)
    for name in _STATUSES:
        said = next((item.description for table in tables for item in table.columns if item.name == name), "")
        if said:
            yield False, (name, said)
    yield False, ()
    yield True, ("table", "中文", "sheets", "rows", "rows are", "key", "holds", "use", "beware")
    for table in tables:
        own = [sheet for sheet in made if sheet.table == table]
        names = own[0].name if len(own) == 1 else f"{own[0].name} to {own[-1].name}: longer than a sheet, cut by year"
        yield (
            False,
            (
                table.table,
                table.label,
                names,
                f"{sum(sheet.rows for sheet in own):,}",
                table.grain,
                ", ".join(table.key),
                table.purpose,
                table.usage,
                table.limitations,
            ),
        )
    yield False, ()
    yield True, ("table", "column", "中文", "type", "unit", "meaning")
    for table in tables:
        for column in table.columns:
            yield False, (table.table, column.name, column.label, column.type, column.unit, column.description)
