"""One node of the tiny index through the public door, asked about places together and about spans.

What the door does not say (spans, groups, growth over a span that straddles a link) is put together here from what it
does say: points of every period, and lambda of every link.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import polars as pl

from dci_pipeline.index import Index
from dci_pipeline.periods import parse, parse_span
from dci_pipeline_tests.small_worlds import FIRST, GROUPS, PLACES, SECOND, Chain, Linked

QUARTERS = parse_span("2018Q1:2021Q4", "quarter")
FIXED: Chain = [(FIRST, FIRST.reference, FIRST.start), (SECOND, SECOND.reference, SECOND.start)]
YEARLY_SECOND = Linked("second", "2019Q1:2019Q4", "2020Q1", SECOND.scores)
YEARLY: Chain = [
    (FIRST, "2018Q1:2018Q4", "2018Q1"),
    (FIRST, "2018Q1:2018Q4", "2019Q1"),
    (YEARLY_SECOND, "2019Q1:2019Q4", "2020Q1"),
    (YEARLY_SECOND, "2020Q1:2020Q4", "2021Q1"),
]
ENTITIES = {("town" if code != "R1" else "rest", code): [code] for code in PLACES}
ENTITIES |= {("region", region): [c for c in PLACES if GROUPS[c] == region] for region in sorted(set(GROUPS.values()))}
ENTITIES |= {("nation", "N"): PLACES}


def close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


@dataclass(frozen=True)
class Door:
    """One node of an index through the public door, asked about places together and spans."""

    index: Index
    chain: Chain

    @cached_property
    def points(self) -> dict[tuple[date, str], float]:
        return {(day, c): value for day, c, value in self.index.places.select("period", "place", "points").iter_rows()}

    @cached_property
    def links(self) -> list[tuple[date, dict[str, float], dict[str, float]]]:
        """(first day, points before, points after) of every link after the first, by place."""
        found: list[tuple[date, dict[str, float], dict[str, float]]] = []
        effects = self.index.link_effects
        for number, (_, reference, start) in enumerate(self.chain):
            own = effects.filter(pl.col("link") == number)
            if own.is_empty():
                continue
            days = [item.start for item in parse_span(reference, "quarter")]
            before = {c: math.fsum(self.points[day, c] for day in days) / len(days) for c in PLACES}
            moved = dict(own.select("place", "link_effect_points").iter_rows())
            after = {c: before[c] + moved[c] for c in PLACES}
            found.append((parse(start, "quarter").start, before, after))
        return found

    def level(self, places: Sequence[str], days: Sequence[date]) -> float:
        return math.fsum(self.points[day, c] for day in days for c in places) / len(days)

    def chained(self, places: Sequence[str], days: Sequence[date]) -> float | None:
        """Mean of the points as if the first link had gone on; None across a link over whose reference was nothing."""
        found: list[float] = []
        for day in days:
            value = self.level(places, [day])
            for start, before, after in self.links:
                if start <= day:
                    old, new = (math.fsum(side[c] for c in places) for side in (before, after))
                    if abs(old) < 1e-9 or abs(new) < 1e-9:
                        return None
                    value *= old / new
            found.append(value)
        return math.fsum(found) / len(days)

    def growth(self, places: Sequence[str], days: Sequence[date], base: Sequence[date]) -> float | None:
        if min(base) < min(day for day, _ in self.points):
            return None
        if all(self.passed(day) == self.passed(base[0]) for day in [*days, *base]):
            now, then = self.level(places, days), self.level(places, base)
            return now / then - 1 if then else None
        now, then = self.chained(places, days), self.chained(places, base)
        return now / then - 1 if now is not None and then else None

    def effect(self, places: Sequence[str], days: Sequence[date], base: Sequence[date]) -> float | None:
        if min(base) < min(day for day, _ in self.points):
            return None
        both = [
            math.fsum(
                after[c] - before[c]
                for day in part
                for start, before, after in self.links
                if start <= day
                for c in places
            )
            for part in (days, base)
        ]
        return both[0] / len(days) - both[1] / len(base)

    def passed(self, day: date) -> int:
        return sum(start <= day for start, _, _ in self.links)


def year_before(days: Sequence[date]) -> list[date]:
    return [date(day.year - 1, day.month, 1) for day in days]
