"""`dci export`: the published tables as an Excel workbook, or as CSV files with their datapackage.json."""

from __future__ import annotations

import csv as csv_files
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.cli.published_rows import Taken, published_file, rows_of, taken
from dci_pipeline.findings import Finding
from dci_pipeline.report.cells import RULE, neutral

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from dci_pipeline.periods import Period
    from dci_pipeline.releases.resources import DataFile
    from dci_pipeline.report.workbook import Sheet
    from dci_pipeline.work import Work

commands = typer.Typer(
    no_args_is_help=True,
    help="The published tables for other tools: an Excel workbook, or CSV files with a datapackage.json.",
    epilog="Example: dci export xlsx --out dci.xlsx --table index_year",
)

Tables = Annotated[
    list[str] | None,
    typer.Option("--table", metavar="TABLE", show_default=False, help="This table only; may be repeated."),
]
ToFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The workbook; one that is there is replaced.")]
ToFolder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder for the files.")]


class Chosen(NamedTuple):
    """What is exported: of which index, which tables (None: all), which periods (None: all)."""

    work: Work
    tables: list[str] | None
    periods: list[Period] | None


def _choice(
    table: Tables = None,
    first: options.First = None,
    last: options.Last = None,
    months: options.Months = None,
    index: options.Index = None,
) -> Chosen:
    """What the options that every form of export has come to."""
    work = options.open_work(index)
    return Chosen(work, table, options.chosen_periods(work.framework, first, last, months))


def _chosen_by_options(command: Callable[[Path, Chosen], None]) -> Callable[..., None]:
    """The command with `--out` of its own and the options of `_choice`."""

    @wraps(command)
    def called(out: Path, **given: Any) -> None:
        command(out, _choice(**given))

    own, shared = (signature(function, eval_str=True).parameters for function in (command, _choice))
    said = [own["out"], *shared.values()]
    called.__signature__ = Signature(said)  # pyright: ignore[reportAttributeAccessIssue]
    called.__annotations__ = {item.name: item.annotation for item in said}
    return called


@commands.command(epilog="Example: dci export xlsx --out dci_2019.xlsx --from 2019-01 --to 2019-12")
@_chosen_by_options
def xlsx(out: ToFile, wanted: Chosen) -> None:
    """Write the published tables as one Excel workbook: a sheet of notes, then a sheet per table.

    Rows of every period that shares a day with the range; tables without periods are whole. A table that is longer
    than a sheet is cut by year, which is said here and in the notes.
    """
    from dci_pipeline.cli.export_workbook import write_workbook
    from dci_pipeline.report.workbook import sheets

    if out.is_dir() or out.suffix.lower() != ".xlsx":
        raise Finding("not a workbook's name", where="--out", found=str(out), expected="a file that ends in .xlsx")
    with _new_beside(out) as scratch, _rows(wanted) as (connection, chosen):
        made = [sheet for item in chosen for sheet in sheets(item.table, item.column, item.rows)]
        with _progress(sum(sheet.rows for sheet in made)) as told:
            write_workbook(
                scratch / out.name,
                _title(wanted.work),
                made,
                _periods(wanted, chosen),
                _built_from(wanted.work),
                connection,
                told,
            )
        os.replace(scratch / out.name, out)
    _said_sheets(made)
    screen.say(f"Written: {out}")


