"""Universal log-scale buckets: integer names for values, so that counting them is exact and mergeable.

A bucket is named by the leading bits (sign, exponent, 5 of mantissa) of float32((x - location) / scale).
Nothing here counts rows; `tally` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.selection import frequent, quantiles
from mlobs_pipelines.core.vocabulary import Flags, Floats

Codes = NDArray[np.int32]

SHIFT = 18
ATOM_BASE = 1 << (32 - SHIFT)
SCORE_CELLS = 4096
LOGIT_LIMIT = 16.0
MAX_ATOMS = 64
ATOM_SHARE = 0.01
_TOP_BIT = np.uint32(0x80000000)
_INFINITE_BITS = 0x7F800000


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a feature's buckets sit; fixed once per feature and kept with its statistics.

    Attributes
    ----------
    location, scale
        Centre and unit of the buckets, in the feature's unit; scale > 0.
    atoms : (A,)
        Exact values, ascending, that are counted each on its own: mass points that a bucket would smear.
    """

    location: float = 0.0
    scale: float = 1.0
    atoms: Floats = field(default_factory=lambda: np.empty(0))


def fit_grid(values: Floats) -> Grid:
    """Choose a grid from finite baseline values: median, interquartile range, and the frequent values.

    Parameters
    ----------
    values : (n,) float64
        Finite values; may be empty.

    Returns
    -------
    Grid
        Atoms are the values that make up at least 1 % of the rows (64 at most), and zero where it occurs.
    """
    if values.size == 0:
        return Grid()
    low, middle, high = quantiles(values, np.array([0.25, 0.5, 0.75])).tolist()
    distinct, counts = frequent(values, ATOM_SHARE * values.size)
    most = distinct[np.argsort(-counts, kind="stable")[:MAX_ATOMS]]
    zero = np.zeros(int((values == 0.0).any()))
    return Grid(middle, _scale(values, low, high), np.unique(np.concatenate([most, zero])))


def _scale(values: Floats, low: float, high: float) -> float:
    """Interquartile range of a normal deviate's size; else the standard deviation; else 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(high - low) / 1.349
        if not (np.isfinite(spread) and spread > 0):
            spread = float(values.std())
    return spread if np.isfinite(spread) and spread > 0 else 1.0


def bucket_codes(values: Floats, location: float = 0.0, scale: float = 1.0) -> Codes:
    """Name the bucket of each finite value; codes ascend with the values.

    Parameters
    ----------
    values : (n,) float64
        Finite values, any unit.

    Returns
    -------
    (n,) int32
        0 … 16383. Values beyond the range of float32 fall into the outermost bucket.
    """
    limit = np.finfo(np.float32).max
    with np.errstate(over="ignore"):  # an infinite quotient belongs to the outermost bucket
        quotient = (values - location) / scale
    scaled = np.clip(quotient, -limit, limit).astype(np.float32) + np.float32(0)
    bits = scaled.view(np.uint32)
    ordered = np.where(bits & _TOP_BIT, ~bits, bits | _TOP_BIT)
    return (ordered >> np.uint32(SHIFT)).astype(np.int32)


def cell_codes(values: Floats, grid: Grid) -> Codes:
    """Name the cell of each finite value: its atom where it equals one, its bucket otherwise.

    Returns
    -------
    (n,) int32
        Bucket codes, or ``ATOM_BASE + index`` for an atom.
    """
    codes = bucket_codes(values, grid.location, grid.scale)
    if grid.atoms.size:
        index = np.minimum(np.searchsorted(grid.atoms, values), grid.atoms.size - 1)
        codes = np.where(grid.atoms[index] == values, (ATOM_BASE + index).astype(np.int32), codes)
    return codes


def bucket_of(codes: Codes, grid: Grid) -> Codes:
    """Bucket that holds each cell: an atom's own bucket, a bucket itself."""
    atoms = bucket_codes(grid.atoms, grid.location, grid.scale)
    is_atom = codes >= ATOM_BASE
    result = codes.copy()
    result[is_atom] = atoms[codes[is_atom] - ATOM_BASE]
    return result


