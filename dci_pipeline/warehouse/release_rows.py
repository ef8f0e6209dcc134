"""Two states of the published tables side by side, table by table and year by year: releases, and what is published.

Large tables are compared a year at a time, so that memory holds one year of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol

import polars as pl

from dci_pipeline.framework import Framework
from dci_pipeline.periods import Period
from dci_pipeline.releases import changes, diff
from dci_pipeline.releases.diff import TableDiff
from dci_pipeline.releases.package import TableFile, resource
from dci_pipeline.releases.revisions import TABLE
from dci_pipeline.releases.spans import starts, time_column
from dci_pipeline.warehouse.release_files import Release, definition
from dci_pipeline.warehouse.releases import Progress, published
from dci_pipeline.warehouse.store import Warehouse

# Rows that a diff lists of one table and kind, and of all together: a month restated in full is listed whole. Above it
# says how many there are, and both states are there to ask; a listing of millions of rows would be of use to nobody.
LISTED, _LISTED_IN_ALL = 60_000, 300_000
# Rows of a table that are compared in one go.
_AT_ONCE = 500_000
WORKING = "working"


class State(Protocol):
    """The published tables as they stood, or stand."""

    @property
    def name(self) -> str: ...

    @property
    def resources(self) -> Mapping[str, dict[str, Any]]:
        """What is said of every table, by name, as in a package."""
        ...

    @property
    def method(self) -> Mapping[str, object]:
        """What every file of the index's definition says, by name."""
        ...

    def years(self, table: str) -> list[int]:
        """The years a table has rows of."""
        ...

    def rows(self, table: str, year: int | None) -> pl.DataFrame:
        """The rows of a table, of one year where given."""
        ...


class Released:
    """A release as a state to compare with."""

    def __init__(self, release: Release):
        self.release = release
        self.name = release.id

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in self.release.package["resources"]}

    @property
    def method(self) -> dict[str, object]:
        return self._method

    @cached_property
    def _method(self) -> dict[str, object]:
        return definition(self.release.method / self.release.index)

    def years(self, table: str) -> list[int]:
        column = time_column(self.resources[table]["schema"]["primaryKey"])
        if column is None:
            return []
        rows = pl.scan_parquet(self.release.table(table))
        found = rows.select(starts(rows.collect_schema()[column], column).dt.year().alias("year").unique()).collect()
        return sorted(found["year"].to_list())

    def rows(self, table: str, year: int | None) -> pl.DataFrame:
        rows = pl.scan_parquet(self.release.table(table))
        column = time_column(self.resources[table]["schema"]["primaryKey"])
        if year is not None and column is not None:
            rows = rows.filter(starts(rows.collect_schema()[column], column).dt.year() == year)
        return rows.collect()


class Working:
    """What is committed now, up to `last` where given."""

    def __init__(self, warehouse: Warehouse, framework: Framework, last: Period | None = None):
        self.name = WORKING
        self.warehouse, self.framework, self.last = warehouse, framework, last

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        nothing = TableFile(_AT_ONCE + 1, 0, "")
        return {name: resource(contract, nothing) for name, contract in sorted(self.framework.tables.items())}

    @property
    def method(self) -> dict[str, object]:
        return self._method

    @cached_property
    def _method(self) -> dict[str, object]:
        return definition(self.framework.folder)

    def years(self, table: str) -> list[int]:
        parts = [part for path in self.warehouse.partitions("marts", table) for part in path.parts]
        return sorted({int(part.removeprefix("year=")) for part in parts if part.startswith("year=")})

    def rows(self, table: str, year: int | None) -> pl.DataFrame:
        return published(self.warehouse, self.framework.tables[table], self.framework, self.last, year=year)


