"""Numbers of one node as short text: whole numbers at a stated count of decimals, each as its change on the one before.

Neighbouring periods are alike, so their changes have few digits; what is rounded is said, and undone by a running sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Cells = list[list[int | None]]


def grid(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], values: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Values laid out by row and column; NaN where there is none."""
    laid = np.full(shape, np.nan)
    laid[rows, columns] = values
    return laid


def encoded(values: npt.NDArray[np.float64], decimals: int) -> Cells:
    """Rows of values as changes on the value before in the row, in units of the last decimal; None where there is none.

    A row without any value is empty. `decoded` gives each value back to half a unit of its last decimal.
    """
    known = ~np.isnan(values)
    whole: npt.NDArray[np.int64] = np.rint(np.nan_to_num(values) * 10.0**decimals).astype(np.int64)
    order: npt.NDArray[np.int64] = np.arange(values.shape[1], dtype=np.int64)
    place = np.where(known, order, -1)
    latest = np.maximum.accumulate(place, axis=1)
    before = np.concatenate([np.full((len(values), 1), -1), latest[:, :-1]], axis=1)
    base: npt.NDArray[np.int64] = np.take_along_axis(whole, np.maximum(before, 0), axis=1) * (before >= 0)
    changes: npt.NDArray[Any] = (whole - base).astype(object)
    changes[~known] = None
    rows: Cells = changes.tolist()
    return [[] if all(cell is None for cell in row) else row for row in rows]


def decoded(cells: Cells, decimals: int, width: int) -> list[list[float | None]]:
    """The rows that `encoded` was given, rounded to `decimals`; `width` is how long an empty row was."""
    found: list[list[float | None]] = []
    for row in cells:
        last, values = 0, list[float | None]()
        for change in row or [None] * width:
            last += change or 0
            values.append(None if change is None else last / 10**decimals)
        found.append(values)
    return found
