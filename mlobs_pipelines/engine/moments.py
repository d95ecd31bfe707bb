"""Exact figures of a number by group: Σd and Σd² of its distance d from a fixed location, least and greatest.

Groups are counted jointly while these are few, and once per segmentation otherwise. Extremes do not add up:
they merge by minimum and maximum. Rows of values are `features`' business.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from mlobs_pipelines.core import tally
from mlobs_pipelines.core.tally import Cells
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Runs
from mlobs_pipelines.engine.parts import Counted, Tallies, excess

MOMENTS, EXTREMES = "moments", "extremes"
_JOINT = -1
_BYTES = 32  # of what is held of a group
_EMPTY = np.array([[0.0], [0.0], [np.inf], [-np.inf]])  # Σd, Σd², least, greatest of no row


class Moments:
    """Moments and extremes of one column in every segmentation."""

    def __init__(self, cuts: int, location: float) -> None:
        self._cuts, self._location = cuts, location
        self._tables = {_JOINT: _EMPTY[:, :0]}
        self._surplus = Tallies(cuts, 2)

    def add(self, rows: Assigned, values: Floats, valid: Flags | None) -> None:
        """Add values; those that are null or not finite are left out."""
        if rows.joints * _BYTES > tally.DENSE_CELLS:
            self._part_ways(rows.unions)
        absent = None if valid is None else np.flatnonzero(~valid)
        for cut in self._tables:
            if not self._added(rows, cut, values, absent):
                absent = np.flatnonzero(~(np.isfinite(values) & (True if valid is None else valid)))
                self._added(rows, cut, values, absent, sure=True)
        if rows.heavy.size:
            self._weigh(rows, values, valid)

    def counted(self, groups: Groups, cut: int, subject: str, cells: Cells) -> Iterator[Counted]:
        """Both parts of one segmentation, given the cells of all finite values."""
        rows = np.bincount(cells.groups, weights=cells.counts).astype(np.int64)
        held = np.flatnonzero(rows)
        counts, code = rows[held], np.zeros(held.size, dtype=np.int64)
        table = self._table(groups, cut)[:, held]
        moments = Cells(held, code, counts, table[0], table[1])
        yield Counted(cut, subject, MOMENTS, moments)
        for sign, more in excess(self._surplus, groups, cut, moments):
            yield Counted(cut, subject, MOMENTS + sign, more)
        yield Counted(cut, subject, EXTREMES, Cells(held, code, counts, table[2], table[3]))

    def merge(self, other: "Moments", moved: Moved) -> None:
        """Add what was found elsewhere."""
        if _JOINT not in other._tables or moved.known(_JOINT) * _BYTES > tally.DENSE_CELLS:
            self._part_ways(moved.unions)
        for cut in self._tables:
            theirs = other._tables[cut] if cut < 0 else other._table(moved.there, cut)
            table = _widened(self._tables[cut], moved.known(cut))
            _merge(table, moved.place(cut)[: theirs.shape[1]], theirs)
            self._tables[cut] = table
        self._surplus.merge(other._surplus, moved)

    def _part_ways(self, unions: Sequence[Ints]) -> None:
        if _JOINT in self._tables:
            joint = self._tables.pop(_JOINT)
            self._tables = {cut: _folded(joint, union) for cut, union in enumerate(unions[: self._cuts])}

    def _table(self, groups: Groups, cut: int) -> Floats:
        if _JOINT in self._tables:
            return _folded(self._tables[_JOINT], groups.unions()[cut])
        return self._tables[cut]

    def _added(
        self, rows: Assigned, cut: int, values: Floats, absent: Ints | None, *, sure: bool = False
    ) -> bool:
        """Merge the values of a batch in; not done, and False, where some are not finite against all hope."""
        runs = rows.runs(cut)
        if not runs.groups.size:
            return True
        found = _of_runs(runs, values, absent, self._location, rows.scratch.view(np.float64))
        if not sure and not np.isfinite(found[0]).all():
            return False
        table = _widened(self._tables[cut], rows.known(cut))
        _merge(table, runs.groups, found)
        self._tables[cut] = table
        return True

    def _weigh(self, rows: Assigned, values: Floats, valid: Flags | None) -> None:
        where = np.flatnonzero(np.isfinite(values) & (True if valid is None else valid))
        with np.errstate(over="ignore"):
            self._surplus.weigh(rows, np.zeros(where.size, np.int64), where, values[where] - self._location)


def _of_runs(runs: Runs, values: Floats, absent: Ints | None, location: float, ordered: Floats) -> Floats:
    """Σd, Σd², least and greatest of each run of rows, put in order in the array given.

    Returns
    -------
    (4, runs) float64
    """
    if runs.order is None:
        ordered[:] = values
    else:
        values.take(runs.order, out=ordered, mode="clip")  # the other mode would make a copy first
    at = absent if absent is None or runs.place is None else runs.place.take(absent)
    extremes = []
    with np.errstate(over="ignore", invalid="ignore"):
        for merge, nothing in ((np.minimum, np.inf), (np.maximum, -np.inf)):
            if at is not None:
                ordered[at] = nothing
            extremes.append(merge.reduceat(ordered, runs.starts))
        ordered -= location
        if at is not None:
            ordered[at] = 0.0
        first = np.add.reduceat(ordered, runs.starts)
        ordered *= ordered
        return np.stack([first, np.add.reduceat(ordered, runs.starts), *extremes])


def _widened(table: Floats, groups: int) -> Floats:
    return np.hstack([table, np.repeat(_EMPTY, groups - table.shape[1], axis=1)])


def _merge(table: Floats, at: Ints, found: Floats) -> None:
    """Merge columns into those of a table at distinct positions."""
    with np.errstate(over="ignore", invalid="ignore"):
        table[:2, at] += found[:2]
    table[2, at] = np.minimum(table[2, at], found[2])
    table[3, at] = np.maximum(table[3, at], found[3])


def _folded(table: Floats, union: Ints) -> Floats:
    """Columns of unions of groups."""
    union = union[: table.shape[1]]
    folded = np.repeat(_EMPTY, int(union.max(initial=-1)) + 1, axis=1)
    for row, merge in enumerate((np.add, np.add, np.minimum, np.maximum)):
        merge.at(folded[row], union, table[row])
    return folded
