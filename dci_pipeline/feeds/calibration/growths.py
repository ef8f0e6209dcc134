"""Facts about the mean of the members' growths: linear once the year before is held still.

METHOD: mean of x_c / x0_c - 1 over the cities of a group, with x0 as found in the round before, is linear in x.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.reading import Reading, Subject, year_before
from dci_pipeline.feeds.calibration.unknowns import Condition, Row

Floats = NDArray[np.float64]
INFINITE = float("inf")


def mean_growths(reading: Reading, cells: Floats, facts: Sequence[Fact]) -> list[Condition]:
    """Conditions for the facts `mean_growth` and `mean_growth_gap` (entity A+B: growth of A less that of B), and for
    the sums of the year before, which have to stay as they are for them."""
    conditions: list[Condition] = []
    still: dict[tuple[int, ...], Condition] = {}
    for fact in facts:
        if fact.measure not in ("mean_growth", "mean_growth_gap"):
            continue
        names = fact.name.split("+") if fact.measure == "mean_growth_gap" else [fact.name]
        rows: list[Row] = []
        for name in names:
            about = reading.find(_named(fact, name))
            if about is None or not reading.can(about, fact.period):
                break
            rows.append(_mean(reading, cells, about, fact.period, still))
        if len(rows) != len(names):
            continue
        row = rows[0] if len(rows) == 1 else rows[0].minus(rows[1])
        shift = 1.0 if len(rows) == 1 else 0.0
        spare = 0.03 * abs(fact.value) if fact.bound == "approx" else 0.8 * fact.half_digit
        lowest = fact.value * 1.02 if fact.bound == "lower" else fact.value - spare
        highest = {"lower": INFINITE, "upper": fact.value * 0.98}.get(fact.bound, fact.value + spare)
        lowest = -INFINITE if fact.bound == "upper" else lowest
        conditions.append(Condition(row, lowest + shift, highest + shift, fact.label, 20.0))
    return [*conditions, *still.values()] if conditions else []


def _named(fact: Fact, name: str) -> Fact:
    entity = f"{fact.scope}|{name}" if fact.scope else name
    return Fact(fact.exhibit, fact.subject, fact.kind, entity, fact.period, fact.measure, 0.0, "exact", 0)


def _mean(reading: Reading, cells: Floats, about: Subject, period: str, still: dict[tuple[int, ...], Condition]) -> Row:
    cities = [at for at in about.places if reading.atlas.members[at]]
    total: Row | None = None
    for at in cities:
        one = Subject(about.subject, np.array([at]), about.members)
        base = reading.row(one, year_before(period))
        value = base.value(cells)
        still[tuple(base.at.tolist())] = Condition(base, value, value, "mean growth, year before", 20.0)
        row = reading.row(one, period).times(1.0 / (len(cities) * value))
        total = row if total is None else total.plus(row)
    assert total is not None
    return total
