"""Values in classes for a map: where the classes part, what they are called, and which colour each has.

Boundaries are rounded first and values are put into classes after that, so that a legend says exactly what is drawn.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dci_pipeline.report.numbers import decimals_for, form_of, number
from dci_pipeline.report.style import Theme, steps

METHODS = {
    "quantiles": ("按分位数分级，每级单位数大致相等", "classes of about equally many units"),
    "natural": ("按自然断点分级", "natural breaks"),
    "even": ("等距分级", "classes of equal width"),
}


@dataclass(frozen=True)
class Classes:
    """Classes of values: `bounds` between them, one label and one colour each, from the lowest to the highest."""

    bounds: tuple[float, ...]
    labels: tuple[str, ...]
    colours: tuple[str, ...]
    method: str

    def label_of(self, value: float) -> str:
        """The class of a value: a bound belongs to the class above it."""
        return self.labels[bisect_right(self.bounds, value)]


def classes(
    values: Iterable[float | None],
    unit: str,
    lang: str,
    theme: Theme,
    *,
    count: int = 7,
    method: str = "quantiles",
    middle: float | None = None,
) -> Classes:
    """`count` classes at most of the values there are; fewer where values repeat.

    `middle` is a value that two directions part at, such as 0 of a change: it becomes a bound, and colours diverge from
    it. Raises KeyError for a method that is none of METHODS.
    """
    known = np.array(sorted(value for value in values if value is not None and not math.isnan(value)))
    decimals = decimals_for(known.tolist(), unit) if len(known) else 0
    step = 10.0**-decimals / form_of(unit).scale
    wanted = {"quantiles": _quantiles, "natural": _natural, "even": _even}[method](known, count)
    if middle is not None:
        wanted = sorted({*wanted, middle} - ({_nearest(wanted, middle)} if wanted else set()))
    rounded = sorted({round(bound / step) * step for bound in wanted})
    # A bound at or below the lowest value, or above the highest, would part nothing.
    bounds = tuple(bound for bound in rounded if len(known) and known[0] < bound <= known[-1])
    return Classes(bounds, _labels(bounds, unit, lang, decimals), _colours(bounds, theme, middle), method)


def _labels(bounds: tuple[float, ...], unit: str, lang: str, decimals: int) -> tuple[str, ...]:
    # A bound of places won and lost is a number, no arrow.
    changes = form_of(unit).form == "places"
    said = [number(bound, "count" if changes else unit, lang, decimals=decimals, signed=changes) for bound in bounds]
    if not said:
        return ("全部" if lang == "zh" else "all",)
    between = [f"{low} – {high}" for low, high in pairwise(said)]
    return (f"< {said[0]}", *between, f"≥ {said[-1]}")


def _colours(bounds: tuple[float, ...], theme: Theme, middle: float | None) -> tuple[str, ...]:
    if middle is None:
        return tuple(steps(theme.sequential, len(bounds) + 1))
    below = sum(bound <= middle for bound in bounds)
    above = len(bounds) + 1 - below
    half = len(theme.diverging) // 2
    low, high = theme.diverging[:half], theme.diverging[half + 1 :]
    most = max(below, above)
    return (*steps(low, most)[most - below :], *steps(high, most)[:above])


def _quantiles(known: np.ndarray, count: int) -> list[float]:
    """Bounds that leave about as many values in each class."""
    places = [math.ceil(part * len(known) / count) for part in range(1, count)]
    return sorted({float(known[place]) for place in places if place < len(known)})


def _even(known: np.ndarray, count: int) -> list[float]:
    if not len(known):
        return []
    low, high = float(known[0]), float(known[-1])
    return [low + (high - low) * part / count for part in range(1, count)]


def _natural(known: np.ndarray, count: int) -> list[float]:
    """Bounds with the least sum of squares within classes (Jenks and Fisher), found exactly."""
    size = len(known)
    count = min(count, len(np.unique(known)))
    if count < 2:
        return []
    sums, squares = np.cumsum(np.r_[0.0, known]), np.cumsum(np.r_[0.0, known**2])
    best = squares[1:] - sums[1:] ** 2 / np.arange(1, size + 1)
    cuts: list[np.ndarray] = []
    for _ in range(1, count):
        begin, end = np.arange(size)[:, None], np.arange(size)[None, :]
        length = np.maximum(end - begin + 1, 1)
        within = squares[end + 1] - squares[begin] - (sums[end + 1] - sums[begin]) ** 2 / length
        total = np.where(begin <= end, np.r_[np.inf, best[:-1]][:, None] + within, np.inf)
        cuts.append(total.argmin(axis=0))
        best = total.min(axis=0)
    found: list[float] = []
    end = size - 1
    for cut in reversed(cuts):
        found.append(float(known[cut[end]]))
        end = int(cut[end]) - 1
    return sorted(set(found))


def _nearest(bounds: list[float], value: float) -> float:
    return min(bounds, key=lambda bound: abs(bound - value))
