"""What a correction says: a known error of a partner, what is done about it, and what must be found for it to apply.

Holds no reading and no arithmetic: `correction_files` makes these, `validation.corrections` applies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from dci_pipeline.periods import Period

Value = str | int | float | bool | date

DROP, OVERRIDE, SCALE, FLAG = "drop", "override", "scale", "flag"
ACTIONS = (DROP, OVERRIDE, SCALE, FLAG)


@dataclass(frozen=True)
class Expected:
    """What a correction must find in one period: rows, exact sums of measures, and the values of columns, any order."""

    rows: int
    sums: Mapping[str, int]
    values: Mapping[str, tuple[Value | None, ...]]


@dataclass(frozen=True)
class Scale:
    """A whole number a measure is multiplied by, or divided by without remainder; the other one is 1."""

    column: str
    multiply: int
    divide: int


@dataclass(frozen=True)
class Correction:
    """One known error of a partner. `matching`: column -> values, one of which a row has; empty means every row."""

    id: str
    feed: str
    partner: str
    action: str
    matching: Mapping[str, tuple[Value, ...]]
    set: Mapping[str, Value]
    scale: Scale | None
    expect: Mapping[Period, Expected]
    reason: str
    reporter: str
    status: str
    since: str
    where: str

    @property
    def active(self) -> bool:
        return self.status == "active"

    @property
    def changes(self) -> tuple[str, ...]:
        """The columns it changes, sorted."""
        return (self.scale.column,) if self.scale is not None else tuple(sorted(self.set))

    def content(self, period: Period) -> list[object]:
        """All that the figures of one period depend on; who reported it and why is none of it."""
        expected = self.expect[period]
        scale = self.scale and (self.scale.column, self.scale.multiply, self.scale.divide)
        given = (self.matching, self.set, expected.sums, expected.values)
        return [self.id, self.action, scale, expected.rows, [sorted(_texts(part).items()) for part in given]]


def _texts(part: Mapping[str, object]) -> dict[str, str]:
    return {name: repr(value) for name, value in part.items()}
