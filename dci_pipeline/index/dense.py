"""Dense arrays out of long frames, and sums over them in one fixed order.

A float sum made by group_by may change its last bits with the number of threads; here every frame becomes an array with
sorted axes and is added up element by element. No formula of the index belongs here.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


def axis(frame: pl.DataFrame, column: str) -> pl.Series:
    """The sorted distinct values of a column."""
    return frame.get_column(column).unique().sort()


def positions(frame: pl.DataFrame, axes: Sequence[tuple[str, pl.Series]]) -> tuple[Integers, ...]:
    """Row by row, where each key column stands on its axis; every value must be on it."""
    found: list[Integers] = []
    for column, values in axes:
        column_of = frame.get_column(column)
        if values.dtype == pl.String:
            # Numbered by hash; a join says the same at ten times the cost. A value that is on no axis raises.
            numbers = column_of.cast(pl.Enum(values)).to_physical().to_numpy()
        else:
            on, of = values.to_numpy(), column_of.to_numpy()
            numbers = np.searchsorted(on, of)
            if numbers.size and not np.array_equal(on[np.minimum(numbers, len(on) - 1)], of):
                raise ValueError(f"{column} has values that are not on its axis")
        found.append(numbers.astype(np.int64))
    return tuple(found)


def numbered(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[pl.DataFrame, Integers]:
    """The distinct values of several text columns together, sorted, and row by row which of them it has."""
    axes = [(name, axis(frame, name)) for name in columns]
    sizes = [len(values) for _, values in axes]
    if not frame.height:
        return frame.select(columns), np.zeros(0, dtype=np.int64)
    combined = np.ravel_multi_index(positions(frame, axes), sizes)
    # Marked on all there could be, which are few, instead of sorted.
    there: Flags = np.zeros(int(np.prod(sizes)), dtype=np.bool_)
    there[combined] = True
    found = np.flatnonzero(there)
    number: Integers = np.zeros(len(there), dtype=np.int64)
    number[found] = np.arange(len(found))
    at = np.unravel_index(found, sizes)
    names = {name: values.gather(rows) for (name, values), rows in zip(axes, at, strict=True)}
    return pl.DataFrame(names), number[combined]


def floats(frame: pl.DataFrame, column: str, axes: Sequence[tuple[str, pl.Series]]) -> Floats:
    """A float column as an array with the given axes; NaN where the frame has null or no row."""
    return several(frame, [column], axes)[0]


def several(frame: pl.DataFrame, columns: Iterable[str], axes: Sequence[tuple[str, pl.Series]]) -> list[Floats]:
    """`floats` of several columns, whose rows stand in the same places."""
    at = positions(frame, axes)
    found: list[Floats] = []
    for column in columns:
        array: Floats = np.full([len(values) for _, values in axes], np.nan)
        # A null comes as NaN.
        array[at] = frame.get_column(column).cast(pl.Float64).to_numpy()
        found.append(array)
    return found


def flags(frame: pl.DataFrame, column: str, axes: Sequence[tuple[str, pl.Series]]) -> Flags:
    """A Boolean column as an array; False where the frame has no row."""
    array: Flags = np.zeros([len(values) for _, values in axes], dtype=np.bool_)
    array[positions(frame, axes)] = frame.get_column(column).to_numpy()
    return array


def added(array: Floats, present: Flags) -> Floats:
    """Sum over the first axis in its order; an absent row adds nothing, a null one makes the sum null."""
    total: Floats = np.zeros(array.shape[1:])
    for period in range(array.shape[0]):
        total += np.where(present[period], array[period], 0.0)
    return total


def weighted(x: Floats, weights: Floats) -> Floats:
    """Sum over j of x[:, j] * weights[j, :], added in the order of j (no BLAS: its order depends on the machine).

    A weight of 0 leaves the indicator out, so that a NaN outside a node does not reach it.
    """
    total: Floats = np.zeros((x.shape[0], weights.shape[1]))
    for j in range(x.shape[1]):
        under = weights[j] != 0.0
        total[:, under] += x[:, j, None] * weights[j, under]
    return total


def nullable(array: Floats) -> pl.Series:
    """A flat Float64 series with null for NaN."""
    return pl.Series(array.reshape(-1), dtype=pl.Float64, nan_to_null=True)
