"""Accumulators of one subject's parts: rows come batch by batch, stored cells go out at the end.

A part is counted once per joint group while that is a small table, and once per segmentation otherwise; sums
of values and of weights always per segmentation, in the order of the rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.tally import DENSE_CELLS, Cells, Counter, Sums, run_starts
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved

# What weights w add to a part, kept as excess over the plain counts and sums: nothing where every w is 1.
EXCESS = ":w"  # sums: Σ(w - 1), squares: Σ(w² - 1)
EXCESS_ONCE = ":wx"  # sums: Σ(w - 1)x, squares: Σ(w - 1)x²
EXCESS_TWICE = ":wwx"  # sums: Σ(w² - 1)x, squares: Σ(w² - 1)x²


@dataclass(frozen=True, slots=True)
class Counted:
    """Cells of one part in one segmentation; `names` say what codes stand for, if not themselves."""

    cut: int
    subject: str
    part: str
    cells: Cells
    names: pa.Array | None = None


class Tallies:
    """Counts of coded rows in every segmentation, and sums of what they carry.

    Parameters
    ----------
    cuts
        Number of segmentations.
    values
        How many values are added up per cell: 0, or 2 for x and x².
    """

    def __init__(self, cuts: int, values: int = 0) -> None:
        self._cuts, self._values = cuts, values
        self._width = 1
        self._joint: Counter | None = Counter()
        self._apart: list[Counter] = []
        self._sums = [Sums(values) for _ in range(cuts)] if values else []
        self._extra: list[Sums] = []

    def count(self, rows: Assigned, codes: np.ndarray, where: Ints | None = None) -> None:
        """Count rows.

        Parameters
        ----------
        codes : (n,) integer
            Code of each row, >= 0.
        where : (n,) int64, optional
            Positions of the rows that are counted, ascending; all by default. `codes` are theirs.
        """
        self._widen(codes)
        if self._joint is not None and rows.joints * self._width > DENSE_CELLS:
            self._part_ways(rows.unions)
        if self._joint is not None:
            self._joint.add(self._keys(rows, -1, codes, where), rows.joints, self._width)
        for cut, counter in enumerate(self._apart):
            counter.add(self._keys(rows, cut, codes, where), rows.sizes[cut], self._width)

    def sum(self, rows: Assigned, codes: np.ndarray, where: Ints | None, value: Floats) -> None:
        """Add up a value of the rows, and its square, by code."""
        self._widen(codes)
        held = np.flatnonzero(value)  # a zero adds nothing
        if held.size < value.size:
            codes, value, where = codes[held], value[held], held if where is None else where[held]
        for cut, sums in enumerate(self._sums):
            keys = self._keys(rows, cut, codes, where)
            sums.add(keys, rows.sizes[cut], self._width, [value, value * value])

    def weigh(
        self, rows: Assigned, codes: np.ndarray, where: Ints | None = None, value: Floats | None = None
    ) -> None:
        """Add up what weights make the rows more, and their values, by code."""
        if rows.weights is None:
            return
        self._widen(codes)
        self._extra = self._extra or [Sums(6 if self._values else 2) for _ in range(self._cuts)]
        at = rows.heavy if where is None else np.flatnonzero(rows.weights[where] != 1)
        held = at if where is None else where[at]
        w = rows.weights[held]
        added = [w - 1, w * w - 1]
        if self._values:
            x = np.zeros(w.size) if value is None else value[at]
            added += [part for extra in (w - 1, w * w - 1) for part in (extra * x, extra * x * x)]
        for cut, sums in enumerate(self._extra):
            sums.add(self._keys(rows, cut, codes[at], held), rows.sizes[cut], self._width, added)

    def merge(self, other: "Tallies", moved: Moved, slots: Ints | None = None) -> None:
        """Add what was counted elsewhere; `slots` are the codes here of codes there, where they differ."""
        slots = np.arange(other._width) if slots is None else slots
        self._widen(slots)
        if self._joint is not None and (other._joint is None or moved.known(-1) * self._width > DENSE_CELLS):
            self._part_ways(moved.unions)
        if self._joint is not None and other._joint is not None:
            self._take(self._joint, other._joint.cells(), moved, -1, slots)
        for cut, counter in enumerate(self._apart):
            self._take(counter, other.counts(moved.there, cut), moved, cut, slots)
        self._sums = _merged(self._sums, other._sums, self._width, moved, slots)
        self._extra = _merged(self._extra, other._extra, self._width, moved, slots)

    def _take(self, counter: Counter, cells: Cells, moved: Moved, cut: int, slots: Ints) -> None:
        there = Cells(moved.place(cut)[cells.groups], slots[cells.codes], cells.counts)
        counter.add_counts(there, moved.known(cut), self._width)

    def counts(self, groups: Groups, cut: int, order: Ints | None = None) -> Cells:
        """Cells of a segmentation, their codes being positions in `order` where one is given."""
        if self._joint is None:
            return self._apart[cut].cells(order) if self._apart else Counter().cells()
        return _folded(self._joint, groups.unions()[cut]).cells(order)

    def sums(self, cut: int, cells: Cells) -> list[Floats]:
        """Σx and Σx² of cells whose codes are those that were counted."""
        return self._sums[cut].at(cells.groups, cells.codes)

    def surplus(self, cut: int, cells: Cells) -> list[Floats]:
        """What weights add to cells: Σ(w - 1), Σ(w² - 1), and the same of x and of x²."""
        if not self._extra:
            return [np.zeros(cells.groups.size)] * (6 if self._values else 2)
        return self._extra[cut].at(cells.groups, cells.codes)

    def _keys(self, rows: Assigned, cut: int, codes: np.ndarray, where: Ints | None) -> Ints:
        scaled = rows.scaled(cut, self._width)
        # Keys are used up before the next are asked for, so that they may lie in the same place.
        found: Ints = np.add(scaled, codes, out=rows.scratch) if where is None else scaled.take(where) + codes
        return found

    def _part_ways(self, unions: Sequence[Ints]) -> None:
        self._apart = [_folded(self._joint, union) for union in unions[: self._cuts]]
        self._joint = None

    def _widen(self, codes: np.ndarray) -> None:
        self._width = max(self._width, _rounded(int(codes.max(initial=0)) + 1))


def _merged(mine: list[Sums], others: Sequence[Sums], width: int, moved: Moved, slots: Ints) -> list[Sums]:
    """Sums with those of another count added to them."""
    mine = mine or [Sums(other.values) for other in others]
    for cut, (own, other) in enumerate(zip(mine, others, strict=False)):
        groups, codes, values = other.held()
        keys = moved.place(cut)[groups] * width + slots[codes]
        own.add(keys, moved.known(cut), width, values)
    return mine


def _rounded(width: int) -> int:
    return 1 << (width - 1).bit_length()


def _folded(joint: Counter | None, union: Ints) -> Counter:
    """Counts of unions of joint groups."""
    table = None if joint is None else joint.table()
    if table is None or table.size == 0:
        return Counter()
    union = union[: len(table)]
    order = np.argsort(union, kind="stable")
    starts = run_starts(union[order])
    groups = np.zeros((int(union.max()) + 1, table.shape[1]), dtype=np.int64)
    groups[union[order][starts]] = np.add.reduceat(table[order], starts, axis=0)
    return Counter(groups)


class Part:
    """A part whose codes are stored as they are."""

    def __init__(self, cuts: int, subject: str, part: str, *, valued: bool = False) -> None:
        self._cuts, self._subject, self._part, self._valued = cuts, subject, part, valued
        self._tallies = Tallies(cuts, 2 if valued else 0)

    def add(self, rows: Assigned, codes: np.ndarray, value: Floats | None = None) -> None:
        """Count rows by code; rows with a negative code are left out."""
        where = None
        if codes.size and codes.min() < 0:
            where = np.flatnonzero(codes >= 0)
            codes, value = codes[where], None if value is None else value[where]
        self._tallies.count(rows, codes, where)
        if value is not None:
            self._tallies.sum(rows, codes, where, value)
        self._tallies.weigh(rows, codes, where, value)

    def merge(self, other: "Part", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._tallies.merge(other._tallies, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """What was counted, and what weights add to it."""
        for cut in range(self._cuts):
            cells = self._cells(groups, cut)
            if self._valued:
                cells = Cells(cells.groups, cells.codes, cells.counts, *self._tallies.sums(cut, cells))
            yield Counted(cut, self._subject, self._part, cells)
            for sign, more in excess(self._tallies, groups, cut, cells):
                yield Counted(cut, self._subject, self._part + sign, more)

    def _cells(self, groups: Groups, cut: int) -> Cells:
        return self._tallies.counts(groups, cut)


class FlagPart(Part):
    """A part in which a row counts under every flag that it has; codes are positions of flags."""

    def __init__(self, cuts: int, subject: str, part: str, *, valued: bool = False) -> None:
        super().__init__(cuts, subject, part, valued=valued)
        self._masks, self._flags = Tallies(cuts), 0

    def add_flags(self, rows: Assigned, flags: Sequence[Flags], values: Sequence[Floats | None] = ()) -> None:
        """Count rows under each of their flags, and add up the value that goes with a flag, if any."""
        self._flags = len(flags)
        masks = np.zeros(rows.joint.size, dtype=np.int64)
        for code, flag in enumerate(flags):
            masks |= flag.astype(np.int64) << code
        self._masks.count(rows, masks)
        for code, value in enumerate(values or [None] * self._flags):
            if value is None and not rows.heavy.size:
                continue
            where = np.flatnonzero(flags[code])
            codes, kept = np.full(where.size, code), None if value is None else value[where]
            if kept is not None:
                self._tallies.sum(rows, codes, where, kept)
            self._tallies.weigh(rows, codes, where, kept)

    def merge(self, other: Part, moved: Moved) -> None:
        """Add what was counted elsewhere."""
        super().merge(other, moved)
        if isinstance(other, FlagPart):
            self._flags = max(self._flags, other._flags)
            self._masks.merge(other._masks, moved)

    def _cells(self, groups: Groups, cut: int) -> Cells:
        masked = self._masks.counts(groups, cut)
        table = np.zeros((int(masked.groups.max(initial=-1)) + 1, self._flags), dtype=np.int64)
        for code in range(self._flags):
            has = (masked.codes >> code) & 1 == 1
            np.add.at(table[:, code], masked.groups[has], masked.counts[has])
        return cells_of(table)


def merge_all(parts: Iterable[Any], others: Iterable[Any], moved: Moved) -> None:
    """Add to each part what its twin counted elsewhere."""
    for part, other in zip(parts, others, strict=True):
        part.merge(other, moved)


def cells_of(table: Ints) -> Cells:
    """Cells of a table of groups by codes."""
    groups, codes = np.nonzero(table)
    return Cells(groups, codes, table[groups, codes])


def excess(
    tallies: Tallies, groups: Groups, cut: int, cells: Cells, slots: Ints | None = None
) -> Iterator[tuple[str, Cells]]:
    """What weights add to cells of groups in which any row has one, by kind of sum.

    `slots` are what the cells were counted under, where that is not their code.
    """
    heavy = np.zeros(int(cells.groups.max(initial=-1)) + 1, dtype=bool)
    heavy[[group for group in groups.heavy[cut] if group < heavy.size]] = True
    held = heavy[cells.groups]
    if not held.any():
        return
    where, codes, counts = cells.groups[held], cells.codes[held], cells.counts[held]
    sums = tallies.surplus(cut, Cells(where, codes if slots is None else slots[held], counts))
    for position, sign in enumerate((EXCESS, EXCESS_ONCE, EXCESS_TWICE)[: len(sums) // 2]):
        yield sign, Cells(where, codes, counts, *sums[2 * position : 2 * position + 2])
