"""Corrections applied to typed rows, before any rule is judged: lazily, in Narwhals, the same on every engine.

In the order of the file: each is guarded on, and applied to, what those before it left. Nothing is rounded: a division
that leaves a remainder, like a product past 64 bits, does not apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from dci_pipeline.contracts import FeedContract
from dci_pipeline.corrections import DROP, FLAG, Correction, Expected, Value
from dci_pipeline.findings import Held
from dci_pipeline.periods import Period
from dci_pipeline.validation.flags import ALL, ANY_KNOWN, combined, mentions
from dci_pipeline.validation.halves import HALF, LARGEST, divided, halves
from dci_pipeline.validation.stretches import Engine

TABLE = {
    "number": pl.Int32,
    "correction": pl.String,
    "action": pl.String,
    "rows": pl.Int64,
    "column": pl.String,
    "before": pl.String,
    "after": pl.String,
}
_DTYPES = {"string": nw.String, "integer": nw.Int64, "number": nw.Float64, "date": nw.Date, "boolean": nw.Boolean}


@dataclass(frozen=True)
class Found:
    """What a correction's rows hold before it: as its guard asks, and how many rows it could not scale exactly."""

    rows: int
    sums: dict[str, int]
    values: dict[str, tuple[Value | None, ...]]
    inexact: int

    def says(self) -> str:
        """The facts in words, side by side with `expectation`."""
        return _said(self.rows, self.sums, self.values) + (
            f"; {self.inexact:,} rows that do not scale exactly" if self.inexact else ""
        )


def corrected(
    engine: Engine,
    lazy: nw.LazyFrame[Any],
    corrections: Sequence[Correction],
    *,
    contract: FeedContract,
    period: Period,
) -> tuple[nw.LazyFrame[Any], pl.DataFrame]:
    """The typed rows with the corrections applied, and what each did: TABLE, a row for each column it guards.

    `before` and `after` are the sum of a measure, or the values of another column. Raises Held, naming the correction,
    what was found and what was expected, when a guard does not hold.
    """
    done: list[tuple[object, ...]] = []
    for number, correction in enumerate(corrections, start=1):
        found = examine(engine, lazy, correction, period=period)
        expected = correction.expect[period]
        if not holds(found, expected):
            raise Held(
                "a correction that does not fit the delivery",
                where=f"{correction.feed} {period} {correction.partner}, correction {correction.id!r}",
                found=found.says(),
                expected=_said(expected.rows, expected.sums, expected.values),
                todo=f"if the partner has mended its file, withdraw the correction: status: withdrawn and since: "
                f"today, in {correction.where}; if the rows are others now, correct its where and expect.{period}; "
                "then dci run",
            )
        done += [
            (number, correction.id, correction.action, found.rows, name, before, after)
            for name, before, after in _effects(correction, found)
        ]
        lazy = _applied(lazy, correction, contract)
    return lazy, pl.DataFrame(done, schema=TABLE, orient="row")


def examine(engine: Engine, lazy: nw.LazyFrame[Any], correction: Correction, *, period: Period) -> Found:
    """What the rows of a correction hold, in as many passes as columns whose values are asked for, and one."""
    rows, expected = lazy.filter(_mask(correction)), correction.expect[period]
    facts: list[nw.Expr] = [nw.len().alias("_rows")]
    for number, name in enumerate(expected.sums):
        high, low = halves(nw.col(name))
        facts += [high.sum().alias(f"_high{number}"), low.sum().alias(f"_low{number}")]
    if correction.scale is not None:
        value, scale = nw.col(correction.scale.column), correction.scale
        # A little below what fits, so that nothing in between passes 64 bits either.
        most = (LARGEST - 2048) // scale.multiply
        lossy = (value % scale.divide != 0) | (value > most) | (value < -most)
        facts.append(nw.when(lossy).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64)).sum().alias("_inexact"))
    row = engine.collect(rows.select(*facts)).row(0, named=True)
    values = {
        name: tuple(engine.collect(rows.group_by(name).agg(nw.len().alias("_rows")))[name].to_list())
        for name in expected.values
    }
    return Found(
        rows=int(row["_rows"]),
        sums={
            name: int(row[f"_high{number}"] or 0) * HALF + int(row[f"_low{number}"] or 0)
            for number, name in enumerate(expected.sums)
        },
        values=values,
        inexact=int(row.get("_inexact") or 0),
    )


