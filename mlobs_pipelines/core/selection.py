"""Order statistics and frequent values of many numbers without sorting them.

Both split the numbers by a few bits first and look closely only where it matters. Results are exact.
"""

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.vocabulary import Floats, Ints

_MIX, _HASH_BITS = np.uint64(0x9E3779B97F4A7C15), 14  # Fibonacci hashing (Knuth, TAOCP 3, 6.4)
_LEADING = 1 << 16


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
    leading = values.view(np.int64) >> 48
    leading ^= (leading >> 15) & 0x7FFF  # of negative numbers, the larger are the lesser
    leading += _LEADING >> 1
    rows = np.bincount(leading, minlength=_LEADING)
    end = np.cumsum(rows)
    held = np.searchsorted(end, ranks, side="right")
    found = np.empty(ranks.size)
    for group in np.unique(held):
        at = np.flatnonzero(held == group)
        inside = ranks[at] - (end[group] - rows[group])
        found[at] = np.partition(values[leading == group], inside)[inside]
    return found


def frequent(values: Floats, least: float) -> tuple[Floats, Ints]:
    """Values that occur at least so many times, ascending, and how often each does.

    Parameters
    ----------
    values : (n,) float64
        Finite; zeros without a sign.
    """
    hashed = ((values.view(np.uint64) * _MIX) >> np.uint64(64 - _HASH_BITS)).astype(np.intp)
    rows = np.bincount(hashed, minlength=1 << _HASH_BITS)
    often = rows >= max(least, 1)
    one = np.full(rows.size, np.nan)
    one[hashed] = values
    one[~often] = np.nan
    same = values == one.take(hashed)
    counts = np.bincount(hashed[same], minlength=rows.size)
    # Where a hash has other values too, the frequent one may be among these.
    mixed = often & (rows - counts >= least)
    others, times = _distinct(values[mixed.take(hashed) & ~same] if mixed.any() else values[:0])
    found, counted = np.concatenate([one[often], others]), np.concatenate([counts[often], times])
    order = np.argsort(found)
    kept = order[counted[order] >= least]
    return found[kept], counted[kept]


def _distinct(values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    found, counts = np.unique(values, return_counts=True)
    return found, counts.astype(np.int64)
