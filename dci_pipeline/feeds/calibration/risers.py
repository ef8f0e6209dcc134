"""Rises in a rank list of hundreds: the whole order of both years is chosen, then kept by conditions.

METHOD: the order of this year is the one found so far. Last year's is the one found too, with every listed riser taken
out and put back exactly as many places further down as it is to rise; whoever else rose by nearly as much is moved
likewise. Then each stands above the next in both years.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.reading import Reading, Subject, year_before
from dci_pipeline.feeds.calibration.unknowns import Condition

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEP = 0.0015
"""Relative distance between neighbours of a whole order."""


def rank_gains(reading: Reading, cells: Floats, facts: Sequence[Fact]) -> list[Condition]:
    """Conditions that keep the whole order of cities in both years, for the exhibits that list the greatest rises."""
    conditions: list[Condition] = []
    for exhibit in sorted({fact.exhibit for fact in facts if fact.measure == "rank_gain_rank"}):
        rises = [fact for fact in facts if fact.exhibit == exhibit and fact.measure == "rank_change"]
        if not rises or not reading.can(reading.find(rises[0]) or Subject("", np.zeros(0, np.int64)), rises[0].period):
            continue
        subject, period = rises[0].subject, rises[0].period
        wanted = {int((reading.find(fact) or _nobody()).places[0]): int(fact.value) for fact in rises}
        now = _room(_order(reading, cells, subject, period), wanted)
        before = _before(now, _order(reading, cells, subject, year_before(period)), wanted)
        for order, when in ((now, period), (before, year_before(period))):
            label = f"{exhibit} {subject} whole order of {when}"
            for above, below in itertools.pairwise(order):
                high = reading.row(Subject(subject, np.array([above])), when)
                low = reading.row(Subject(subject, np.array([below])), when)
                conditions.append(Condition(high.minus(low.times(1 + STEP)), 0.0, float("inf"), label))
    return conditions


def _nobody() -> Subject:
    return Subject("", np.zeros(1, dtype=np.int64))


def _order(reading: Reading, cells: Floats, subject: str, period: str) -> Ints:
    cities = reading.atlas.cities
    values = np.array([reading.row(Subject(subject, np.array([at])), period).value(cells) for at in cities])
    return cities[np.argsort(-values, kind="stable")]


def _room(now: Ints, wanted: dict[int, int]) -> Ints:
    """This year's order with every riser far enough up to have stood as much further down."""
    order = [int(at) for at in now]
    for number, (at, rise) in enumerate(sorted(wanted.items(), key=lambda item: order.index(item[0]))):
        highest = len(order) - rise - 3 * (len(wanted) - number)
        if order.index(at) > highest:
            order.remove(at)
            order.insert(highest, at)
    for _ in range(len(order)):
        slots: dict[int, int] = {}
        for at, rise in wanted.items():
            slot = order.index(at) + rise
            if slot in slots:
                # two cannot have stood in one place: one of them stands a place higher now
                here = order.index(at)
                order.insert(here - 1, order.pop(here))
                break
            slots[slot] = at
        else:
            break
    return np.array(order)


def _before(now: Ints, before: Ints, wanted: dict[int, int]) -> Ints:
    """Last year's order with the listed rises exact and every other rise smaller than the least of them."""
    rank_now = {int(at): rank for rank, at in enumerate(now)}
    least = min(wanted.values())
    rises, order = dict(wanted), [int(at) for at in before]
    for _ in range(20):
        others = [int(at) for at in before if int(at) not in rises]
        order = [-1] * len(now)
        for at, rise in rises.items():
            slot = min(rank_now[at] + rise, len(now) - 1)
            while order[slot] != -1:
                slot += 1
            order[slot] = at
        rest = iter(others)
        order = [at if at != -1 else next(rest) for at in order]
        over = [at for rank, at in enumerate(order) if at not in wanted and rank - rank_now[at] >= least]
        if not over:
            break
        rises |= dict.fromkeys(over, least - 2)
    return np.array(order)
