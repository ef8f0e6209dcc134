"""Fit the cells to the conditions: first proportionally, then exactly by a linear programme.

METHOD: iterative proportional fitting scales the positive and negative parts of every missed condition towards each
other, which spreads a correction over all cells alike. What is left is made exact by the cells nearest to that fit:
minimise the sum of w_i |x_i / p_i - 1| (dearer beyond a quarter) subject to the conditions, each of which may be missed
at a price far above any deviation. A miss that remains is a contradiction, and is told.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dci_pipeline.feeds.calibration.unknowns import Condition

Floats = NDArray[np.float64]

STRETCHES = ((0.1, 1.0), (0.25, 4.0), (0.3, 20.0))
"""Parts of a cell by which it may move, the nearest first, with their prices; up it may go on at the last price."""
MOST = 6.0
MISS_PRICE = 3000.0


@dataclass(frozen=True)
class Miss:
    """A condition that could not be met: by how much of its own size, and where it comes from."""

    label: str
    by: float


@dataclass(frozen=True)
class Solution:
    cells: Floats
    misses: tuple[Miss, ...]


@dataclass(frozen=True)
class _System:
    """The conditions as one sparse matrix over relative cells (1 = the prior), each row scaled to its own size."""

    matrix: Any
    lowest: Floats
    highest: Floats


def proportional(
    prior: Floats, conditions: Sequence[Condition], *, rounds: int, fixed: NDArray[np.bool_] | None = None
) -> Floats:
    """Cells scaled towards the conditions, always positive; met only as far as `rounds` go."""
    sparse: Any = importlib.import_module("scipy.sparse")
    cells = prior.copy()
    system = _system(np.ones_like(prior), conditions, sparse)
    for _ in range(rounds):
        values: Floats = np.asarray(system.matrix @ cells)
        off = np.flatnonzero((values < system.lowest - 1e-9) | (values > system.highest + 1e-9))
        if not len(off):
            break
        for number in [int(item) for item in off]:
            _scale(cells, conditions[number])
        if fixed is not None:
            cells[fixed] = prior[fixed]
    return cells


def _scale(cells: Floats, condition: Condition) -> None:
    """One condition met by scaling: a sum all the way, the two sides of a difference half of the way each."""
    at, factor = condition.row.at, condition.row.factor
    plus, minus = factor > 0, factor < 0
    high, low = float(factor[plus] @ cells[at[plus]]), -float(factor[minus] @ cells[at[minus]])
    wanted = (
        condition.lowest
        if high - low < condition.lowest
        else condition.highest
        if high - low > condition.highest
        else None
    )
    if wanted is None or high <= 0 or low + wanted <= 0:
        return
    if not minus.any():
        cells[at] *= wanted / high
        return
    if len(np.intersect1d(at[plus], at[minus])):
        return
    ratio = float(np.clip((low + wanted) / high, 0.25, 4.0))
    cells[at[plus]] *= ratio**0.5
    cells[at[minus]] *= ratio**-0.5


def solve(prior: Floats, conditions: Sequence[Condition], *, fixed: NDArray[np.bool_] | None = None) -> Solution:
    """The cells nearest to `prior` (all above 0) that meet the conditions. Raises RuntimeError if SciPy finds none."""
    optimize: Any = importlib.import_module("scipy.optimize")
    sparse: Any = importlib.import_module("scipy.sparse")
    system = _system(prior, conditions, sparse)
    n, m = len(prior), len(conditions)
    price = prior**0.7
    price = price / price.sum()
    miss = np.array([item.weight for item in conditions]) * MISS_PRICE * price.max()
    low_rows, high_rows = np.isfinite(system.lowest), np.isfinite(system.highest)
    # columns: for each stretch the cells' moves up and their moves down; then one miss of each condition
    moves = sparse.hstack([system.matrix, -system.matrix] * len(STRETCHES))
    eye = sparse.identity(m, format="csr")
    at_prior = np.asarray(system.matrix.sum(axis=1)).reshape(-1)
    upper = sparse.vstack(
        [sparse.hstack([moves, -eye]).tocsr()[high_rows], sparse.hstack([-moves, -eye]).tocsr()[low_rows]]
    )
    limit = np.concatenate([(system.highest - at_prior)[high_rows], (at_prior - system.lowest)[low_rows]])
    cost = np.concatenate([price * each for _, each in STRETCHES for _ in range(2)] + [miss])
    ends = np.full(len(cost), np.inf)
    for number, (width, _) in enumerate(STRETCHES):
        ends[2 * number * n : (2 * number + 2) * n] = width
    ends[2 * (len(STRETCHES) - 1) * n : (2 * len(STRETCHES) - 1) * n] = MOST
    if fixed is not None:
        ends[: 2 * len(STRETCHES) * n].reshape(-1, n)[:, fixed] = 0.0
    found = optimize.linprog(
        cost, A_ub=upper, b_ub=limit, bounds=np.column_stack([np.zeros(len(cost)), ends]), method="highs"
    )
    if found.x is None:
        raise RuntimeError(f"no cells fit: {found.message}")
    moved = found.x[: 2 * len(STRETCHES) * n].reshape(len(STRETCHES), 2, n).sum(axis=0)
    misses = [Miss(item.label, float(by)) for item, by in zip(conditions, found.x[-m:], strict=True) if by > 1e-7]
    return Solution(prior * (1 + moved[0] - moved[1]), tuple(sorted(misses, key=lambda item: -item.by)))


def _system(prior: Floats, conditions: Sequence[Condition], sparse: Any) -> _System:
    lengths = np.array([len(item.row.at) for item in conditions])
    at = np.concatenate([item.row.at for item in conditions])
    factor = np.concatenate([item.row.factor for item in conditions]) * prior[at]
    rows = np.repeat(np.arange(len(conditions)), lengths)
    size = np.zeros(len(conditions))
    np.add.at(size, rows, np.abs(factor))
    bounds = np.array([[item.lowest, item.highest] for item in conditions])
    finite = np.where(np.isfinite(bounds), np.abs(bounds), 0.0).max(axis=1)
    size = np.maximum(np.maximum(size, finite), 1e-12) / 2
    matrix = sparse.csr_matrix((factor / size[rows], (rows, at)), shape=(len(conditions), len(prior)))
    return _System(matrix, bounds[:, 0] / size, bounds[:, 1] / size)
