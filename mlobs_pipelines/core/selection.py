"""Order statistics and frequent values of many numbers without sorting them.

Both split the numbers by a few bits first and look closely only where it matters. Results are exact.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints

_MIX, _HASH_BITS = np.uint64(0x9E3779B97F4A7C15), 14  # Fibonacci hashing (Knuth, TAOCP 3, 6.4)
_WORDS, _FEW = 1 << 16, 1 << 14
_BLOCK = 1 << 16  # values at a time: what is made in between stays in the processor's cache
_RISING = np.arange(_WORDS)
_FALLING = _RISING[::-1]
_BY_SIGN = np.concatenate(
    [_FALLING[: _WORDS >> 1], _RISING[: _WORDS >> 1]]
)  # of words that begin with the sign


def quantiles(values: Floats, levels: Floats) -> Floats:
    """Quantiles by linear interpolation, as `numpy.quantile` has them by default.

    Parameters
    ----------
    values : (n,) float64
        Finite, at least one.
    levels : (k,)
        Shares in [0, 1].

    Returns
    -------
    (k,) float64

    Examples
    --------
    >>> quantiles(np.array([3.0, 1.0, 2.0, 4.0]), np.array([0.5])).tolist()
    [2.5]
    """
    rank = levels * (values.size - 1)
    below = np.floor(rank).astype(np.int64)
    low, high = np.split(_ranked(values, np.concatenate([below, np.ceil(rank).astype(np.int64)])), 2)
    away = rank - below
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(away < 0.5, low + (high - low) * away, high - (high - low) * (1 - away))


def _ranked(values: Floats, ranks: Ints) -> Floats:
    """Values at ranks: numbers that share their leading bits are neighbours, so only those are ordered."""
    return _among(np.ascontiguousarray(values, "<f8"), ranks, 3, _BY_SIGN)


def _among(values: Floats, ranks: Ints, word: int, order: Ints) -> Floats:
    """Values at ranks, told apart by one of their four words; `order` is that of its values."""
    if word == 1 or values.size < _FEW:
        return np.asarray(np.partition(values, ranks)[ranks])
    words = values.view("<u2")[word::4]
    rows = np.zeros(_WORDS, dtype=np.int64)
    for start in range(0, words.size, _BLOCK):
        rows += np.bincount(words[start : start + _BLOCK], minlength=_WORDS)
    rows = rows[order]
    end = np.cumsum(rows)
    held = np.searchsorted(end, ranks, side="right")
    found = np.empty(ranks.size)
    for group in np.unique(held):
        at = np.flatnonzero(held == group)
        least = bool(order[group] >= _WORDS >> 1) if word == 3 else order[0] > order[-1]
        inside = ranks[at] - (end[group] - rows[group])
        found[at] = _among(values[words == order[group]], inside, word - 1, _FALLING if least else _RISING)
    return found


def frequent(values: Floats, least: float) -> tuple[Floats, Ints]:
    """Values that occur at least so many times, ascending, and how often each does.

    Parameters
    ----------
    values : (n,) float64
        Finite; zeros of either sign are one value.
    """
    rows = np.zeros(1 << _HASH_BITS, dtype=np.int64)
    for hashed, _ in _hashed(values):
        rows += np.bincount(hashed, minlength=rows.size)
    often = rows >= max(least, 1)
    if not often.any():
        return np.empty(0), rows[:0]
    one = np.full(rows.size, np.nan)
    for hashed, some in _hashed(values):
        one[hashed] = some
    one[~often] = np.nan
    counts = np.zeros_like(rows)
    for hashed, some in _hashed(values):
        counts += np.bincount(hashed[some == one.take(hashed)], minlength=rows.size)
    # Where a hash has other values too, the frequent one may be among these.
    mixed = often & (rows - counts >= least)
    others, times = _distinct(_others(values, one, mixed) if mixed.any() else values[:0])
    found, counted = np.concatenate([one[often], others]), np.concatenate([counts[often], times])
    order = np.argsort(found)
    kept = order[counted[order] >= least]
    return found[kept], counted[kept]


def _hashed(values: Floats) -> Iterator[tuple[Ints, Floats]]:
    """Hash of each value, and the values with one zero, a block at a time."""
    for start in range(0, values.size, _BLOCK):
        some = values[start : start + _BLOCK] + 0.0
        mixed = some.view(np.uint64) * _MIX
        mixed >>= np.uint64(64 - _HASH_BITS)
        yield mixed.view(np.int64), some


def _others(values: Floats, one: Floats, mixed: Flags) -> Floats:
    """Values of the marked hashes that are not the one that is known of theirs."""
    found = [some[mixed.take(hashed) & (some != one.take(hashed))] for hashed, some in _hashed(values)]
    return np.concatenate(found)


def _distinct(values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    found, counts = np.unique(values, return_counts=True)
    return found, counts.astype(np.int64)
