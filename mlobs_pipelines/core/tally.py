"""Counting coded rows by group: the one kernel under every statistic.

It turns (group, code) pairs into sparse additive cells. What the codes mean is the caller's business.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.vocabulary import Floats, Ints

DENSE_CELLS_PER_ROW = 8
DENSE_CELLS_FREE = 1 << 20


@dataclass(frozen=True, slots=True)
class Cells:
    """Sparse cells, ascending by group, then code.

    Attributes
    ----------
    groups, codes, counts : (m,) int64
        Every (group, code) pair that occurs, and its rows.
    sums, squares : (m,) float64 or None
        Σx and Σx² of the value per cell; None where no value was given.
    """

    groups: Ints
    codes: Ints
    counts: Ints
    sums: Floats | None = None
    squares: Floats | None = None


def tally(
    groups: Ints,
    codes: NDArray[np.integer],
    width: int,
    values: Floats | None = None,
    squares: Floats | None = None,
) -> Cells:
    """Count rows per (group, code).

    Counts are exact for any order or split of the rows; sums are added in the order of the rows.

    Parameters
    ----------
    groups : (n,) int64
        Group of each row, >= 0.
    codes : (n,) integer
        Code of each row, 0 <= code < width.
    values : (n,) float64, optional
        Value whose Σ and Σ² are kept per cell.
    squares : (n,) float64, optional
        Added up in the place of the squared values.
    """
    keys = groups * width + codes
    if keys.size == 0:
        empty = np.empty(0, dtype=np.int64)
        none = None if values is None else np.empty(0)
        return Cells(empty, empty, empty, none, none)
    cells, slots = _dense(keys) if _is_dense(keys) else _sparse(keys)
    counts = np.bincount(slots, minlength=cells.size)
    if values is None:
        return Cells(cells // width, cells % width, counts)
    pair = values, values * values if squares is None else squares
    sums = [np.bincount(slots, weights=some, minlength=cells.size).astype(np.float64) for some in pair]
    return Cells(cells // width, cells % width, counts, *sums)


def _is_dense(keys: Ints) -> bool:
    return int(keys.max()) < DENSE_CELLS_PER_ROW * keys.size + DENSE_CELLS_FREE


def _dense(keys: Ints) -> tuple[Ints, Ints]:
    present = np.zeros(int(keys.max()) + 1, dtype=bool)
    present[keys] = True
    cells = np.flatnonzero(present)
    position = np.empty(present.size, dtype=np.int64)
    position[cells] = np.arange(cells.size)
    return cells, position[keys]


def _sparse(keys: Ints) -> tuple[Ints, Ints]:
    cells, slots = np.unique(keys, return_inverse=True)
    return cells, slots