@commands.command(epilog="Example: dci export csv --out dci_csv --table index_year --table node")
@_chosen_by_options
def csv(out: ToFolder, wanted: Chosen) -> None:
    """Write the published tables as CSV files, one per table, and a datapackage.json that describes them.

    UTF-8 as RFC 4180 has it, every digit of every number. Rows are chosen as for xlsx.
    """
    from dci_pipeline.report import datapackage

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Finding(
            "there is something already",
            where="--out",
            found=str(out),
            expected="a new or empty folder",
            todo="give another folder, or take that one away",
        )
    with _new_beside(out) as scratch, _rows(wanted) as (connection, chosen):
        folder = scratch / out.name
        folder.mkdir()
        with _progress(sum(sum(item.rows.values()) for item in chosen)) as told:
            files = [_write_table(folder, item, connection, told) for item in chosen]
        said = datapackage.descriptor(
            wanted.work.index.lower(),
            title=_title(wanted.work),
            description=f"Published tables, {_periods(wanted, chosen) or 'no period'}. {RULE}",
            files=files,
            beside=_built_from(wanted.work),
        )
        text = json.dumps(said, ensure_ascii=False, indent=1) + "\n"
        (folder / datapackage.NAME).write_text(text, encoding="utf-8")
        os.replace(folder, out)
    screen.show(
        "", ("file", "rows", "bytes"), [[f.path, f"{f.rows:,}", f"{f.bytes:,}"] for f in files], right=("rows", "bytes")
    )
    screen.say(f"Written: {out}")


@contextmanager
def _rows(wanted: Chosen) -> Iterator[tuple[DuckDBPyConnection, list[Taken]]]:
    """The published file, and which rows of which tables are wanted."""
    with published_file(wanted.work.warehouse.layout) as connection:
        yield connection, taken(connection, wanted.work.framework, wanted.tables, wanted.periods)


def _write_table(folder: Path, item: Taken, connection: DuckDBPyConnection, told: Callable[[int], None]) -> DataFile:
    from dci_pipeline.releases.resources import DataFile

    path = folder / f"{item.table.table}.csv"
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv_files.writer(file)
        writer.writerow([column.name for column in item.table.columns])
        for batch in rows_of(connection, item.table, item.column, item.values):
            writer.writerows([[_text(value) for value in row] for row in batch])
            rows += len(batch)
            told(len(batch))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return DataFile(item.table, path.name, path.stat().st_size, digest, rows)


def _text(value: object) -> object:
    """A value as it stands in a CSV file; numbers are left to the writer, which gives every digit."""
    if isinstance(value, str):
        return neutral(value)
    return str(value).lower() if isinstance(value, bool) else value


@contextmanager
def _new_beside(out: Path) -> Iterator[Path]:
    """A folder beside the target, gone when the block ends: what is written appears whole or not at all."""
    parent = out.absolute().parent
    if not parent.is_dir():
        raise Finding("no such folder", where=str(out.parent), todo="make the folder, or give another path")
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[int], None]]:
    with screen.progress() as bar:
        task = bar.add_task("rows", total=rows)
        yield lambda done: bar.advance(task, done)


def _title(work: Work) -> str:
    return f"{work.framework.name_zh} {work.framework.name_en} ({work.index})"


def _periods(wanted: Chosen, chosen: Sequence[Taken]) -> str:
    """The range asked for, or the periods that there are; spans that reach beyond them do not count."""
    from dci_pipeline.report.covered import in_words, stretch

    if wanted.periods is not None:
        return f"{wanted.periods[0]} to {wanted.periods[-1]}, with the half-years and years that touch it"
    cadence = wanted.work.framework.cadence
    dated = [item for item in chosen if item.column == cadence] or [item for item in chosen if item.column]
    return in_words({stretch(str(item.column), value) for item in dated for value in item.rows}, cadence)


def _built_from(work: Work) -> Mapping[str, str]:
    """The published file the rows were read from, by name and content hash."""
    layout = work.warehouse.layout
    kept = json.loads(layout.catalogue_stamp.read_bytes())["file"] if layout.catalogue_stamp.is_file() else {}
    return {"source": f"{layout.catalogue.name} sha256:{kept.get('sha256', 'not recorded')}"}


def _said_sheets(made: Sequence[Sheet]) -> None:
    screen.show("", ("sheet", "rows"), [[sheet.name, f"{sheet.rows:,}"] for sheet in made], right=("rows",))
    cut = sorted({sheet.table.table for sheet in made if sheet.name != sheet.table.table})
    if cut:
        screen.say(f"Longer than a sheet and cut by year: {', '.join(cut)}.", style="yellow")
