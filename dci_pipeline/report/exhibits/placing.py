"""Where the names of points stand on a plane: beside their point, and none where it would cover another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_SIZE = 11.0
_GAP = 7.0


@dataclass(frozen=True)
class Named:
    """A name and where it stands: offsets in pixels from its point (y downwards), and which end is at the offset."""

    name: str
    dx: float
    dy: float
    align: str


Box = tuple[float, float, float, float]


def placed(points: Sequence[tuple[str, float, float]], wide: float, high: float) -> dict[str, Named]:
    """Names by the first of four places that is free, in the order of the points.

    points: (name, x, y) in pixels, y downwards, those that matter most first; a name that has no free place has none.
    """
    taken: list[Box] = []
    found: dict[str, Named] = {}
    for name, x, y in points:
        long = width(name)
        sides = (("left", _GAP, 0.0), ("right", -_GAP, 0.0), ("center", 0.0, -1.25 * _GAP), ("center", 0.0, 1.7 * _GAP))
        for align, dx, dy in sides:
            left = x + dx - {"left": 0.0, "right": long, "center": long / 2}[align]
            box = (left, y + dy - _SIZE / 2, left + long, y + dy + _SIZE / 2)
            inside = box[0] >= 0 and box[2] <= wide and box[1] >= 0 and box[3] <= high
            if inside and not any(_touch(box, other) for other in taken):
                taken.append(box)
                found[name] = Named(name, dx, dy, align)
                break
    return found


def width(text: str) -> float:
    """About how wide a text is, in pixels: a Chinese character is as wide as it is high, a letter half of that."""
    return sum(_SIZE if ord(letter) > 0x2E80 else 0.56 * _SIZE for letter in text)


def along(value: float, low: float, high: float, pixels: float, *, log: bool = False) -> float:
    """Where on an axis of so many pixels a value lies, with the padding that the axes of a plane have."""
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    pad = 14.0
    return pad + (value - low) / ((high - low) or 1.0) * (pixels - 2 * pad)


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