def holds(found: Found, expected: Expected) -> bool:
    """Whether what was found is what the guard says, and can be scaled without loss."""
    return (
        found.rows == expected.rows
        and found.sums == dict(expected.sums)
        and all(set(found.values[name]) == set(values) for name, values in expected.values.items())
        and not found.inexact
    )


def _mask(correction: Correction) -> nw.Expr:
    """True for the rows of a correction, false for all others; an empty value equals nothing."""
    conditions = [
        combined(ANY_KNOWN, [nw.col(name) == nw.lit(value) for value in values])
        if not isinstance(values[0], str | int) or isinstance(values[0], bool)
        else nw.col(name).is_in(list(values))
        for name, values in correction.matching.items()
    ]
    if not conditions:
        return ~nw.col("file_row").is_null()  # every row has its number
    return nw.when(combined(ALL, conditions)).then(nw.lit(True)).otherwise(nw.lit(False))


def _applied(lazy: nw.LazyFrame[Any], correction: Correction, contract: FeedContract) -> nw.LazyFrame[Any]:
    if correction.action == FLAG:
        return lazy
    mask = _mask(correction)
    if correction.action == DROP:
        return lazy.filter(~mask)
    if correction.scale is not None:
        value, scale = nw.col(correction.scale.column), correction.scale
        # What is not corrected becomes null before anything is multiplied: only guarded values are known to fit.
        mine = nw.when(mask).then(value)
        scaled = nw.when(mask).then(divided(mine, scale.divide) * scale.multiply).otherwise(value)
        return lazy.with_columns(scaled.alias(scale.column))
    changed = {
        name: nw.when(mask).then(nw.lit(value, _DTYPES[contract.by_name[name].type])).otherwise(nw.col(name))
        for name, value in correction.set.items()
    }
    # A value that could not be read is given now; the row is good again unless something else in it was not read.
    others = [
        mentions(column.name) & nw.col(column.name).is_null()
        for column in contract.columns
        if column.name not in correction.set
    ]
    still = combined(ANY_KNOWN, [nw.col("unparsed").str.starts_with("row: "), *others])
    reason = nw.when(mask & ~still).then(nw.lit(None, nw.String)).otherwise(nw.col("unparsed"))
    return lazy.with_columns(reason.alias("unparsed"), *[value.alias(name) for name, value in changed.items()])


def _effects(correction: Correction, found: Found) -> list[tuple[str, str, str]]:
    """(column, before, after) of every guarded column."""
    effects: list[tuple[str, str, str]] = []
    for name, total in found.sums.items():
        after = total
        if correction.action == DROP:
            after = 0
        elif correction.scale is not None and correction.scale.column == name:
            after = total * correction.scale.multiply // correction.scale.divide
        elif name in correction.set:
            after = int(correction.set[name]) * found.rows  # type: ignore[arg-type]
        effects.append((name, str(total), str(after)))
    for name, values in found.values.items():
        before = _listed(values)
        after = "" if correction.action == DROP else before
        if name in correction.set:
            after = str(correction.set[name])
        elif correction.scale is not None and correction.scale.column == name:
            scale = correction.scale
            after = _listed([v if v is None else int(v) * scale.multiply // scale.divide for v in values])  # type: ignore[arg-type]
        effects.append((name, before, after))
    return effects


def _said(rows: int, sums: Any, values: Any) -> str:
    said = [f"{rows:,} rows"]
    said += [f"{name} adds up to {total:,}" for name, total in sums.items()]
    said += [f"{name} is {_listed(found)}" for name, found in values.items()]
    return ", ".join(said)


def _listed(values: Sequence[Value | None]) -> str:
    texts = sorted("empty" if value is None else str(value) for value in values)
    return " or ".join(texts[:10]) + (f" or {len(texts) - 10} more" if len(texts) > 10 else "") if texts else "nothing"
