"""Naming the cells of a feature's values batch by batch: small consecutive slots instead of wide codes.

A slot is what is counted; which code it stands for is looked up once, when the counts are asked for. Codes
themselves are `buckets`' business, counting is `tally`'s.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.buckets import (
    ATOM_BASE,
    SHIFT,
    Codes,
    Grid,
)
from mlobs_pipelines.core.vocabulary import Floats, Ints

Slots = NDArray[np.uint16]

NULL, NOT_FINITE, FIRST = 0, 1, 2
_UNSEEN = 0  # of a pattern; no pattern stands for a null
_EXACT = 1 << 15  # of a pattern whose values must be looked at one by one
_PATTERNS = 1 << 16
_TOP = _PATTERNS >> 1
_HASH_BITS = 12
# Rows at a time: what is made in between stays in the processor's cache and in memory held anyway.
_BLOCK = 32_768
_EXPONENT = 0x7F80
_LEADING = 1 if sys.byteorder == "little" else 0  # which half of a float32 has its sign and exponent


def _codes_of_patterns() -> Codes:
    """Bucket of every float32 by its leading 16 bits; those of infinities and NaN are the outermost."""
    bits = np.arange(_PATTERNS)
    finite = np.where((bits & _EXPONENT) == _EXPONENT, (bits & _TOP) | (_EXPONENT - 1), bits)
    ordered = np.where(finite & _TOP, ~finite & (_PATTERNS - 1), finite | _TOP)
    return (ordered >> (SHIFT - 16)).astype(np.int32)


_CODES = _codes_of_patterns()
_NOT_FINITE_PATTERNS = (np.arange(_PATTERNS) & _EXPONENT) == _EXPONENT


class NumberSlots:
    """Slots of a numeric feature's cells, given out as values come.

    Slot 0 is of nulls, slot 1 of NaN and infinities; from 2 on each is a cell of the grid.
    """

    __slots__ = ("_alone", "_atoms", "_grid", "_of_code", "_of_pattern", "codes")

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._atoms = _AtomTable(grid.atoms) if grid.atoms.size else None
        self._of_code = np.zeros(ATOM_BASE, dtype=np.uint16)
        # Slots of the first cells are those of the atoms, so that they can be told without a look-up.
        self.codes = np.concatenate([[-1, -1], ATOM_BASE + np.arange(grid.atoms.size)]).astype(np.int32)
        self._of_pattern = np.full(_PATTERNS, _UNSEEN, dtype=np.uint16)
        self._of_pattern[_NOT_FINITE_PATTERNS] = _EXACT
        held, which, times = np.unique(self._patterns(grid.atoms), return_index=True, return_counts=True)
        self._of_pattern[held[times > 1]] = _EXACT
        alone = (times == 1) & (self._of_pattern[held] != _EXACT)
        self._alone = _LoneAtoms(held[alone], grid.atoms[which[alone]], which[alone]) if alone.any() else None

    def slots(self, values: Floats) -> Slots:
        """Slot of each value: 1 if it is not finite, else that of its atom or bucket."""
        found = np.empty(values.size, dtype=np.uint16)
        for start in range(0, values.size, _BLOCK):
            found[start : start + _BLOCK] = self._block(values[start : start + _BLOCK])
        return found

    def merge(self, other: "NumberSlots") -> Ints:
        """Name the cells that another one of the same grid has named; the slot here of each slot there."""
        first = FIRST + self._grid.atoms.size
        buckets = other.codes[first:]
        self._name(buckets)
        return np.concatenate([np.arange(first), self._of_code[buckets]]).astype(np.int64)

    def _block(self, values: Floats) -> Slots:
        pattern = self._patterns(values)
        found: Slots = self._of_pattern.take(pattern)
        if found.min() == _UNSEEN:
            rows = np.flatnonzero(found == _UNSEEN)
            found[rows] = self._learn(pattern[rows])
        if found.max() >= _EXACT:
            rows = np.flatnonzero(found >= _EXACT)
            found[rows] = self._exact(values[rows], _CODES[pattern[rows]])
        if self._alone is not None:
            self._alone.put(found, pattern, values)
        return found

    def _patterns(self, values: Floats) -> Ints:
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            scaled = np.subtract(values, self._grid.location)
            scaled /= self._grid.scale
            narrow = scaled.astype(np.float32)
        narrow += np.float32(0)  # there is one zero
        return narrow.view(np.uint16)[_LEADING::2].astype(np.intp)

    def _learn(self, patterns: Ints) -> Slots:
        codes = _CODES[patterns]
        self._name(codes)
        self._of_pattern[patterns] = self._of_code[codes]
        return self._of_code[codes]

    def _name(self, codes: Codes) -> None:
        new = np.unique(codes[self._of_code[codes] == _UNSEEN])
        if not new.size:
            return
        self._of_code[new] = (self.codes.size + np.arange(new.size)).astype(np.uint16)
        self.codes = np.concatenate([self.codes, new])

    def _exact(self, values: Floats, codes: Codes) -> Slots:
        finite = np.isfinite(values)
        is_atom = np.zeros(values.size, dtype=bool) if self._atoms is None else self._atoms.holds(values)
        buckets = finite & ~is_atom
        self._name(codes[buckets])
        found = np.where(buckets, self._of_code[codes], np.uint16(NOT_FINITE))
        if self._atoms is not None:
            found[is_atom] = self._atoms.index(values[is_atom]) + FIRST
        return found.astype(np.uint16)


class _LoneAtoms:
    """Atoms that have a pattern to themselves: a value of the pattern is the atom, or is none."""

    __slots__ = ("_slot", "_value")

    def __init__(self, patterns: Ints, values: Floats, index: Ints) -> None:
        self._value = np.full(_PATTERNS, np.nan)
        self._value[patterns] = values
        self._slot = np.zeros(_PATTERNS, dtype=np.uint16)
        self._slot[patterns] = index + FIRST

    def put(self, found: Slots, pattern: Ints, values: Floats) -> None:
        """Put the atoms' slots in the place of those of their buckets."""
        equal = self._value.take(pattern) == values
        if equal.any():
            np.copyto(found, self._slot.take(pattern), where=equal)


class _AtomTable:
    """Which of some exact values a value equals, by a hash of its bits without collisions among them."""

    __slots__ = ("_atoms", "_factor", "_index")

    def __init__(self, atoms: Floats) -> None:
        self._atoms = atoms + 0.0
        factors = np.random.default_rng(0).integers(1, 1 << 63, 10_000, dtype=np.uint64) | np.uint64(1)
        hashed = ((self._hash(self._atoms, factor), factor) for factor in factors)
        slots, self._factor = next((h, f) for h, f in hashed if np.unique(h).size == atoms.size)
        self._index = np.zeros(1 << _HASH_BITS, dtype=np.intp)
        self._index[slots] = np.arange(atoms.size)

    def index(self, values: Floats) -> Ints:
        """The only atom that each value may equal."""
        found: Ints = self._index.take(self._hash(values + 0.0, self._factor))
        return found

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Whether each value is an atom."""
        equal: NDArray[np.bool_] = self._atoms.take(self.index(values)) == values
        return equal

    @staticmethod
    def _hash(values: Floats, factor: np.uint64) -> Ints:
        with np.errstate(over="ignore"):
            mixed = values.view(np.uint64) * factor
        return (mixed >> np.uint64(64 - _HASH_BITS)).astype(np.intp)
