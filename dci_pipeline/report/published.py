"""Printed values beside computed ones: which are reproduced, which are off and by how much.

Ranks, counts, quadrants, flags, signs and months have to be the same. Other values have to round to the printed digits,
half away from zero; a share or growth is printed in whole per cent at least. A measure that ends in lower_bound or
upper_bound is held against its bound; one that ends in approx may be five per cent away.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import polars as pl

KEY = ("exhibit_id", "subject", "entity_type", "entity_zh", "period", "measure")
EXTERNAL = "external"
REPRODUCED, OFF, CONTRADICTORY, MISSING = "reproduced", "off", "contradictory", "not computed"
VERDICTS = (REPRODUCED, OFF, CONTRADICTORY, MISSING, EXTERNAL)
# First words of the units in which a value is one of few.
_EXACT = {"rank", "count", "places", "quadrant", "flag", "sign", "month", "year"}
_APPROXIMATELY = 0.05


def compared(
    printed: pl.DataFrame, values: pl.DataFrame, *, contradictions: Collection[str], truncated: Collection[str]
) -> pl.DataFrame:
    """Every printed value with its computed one.

    printed [*KEY, value text, unit, note]; values: rows of `exhibit_values`; contradictions: notes of printed
    statements that exclude each other; truncated: notes of digits that may be cut off. Out, in the order of `printed`:
    its columns with value renamed printed, and computed, difference, off_by (how far off as a part of what is printed;
    for what has to be the same the difference itself; 0 when reproduced), verdict, why (where nothing is computed). An
    exhibit that shows others but not the printed entity is off, by an amount that it does not tell.
    """
    found = printed.rename({"value": "printed"}).join(
        values.select(*KEY, computed="value"), on=list(KEY), how="left", maintain_order="left"
    )
    rows = [
        _judged(row, contradictions, truncated) if row["computed"] is not None else (None, None, *_absent(row, values))
        for row in found.iter_rows(named=True)
    ]
    schema = {"difference": pl.Float64, "off_by": pl.Float64, "verdict": pl.String, "why": pl.String}
    return found.hstack(pl.DataFrame(rows, schema=schema, orient="row"))


def by_exhibit(rows: pl.DataFrame) -> pl.DataFrame:
    """How many of each verdict, by exhibit, sorted: [exhibit_id, printed, one column per verdict]."""
    counts = [(pl.col("verdict") == verdict).sum().cast(pl.Int64).alias(verdict) for verdict in VERDICTS]
    return rows.group_by("exhibit_id").agg(pl.len().cast(pl.Int64).alias("printed"), *counts).sort("exhibit_id")


def furthest(rows: pl.DataFrame) -> dict[str, dict[str, object]]:
    """The row that is furthest off of every exhibit that has one."""
    off = rows.filter(pl.col("verdict").is_in([OFF, CONTRADICTORY]) & pl.col("off_by").is_not_null())
    first = off.sort("off_by", descending=True, maintain_order=True).unique("exhibit_id", keep="first")
    return {str(row["exhibit_id"]): row for row in first.iter_rows(named=True)}


def _judged(
    row: dict[str, object], contradictions: Collection[str], truncated: Collection[str]
) -> tuple[float, float, str, None]:
    printed, computed = Decimal(str(row["printed"])), float(str(row["computed"]))
    difference = computed - float(printed)
    cut = row["note"] in truncated
    if reproduced(computed, str(row["printed"]), measure=str(row["measure"]), unit=str(row["unit"]), truncated=cut):
        return difference, 0.0, REPRODUCED, None
    exact = is_exact(str(row["unit"])) or not printed
    off_by = abs(difference) if exact else abs(difference) / abs(float(printed))
    return difference, off_by, CONTRADICTORY if row["note"] in contradictions else OFF, None


def reproduced(computed: float, printed: str, *, measure: str, unit: str, truncated: bool = False) -> bool:
    """Whether a computed value is the printed one, by the rule of its measure and unit."""
    number = Decimal(printed)
    if measure.endswith("_lower_bound") or "_lower_bound_" in measure:
        return computed >= float(number)
    if measure.endswith("_upper_bound"):
        return computed <= float(number)
    if is_exact(unit):
        return computed == float(number)
    step = Decimal(1).scaleb(-decimals(printed, unit))
    exact = Decimal(repr(computed))
    same = exact.quantize(step, ROUND_HALF_UP) == number or (truncated and exact.quantize(step, ROUND_DOWN) == number)
    if measure.endswith("_approx"):
        return same or abs(computed - float(number)) <= _APPROXIMATELY * abs(float(number))
    return same


def is_exact(unit: str) -> bool:
    """Whether a value in this unit is one of few, so that it is the printed one or another."""
    return unit.split(" ", maxsplit=1)[0] in _EXACT


def decimals(printed: str, unit: str) -> int:
    """Decimals to which a value is printed; a fraction stands for whole per cent at least."""
    written = len(printed.partition(".")[2])
    return max(written, 2) if unit.startswith("fraction") else written


def _absent(row: dict[str, object], values: pl.DataFrame) -> tuple[str, str]:
    """Verdict on a printed value without a computed one, and why, as far as the computed ones tell."""
    if row["subject"] == EXTERNAL:
        return EXTERNAL, "a third party's number"
    period = str(row["period"])
    year = period[-4:] if len(period) == 9 and period[4] == "-" else period[:4]
    if values.filter(pl.col("period").str.contains(year, literal=True)).is_empty():
        return MISSING, f"no exhibits of {year} are computed"
    same = values.filter(
        (pl.col("exhibit_id") == row["exhibit_id"])
        & (pl.col("measure") == row["measure"])
        & (pl.col("subject") == row["subject"])
        & (pl.col("period") == period)
    )
    if not same.is_empty():
        return OFF, "not among the entities the exhibit shows"
    return MISSING, f"its tables have no value for {period}"