def bucket_edges(codes: Codes, location: float = 0.0, scale: float = 1.0) -> tuple[Floats, Floats]:
    """Lower and upper edge of each bucket, in the feature's unit.

    Returns
    -------
    (n,) float64, (n,) float64
        Edges agree with membership to the rounding of float32.
    """
    return _edge(codes, location, scale), _edge(codes + 1, location, scale)


def _edge(codes: Codes, location: float, scale: float) -> Floats:
    ordered = codes.astype(np.uint32) << np.uint32(SHIFT)
    bits = np.where(ordered & _TOP_BIT, ordered ^ _TOP_BIT, ~ordered)
    magnitude = np.minimum(bits & np.uint32(0x7FFFFFFF), np.uint32(_INFINITE_BITS - 1))
    clipped = (magnitude | (bits & _TOP_BIT)).astype(np.uint32)
    edges: Floats = clipped.view(np.float32).astype(np.float64) * scale + location
    return edges


@dataclass(frozen=True, slots=True)
class SharedCells:
    """Cells that several counts have between them, in ascending order of value.

    Attributes
    ----------
    codes, buckets : (n,) int32
        Name of each cell, and of the bucket that holds it.
    atom : (n,) bool
        Which of them hold one exact value.
    place : (codes that can be,) int64
        Where each cell is in this order, by its code.
    """

    codes: Codes
    buckets: Codes
    atom: Flags
    place: NDArray[np.int64]

    @staticmethod
    def of(counted: Sequence[Codes], grid: Grid) -> "SharedCells":
        """Put the cells in order; an atom's bucket stands before it even where it is empty."""
        seen = np.zeros(ATOM_BASE + grid.atoms.size, dtype=bool)
        for codes in counted:
            seen[codes] = True
        atoms = bucket_codes(grid.atoms, grid.location, grid.scale)
        seen[atoms[seen[ATOM_BASE:]]] = True
        held = np.flatnonzero(seen).astype(np.int32)
        buckets, is_atom = held.copy(), held >= ATOM_BASE
        buckets[is_atom] = atoms[held[is_atom] - ATOM_BASE]
        order = np.argsort(2 * buckets + is_atom, kind="stable")
        place = np.zeros(seen.size, dtype=np.int64)
        place[held[order]] = np.arange(order.size)
        return SharedCells(held[order], buckets[order], is_atom[order], place)


def score_codes(scores: Floats) -> Codes:
    """Name the cell of each probability: 4,096 equal cells of its logit between -16 and 16.

    Parameters
    ----------
    scores : (n,) float64
        Probabilities in [0, 1].

    Returns
    -------
    (n,) int32
        0 … 4095, ascending with the score.
    """
    with np.errstate(divide="ignore"):
        logit = np.log(scores) - np.log1p(-scores)
    position = (np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT) + LOGIT_LIMIT) / (2 * LOGIT_LIMIT)
    codes: Codes = np.minimum((position * SCORE_CELLS).astype(np.int32), np.int32(SCORE_CELLS - 1))
    return codes


def quantile_edges(buckets: Codes, counts: NDArray[np.int64], parts: int = 10) -> Codes:
    """Choose drift edges on bucket boundaries so that each bin holds about an equal share of the baseline.

    Parameters
    ----------
    buckets : (n,) int32
        Distinct bucket codes, ascending.
    counts : (n,) int64
        Baseline rows per bucket.

    Returns
    -------
    (E,) int32
        Inner edges, ascending, E <= parts - 1: the bin of a bucket is
        ``searchsorted(edges, code, 'right')``.
        Duplicates are collapsed; the outer bins reach to minus and plus infinity.
    """
    if buckets.size < 2:
        return np.empty(0, dtype=np.int32)
    cumulative = np.cumsum(counts)
    targets = cumulative[-1] * np.arange(1, parts) / parts
    right = np.minimum(np.searchsorted(cumulative, targets), buckets.size - 2)
    left = np.maximum(right - 1, 0)
    nearer_left = np.abs(cumulative[left] - targets) < np.abs(cumulative[right] - targets)
    edges: Codes = buckets[np.where(nearer_left, left, right) + 1]
    return np.asarray(edges[np.diff(edges, prepend=-1) > 0])
