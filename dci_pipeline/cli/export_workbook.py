"""Writing a workbook row by row, so that memory stays bounded; equal rows give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dci_pipeline.cli.published_rows import rows_of
from dci_pipeline.findings import Finding
from dci_pipeline.report.cells import neutral
from dci_pipeline.report.covered import period_column
from dci_pipeline.report.workbook import NOTES, Sheet, notes, number_format, width

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The day files in a packed folder bear when none is meant; the clock would make each workbook another one.
_NO_DAY = datetime(1980, 1, 1)
_WIDTHS = (26, 44, 30, 14, 40, 60, 60, 60, 60)


def write_workbook(
    path: Path,
    title: str,
    made: Sequence[Sheet],
    periods: str,
    about: Mapping[str, str],
    connection: DuckDBPyConnection,
    told: Callable[[int], None],
) -> None:
    """The notes, then every sheet in order; `told` is called with how many rows were written. Raises as `_put`."""
    from xlsxwriter import Workbook

    book = Workbook(
        str(path),
        {
            "constant_memory": True,
            "tmpdir": str(path.parent),
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "use_zip64": True,
        },
    )
    book.set_properties({"title": title, "created": _NO_DAY})
    bold = book.add_format({"bold": True})
    plain = book.add_format({"text_wrap": True, "valign": "top"})
    _notes(book.add_worksheet(NOTES), bold, plain, notes(title, made, periods, about))
    formats = {code: book.add_format({"num_format": code}) for code in _codes(made)}
    for sheet in made:
        _sheet(book.add_worksheet(sheet.name), sheet, bold, formats, connection, told)
    book.close()


def _codes(made: Sequence[Sheet]) -> list[str]:
    found = (number_format(column) for sheet in made for column in sheet.table.columns)
    return list(dict.fromkeys(code for code in found if code is not None))


def _notes(sheet: Any, bold: object, plain: object, rows: Any) -> None:
    for number, characters in enumerate(_WIDTHS):
        sheet.set_column(number, number, characters)
    for row, (heading, cells) in enumerate(rows):
        for column, text in enumerate(cells):
            sheet.write_string(row, column, neutral(text), bold if heading else plain)


def _sheet(
    target: Any,
    sheet: Sheet,
    bold: object,
    formats: Mapping[str, object],
    connection: DuckDBPyConnection,
    told: Callable[[int], None],
) -> None:
    own = [formats.get(number_format(column) or "") for column in sheet.table.columns]
    for number, column in enumerate(sheet.table.columns):
        target.set_column(number, number, width(column))
        target.write_string(0, number, column.name, bold)
    target.freeze_panes(1, 0)
    row = 0
    for batch in rows_of(connection, sheet.table, period_column(sheet.table), sheet.values):
        for values in batch:
            row += 1
            for number, value in enumerate(values):
                if value is not None:
                    _put(target, row, number, value, own[number], sheet)
        told(len(batch))
    target.autofilter(0, 0, row, len(own) - 1)


def _put(target: Any, row: int, column: int, value: object, form: object, sheet: Sheet) -> None:
    """One cell by the type of its value. Raises Finding for a text that no cell holds."""
    if isinstance(value, str):
        wrong = target.write_string(row, column, neutral(value))
    elif isinstance(value, bool):
        wrong = target.write_boolean(row, column, value)
    elif isinstance(value, date):
        wrong = target.write_datetime(row, column, value, form)
    else:
        wrong = target.write_number(row, column, value, form)
    if wrong:
        raise Finding(
            "a text that is longer than a cell",
            where=f"{sheet.name} row {row} {sheet.table.columns[column].name}",
            found=f"{len(str(value)):,} characters",
            expected="32,767 at most",
            todo="dci export csv",
        )
