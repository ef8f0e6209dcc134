"""Two states of one published table compared by primary key: rows added, removed, changed, and what moved furthest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from dci_pipeline.releases.window import FINAL, MATURITY

# What a reader asks for first: how far a level moved, and how many places a rank did.
MOVING = ("points", "rank")
_FURTHEST = 10


@dataclass(frozen=True)
class TableDiff:
    """What tells one state of a table from another; all frames sorted by key.

    added, removed: whole rows. before, after: rows that share a key and differ, side by side, in the columns that both
    states have in one type. opened, closed: rows by period, of periods that only one of the states has; they are among
    added and removed.
    """

    table: str
    key: tuple[str, ...]
    added: pl.DataFrame
    removed: pl.DataFrame
    before: pl.DataFrame
    after: pl.DataFrame
    opened: Mapping[str, int]
    closed: Mapping[str, int]
    time: str | None = None

    @property
    def mirrored(self) -> TableDiff:
        """The same seen from the other side."""
        return replace(
            self,
            added=self.removed,
            removed=self.added,
            before=self.after,
            after=self.before,
            opened=self.closed,
            closed=self.opened,
        )

    @property
    def became_final(self) -> pl.Series:
        """Of the rows that differ those in which nothing does but that they are final now."""
        if MATURITY not in self.after.columns:
            return pl.repeat(False, self.after.height, dtype=pl.Boolean, eager=True)
        others = [name for name in self.after.columns if name not in (*self.key, MATURITY)]
        moved = [self.before[name].ne_missing(self.after[name]) for name in others]
        alike = (
            ~pl.select(pl.any_horizontal(moved)).to_series()
            if moved
            else pl.repeat(True, self.after.height, eager=True)
        )
        return alike & (self.after[MATURITY] == FINAL).fill_null(False)

    @property
    def is_empty(self) -> bool:
        return not (self.added.height or self.removed.height or self.before.height)


def compare(
    table: str, before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str], *, time: str | None = None
) -> TableDiff:
    """What tells `after` from `before`; each has unique keys. `time`: the key's column of periods.

    Where the states do not have the same key columns in the same types, every row of the one is removed and every row
    of the other added.
    """
    shared = [name for name, dtype in after.schema.items() if before.schema.get(name) == dtype]
    if not set(key) <= set(shared):
        nothing = after.select(shared).clear()
        return TableDiff(table, tuple(key), after, before, nothing, nothing, {}, {}, None)
    before, after = _sorted(before, key), _sorted(after, key)
    added, removed = after.clear(), before.clear()
    same_rows = before.height == after.height and before.select(key).equals(after.select(key))
    if not same_rows:
        added = after.join(before, on=list(key), how="anti", nulls_equal=True, maintain_order="left")
        removed = before.join(after, on=list(key), how="anti", nulls_equal=True, maintain_order="left")
    both_before = before if not removed.height else _without(before, removed, key)
    both_after = after if not added.height else _without(after, added, key)
    differs = pl.repeat(False, both_after.height, dtype=pl.Boolean, eager=True)
    for name in shared:
        if name not in key:
            differs |= both_before[name].ne_missing(both_after[name])
    return TableDiff(
        table,
        tuple(key),
        added,
        removed,
        both_before.filter(differs).select(shared),
        both_after.filter(differs).select(shared),
        _only(added, before, time),
        _only(removed, after, time),
        time,
    )


def apply(diff: TableDiff, before: pl.DataFrame) -> pl.DataFrame:
    """`after` from `before`, for states with the same columns; sorted by key."""
    kept = _without(_without(before, diff.removed, diff.key), diff.before, diff.key)
    return _sorted(pl.concat([kept, diff.added, diff.after.select(before.columns)]), diff.key)


def _sorted(frame: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return frame.sort(list(key), nulls_last=True) if key else frame


def _without(frame: pl.DataFrame, rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return frame.join(rows, on=list(key), how="anti", nulls_equal=True, maintain_order="left")


def _only(rows: pl.DataFrame, other: pl.DataFrame, time: str | None) -> dict[str, int]:
    """Rows by period, of the periods that `other` has no row of."""
    if time is None or not rows.height:
        return {}
    return _by_period(rows.join(other.select(time).unique(), on=time, how="anti", nulls_equal=True), time)


def said(diff: TableDiff, *, most: int) -> dict[str, Any]:
    """A diff as plain values for JSON: counts, cells by column, keys of added and removed rows, changes from and to.

    Rows of periods that only one state has are counted by period and not listed, and so are rows in which nothing
    differs but that they are final now. A changed row that was final before is `exceptional`. At most `most` rows are
    listed of each kind; `listed` says whether these are all.
    """
    final = diff.became_final
    matured = _by_period(diff.after.filter(final), diff.time)
    diff = replace(diff, before=diff.before.filter(~final), after=diff.after.filter(~final))
    added, removed = _of_shared(diff.added, diff.opened, diff.time), _of_shared(diff.removed, diff.closed, diff.time)
    columns = [name for name in diff.after.columns if name not in diff.key]
    cells = {name: int(diff.before[name].ne_missing(diff.after[name]).sum()) for name in columns}
    return {
        "rows": {"added": diff.added.height, "removed": diff.removed.height, "changed": diff.after.height},
        "periods_added": dict(diff.opened),
        "periods_removed": dict(diff.closed),
        "periods_final": matured,
        "exceptional": int(_was_final(diff).sum()),
        "cells_changed": {name: count for name, count in cells.items() if count},
        "added": [plain_row(row) for row in added.select(diff.key).head(most).iter_rows(named=True)],
        "removed": [plain_row(row) for row in removed.select(diff.key).head(most).iter_rows(named=True)],
        "changed": _changes(diff, columns, most),
        "listed": max(added.height, removed.height, diff.after.height) <= most,
        "movements": movements(diff),
    }


def together(table: str, key: Sequence[str], parts: Iterable[Mapping[str, Any]], *, most: int) -> dict[str, Any]:
    """What `said` gives for stretches of one table, in order, as one."""
    whole: dict[str, Any] = {
        "table": table,
        "key": list(key),
        "rows": {"added": 0, "removed": 0, "changed": 0},
        "periods_added": {},
        "periods_removed": {},
        "periods_final": {},
        "exceptional": 0,
        "cells_changed": {},
        "added": [],
        "removed": [],
        "changed": [],
        "listed": True,
        "movements": [],
    }
    for part in parts:
        whole["exceptional"] += part["exceptional"]
        for kind in ("rows", "periods_added", "periods_removed", "periods_final", "cells_changed"):
            for name, count in part[kind].items():
                whole[kind][name] = whole[kind].get(name, 0) + count
        for kind in ("added", "removed", "changed"):
            whole[kind] += part[kind]
            whole["listed"] = whole["listed"] and part["listed"] and len(whole[kind]) <= most
            del whole[kind][most:]
        whole["movements"] = _furthest([*whole["movements"], *part["movements"]])
    return whole


def _was_final(diff: TableDiff) -> pl.Series:
    if MATURITY not in diff.before.columns:
        return pl.repeat(False, diff.before.height, dtype=pl.Boolean, eager=True)
    return (diff.before[MATURITY] == FINAL).fill_null(False)


def _by_period(rows: pl.DataFrame, time: str | None) -> dict[str, int]:
    if not rows.height:
        return {}
    if time is None:
        return {"": rows.height}
    return {str(value): int(count) for value, count in rows.group_by(time).len().sort(time).iter_rows()}


def _of_shared(rows: pl.DataFrame, only: Mapping[str, int], time: str | None) -> pl.DataFrame:
    if time is None or not only:
        return rows
    return rows.filter(~pl.col(time).cast(pl.String).is_in(list(only)))


def _changes(diff: TableDiff, columns: Sequence[str], most: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    rows = (frame.head(most).iter_rows(named=True) for frame in (diff.before, diff.after))
    for old, new, was_final in zip(*rows, _was_final(diff).head(most), strict=True):
        changes = {name: {"from": plain(old[name]), "to": plain(new[name])} for name in columns
                   if plain(old[name]) != plain(new[name])}  # fmt: skip
        row = {"key": plain_row({name: new[name] for name in diff.key}), "changes": changes}
        found.append({**row, "exceptional": True} if was_final else row)
    return found


def movements(diff: TableDiff) -> list[dict[str, Any]]:
    """The rows whose points, and those whose rank, moved furthest: column, key, from, to, by (to less from)."""
    found: list[dict[str, Any]] = []
    for column in MOVING:
        if column not in diff.after.columns or column in diff.key or not diff.after.schema[column].is_numeric():
            continue
        moved = diff.after.select(*diff.key, to=column).with_columns(diff.before[column].alias("from"))
        moved = moved.with_columns(by=pl.col("to") - pl.col("from")).filter(
            pl.col("by").is_not_null() & (pl.col("by") != 0)
        )
        moved = moved.sort(
            [pl.col("by").abs(), *diff.key], descending=[True, *[False] * len(diff.key)], nulls_last=True
        )
        for row in moved.head(_FURTHEST).iter_rows(named=True):
            found.append(
                {
                    "table": diff.table,
                    "column": column,
                    "key": plain_row({name: row[name] for name in diff.key}),
                    **{name: plain(row[name]) for name in ("from", "to", "by")},
                }
            )
    return found


def _furthest(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for column in MOVING:
        of_column = [item for item in found if item["column"] == column]
        of_column.sort(key=lambda item: (-abs(float(item["by"])), str(item["key"])))
        kept += of_column[:_FURTHEST]
    return kept


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """A value as JSON has it: a day as text, a number that is none by name."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
