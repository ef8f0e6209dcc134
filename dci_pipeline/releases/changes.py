"""What changed between two releases besides rows: the tables' schema, and the definition of the index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

_SAID = ("type", "unit", "description", "title", "constraints")
# By which of its own values an entry of a list is known from one state to the next.
_NAMES = (
    "node", "name", "link", "type", "partner", "property", "tracked", "dimension", "member", "exhibit_id", "exhibit",
    "correction", "id",
)  # fmt: skip
_LISTED = 20

Change = dict[str, Any]


def schema_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Tables and columns that came, went or mean something else, from the resources of two packages.

    Each: change, table, column (None for the table), from, to.
    """
    old, new = (_by_name(package.get("resources", [])) for package in (before, after))
    found: list[Change] = []
    for name in sorted({*old, *new}):
        if name not in new:
            found.append(_change("table removed", name))
        elif name not in old:
            found.append(_change("table added", name))
        else:
            found += _of_table(name, old[name], new[name])
    return found


def _of_table(table: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for what in ("contract", "title", "description"):
        if before.get(what) != after.get(what):
            yield _change(f"{what} of the table", table, None, before.get(what), after.get(what))
    keys = [package["schema"].get("primaryKey") for package in (before, after)]
    if keys[0] != keys[1]:
        yield _change("primary key", table, None, keys[0], keys[1])
    old, new = (_by_name(package["schema"]["fields"]) for package in (before, after))
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield _change("column removed", table, name)
        elif name not in old:
            yield _change("column added", table, name)
        else:
            for what in _SAID:
                if old[name].get(what) != new[name].get(what):
                    yield _change(f"{what} of the column", table, name, old[name].get(what), new[name].get(what))
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield _change("order of columns", table, None, list(old), list(new))


def _change(what: str, table: str, column: str | None = None, old: object = None, new: object = None) -> Change:
    return {"change": what, "table": table, "column": column, "from": old, "to": new}


def _by_name(items: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(item["name"]): item for item in items}


def method_changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    """What the definition of the index says otherwise: file, key, from, to.

    before, after: file name → what it holds, a mapping of a YAML file or the rows of a CSV file as tuples of text. What
    is only spelled or ordered otherwise in a YAML mapping is no change; a whole file that comes or goes is one.
    """
    found: list[Change] = []
    for file in sorted({*before, *after}):
        if file not in after or file not in before:
            state = "file removed" if file not in after else "file added"
            found.append({"file": file, "key": state, "from": None, "to": None})
        elif before[file] != after[file]:
            old, new = before[file], after[file]
            pairs = _rows(old, new) if _is_table(old) and _is_table(new) else _values("", old, new)
            found += [{"file": file, "key": key, "from": was, "to": now} for key, was, now in pairs]
    return found


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, tuple) for row in cast("list[object]", value))


def _rows(before: object, after: object) -> Iterator[tuple[str, object, object]]:
    """Rows of a CSV file that went and came; of many, the first ones and how many more."""
    old, new = cast("list[tuple[str, ...]]", before), cast("list[tuple[str, ...]]", after)
    gone, come = [row for row in old if row not in set(new)], [row for row in new if row not in set(old)]
    for row in gone[:_LISTED]:
        yield "row removed", ",".join(row), None
    for row in come[:_LISTED]:
        yield "row added", None, ",".join(row)
    if len(gone) > _LISTED or len(come) > _LISTED:
        yield "rows removed and added in all", len(gone), len(come)
    if not gone and not come:
        yield "order of rows", None, None


def _values(at: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    """Keys below `at` with other values; entries of a list are known by name where they have one."""
    if before == after:
        return
    old, new = _named(before), _named(after)
    if old is None or new is None:
        yield at, before, after
        return
    for name in dict.fromkeys([*old, *new]):
        yield from _values(f"{at}.{name}".removeprefix("."), old.get(name), new.get(name))
    if isinstance(before, list) and old == new:
        yield f"{at} (order)", ", ".join(old), ", ".join(new)


def _named(value: object) -> dict[str, object] | None:
    if isinstance(value, dict):
        return {str(name): item for name, item in cast("dict[object, object]", value).items()}
    if not isinstance(value, list) or not value:
        return None
    items = cast("list[object]", value)
    if not all(isinstance(item, dict) for item in items):
        return None
    entries = cast("list[dict[str, object]]", items)
    for name in _NAMES:
        found = {f"[{entry[name]}]": entry for entry in entries if name in entry}
        if len(found) == len(entries):
            return dict(found)
    return None
