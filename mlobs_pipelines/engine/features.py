"""Counting features: a number by the cells of its grid, a category by its name, and either against its twin.

How cells are named is `core.coding`; how they add up is `parts`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.coding import FIRST, NOT_FINITE, NULL, NumberSlots
from mlobs_pipelines.core.distinct import REGISTERS, register_of
from mlobs_pipelines.core.tally import Cells
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints
from mlobs_pipelines.engine.arrow import flags_in, numbers_in, of_empty, of_numbers, of_texts
from mlobs_pipelines.engine.folding import OTHER
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Rows, dictionary, positions
from mlobs_pipelines.engine.hashing import hashed
from mlobs_pipelines.engine.moments import Moments
from mlobs_pipelines.engine.parts import Counted, FlagPart, Tallies, cells_of, excess

DISTINCT = "distinct"  # part: registers of the hashes of all categories of a group, where some were folded
MAX_CATEGORIES = 1000
OVERFLOW_CODES = {"categories": 0, "rows": 1}
RECOMPUTED = "pit__"
SAME = 1e-9
SKEW_CODES = {"pairs": 0, "mismatched": 1, "missing": 2, "extra": 3, "delta": 4, "sum": 5}
_PRESENT, _NULL, _NOT_FINITE = 0, 1, 2  # codes of the part `rows`


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """How one feature is counted.

    Attributes
    ----------
    name
        Column of the served value; the recomputed one is ``pit__<name>``.
    grid
        Cells of a numeric feature; None for a categorical one.
    recomputed
        Whether a point-in-time value exists to compare with.
    """

    name: str
    grid: Grid | None
    recomputed: bool = False


class NumberPart:
    """A numeric column by the cells of a grid.

    Beside stand how many rows are null or not finite, and the moments and extremes of the others.
    """

    def __init__(
        self, cuts: int, grid: Grid, subject: str, part: str = "cells", states: str | None = "rows"
    ) -> None:
        self._slots, self._cuts, self._states = NumberSlots(grid), cuts, states
        self._subject, self._part = subject, part
        self._tallies, self._state_tallies = Tallies(cuts), Tallies(cuts)
        self._moments = None if states is None else Moments(cuts, grid.location)

    def add(self, rows: Assigned, values: Floats, valid: Flags | None) -> None:
        """Count values; those that are not valid are nulls."""
        if self._moments is not None:
            self._moments.add(rows, values, valid)
        slots = self._slots.slots(values)
        if valid is not None:
            slots *= valid  # slot 0 is that of nulls
        self._tallies.count(rows, slots)
        if rows.heavy.size:
            self._tallies.weigh(rows, slots)
            self._state_tallies.weigh(rows, _states(slots))

    def merge(self, other: "NumberPart", moved: Moved) -> None:
        """Add what was counted elsewhere, over the same grid."""
        self._tallies.merge(other._tallies, moved, self._slots.merge(other._slots))
        self._state_tallies.merge(other._state_tallies, moved)
        if self._moments is not None and other._moments is not None:
            self._moments.merge(other._moments, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Cells by code, the states of rows, and what is known exactly of their values."""
        order = np.argsort(self._slots.codes[FIRST:], kind="stable") + FIRST
        codes = self._slots.codes[order].astype(np.int64)
        for cut in range(self._cuts):
            found = self._tallies.counts(groups, cut, np.concatenate([order, [NULL, NOT_FINITE]]))
            if self._states is not None:
                states = np.where(found.codes < codes.size, FIRST, found.codes - codes.size)
                yield from _state_parts(
                    self._state_tallies, groups, cut, self._subject, self._states, found, states
                )
            named = found.codes < codes.size
            at = found.codes[named]
            cells = Cells(found.groups[named], codes[at], found.counts[named])
            yield Counted(cut, self._subject, self._part, cells)
            for sign, more in excess(self._tallies, groups, cut, cells, order[at]):
                yield Counted(cut, self._subject, self._part + sign, more)
            if self._moments is not None:
                yield from self._moments.counted(groups, cut, self._subject, cells)


