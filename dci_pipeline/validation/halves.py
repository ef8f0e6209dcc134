"""Integers taken apart and divided so that every engine gives the same: exactly, below zero and beyond 2^53 as well.

Engines differ in what `//` means: some round down, some towards zero, some divide as floating point numbers first.
"""

from __future__ import annotations

import narwhals.stable.v2 as nw

HALF = 1 << 32
LARGEST = 2**63 - 1


def halves(value: nw.Expr) -> tuple[nw.Expr, nw.Expr]:
    """(high, low) with high x HALF + low the value, and low from 0 up to HALF."""
    low = value % HALF
    # A multiple of 2^32 within 64 bits has so few digits that floating point divides it exactly.
    return ((value - low) / HALF).cast(nw.Int64), low


def divided(value: nw.Expr, by: int) -> nw.Expr:
    """A multiple of `by`, divided by it; the value may come within 2,048 of what 64 bits hold, no closer."""
    if by == 1:
        return value
    # Beyond 2^53 the first quotient is off by a little; what is left over is small, and divided exactly.
    about = (value / by).cast(nw.Int64)
    return about + ((value - about * by) / by).cast(nw.Int64)
