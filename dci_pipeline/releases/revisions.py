"""What releases revised: every level, growth and rank that a later release gives otherwise, and why.

A revision belongs to the release that made it. Its kind: R3 when the definition of the index changed with that release,
C when only the known errors of partners that are put right did, R1 when an estimate gave way to what was observed, else
R2, a delivery sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from dci_pipeline.releases.diff import TableDiff
from dci_pipeline.releases.spans import starts

TABLE = "revisions"
# Of the tables whose names begin so; the measures are the columns that they have of these.
_TABLES = ("index_",)
MEASURES = ("points", "rank", "growth_mom", "growth_qoq", "growth_yoy")
_KEY = ("entity_type", "entity_code", "node")
_ESTIMATED = ("P", "E", "M")
_CORRECTIONS = "corrections/"
# How many months a row is about, by the column that says which; a month or quarter begins with its first.
_MONTHS = {"half": 6, "year": 12}
SCHEMA: dict[str, pl.DataType] = {
    "release": pl.String(),
    "vintage": pl.Date(),
    "table": pl.String(),
    **{name: pl.String() for name in _KEY},
    "period": pl.String(),
    "measure": pl.String(),
    "from": pl.Float64(),
    "to": pl.Float64(),
    "kind": pl.String(),
    "delivery": pl.String(),
}
ORDER = ("release", "table", *_KEY, "period", "measure")


def is_revised(table: str) -> bool:
    """Whether revisions of a table are kept: those of the index itself."""
    return table.startswith(_TABLES)


def revisions(
    diffs: Iterable[TableDiff],
    *,
    release: str,
    vintage: date,
    method_changes: Sequence[Mapping[str, Any]],
    deliveries: pl.DataFrame,
    feeds: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """The revisions that one release made, with the columns of SCHEMA, sorted by ORDER.

    diffs: of the tables of the index, against the release before. deliveries: [feed, start Date, sha256] that
    this release rests on and the one before did not. feeds: node → the feeds of the leaves under it. `delivery` is the
    new delivery of the node's feeds in the row's period, or, where its period has none, those of other periods; several
    with a space between. Rows that only one of the releases has are no revisions.
    """
    kind = _kind_of(method_changes)
    frames = [_of_table(found, kind) for found in diffs if found.after.height and found.time is not None]
    if not frames:
        return pl.DataFrame(schema=SCHEMA)
    rows = pl.concat(frames).with_columns(release=pl.lit(release), vintage=pl.lit(vintage))
    return _named(rows, deliveries, feeds).select(list(SCHEMA)).sort(ORDER)


def _kind_of(method_changes: Sequence[Mapping[str, Any]]) -> str | None:
    files = {str(item["file"]) for item in method_changes}
    if not files:
        return None
    return "C" if all(file.startswith(_CORRECTIONS) for file in files) else "R3"


def _of_table(found: TableDiff, kind: str | None) -> pl.DataFrame:
    assert found.time is not None
    time, frames = found.time, list[pl.DataFrame]()
    observed = found.before["obs_status"].is_in(_ESTIMATED) & ~found.after["obs_status"].is_in(_ESTIMATED)
    own = pl.lit(kind) if kind else pl.when("observed").then(pl.lit("R1")).otherwise(pl.lit("R2"))
    kinds = pl.DataFrame({"observed": observed}).with_columns(own.alias("kind"))["kind"]
    for measure in MEASURES:
        if measure in found.after.columns:
            frames.append(
                found.after.select(
                    *_KEY,
                    start=starts(found.after.schema[time], time),
                    months=pl.lit(_MONTHS.get(time, 1), dtype=pl.Int32),
                    period=period_text(found.after.schema[time], time),
                    table=pl.lit(found.table),
                    measure=pl.lit(measure),
                    to=pl.col(measure).cast(pl.Float64),
                ).with_columns(found.before[measure].cast(pl.Float64).alias("from"), kinds)
            )
    return pl.concat(frames).filter(pl.col("from").ne_missing(pl.col("to")))


def period_text(dtype: pl.DataType, column: str) -> pl.Expr:
    """The period as people write it: a date of a month as '2019-04', of a quarter as '2019Q2', else as it stands."""
    if dtype != pl.Date:
        return pl.col(column).cast(pl.String)
    if column == "quarter":
        return pl.format("{}Q{}", pl.col(column).dt.year(), pl.col(column).dt.quarter())
    return pl.col(column).dt.strftime("%Y-%m")


def _named(rows: pl.DataFrame, deliveries: pl.DataFrame, feeds: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """`rows` with the deliveries behind each: one text for every node and period."""
    keys = ["node", "start", "months"]
    pairs = rows.select(keys).unique(maintain_order=True)
    said: list[str | None] = []
    for node, start, months in pairs.iter_rows():
        of_node = deliveries.filter(pl.col("feed").is_in(list(feeds.get(node, ()))))
        end = start.replace(month=start.month + months - 1)
        own = of_node.filter(pl.col("start").is_between(start, end))
        named = (own if own.height else of_node)["sha256"].unique().sort().to_list()
        said.append(" ".join(named) or None)
    keyed = pairs.with_columns(delivery=pl.Series(said, dtype=pl.String))
    return rows.join(keyed, on=keys, how="left", maintain_order="left")


def summary(rows: pl.DataFrame) -> pl.DataFrame:
    """[table, measure, revisions, mean, mean_absolute] of revisions: to less from, where both are there."""
    moved = rows.with_columns(by=pl.col("to") - pl.col("from")).filter(pl.col("by").is_not_null())
    return (
        moved.group_by("table", "measure")
        .agg(revisions=pl.len(), mean=pl.col("by").mean(), mean_absolute=pl.col("by").abs().mean())
        .sort("table", "measure")
    )


def triangle(states: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """[period, one column for each state, revision]: the value of every period as each release gave it.

    states: name → [period, value], oldest first. revision: the last value there is less the first; null with less than
    two.
    """
    names = [name for name, _ in states]
    whole = pl.DataFrame(schema={"period": pl.String})
    for name, frame in states:
        column = frame.select("period", pl.col("value").cast(pl.Float64).alias(name))
        whole = whole.join(column, on="period", how="full", coalesce=True)
    values = [pl.col(name) for name in names]
    first, last = pl.coalesce(values), pl.coalesce(values[::-1])
    several = pl.sum_horizontal(value.is_not_null() for value in values) > 1
    return whole.with_columns(revision=pl.when(several).then(last - first)).sort("period")
