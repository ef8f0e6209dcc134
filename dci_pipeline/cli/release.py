"""`dci release`: freeze what is published up to a period into a release that never changes, and say what changed."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.cli.run import here
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    from dci_pipeline.releasing import Made

EXAMPLES = (
    "Example: dci release --period 2020-06"
    "\n\nWith a note for the reader: dci release --period 2020-06 --note note.md"
    "\n\nExit code 1 when the period or an earlier one is held back, 2 when what is published is out of date."
)

UpTo = Annotated[
    str,
    typer.Option(
        "--month", "--quarter", "--period", metavar="PERIOD", help="The last period of the release, such as 2020-06."
    ),
]
Note = Annotated[
    Path | None,
    typer.Option("--note", metavar="FILE", help="Markdown that opens CHANGES.md: what a reader should know."),
]
Day = Annotated[
    str | None,
    typer.Option(
        "--date", metavar="DAY", show_default=False, help="Day of the release. Default: today in DCI_TIMEZONE."
    ),
]


def release(*, period: UpTo, note: Note = None, date: Day = None, index: options.Index = None) -> None:
    """Freeze the published tables up to a period, with their DuckDB file, description, hashes and changes.

    A release never changes. What is released again after a change gets a revision number: 2020-06, 2020-06.r1. When
    nothing has changed nothing is released.
    """
    from dci_pipeline import releasing

    work = options.open_work(index)
    wanted = options.named_period(work.framework, period, where="--period")
    text = _text(note)
    day = named_day(date, where="--date")
    with screen.progress() as bar:
        task = bar.add_task("", total=None)
        made = releasing.release(
            work, wanted, vintage=day, note=text, progress=lambda at: bar.update(task, description=at[:44].ljust(44))
        )
    if not made.new:
        screen.say(f"Nothing has changed since {made.release.id}: nothing was released.", style="green")
        return
    said(made.diff)
    for item, why in sorted(made.gaps.items()):
        screen.say(f"Not published, and so not in it: {item}, which {why}", style="yellow")
    _where(made)


def said(diff: dict[str, Any]) -> None:
    """What changed, as tables on the screen: rows, largest movements, schema, method."""
    from dci_pipeline.releases import notes

    if diff["from"] is None:
        rows = [[item["table"], f"{item['rows']['added']:,}"] for item in diff["tables"].values()]
        screen.show(f"{diff['index']}: {diff['to']}, the first release", ("table", "rows"), rows, right=("rows",))
        return
    title = f"{diff['index']}: from {diff['from']} to {diff['to']}"
    if notes.is_empty(diff):
        screen.say(f"{title}: no difference.", style="green")
        return
    numbers = ("added", "removed", "changed")
    rows = [[name, *(f"{count:,}" for count in counts), what] for name, *counts, what in notes.table_rows(diff)]
    if rows:
        screen.show(title, ("table", *numbers, "which"), rows, right=numbers)
    sections = (
        ("Largest movements", ("table", "column", "key", "from", "to", "by"), notes.movement_rows(diff, most=5)),
        ("Schema", ("change", "where", "from", "to"), notes.schema_rows(diff)),
        ("Method", ("file", "key", "from", "to"), notes.method_rows(diff)),
    )
    for heading, columns, cells in sections:
        if cells:
            screen.show(heading, columns, cells, right=("from", "to", "by") if heading.startswith("Largest") else ())


def _where(made: Made) -> None:
    release = made.release
    page = release.folder / "explorer" / "index.html"
    size = sum(path.stat().st_size for path in release.folder.rglob("*") if path.is_file())
    screen.show(
        f"Release {release.id} of {release.vintage}",
        ("", ""),
        [
            ["tables", here(release.folder / "tables")],
            ["in one file", here(release.database)],
            ["what changed", here(release.folder / "CHANGES.md")],
            *([["to look around in", here(page)]] if page.is_file() else []),
            ["description", here(release.folder / "datapackage.json")],
            ["bytes", f"{size:,}"],
        ],
    )


def named_day(text: str | None, *, where: str) -> date:
    """The day a person named; today in the time zone of the settings when none. Raises Finding for another text."""
    from dci_pipeline.settings import timezone

    if text is None:
        return datetime.now(ZoneInfo(timezone())).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Finding(
            "not a day", where=where, found=text, expected="a day such as 2020-07-15", todo="correct it"
        ) from error


def _text(note: Path | None) -> str:
    if note is None:
        return ""
    try:
        return note.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
        raise Finding(
            "the note cannot be read",
            where=str(note),
            found=str(error),
            expected="a text file in UTF-8",
            todo="check --note",
        ) from error