class NamePart:
    """A categorical column by its values; nulls are counted as a state of rows.

    Beyond ``MAX_CATEGORIES`` values in a group the rarest are folded into ``OTHER``; how many values and rows
    these were is stored beside, and the registers that tell how many values there were on several days.
    """

    def __init__(self, cuts: int, subject: str) -> None:
        self._cuts, self._subject = cuts, subject
        self._names = of_texts([])
        self._tallies, self._state_tallies = Tallies(cuts), Tallies(cuts)

    def slots(self, column: pa.ChunkedArray | pa.Array) -> Ints:
        """Slot of each value: equal texts have equal slots, also of different columns."""
        encoded = dictionary(column)
        words = encoded.dictionary
        slot_of = np.append(self._named(words), NULL)
        slots: Ints = slot_of.take(positions(encoded, len(words)))
        return slots

    def _named(self, words: pa.Array) -> Ints:
        """Slot of each word, given out as they come."""
        new = words.filter(pc.invert(pc.is_in(words, self._names))).drop_null().unique()
        self._names = pa.concat_arrays([self._names, new])
        known = pc.index_in(words, self._names)
        return np.where(flags_in(known.is_valid()), numbers_in(known).astype(np.int64) + FIRST, NULL)

    def add(self, rows: Assigned, slots: Ints) -> None:
        """Count values by their slots."""
        self._tallies.count(rows, slots)
        if rows.heavy.size:
            self._tallies.weigh(rows, slots)
            self._state_tallies.weigh(rows, _states(slots))

    def merge(self, other: "NamePart", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        slots = np.concatenate([[NULL, NOT_FINITE], self._named(other._names)])
        self._tallies.merge(other._tallies, moved, slots)
        self._state_tallies.merge(other._state_tallies, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Categories by name, the states of rows, and what was folded."""
        by_name = numbers_in(pc.sort_indices(self._names)).astype(np.int64)
        other, order = by_name.size, by_name + FIRST
        names = pa.concat_arrays([self._names.take(of_numbers(by_name)), of_texts([OTHER])])
        for cut in range(self._cuts):
            found = self._tallies.counts(groups, cut, np.concatenate([order, [NULL, NOT_FINITE]]))
            named = found.codes < other
            states = np.where(named, FIRST, NULL)
            yield from _state_parts(self._state_tallies, groups, cut, self._subject, "rows", found, states)
            cells = Cells(found.groups[named], found.codes[named], found.counts[named])
            rare = _rare(cells)
            if rare.any():
                yield Counted(cut, self._subject, "overflow", _overflow(cells, rare))
                yield Counted(cut, self._subject, DISTINCT, _registers(cells, rare, hashed(names)))
            yield Counted(cut, self._subject, "categories", _capped(cells, rare, other), names)
            for sign, more in excess(self._tallies, groups, cut, cells, order[cells.codes]):
                kept = _capped(more, _rare(more), other)
                yield Counted(cut, self._subject, "categories" + sign, kept, names)


def _states(slots: np.ndarray) -> np.ndarray:
    return np.where(slots == NULL, _NULL, np.where(slots == NOT_FINITE, _NOT_FINITE, _PRESENT))


def _state_parts(
    tallies: Tallies, groups: Groups, cut: int, subject: str, part: str, found: Cells, slots: Ints
) -> Iterator[Counted]:
    """How many rows hold a value, a null, or something that is not finite."""
    table = np.zeros((int(found.groups.max(initial=-1)) + 1, 3), dtype=np.int64)
    np.add.at(table, (found.groups, _states(slots)), found.counts)
    cells = cells_of(table)
    yield Counted(cut, subject, part, cells)
    for sign, more in excess(tallies, groups, cut, cells):
        yield Counted(cut, subject, part + sign, more)


def _rare(cells: Cells) -> Flags:
    """Which categories are beyond the most frequent ones of their group."""
    rare = np.zeros(cells.groups.size, dtype=bool)
    if np.bincount(cells.groups, minlength=1).max() > MAX_CATEGORIES:
        order = np.lexsort((cells.codes, -cells.counts, cells.groups))
        starts = np.searchsorted(cells.groups, cells.groups)
        rare[order] = np.arange(rare.size) - starts >= MAX_CATEGORIES
    return rare


def _capped(cells: Cells, rare: Flags, other: int) -> Cells:
    if not rare.any():
        return cells
    keys, slots = np.unique(
        cells.groups * (other + 1) + np.where(rare, other, cells.codes), return_inverse=True
    )
    counts = np.zeros(keys.size, dtype=np.int64)
    np.add.at(counts, slots, cells.counts)
    groups, codes = np.divmod(keys, other + 1)
    if cells.sums is None or cells.squares is None:
        return Cells(groups, codes, counts)
    first, second = (
        np.bincount(slots, weights=some, minlength=keys.size).astype(np.float64)
        for some in (cells.sums, cells.squares)
    )
    return Cells(groups, codes, counts, first, second)


def _overflow(cells: Cells, rare: Flags) -> Cells:
    table = np.zeros((int(cells.groups.max()) + 1, len(OVERFLOW_CODES)), dtype=np.int64)
    np.add.at(table[:, OVERFLOW_CODES["categories"]], cells.groups[rare], 1)
    np.add.at(table[:, OVERFLOW_CODES["rows"]], cells.groups[rare], cells.counts[rare])
    return cells_of(table)


def _registers(cells: Cells, rare: Flags, hashes: Ints) -> Cells:
    """Registers of every group in which a category is rare; each cell's count is what a register holds."""
    register, rank = register_of(hashes)
    folded = np.zeros(int(cells.groups.max()) + 1, dtype=bool)
    folded[cells.groups[rare]] = True
    mine = folded[cells.groups]
    table = np.zeros((folded.size, REGISTERS), dtype=np.int64)
    np.maximum.at(table, (cells.groups[mine], register[cells.codes[mine]]), rank[cells.codes[mine]])
    return cells_of(table)


class NumberFeature:
    """Everything counted of a numeric feature."""

    def __init__(self, cuts: int, plan: FeaturePlan, grid: Grid) -> None:
        self._plan, self._numbers = plan, NumberPart(cuts, grid, plan.name)
        self._skew = Skew(cuts, plan.name) if plan.recomputed else None

    def add(self, rows: Assigned, batch: Rows) -> None:
        """Count the feature's columns of a batch."""
        values, valid = numbers(batch.column(self._plan.name))
        self._numbers.add(rows, values, valid)
        if self._skew is not None:
            others, known = numbers(batch.column(RECOMPUTED + self._plan.name))
            with np.errstate(invalid="ignore", over="ignore"):
                delta, total = np.abs(values - others), np.abs(values) + np.abs(others)
                equal = delta <= SAME * total
            self._skew.add(rows, (valid, known), equal, (delta, total))

    def merge(self, other: "NumberFeature", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._numbers.merge(other._numbers, moved)
        if self._skew is not None and other._skew is not None:
            self._skew.merge(other._skew, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Every part."""
        yield from self._numbers.counted(groups)
        yield from () if self._skew is None else self._skew.counted(groups)


class NameFeature:
    """Everything counted of a categorical feature."""

    def __init__(self, cuts: int, plan: FeaturePlan) -> None:
        self._plan, self._names = plan, NamePart(cuts, plan.name)
        self._skew = Skew(cuts, plan.name) if plan.recomputed else None

    def add(self, rows: Assigned, batch: Rows) -> None:
        """Count the feature's columns of a batch."""
        slots = self._names.slots(batch.column(self._plan.name))
        self._names.add(rows, slots)
        if self._skew is not None:
            others = self._names.slots(batch.column(RECOMPUTED + self._plan.name))
            self._skew.add(rows, (slots != NULL, others != NULL), slots == others, (None, None))

    def merge(self, other: "NameFeature", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._names.merge(other._names, moved)
        if self._skew is not None and other._skew is not None:
            self._skew.merge(other._skew, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Every part."""
        yield from self._names.counted(groups)
        yield from () if self._skew is None else self._skew.counted(groups)


Feature = NumberFeature | NameFeature


def feature_of(cuts: int, plan: FeaturePlan) -> Feature:
    """Whatever counts the planned feature."""
    return NameFeature(cuts, plan) if plan.grid is None else NumberFeature(cuts, plan, plan.grid)


class Skew:
    """A served column against the recomputed one."""

    def __init__(self, cuts: int, subject: str) -> None:
        self._flags = FlagPart(cuts, subject, "skew", valued=True)

    def add(
        self,
        rows: Assigned,
        present: tuple[Flags | None, Flags | None],
        equal: Flags,
        amounts: tuple[Floats | None, Floats | None],
    ) -> None:
        """Count rows by which of the two columns is `present` (None: in all rows) and whether they are equal.

        `amounts` are |a - b| and |a| + |b| where these are numbers.
        """
        left, right = (np.ones(equal.size, dtype=bool) if some is None else some for some in present)
        both = left & right
        flags = [left | right, both & ~equal, ~left & right, left & ~right, both, both]
        self._flags.add_flags(rows, flags, [None] * 4 + list(amounts))

    def merge(self, other: "Skew", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._flags.merge(other._flags, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """The part ``skew``, its codes those of ``SKEW_CODES``."""
        yield from self._flags.counted(groups)


def numbers(column: pa.ChunkedArray | pa.Array) -> tuple[Floats, Flags | None]:
    """Read a column as float64, whatever stands under its nulls, and which rows are none; None if all are.

    Returns
    -------
    (n,) float64, (n,) bool or None
    """
    # A safe cast would refuse integers beyond 2**53, and quote them.
    array = column.cast(pa.float64(), safe=False)
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else of_empty(pa.float64())
    bits, data = array.buffers()
    start, end = array.offset, array.offset + len(array)
    values = (
        np.frombuffer(data, np.float64)[start:end]
        if data is not None and len(array)
        else np.zeros(len(array))
    )
    if array.null_count == 0 or bits is None:
        return values, None
    valid = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[start:end]
    return values, valid.view(bool)


def floats(column: pa.ChunkedArray | pa.Array) -> Floats:
    """Read a column as float64; nulls become NaN.

    Returns
    -------
    (n,) float64
    """
    values, valid = numbers(column)
    return values if valid is None else np.where(valid, values, np.nan)
