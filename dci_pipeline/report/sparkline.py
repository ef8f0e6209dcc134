"""A row of numbers as a line of blocks, one character each, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"


def sparkline(values: Sequence[float | None], *, width: int | None = None) -> str:
    """Lowest to highest as eight heights, GAP for what is missing; the last `width` values where it is given.

    Equal values are a level line in the middle.
    """
    shown = list(values)[-width:] if width else list(values)
    known = [value for value in shown if value is not None and math.isfinite(value)]
    if not known:
        return GAP * len(shown)
    low, high = min(known), max(known)
    return "".join(GAP if value is None or not math.isfinite(value) else _block(value, low, high) for value in shown)


def _block(value: float, low: float, high: float) -> str:
    if high == low:
        return BLOCKS[len(BLOCKS) // 2 - 1]
    return BLOCKS[min(int((value - low) / (high - low) * len(BLOCKS)), len(BLOCKS) - 1)]
