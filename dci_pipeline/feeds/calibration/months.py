"""From spans to months: a national path through given means, and the places' shares along it.

METHOD: proportional Denton. For an indicator n_t and span ratios b_s, r minimises the sum of (r_t - r_(t-1))^2 with
sum over a span of n_t r_t = b_s times that of n_t, so r = A b for one matrix A. A keeps sums: where the ratios of all
cells add to 1 in every span, they do in every month, and every span's mean comes out exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST = 0.2
"""A smoothed share stays above this part of the smallest share of its cell."""


@dataclass(frozen=True)
class Calendar:
    """Months in order and the spans they make up."""

    months: tuple[str, ...]
    spans: Mapping[str, Ints]

    def at(self, month: str) -> int:
        return self.months.index(month)


def calendar(first: str, last: str, spans: Mapping[str, Sequence[str]]) -> Calendar:
    """Months FIRST..LAST as YYYY-MM; a span is given by its first and last month."""
    start, end = (int(text[:4]) * 12 + int(text[5:7]) - 1 for text in (first, last))
    months = tuple(f"{number // 12}-{number % 12 + 1:02d}" for number in range(start, end + 1))
    found = {
        str(name): np.array([at for at, month in enumerate(months) if begin <= month <= stop])
        for name, (begin, stop) in spans.items()
    }
    return Calendar(months, found)


def national_path(known: Calendar, path: Mapping[str, Any]) -> Floats:
    """Monthly values through the mean of every span (`levels`), with a `season`, growth on the year before in the last
    span (`rise`, moved so that its mean holds) and single months as given (`months`)."""
    levels = {str(span): float(value) for span, value in path["levels"].items()}
    spans = [known.spans[span] for span in levels]
    middles = np.array([at.mean() for at in spans])
    season = np.array(path.get("season") or [1.0] * 12)
    trend = np.exp(np.interp(np.arange(len(known.months)), middles, np.log(list(levels.values()))))
    indicator = trend * np.array([season[int(month[5:7]) - 1] for month in known.months])
    ratios = np.array([level / indicator[at].mean() for level, at in zip(levels.values(), spans, strict=True)])
    values = indicator * (smoother(indicator, spans) @ ratios)
    for month, value in path.get("months", {}).items():
        values[known.at(str(month))] = float(value)
    if "rise" in path:
        last = list(levels)[-1]
        at = known.spans[last]
        rise = 1 + np.array([float(item) for item in path["rise"]])
        before = values[at - 12]
        values[at] = before * (rise + (levels[last] * len(at) - before @ rise) / before.sum())
    return values


def smoother(indicator: Floats, spans: Sequence[Ints]) -> Floats:
    """The matrix A [month, span] of the method above, for spans that cover every month once."""
    n, m = len(indicator), len(spans)
    steps = np.diff(np.eye(n), axis=0)
    sums = np.zeros((m, n))
    for number, at in enumerate(spans):
        sums[number, at] = indicator[at] / indicator[at].sum()
    system = np.block([[2 * steps.T @ steps, sums.T], [sums, np.zeros((m, m))]])
    right = np.concatenate([np.zeros((n, m)), np.eye(m)])
    return np.asarray(np.linalg.solve(system, right)[:n], dtype=np.float64)


def spread(national: Floats, spans: Sequence[Ints], shares: Floats) -> Floats:
    """Monthly values [cell, month] of cells with these shares [cell, span] of the nation; never negative.

    Where smoothing would take a share too low, all cells are smoothed less, so that sums stay.
    """
    smooth = smoother(national, spans)
    plain = np.zeros_like(smooth)
    for number, at in enumerate(spans):
        plain[at, number] = 1.0
    lowest = LEAST * shares.min(axis=1)[:, None]
    soft, hard = shares @ smooth.T, shares @ plain.T
    short = soft < lowest
    part = 1.0
    if short.any():
        part = float(np.min((hard - lowest)[short] / (hard - soft)[short]))
    return national * (part * soft + (1 - part) * hard)


def completed(known: Mapping[str, Floats], order: Sequence[str], *, limit: float = 1.6) -> Floats:
    """Shares [cell, span] for every span of `order` from those that are known.

    Before the first known span shares go back the way they came since, less and less; between two they are halfway,
    after the last they stay. Every span's shares sum to what the first known ones do.
    """
    total = next(iter(known.values())).sum()
    spans = [span for span in order if span in known]
    first, after = known[spans[0]], known[spans[1] if len(spans) > 1 else spans[0]]
    tilt = np.clip(np.divide(first, after, out=np.ones_like(first), where=after > 0), 1 / limit, limit)
    found: list[Floats] = []
    for number, span in enumerate(order):
        if span in known:
            value = known[span]
        elif number < order.index(spans[0]):
            steps = order.index(spans[0]) - number
            value = first * tilt ** (0.5 + 0.15 * steps)
        else:
            earlier = [item for item in spans if order.index(item) < number]
            later = [item for item in spans if order.index(item) > number]
            value = known[earlier[-1]] if not later else (known[earlier[-1]] + known[later[0]]) / 2
        found.append(value * (total / value.sum()))
    return np.stack(found, axis=1)
