"""The cells to be found: places × members × spans in one long vector, and sums over them as sparse rows.

A span is a stretch of months whose mean level is unknown; a period is a span or a weighted mean of spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A linear form over the cells."""

    at: Ints
    factor: Floats

    def times(self, number: float) -> Row:
        return Row(self.at, self.factor * number)

    def plus(self, other: Row) -> Row:
        return Row(np.concatenate([self.at, other.at]), np.concatenate([self.factor, other.factor]))

    def minus(self, other: Row) -> Row:
        return self.plus(other.times(-1.0))

    def value(self, cells: Floats) -> float:
        return float(self.factor @ cells[self.at])


@dataclass(frozen=True)
class Condition:
    """lowest <= row <= highest, with what it comes from; `scale` is the size against which a miss is measured."""

    row: Row
    lowest: float
    highest: float
    label: str
    weight: float = 1.0


@dataclass(frozen=True)
class Unknowns:
    """Layout of one table: `spans` of each member, `periods` as weights of spans, `subjects` as weights of members."""

    n_places: int
    spans: Mapping[str, Sequence[str]]
    periods: Mapping[str, Mapping[str, float]]
    subjects: Mapping[str, Mapping[str, float]]
    _starts: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def __post_init__(self) -> None:
        keys = [(member, span) for member, spans in self.spans.items() for span in spans]
        self._starts.update({key: number * self.n_places for number, key in enumerate(keys)})

    @property
    def size(self) -> int:
        return len(self._starts) * self.n_places

    @property
    def blocks(self) -> Mapping[tuple[str, str], int]:
        """(member, span) -> position of its first place."""
        return self._starts

    def knows(self, subject: str, period: str, member: str = "") -> bool:
        members = {member} if member else set(self.subjects.get(subject, {}))
        return bool(members) and all(
            name in self.spans and all(span in self.spans[name] for span in self._split(name, period))
            for name in members
        )

    def row(self, subject: str, places: Ints, period: str, member: str = "") -> Row:
        """Sum over the places of a subject (a weighted sum of members), or of one member, in a period."""
        members = {member: 1.0} if member else self.subjects[subject]
        at: list[Ints] = []
        factors: list[Floats] = []
        for name, weight in members.items():
            for span, part in self._split(name, period).items():
                at.append(places + self._starts[name, span])
                factors.append(np.full(len(places), weight * part))
        return Row(np.concatenate(at), np.concatenate(factors))

    def _split(self, member: str, period: str) -> Mapping[str, float]:
        """A member's own span of that name, else the spans the period is the mean of."""
        if period in self.spans.get(member, ()):
            return {period: 1.0}
        return self.periods.get(period, {period: 1.0})

    def grid(self, cells: Floats, member: str, span: str) -> Floats:
        start = self._starts[member, span]
        return cells[start : start + self.n_places]
