"""`dci published`: the values of the printed report beside those of the warehouse, exhibit by exhibit or row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dci_pipeline.cli import options, screen
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    import polars as pl

    from dci_pipeline.exhibits import Exhibits
    from dci_pipeline.printed import Printed
    from dci_pipeline.work import Work

EXAMPLES = (
    "Example: dci published"
    "\n\nOne exhibit, row by row: dci published --exhibit E005"
    "\n\nEverything that is off: dci published --off"
)

Which = Annotated[
    str | None, typer.Option("--exhibit", metavar="ID", help="Every printed value of one exhibit, such as E005.")
]
OnlyOff = Annotated[bool, typer.Option("--off", help="Only the printed values that are off, row by row.")]
ToCsv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Every row that is shown or counted, into a CSV file.")
]

TABLE = "exhibit_values"
# What the numbers can and cannot show; said every time, so that no table of ours is read as more than it is.
CAVEAT = (
    "Printed values come from partners' data that is not here. Sample feeds are invented: nothing is expected to be "
    "reproduced from them. Feeds of the profile `report` are simulated so that the pipeline arrives at the printed "
    "values: they show that the method can produce them, not that they are true."
)


def published(*, exhibit: Which = None, off: OnlyOff = False, csv: ToCsv = None, index: options.Index = None) -> None:
    """Compare what the report printed with what the warehouse holds; exits with 1 unless every value is reproduced."""
    from dci_pipeline.exhibit_files import read_exhibits
    from dci_pipeline.printed import read_printed
    from dci_pipeline.report.published import MISSING, OFF

    work = options.open_work(index)
    printed = read_printed(work.framework.folder)
    exhibits = read_exhibits(work.framework, work.geography)
    rows = _compared(work, printed)
    if exhibit is not None:
        rows = _of_exhibit(rows, exhibits, exhibit)
    if off:
        rows = rows.filter(rows["verdict"] == OFF)
    if csv is not None:
        _export(rows, csv)
    if exhibit is not None or off:
        _rows(rows, printed)
    else:
        _exhibits(rows, exhibits, printed)
    _totals(rows)
    screen.say(CAVEAT)
    if rows["verdict"].is_in([OFF, MISSING]).any():
        raise typer.Exit(1)


def _compared(work: Work, printed: Printed) -> pl.DataFrame:
    """The printed values beside those of every year that the warehouse has exhibits of."""
    from dci_pipeline.periods import parse, span
    from dci_pipeline.report.published import compared

    # Whatever a period's form, it opens with a year; what is compared over several years is kept under the last.
    years = sorted({period[:4] for period in printed.values["period"]})
    there = work.warehouse.existing("marts", TABLE, span(parse(years[0], "year"), parse(years[-1], "year")))
    if not there:
        raise Finding(
            "no exhibits are computed yet",
            where=f"{work.index}/marts/{TABLE}",
            found="no partition",
            expected=f"a year from {years[0]} on",
            todo=f"dci run --index {work.index}, or dci demo for a first try",
        )
    notes = printed.notes.values()
    return compared(
        printed.values,
        work.warehouse.read("marts", TABLE, there),
        contradictions={note.note for note in notes if note.kind == "contradiction"},
        truncated={note.note for note in notes if note.truncated},
    )


def _of_exhibit(rows: pl.DataFrame, exhibits: Exhibits, name: str) -> pl.DataFrame:
    known = {item.exhibit: item for item in exhibits.exhibits}
    if name not in known:
        raise Finding(
            "no such exhibit",
            where="--exhibit",
            found=name,
            expected=f"{min(known)} to {max(known)}",
            todo="dci published",
        )
    found = known[name]
    screen.say(f"{found.exhibit} {found.title_zh} | {found.title_en}", style="bold")
    if found.reading:
        screen.say(f"Read as: {found.reading}")
    kept = rows.filter(rows["exhibit_id"] == name)
    if kept.is_empty():
        screen.say("The report printed no number for it; its values are in the table exhibit_values.")
    return kept


def _rows(rows: pl.DataFrame, printed: Printed) -> None:
    shown = [
        [
            row["exhibit_id"],
            row["subject"],
            row["entity_zh"],
            row["period"],
            row["measure"],
            row["printed"],
            _number(row["computed"]),
            row["verdict"],
            row["why"] or _note(row, printed),
        ]
        for row in rows.iter_rows(named=True)
    ]
    columns = ("exhibit", "subject", "entity", "period", "measure", "printed", "computed", "verdict", "note")
    screen.show("", columns, shown, right=("printed", "computed"))


def _note(row: dict[str, Any], printed: Printed) -> str:
    return f"{row['note']}: {printed.notes[row['note']].says}" if row["note"] else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _exhibits(rows: pl.DataFrame, exhibits: Exhibits, printed: Printed) -> None:
    from dci_pipeline.report.published import by_exhibit, furthest

    titles = {item.exhibit: item.title_en for item in exhibits.exhibits}
    worst = furthest(rows)
    shown: list[list[object]] = []
    for row in by_exhibit(rows).iter_rows(named=True):
        name = row["exhibit_id"]
        own = rows.filter(rows["exhibit_id"] == name)
        if row["external"] == row["printed"]:
            continue
        counts = [row[verdict] or "" for verdict in ("reproduced", "off", "contradictory", "not computed")]
        shown.append(
            [
                name,
                titles.get(name, ""),
                row["printed"] - row["external"],
                *counts,
                _remark(own, worst.get(name), printed),
            ]
        )
    columns = ("exhibit", "what it shows", "printed", "reproduced", "off", "contradictory", "not computed", "remark")
    screen.show("Printed values and ours", columns, shown, right=columns[2:7])


def _remark(own: pl.DataFrame, worst: dict[str, Any] | None, printed: Printed) -> str:
    """The row that is furthest off, the contradictions, and why rows are not computed."""
    said: list[str] = []
    if worst is not None:
        said.append(f"{worst['entity_zh']} {worst['measure']}: {_number(worst['computed'])} for {worst['printed']}")
    contradictory = own.filter(own["verdict"] == "contradictory")["note"].unique(maintain_order=True)
    said += [f"{note}: {printed.notes[note].says}" for note in contradictory]
    unseen = own.filter(own["verdict"] != "external")["why"].drop_nulls().to_list()
    said += [f"{unseen.count(why)} {why}" for why in dict.fromkeys(unseen)]
    return "; ".join(said)


def _totals(rows: pl.DataFrame) -> None:
    from dci_pipeline.report.published import VERDICTS

    counts = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}
    external = counts.pop("external")
    said = ", ".join(f"{number:,} {verdict}" for verdict, number in counts.items())
    screen.say(
        f"{rows.height - external:,} printed values: {said}. {external:,} more are third parties' and not computed."
    )


def _export(rows: pl.DataFrame, path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise Finding("no such folder", where=str(path.parent), todo="make the folder, or give another path")
    rows.write_csv(path)
    screen.say(f"Written: {path}", stderr=True)
