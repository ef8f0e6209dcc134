"""What conditions are collected into: the readings, the sizes so far, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.reading import Reading, Subject, year_before
from dci_pipeline.feeds.calibration.unknowns import Condition, Row

Floats = NDArray[np.float64]

WITHIN = 0.8
"""Part of half a printed digit that a value may be off: the rest is for rounding to whole numbers."""
MARGIN = 0.004
"""Relative distance between neighbours of a rank list, and between growths."""
INFINITE = float("inf")


@dataclass
class Collected:
    """Conditions of one table. `prior` orders those whose rank nobody states."""

    reading: Reading
    prior: Floats
    conditions: list[Condition] = field(default_factory=list[Condition])
    unread: list[Fact] = field(default_factory=list[Fact])

    def add(self, row: Row, lowest: float, highest: float, label: str, weight: float = 1.0) -> None:
        self.conditions.append(Condition(row, lowest, highest, label, weight))

    def between(self, about: Subject, period: str, lowest: float, highest: float, label: str) -> None:
        """Growth on the year before between two numbers."""
        now, base = self.reading.row(about, period), self.reading.row(about, year_before(period))
        if lowest > -INFINITE:
            self.add(now.minus(base.times(1 + lowest)), 0.0, INFINITE, label)
        if highest < INFINITE:
            self.add(now.minus(base.times(1 + highest)), -INFINITE, 0.0, label)

    @property
    def everywhere(self) -> NDArray[np.int64]:
        return np.arange(len(self.reading.atlas.codes))

    def cities(self, subject: str, places: NDArray[np.int64] | None = None) -> dict[str, Subject]:
        """Every city of a set of places (all by default) as a subject of its own."""
        atlas = self.reading.atlas
        chosen = atlas.cities if places is None else [at for at in places if atlas.members[at]]
        return {str(at): Subject(subject, np.array([at])) for at in chosen}

    def by_prior(self, rivals: Mapping[str, Subject], period: str) -> list[tuple[str, Subject]]:
        """Those that are ranked, the largest so far first."""
        return sorted(rivals.items(), key=lambda item: (-self.reading.row(item[1], period).value(self.prior), item[0]))


def window(fact: Fact) -> tuple[float, float]:
    """Numbers that would print as this one."""
    spare = fact.half_digit * WITHIN
    if fact.bound == "lower":
        return fact.value * (1 + MARGIN), INFINITE
    if fact.bound == "upper":
        return -INFINITE, fact.value * (1 - MARGIN)
    if fact.bound == "approx":
        spare = 0.02 * abs(fact.value)
    return fact.value - spare, fact.value + spare
