"""Facts that stand alone as conditions: levels, shares, growths, quadrants, medians, divides.

level, total, mean         row = value, within the printed digit
share                      part - s * whole within the digit; the largest so many cities likewise
growth                     now - (1 + g) * before within the digit; a lower bound opens the upper side
quadrant                   size against the mean of its rivals, growth against a setting
median, divide, rise       through the places that are to be middle, greatest, least, above or below
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dci_pipeline.feeds.calibration.collected import INFINITE, MARGIN, Collected, window
from dci_pipeline.feeds.calibration.facts import Fact
from dci_pipeline.feeds.calibration.ranks import stand_above
from dci_pipeline.feeds.calibration.reading import Subject, year_before


def _value(into: Collected, fact: Fact, about: Subject) -> bool:
    if not into.reading.can(about, fact.period):
        return False
    parts = {
        "mean": into.reading.n_members(about),
        "province_mean": len(into.reading.atlas.kinds.get(into.reading.settings.get("mean_over", ""), "x")),
    }.get(fact.measure, 1)
    lowest, highest = window(fact)
    into.add(into.reading.row(about, fact.period), lowest * parts, highest * parts, fact.label, 5.0)
    return True


def _share(into: Collected, fact: Fact, about: Subject) -> bool:
    if fact.entity in into.reading.settings.get("tops", {}):
        return _top(into, fact, into.reading.settings["tops"][fact.entity])
    whole = into.reading.scope_subject(fact)
    if not (into.reading.can(about, fact.period) and into.reading.can(whole, fact.period)):
        return False
    part, total = into.reading.row(about, fact.period), into.reading.row(whole, fact.period)
    lowest, highest = window(fact)
    if lowest > -INFINITE:
        into.add(part.minus(total.times(lowest)), 0.0, INFINITE, fact.label)
    if highest < INFINITE:
        into.add(part.minus(total.times(highest)), -INFINITE, 0.0, fact.label)
    return True


def _top(into: Collected, fact: Fact, first: int) -> bool:
    """The share of the largest cities, those by prior, which are kept above all others."""
    whole = Subject(fact.subject, into.everywhere)
    if not into.reading.can(whole, fact.period):
        return False
    order = into.by_prior(into.cities(fact.subject), fact.period)
    top = Subject(fact.subject, np.concatenate([one.places for _, one in order[:first]]))
    lowest, highest = window(fact)
    part, total = into.reading.row(top, fact.period), into.reading.row(whole, fact.period)
    into.add(part.minus(total.times(lowest)), 0.0, INFINITE, fact.label)
    into.add(part.minus(total.times(highest)), -INFINITE, 0.0, fact.label)
    last = order[first - 1][1]
    for rank, (_, one) in enumerate(order):
        if rank < first - 1:
            stand_above(into, one, last, fact.period, fact.label)
        elif rank >= first:
            stand_above(into, last, one, fact.period, fact.label)
    return True


def _growth(into: Collected, fact: Fact, about: Subject) -> bool:
    before = year_before(fact.period)
    if not (into.reading.can(about, fact.period) and into.reading.can(about, before)):
        return False
    lowest, highest = window(fact)
    if fact.bound == "approx":
        lowest, highest = fact.value - 0.03, fact.value + 0.03
    into.between(about, fact.period, lowest, highest, fact.label)
    return True


def _grown(into: Collected, fact: Fact, about: Subject) -> bool:
    """Growth from the first to the last month of a stretch, written FIRST..LAST."""
    first, _, last = fact.period.partition("..")
    if not last or fact.bound == "approx" or not (into.reading.can(about, first) and into.reading.can(about, last)):
        return False
    lowest, highest = window(fact)
    now, base = into.reading.row(about, last), into.reading.row(about, first)
    if lowest > -INFINITE:
        into.add(now.minus(base.times(1 + lowest)), 0.0, INFINITE, fact.label)
    if highest < INFINITE:
        into.add(now.minus(base.times(1 + highest)), -INFINITE, 0.0, fact.label)
    return True


def _change(into: Collected, fact: Fact, about: Subject) -> bool:
    before = year_before(fact.period)
    if not (into.reading.can(about, fact.period) and into.reading.can(about, before)):
        return False
    row = into.reading.row(about, fact.period).minus(into.reading.row(about, before))
    lowest, highest = window(fact)
    into.add(row, lowest, highest, fact.label)
    return True


def _quadrant(into: Collected, fact: Fact, about: Subject) -> bool:
    split = into.reading.settings.get("quadrants", {}).get(fact.exhibit)
    if split is None or not into.reading.can(about, fact.period):
        return False
    rivals = into.reading.rivals(fact)
    mean = into.reading.row(Subject(fact.subject, into.everywhere), fact.period)
    size = into.reading.row(about, fact.period).minus(mean.times((1 + MARGIN) / len(rivals)))
    large, fast = fact.value in (1, 4), fact.value in (1, 2)
    if large:
        into.add(size, 0.0, INFINITE, fact.label)
    else:
        size = into.reading.row(about, fact.period).minus(mean.times((1 - MARGIN) / len(rivals)))
        into.add(size, -INFINITE, 0.0, fact.label)
    edge = float(split["growth"])
    into.between(
        about, fact.period, edge + MARGIN if fast else -INFINITE, INFINITE if fast else edge - MARGIN, fact.label
    )
    return True


def _median(into: Collected, fact: Fact, about: Subject) -> bool:
    if not into.reading.can(about, fact.period):
        return False
    order = into.by_prior(into.cities(fact.subject), fact.period)
    middle = len(order) // 2
    lowest, highest = window(fact)
    for rank, (_, one) in enumerate(order):
        row = into.reading.row(one, fact.period)
        if rank <= middle:
            into.add(row, lowest, highest if rank == middle else INFINITE, fact.label)
        else:
            into.add(row, -INFINITE, lowest, fact.label)
    return True


def _rise(into: Collected, fact: Fact, about: Subject) -> bool:
    """A rise by many places: so many cities above it a year before, so few at most now, others by prior."""
    before, rule = year_before(fact.period), into.reading.settings.get("rise", {})
    above, at_most = int(rule.get("above", 0)), int(rule.get("at_most", 0))
    if fact.bound != "lower" or above - at_most < fact.value or not into.reading.can(about, before):
        return False
    barred = [int(into.reading.atlas.of(name, [])[0]) for name in rule.get("not", ())]
    rivals = into.cities(fact.subject, np.setdiff1d(into.everywhere, [*about.places, *barred]))
    now, then = into.reading.row(about, fact.period), into.reading.row(about, before)
    for _, one in into.by_prior(rivals, before)[:above]:
        into.add(into.reading.row(one, before).minus(then.times(1 + MARGIN)), 0.0, INFINITE, fact.label)
    for _, one in into.by_prior(rivals, fact.period)[at_most:]:
        into.add(now.minus(into.reading.row(one, fact.period).times(1 + MARGIN)), 0.0, INFINITE, fact.label)
    return True


def _divide(into: Collected, fact: Fact, about: Subject) -> bool:
    """(greatest - least) / mean over the cities of a scope."""
    if not into.reading.can(about, fact.period) or fact.exhibit in into.reading.settings.get("no_divide", ()):
        return False
    order = into.by_prior(into.cities(fact.subject, about.places), fact.period)
    great, least = order[0][1], order[-1][1]
    span = into.reading.row(great, fact.period).minus(into.reading.row(least, fact.period))
    n = len(order)
    total = into.reading.row(Subject(fact.subject, np.concatenate([one.places for _, one in order])), fact.period)
    lowest, highest = window(fact)
    if lowest > -INFINITE:
        into.add(span.minus(total.times(lowest / n)), 0.0, INFINITE, fact.label)
    if highest < INFINITE:
        into.add(span.minus(total.times(highest / n)), -INFINITE, 0.0, fact.label)
    for _, one in order[1:-1]:
        between = into.reading.row(one, fact.period)
        into.add(between.minus(into.reading.row(least, fact.period)), 0.0, INFINITE, fact.label)
        into.add(into.reading.row(great, fact.period).minus(between), 0.0, INFINITE, fact.label)
    return True


SHAPES: dict[str, Callable[[Collected, Fact, Subject], bool]] = {
    "index_points": _value,
    "total": _value,
    "level": _value,
    "mean": _value,
    "province_mean": _value,
    "share": _share,
    "yoy_growth": _growth,
    "period_growth": _grown,
    "abs_change": _change,
    "quadrant": _quadrant,
    "median": _median,
    "divide": _divide,
    "rank_change": _rise,
}
"""Measure -> what makes its condition; False when the table lacks the period or the setting."""
