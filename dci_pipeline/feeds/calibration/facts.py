"""Printed numbers and assumptions in one shape: what is said of whom, when, and how exactly.

A fact is a row [exhibit, subject, entity_type, entity, period, measure, value, unit]. `A|B` in the entity means B
inside the scope A. No places are looked up here and no condition is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

_FRACTIONS = ("share", "yoy_growth", "mean_growth")
_ASSUMED = {"share": 5, "mean_growth": 4, **dict.fromkeys(("yoy_growth", "period_growth", "mean_growth_gap"), 3)}
"""Decimals to which an assumed fraction holds: it has none printed."""
_BOUNDS = {"_lower_bound": "lower", "_upper_bound": "upper", "_approx": "approx"}


@dataclass(frozen=True)
class Fact:
    """One number; `bound` is exact, lower, upper or approx; `digits` are the decimals it was printed with."""

    exhibit: str
    subject: str
    kind: str
    entity: str
    period: str
    measure: str
    value: float
    bound: str
    digits: int
    assumed: bool = False

    @property
    def scope(self) -> str:
        return self.entity.split("|")[0] if "|" in self.entity else ""

    @property
    def name(self) -> str:
        return self.entity.split("|")[-1]

    @property
    def half_digit(self) -> float:
        """Half of the last digit printed: closer than this the number prints the same."""
        return 0.5 * 10.0**-self.digits

    @property
    def label(self) -> str:
        return f"{self.exhibit} {self.subject} {self.entity} {self.period} {self.measure}"


def printed(values: pl.DataFrame) -> list[Fact]:
    """Facts of the printed values [exhibit_id, subject, entity_type, entity_zh, period, measure, value as text].

    Rows of a subject `external` are left out: nothing computes them.
    """
    return _as_printed(list(_printed(values)))


def _printed(values: pl.DataFrame) -> Iterable[Fact]:
    columns = ("exhibit_id", "subject", "entity_type", "entity_zh", "period", "measure", "value")
    for row in values.select(pl.col(columns).cast(pl.String)).iter_rows():
        if row[1] != "external":
            yield _fact(*row, assumed=False)


def _as_printed(found: list[Fact]) -> list[Fact]:
    """Facts with the decimals of their list: a last nought that was printed is lost in a number, and a fraction was
    printed in per cent."""
    decimals: dict[tuple[str, str, str], int] = {}
    for fact in found:
        key = (fact.exhibit, fact.subject, fact.measure)
        least = 2 if fact.measure in _FRACTIONS else 0
        decimals[key] = max(decimals.get(key, least), fact.digits)
    return [replace(fact, digits=decimals[fact.exhibit, fact.subject, fact.measure]) for fact in found]


def assumed(rows: Iterable[Mapping[str, Any]]) -> list[Fact]:
    """Facts nobody printed, by subject, kind, period and measure: each entity with its value."""
    found = [
        _fact(
            str(row.get("exhibit", "")),
            row["subject"],
            row["kind"],
            entity,
            str(row["period"]),
            row["measure"],
            str(value),
            assumed=True,
        )
        for row in rows
        for entity, value in row["values"].items()
    ]
    return [replace(fact, digits=max(fact.digits, _ASSUMED.get(fact.measure, 0))) for fact in found]


def _fact(
    exhibit: str, subject: str, kind: str, entity: str, period: str, measure: str, value: str, *, assumed: bool
) -> Fact:
    bound = "exact"
    for ending, name in _BOUNDS.items():
        if measure.endswith(ending):
            measure, bound = measure.removesuffix(ending), name
    digits = len(value.split(".")[1]) if re.fullmatch(r"-?\d+\.\d+", value) else 0
    return Fact(exhibit, subject, kind, entity, period, measure, float(value), bound, digits, assumed)
