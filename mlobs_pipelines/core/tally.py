"""Counting coded rows by group: the one kernel under every statistic.

Accumulators take (group, code) pairs batch by batch and give sparse additive cells. Counts are exact for any
order and any cut of the rows; sums are added in the order of the rows, wherever these are cut. What the codes
mean is the caller's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.vocabulary import Floats, Ints

DENSE_CELLS = 1 << 19  # 4 MB of counts; beyond, only cells that occur are held
PENDING_CELLS = 1 << 20


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


def run_starts(numbers: Ints) -> Ints:
    """Where each run of equal numbers begins.

    Examples
    --------
    >>> run_starts(np.array([4, 4, 7, 4]))
    array([0, 2, 3])
    """
    begins = np.ones(numbers.size, dtype=bool)
    np.not_equal(numbers[1:], numbers[:-1], out=begins[1:])
    return np.flatnonzero(begins)


class Counter:
    """Counts of (group, code) pairs.

    Pairs come as keys ``group * width + code``, with a width that may grow from batch to batch.

    Parameters
    ----------
    table : (groups, codes) int64, optional
        Counts to start from.
    """

    __slots__ = ("_dense", "_pending", "_waiting", "width")

    def __init__(self, table: Ints | None = None) -> None:
        self._dense: Ints | None = np.zeros((0, 1), dtype=np.int64) if table is None else table
        self.width = self._dense.shape[1]
        self._pending: list[tuple[Ints, Ints]] = []
        self._waiting = 0

    def add(self, keys: Ints, groups: int, width: int) -> None:
        """Count rows.

        Parameters
        ----------
        keys : (n,) int64
            Of each row; less than ``groups * width``.
        groups, width
            How many groups and codes are known by now.
        """
        self._reshape(groups, width)
        if self._dense is None:
            self._hold(*np.unique(keys, return_counts=True))
        else:
            self._dense += np.bincount(keys, minlength=self._dense.size).reshape(self._dense.shape)

    def add_counts(self, cells: Cells, groups: int, width: int) -> None:
        """Add cells that were counted elsewhere, given the groups and codes that are known by now."""
        self._reshape(groups, width)
        keys = cells.groups * self.width + cells.codes
        if self._dense is None:
            self._hold(keys, cells.counts)
        else:
            np.add.at(self._dense.reshape(-1), keys, cells.counts)

    def table(self) -> Ints | None:
        """Counts by group and code; None where only cells that occur are held."""
        return self._dense

    def cells(self, order: Ints | None = None) -> Cells:
        """Every cell that occurs.

        Parameters
        ----------
        order : (k,) int64, optional
            Every code that may occur, in the order in which they shall stand; codes of the result are then
            positions in it.
        """
        if self._dense is not None:
            table = self._dense if order is None else _ordered(self._dense, order)
            keys = np.flatnonzero(table)
            return Cells(*np.divmod(keys, max(table.shape[1], 1)), table.ravel()[keys])
        self._settle()
        keys, counts = self._pending[0]
        groups, codes = np.divmod(keys, self.width)
        if order is None:
            return Cells(groups, codes, counts)
        codes = np.argsort(order)[codes]
        ascending = np.lexsort((codes, groups))
        return Cells(groups[ascending], codes[ascending], counts[ascending])

    def _reshape(self, groups: int, width: int) -> None:
        dense = self._dense
        if dense is None:
            self._widen(width)
        elif dense.shape != (groups, width):
            rows, columns = max(groups, dense.shape[0]), max(width, dense.shape[1])
            if rows * columns > DENSE_CELLS:
                self._dense = None
                keys = np.flatnonzero(dense)
                self._hold(keys, dense.ravel()[keys])
                self._widen(width)
            else:
                self._dense = np.zeros((rows, columns), dtype=np.int64)
                self._dense[: dense.shape[0], : dense.shape[1]] = dense
                self.width = columns

    def _widen(self, width: int) -> None:
        if width > self.width:
            before, self.width = self.width, width
            self._pending = [
                (keys // before * width + keys % before, counts) for keys, counts in self._pending
            ]

    def _hold(self, keys: Ints, counts: Ints) -> None:
        self._pending.append((keys, counts))
        self._waiting += keys.size
        if self._waiting > PENDING_CELLS + 2 * self._pending[0][0].size:
            self._settle()

    def _settle(self) -> None:
        keys, slots = np.unique(np.concatenate([keys for keys, _ in self._pending]), return_inverse=True)
        counts = np.zeros(keys.size, dtype=np.int64)
        np.add.at(counts, slots, np.concatenate([counts for _, counts in self._pending]))
        self._pending, self._waiting = [(keys, counts)], keys.size


def _ordered(table: Ints, order: Ints) -> Ints:
    missing = max(int(order.max(initial=-1)) + 1 - table.shape[1], 0)
    ordered: Ints = np.pad(table, ((0, 0), (0, missing)))[:, order]
    return ordered


class Sums:
    """Sums of several values by group and code, added row by row in the order in which they come."""

    __slots__ = ("_keys", "_sums", "width")

    def __init__(self, values: int) -> None:
        self.width = 1
        self._keys: Ints | None = None  # of the columns of the sums; None while these are a dense table
        self._sums = np.zeros((values, 0))

    def add(self, keys: Ints, groups: int, width: int, values: Sequence[Floats]) -> None:
        """Add the values of rows to the cells that their keys, ``group * width + code``, name."""
        self._reshape(groups, width)
        slots = keys if self._keys is None else self._slots(keys, self._keys)
        for total, some in zip(self._sums, values, strict=True):
            np.add.at(total, slots, some)

    @property
    def values(self) -> int:
        """How many values are added up per cell."""
        return len(self._sums)

    def at(self, groups: Ints, codes: Ints) -> list[Floats]:
        """Sums of the named cells; 0 where nothing was added."""
        keys = groups * self.width + codes
        if self._keys is None:
            known = (codes < self.width) & (keys < self._sums.shape[1])
            slots = np.where(known, keys, 0)
        else:
            slots = np.minimum(np.searchsorted(self._keys, keys), max(self._keys.size - 1, 0))
            known = (codes < self.width) & (self._keys[slots] == keys if self._keys.size else False)
        if self._sums.shape[1] == 0:
            return [np.zeros(keys.size) for _ in self._sums]
        return [np.where(known, total[slots], 0.0) for total in self._sums]

    def held(self) -> tuple[Ints, Ints, list[Floats]]:
        """Group, code and sums of every cell to which something was added."""
        at = np.flatnonzero(self._sums.any(axis=0))
        groups, codes = np.divmod(at if self._keys is None else self._keys[at], self.width)
        return groups, codes, list(self._sums[:, at])

    def _reshape(self, groups: int, width: int) -> None:
        width = max(width, self.width)
        if self._keys is not None:
            self._keys = self._keys // self.width * width + self._keys % self.width
        elif groups * width > DENSE_CELLS:
            held = np.flatnonzero(self._sums.any(axis=0))
            self._keys, self._sums = held // self.width * width + held % self.width, self._sums[:, held]
        elif groups * width != self._sums.shape[1] or width != self.width:
            self._grow(groups, width)
        self.width = width

    def _grow(self, groups: int, width: int) -> None:
        before = self._sums.reshape(len(self._sums), -1, self.width)
        rows = max(groups, before.shape[1])
        grown = np.zeros((len(self._sums), rows, width))
        grown[:, : before.shape[1], : self.width] = before
        self._sums = grown.reshape(len(self._sums), -1)

    def _slots(self, keys: Ints, known: Ints) -> Ints:
        merged: NDArray[np.int64] = np.union1d(known, keys)
        if merged.size > known.size:
            grown = np.zeros((len(self._sums), merged.size))
            grown[:, np.searchsorted(merged, known)] = self._sums
            self._keys, self._sums = merged, grown
        return np.searchsorted(merged, keys)
