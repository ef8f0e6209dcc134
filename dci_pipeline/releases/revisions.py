"""What releases revised: every level, growth and rank that a later release gives otherwise, and why.

A revision belongs to the release that made it. Its kind is that of its own cause (`causes`): R3 another definition, C
other corrections of known errors of partners, R1 an estimate that gave way to what was observed, else R2, a delivery
sent again. What was final before is revised by exception, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import polars as pl

from dci_pipeline.releases.causes import BETTER, ROUTINE, Causes
from dci_pipeline.releases.diff import TableDiff
from dci_pipeline.releases.spans import months_of, starts
from dci_pipeline.releases.window import FINAL, MATURITY

TABLE = "revisions"
# Of the tables whose names begin so; the measures are the columns that they have of these.
_TABLES = ("index_",)
MEASURES = ("points", "rank", "growth_mom", "growth_qoq", "growth_yoy")
_KEY = ("entity_type", "entity_code", "node")
_ESTIMATED = ("P", "E", "M")
# How many periods a half-year or year has so far: with one more it is another span.
_COVERED = "_covered"
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
    "maturity": pl.String(),
    "delivery": pl.String(),
}
ORDER = ("release", "table", *_KEY, "period", "measure")


def is_revised(table: str) -> bool:
    """Whether revisions of a table are kept: those of the index itself."""
    return table.startswith(_TABLES)


def revisions(diffs: Iterable[TableDiff], *, release: str, vintage: date, causes: Causes) -> pl.DataFrame:
    """The revisions that one release made, with the columns of SCHEMA, sorted by ORDER.

    diffs: of the tables of the index, against the release before. `maturity`: that of the value in the release before.
    `delivery`: the new deliveries of the node's feeds in the row's period, or, where it has none, in other periods;
    several with a space between. Rows that only one of the releases has are no revisions, nor are those of a half-year
    or year that has more periods than it had.
    """
    frames = [_of_table(found) for found in diffs if found.after.height and found.time is not None]
    if not frames:
        return pl.DataFrame(schema=SCHEMA)
    rows = pl.concat(frames).with_columns(release=pl.lit(release), vintage=pl.lit(vintage))
    return _explained(rows, causes).select(list(SCHEMA)).sort(ORDER)


def _of_table(found: TableDiff) -> pl.DataFrame:
    assert found.time is not None
    time, before, after = found.time, found.before, found.after
    covered = [name for name in after.columns if name.endswith(_COVERED)]
    if covered:
        same = before[covered[0]].eq_missing(after[covered[0]])
        before, after = before.filter(same), after.filter(same)
    was = {"observed": before["obs_status"].is_in(_ESTIMATED) & ~after["obs_status"].is_in(_ESTIMATED)}
    none = pl.repeat(None, before.height, dtype=pl.String, eager=True)
    was[MATURITY] = before[MATURITY] if MATURITY in before.columns else none
    frames: list[pl.DataFrame] = []
    for measure in MEASURES:
        if measure in after.columns:
            frames.append(
                after.select(
                    *_KEY,
                    start=starts(after.schema[time], time),
                    months=pl.lit(months_of(found.table, time), dtype=pl.Int32),
                    period=period_text(after.schema[time], time),
                    table=pl.lit(found.table),
                    measure=pl.lit(measure),
                    to=pl.col(measure).cast(pl.Float64),
                ).with_columns(before[measure].cast(pl.Float64).alias("from"), **was)
            )
    return pl.concat(frames).filter(pl.col("from").ne_missing(pl.col("to")))


def period_text(dtype: pl.DataType, column: str) -> pl.Expr:
    """The period as people write it: a date of a month as '2019-04', of a quarter as '2019Q2', else as it stands."""
    if dtype != pl.Date:
        return pl.col(column).cast(pl.String)
    if column == "quarter":
        return pl.format("{}Q{}", pl.col(column).dt.year(), pl.col(column).dt.quarter())
    return pl.col(column).dt.strftime("%Y-%m")


def _explained(rows: pl.DataFrame, causes: Causes) -> pl.DataFrame:
    """`rows` with kind and delivery: the cause is looked up once for every node and span."""
    keys = ["node", "start", "months"]
    spans = rows.select(keys).unique(maintain_order=True)
    told = [(causes.kind(*span), causes.deliveries(*span)) for span in spans.iter_rows()]
    said = pl.DataFrame(told, schema={"kind": pl.String, "delivery": pl.String}, orient="row")
    better = pl.col("observed") & (pl.col("kind") == ROUTINE)
    found = rows.join(spans.hstack(said), on=keys, how="left", maintain_order="left")
    return found.with_columns(kind=pl.when(better).then(pl.lit(BETTER)).otherwise("kind"))


def summary(rows: pl.DataFrame) -> pl.DataFrame:
    """[table, measure, revisions, exceptional, mean, mean_absolute] of revisions: to less from, where both are there.

    exceptional: how many of them are of values that had been final.
    """
    moved = rows.with_columns(by=pl.col("to") - pl.col("from")).filter(pl.col("by").is_not_null())
    final = (pl.col(MATURITY) == FINAL).fill_null(False)
    return (
        moved.group_by("table", "measure")
        .agg(
            revisions=pl.len(),
            exceptional=final.sum().cast(pl.Int64),
            mean=pl.col("by").mean(),
            mean_absolute=pl.col("by").abs().mean(),
        )
        .sort("table", "measure")
    )


def by_kind(rows: pl.DataFrame) -> list[list[object]]:
    """Kind, table, revisions, and how many of them are of values that had been final; sorted."""
    final = (pl.col(MATURITY) == FINAL).fill_null(False)
    counted = rows.group_by("kind", "table").agg(revisions=pl.len(), exceptional=final.sum()).sort("kind", "table")
    return [list(row) for row in counted.iter_rows()]


def triangle(states: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """[period, one column for each state, revision, final_since]: the value of every period as each release gave it.

    states: name → [period, value, maturity], oldest first. revision: the last value there is less the first; null with
    less than two. final_since: the first state that has the period's value as final; null when none has.
    """
    names = [name for name, _ in states]
    whole = pl.DataFrame(schema={"period": pl.String})
    for number, (name, frame) in enumerate(states):
        final = pl.when(pl.col(MATURITY) == FINAL).then(pl.lit(name))
        column = frame.select("period", pl.col("value").cast(pl.Float64).alias(name), final.alias(f"{number} final"))
        whole = whole.join(column, on="period", how="full", coalesce=True)
    values = [pl.col(name) for name in names]
    first, last = pl.coalesce(values), pl.coalesce(values[::-1])
    several = pl.sum_horizontal(value.is_not_null() for value in values) > 1
    return whole.select(
        "period",
        *names,
        revision=pl.when(several).then(last - first),
        final_since=pl.coalesce(f"{number} final" for number in range(len(names))),
    ).sort("period")
