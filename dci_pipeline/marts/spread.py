"""How unevenly values lie over places: quantiles, divide, concentration, Theil and convergence (METHOD section 10).

Plain numbers in, plain numbers out; every sum is exactly rounded, so the order of places cannot matter. Which places
stand in a scope does not belong here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

Values = Sequence[float]


def quantile(ordered: Values, p: float) -> float:
    """The p-quantile of sorted values, linear between them (type 7: the k-th of n stands at (k - 1) / (n - 1))."""
    position = (len(ordered) - 1) * p
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def cv(ordered: Values) -> float | None:
    """Standard deviation of the population ÷ mean."""
    mean = math.fsum(ordered) / len(ordered)
    return over(math.sqrt(_variance(ordered, mean)), mean)


def gini(ordered: Values) -> float | None:
    """Σ (2i − n − 1) x_(i) / (n Σ x)."""
    n = len(ordered)
    return over(math.fsum((2 * i - n - 1) * x for i, x in enumerate(ordered, start=1)), n * math.fsum(ordered))


def theil(values: Values) -> float | None:
    """(1/n) Σ (x/μ) ln (x/μ), unweighted, with 0 ln 0 = 0."""
    mean = math.fsum(values) / len(values)
    if not mean > 0:
        return None
    return math.fsum(_x_ln_x(x / mean) for x in values) / len(values)


def theil_parts(groups: Iterable[Values]) -> tuple[float | None, float | None]:
    """Theil's index within and between groups that split all values; the two add to `theil` of them all."""
    parts = [values for values in groups if values]
    whole, count = math.fsum(x for values in parts for x in values), sum(len(values) for values in parts)
    if not whole > 0:
        return None, None
    shares = [math.fsum(values) / whole for values in parts]
    within = math.fsum(share * (theil(values) or 0.0) for share, values in zip(shares, parts, strict=True) if share > 0)
    between = math.fsum(
        share * math.log(share / (len(values) / count))
        for share, values in zip(shares, parts, strict=True)
        if share > 0
    )
    return within, between


def hhi(values: Values) -> float | None:
    """Σ of the squared shares."""
    whole = math.fsum(values)
    return math.fsum((x / whole) ** 2 for x in values) if whole > 0 else None


def sigma_log(values: Values) -> float | None:
    """Standard deviation of the population of ln x, over the values above zero; null with none."""
    logs = [math.log(x) for x in values if x > 0]
    if not logs:
        return None
    return math.sqrt(_variance(logs, math.fsum(logs) / len(logs)))


def beta(pairs: Iterable[tuple[float, float]], *, years: int) -> float | None:
    """Slope of the yearly ln growth on the ln initial level, over pairs (first, now) that are both above zero.

    Ordinary least squares of ln(now / first) / years on ln(first); negative where the low catch up. Null with fewer
    than two pairs, or when all start at one level.
    """
    points = [(math.log(first), math.log(now / first) / years) for first, now in pairs if first > 0 and now > 0]
    if len(points) < 2:
        return None
    mean_x, mean_y = (math.fsum(point[axis] for point in points) / len(points) for axis in (0, 1))
    moved = math.fsum((x - mean_x) * (y - mean_y) for x, y in points)
    # Equal levels may differ by rounding; the slope over such a spread would be noise.
    spread = math.fsum((x - mean_x) ** 2 for x, _ in points)
    return moved / spread if spread > 1e-18 * len(points) else None


def top_share(ordered: Values, count: int) -> float | None:
    """Share of the `count` largest in the sum; 1 when there are no more than that."""
    return over(math.fsum(ordered[-count:]), math.fsum(ordered))


def over(numerator: float, denominator: float) -> float | None:
    """numerator ÷ denominator, null on zero."""
    return numerator / denominator if denominator != 0 else None


def _percentiles(high: int, low: int) -> Callable[[Values], float | None]:
    return lambda ordered: over(quantile(ordered, high / 100), quantile(ordered, low / 100))


def _mean(ordered: Values) -> float:
    return math.fsum(ordered) / len(ordered)


DIVIDES: dict[str, Callable[[Values], float | None]] = {
    "range_over_mean": lambda ordered: over(ordered[-1] - ordered[0], _mean(ordered)),
    "mean_over_min": lambda ordered: over(_mean(ordered), ordered[0]),
    "p50_p10": _percentiles(50, 10),
    "p75_p25": _percentiles(75, 25),
    "p80_p20": _percentiles(80, 20),
}
"""Of values in ascending order, at least one: what may be chosen as the divide."""

MEASURES: dict[str, Callable[[Values], float | None]] = {
    **DIVIDES,
    "p90_p10": _percentiles(90, 10),
    "max_median": lambda ordered: over(ordered[-1], quantile(ordered, 0.5)),
    "cv": cv,
    "gini": gini,
    "theil": theil,
    "hhi": hhi,
    "top10_share": lambda ordered: top_share(ordered, 10),
    "top100_share": lambda ordered: top_share(ordered, 100),
    "median": lambda ordered: quantile(ordered, 0.5),
    "min": lambda ordered: ordered[0],
    "max": lambda ordered: ordered[-1],
    "mean": _mean,
}
"""Of values in ascending order, at least one."""


def _variance(values: Values, mean: float) -> float:
    return math.fsum((x - mean) ** 2 for x in values) / len(values)


def _x_ln_x(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0
