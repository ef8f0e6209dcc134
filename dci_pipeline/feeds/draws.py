"""Random numbers of the simulation: each depends on what it is for and on nothing else drawn before or beside it."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def generator(*parts: object) -> np.random.Generator:
    """Random numbers of their own for each purpose, so that asking for more of one changes none of another."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def normals(names: list[str], *parts: object, width: int = 1) -> Floats:
    """Standard normals [name, width], those of a name independent of which other names there are (Box and Muller)."""
    drawn = bits(names, *parts, width=2 * width)
    uniform = ((drawn >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.sqrt(-2 * np.log(uniform[:, :width])) * np.cos(2 * np.pi * uniform[:, width:])


def bits(names: list[str], *parts: object, width: int = 1) -> NDArray[np.uint64]:
    """64 random bits [name, width] by hashing (SplitMix64): a generator for each name would cost more than the rest."""
    seeds = np.array([_number(name) for name in names], dtype=np.uint64).reshape(-1, 1)
    step = np.uint64(0x9E3779B97F4A7C15)
    state = (seeds ^ np.uint64(_number("\x1f".join(map(str, parts))))) + np.arange(1, width + 1, dtype=np.uint64) * step
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))


@cache
def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
