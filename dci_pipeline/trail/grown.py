"""One growth as it is published, and the two levels it follows from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grown:
    """A published growth; `against`: the earlier span, None without one; `now`, `then`: levels on one chain."""

    measure: str
    published: float | None
    against: str | None
    years: int
    now: float | None
    then: float | None

    @property
    def recalculated(self) -> float | None:
        """(now ÷ then)^(1 ÷ years) − 1; None on a level of 0 or without one."""
        if self.now is None or not self.then:
            return None
        return (self.now / self.then) ** (1.0 / self.years) - 1.0

    def line(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "measure": self.measure,
            "value": self.published,
            "against": self.against,
            "years": self.years,
            "now": self.now,
            "then": self.then,
        }
