"""The values that a printed report gave for an index, with notes on its silences and contradictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dci_pipeline.data_files import list_of, need, one_of, only, read_yaml
from dci_pipeline.findings import Finding

KEY = ("exhibit_id", "subject", "entity_type", "entity_zh", "period", "measure")
COLUMNS = (*KEY, "value", "unit", "note")
NOTE_KINDS = ("contradiction", "open", "form")
_NOTE = {"note", "kind", "rounding", "exhibits", "says"}


@dataclass(frozen=True)
class Note:
    """What a printed value stands against; `truncated` when its digits may be cut off instead of rounded."""

    note: str
    kind: str
    truncated: bool
    exhibits: tuple[str, ...]
    says: str


@dataclass(frozen=True)
class Printed:
    """values: text, in the order of the file, [*KEY, value (as printed), unit, note or null]."""

    values: pl.DataFrame
    notes: Mapping[str, Note]


def read_printed(folder: Path) -> Printed:
    """The printed values and notes of the index in `folder`.

    Raises Finding for an index without any, wrong columns, values that are no numbers, rows that share a key and notes
    that nobody wrote.
    """
    where = f"{folder.name}/published"
    path = folder / "published" / "values.csv"
    if not path.is_file():
        raise Finding(
            "nothing printed to compare with",
            where=f"{where}/values.csv",
            found="no such file",
            expected=", ".join(COLUMNS),
            todo="name an index that has printed values: --index",
        )
    values = pl.read_csv(path, infer_schema=False)
    if tuple(values.columns) != COLUMNS:
        raise Finding(
            "wrong columns", where=f"{where}/values.csv", found=", ".join(values.columns), expected=", ".join(COLUMNS)
        )
    notes = _notes(folder / "published" / "notes.yaml", f"{where}/notes.yaml")
    _check(values, notes, f"{where}/values.csv")
    return Printed(values, notes)


def _notes(path: Path, where: str) -> dict[str, Note]:
    raw = only(read_yaml(path), {"notes"}, where=where)
    notes: dict[str, Note] = {}
    for entry in list_of(raw, "notes", where):
        entry = only(entry, _NOTE, where=where)
        name = str(need(entry, "note", where))
        at = f"{where} {name}"
        one_of(str(need(entry, "kind", at)), NOTE_KINDS, f"{at} kind")
        one_of(str(entry.get("rounding", "truncated")), ("truncated",), f"{at} rounding")
        if name in notes:
            raise Finding("a note is written twice", where=at)
        notes[name] = Note(
            name,
            str(entry["kind"]),
            "rounding" in entry,
            tuple(str(exhibit) for exhibit in entry.get("exhibits") or ()),
            str(need(entry, "says", at)),
        )
    return notes


def _check(values: pl.DataFrame, notes: Mapping[str, Note], where: str) -> None:
    empty = values.filter(pl.any_horizontal(pl.col(*KEY, "value", "unit").is_null()))
    if not empty.is_empty():
        raise Finding("a printed value without a key, value or unit", where=where, found=empty.row(0, named=True))
    wrong = values.filter(pl.col("value").cast(pl.Float64, strict=False).is_null())
    if not wrong.is_empty():
        raise Finding("not a number", where=where, found=wrong.row(0, named=True))
    twice = values.filter(pl.struct(KEY).is_duplicated())
    if not twice.is_empty():
        raise Finding("printed values that share a key", where=where, found=twice.select(KEY).row(0, named=True))
    unknown = sorted(set(values["note"].drop_nulls()) - set(notes))
    if unknown:
        raise Finding("a note that is not in notes.yaml", where=where, found=", ".join(unknown))
