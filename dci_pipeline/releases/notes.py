"""A diff in words: Markdown for the release note, plain rows for a table on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_KINDS = {"R1": "R1 better source", "R2": "R2 sent again", "R3": "R3 method", "C": "C correction"}
_FEW = 20
_SHOWN = 40

Diff = Mapping[str, Any]


def is_empty(diff: Diff) -> bool:
    """Whether nothing at all is told: no row, no column, nothing of the method."""
    return not (changed_tables(diff) or diff["schema_changes"] or diff["method_changes"])


def changed_tables(diff: Diff) -> list[Mapping[str, Any]]:
    """The tables in which any row came, went, changed or became final."""
    return [table for table in diff["tables"].values() if any(table["rows"].values()) or table["periods_final"]]


def table_rows(diff: Diff) -> list[list[object]]:
    """Table, rows added, removed, changed, and which columns or periods: one row for each table that differs."""
    return [[table["table"], *table["rows"].values(), _about(table)] for table in changed_tables(diff)]


def movement_rows(diff: Diff, *, most: int = _FEW) -> list[list[object]]:
    """Table, column, key, from, to, by: what moved furthest, of every table."""
    return [
        [item["table"], item["column"], _key(item["key"]), *[_number(item[name]) for name in ("from", "to", "by")]]
        for table in changed_tables(diff)
        for item in table["movements"][:most]
    ]


def schema_rows(diff: Diff) -> list[list[object]]:
    """Change, table and column, from, to."""
    return [
        [item["change"], ".".join(filter(None, (item["table"], item["column"]))), *_short(item)]
        for item in diff["schema_changes"]
    ]


def method_rows(diff: Diff) -> list[list[object]]:
    """File, key, from, to."""
    return [[item["file"], item["key"], *_short(item)] for item in diff["method_changes"]]


def markdown(
    diff: Diff, *, title: str, note: str = "", facts: Sequence[str] = (), revised: Iterable[Sequence[object]] = ()
) -> str:
    """The release note: what a person wrote, facts of the release, what was revised, then what changed.

    revised: kind, table, revisions, and how many of them are of values that had been final.
    """
    parts = [f"# {title}"]
    if note.strip():
        parts.append(note.strip())
    if facts:
        parts.append("\n".join(f"- {fact}" for fact in facts))
    if diff["from"] is None:
        parts.append("The first release: there is nothing to compare it with.")
        parts.append(_table(("table", "rows"), [[t["table"], t["rows"]["added"]] for t in diff["tables"].values()]))
        return "\n\n".join(parts) + "\n"
    parts.append(f"## Changes from {diff['from']} to {diff['to']}")
    if is_empty(diff):
        parts.append("None.")
    sections: list[tuple[str, Sequence[str], list[list[object]]]] = [
        ("Revisions", ("kind", "table", "revisions", "exceptional"), [[_KINDS[str(k)], *of] for k, *of in revised]),
        ("Rows", ("table", "added", "removed", "changed", "which"), table_rows(diff)),
        ("Largest movements", ("table", "column", "key", "from", "to", "by"), movement_rows(diff, most=_FEW)),
        ("Schema", ("change", "where", "from", "to"), schema_rows(diff)),
        ("Method", ("file", "key", "from", "to"), method_rows(diff)),
    ]
    for heading, columns, rows in sections:
        if rows:
            parts += [f"### {heading}", _table(columns, rows)]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _about(table: Mapping[str, Any]) -> str:
    said = [
        f"{word} {_ends(list(table[name]))}"
        for word, name in (("new:", "periods_added"), ("gone:", "periods_removed"), ("final now:", "periods_final"))
        if table[name]
    ]
    cells = table["cells_changed"]
    if cells:
        said.append("changed: " + ", ".join(cells))
    if table["exceptional"]:
        said.append(f"exceptional: {table['exceptional']:,} that were final")
    return "; ".join(said)


def _ends(periods: list[str]) -> str:
    return periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"


def _key(key: Mapping[str, Any]) -> str:
    return " ".join(str(value) for value in key.values())


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _short(item: Mapping[str, Any]) -> list[object]:
    return [_clipped(item["from"]), _clipped(item["to"])]


def _clipped(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