def compared(before: State | None, after: State, index: str, *, progress: Progress = lambda _: None) -> dict[str, Any]:
    """What tells two states apart, as plain values: tables with rows that differ, schema, method.

    Without `before` every row is new, and only counted.
    """
    tables: dict[str, Any] = {}
    left = _LISTED_IN_ALL
    for name in sorted({*after.resources, *(before.resources if before else ())}):
        if name == TABLE:
            continue  # it tells the same, and of every release before
        progress(name)
        told = _first(after, name) if before is None else _told(before, after, name, most=min(LISTED, left))
        if any(told["rows"].values()) or told["periods_final"]:
            tables[name] = told
            left = max(left - sum(len(told[kind]) for kind in ("added", "removed", "changed")), 0)
    old = {"resources": list(before.resources.values())} if before else {}
    new = {"resources": list(after.resources.values())}
    return {
        "index": index,
        "from": before.name if before else None,
        "to": after.name,
        "tables": tables,
        "schema_changes": changes.schema_changes(old, new) if before else [],
        "method_changes": method_changes(before, after) if before else [],
    }


def _first(after: State, table: str) -> dict[str, Any]:
    told = diff.together(table, after.resources[table]["schema"]["primaryKey"], [], most=0)
    told["rows"]["added"] = after.resources[table]["rowCount"]
    return {**told, "listed": False}


def _told(before: State, after: State, table: str, *, most: int) -> dict[str, Any]:
    key = (after if table in after.resources else before).resources[table]["schema"]["primaryKey"]
    parts = (diff.said(item, most=most) for item in differences(before, after, table))
    return diff.together(table, key, parts, most=most)


def differences(before: State, after: State, table: str) -> Iterator[TableDiff]:
    """The rows of a table in which two states differ, a stretch at a time."""
    old, new = before.resources.get(table), after.resources.get(table)
    present = new or old
    assert present is not None
    if old and new and old["hash"] == new["hash"] and old["bytes"]:
        return
    key = present["schema"]["primaryKey"]
    time = time_column(key)
    for year in _stretches(before, after, table):
        a = before.rows(table, year) if old else None
        b = after.rows(table, year) if new else None
        one = a if a is not None else b
        assert one is not None
        found = diff.compare(
            table, a if a is not None else one.clear(), b if b is not None else one.clear(), key, time=time
        )
        if not found.is_empty:
            yield found


def _stretches(before: State, after: State, table: str) -> list[int] | list[None]:
    held = [state for state in (before, after) if table in state.resources]
    keys = {tuple(state.resources[table]["schema"]["primaryKey"]) for state in held}
    time = time_column(next(iter(keys)))
    # A text that names spans of several years is not kept by one year.
    if (
        len(keys) > 1
        or time in (None, "period")
        or max(state.resources[table]["rowCount"] for state in held) <= _AT_ONCE
    ):
        return [None]
    return sorted({year for state in held for year in state.years(table)})


def method_changes(before: State, after: State) -> list[dict[str, Any]]:
    """What the definition of the index says otherwise."""
    # Contracts of published tables are the schema, told apart column by column.
    old, new = (
        {name: said for name, said in state.method.items() if not name.startswith(("marts/", "report/"))}
        for state in (before, after)
    )
    return changes.method_changes(old, new)


def first_difference(found: TableDiff) -> Mapping[str, Any]:
    """The first row by key in which a table differs: key, column, from, to; column None for a row of one state."""
    candidates: list[tuple[str, dict[str, Any], str | None, Any, Any]] = []
    for rows, was, now in ((found.removed, "there", "no such row"), (found.added, "no such row", "there")):
        for row in rows.head(1).select(found.key).iter_rows(named=True):
            candidates.append((str(list(row.values())), diff.plain_row(row), None, was, now))
    for old, new in zip(
        found.before.head(1).iter_rows(named=True), found.after.head(1).iter_rows(named=True), strict=True
    ):
        key = {name: new[name] for name in found.key}
        changed = next(name for name in new if diff.plain(old[name]) != diff.plain(new[name]))
        candidates.append(
            (str(list(key.values())), diff.plain_row(key), changed, diff.plain(old[changed]), diff.plain(new[changed]))
        )
    _, key, column, was, now = min(candidates, key=lambda item: item[0])
    return {"table": found.table, "key": key, "column": column, "from": was, "to": now}
