"""Drift metrics: how far a window's distribution is from its version's training baseline.

Bins and cells are pinned to the baseline before they come here; nothing is fitted to a window.
"""

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.chi_square import point_01
from mlobs_pipelines.core.metrics.estimates import effective, layers, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import Additive, FeatureSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

JEFFREYS = 0.5
_KS_CRITICAL_01 = sqrt(-log(0.01 / 2) / 2)


def psi(window_bins: Amounts, baseline_bins: Ints) -> Floats:
    """Population stability index Σ (a - e) ln(a / e) over shared bins.

    Shares are counts + 0.5, renormalised (Jeffreys' prior), so that empty bins need no floor.

    Parameters
    ----------
    window_bins : (..., B)
        Counts of the window.
    baseline_bins : (B,)
        Counts of the baseline over the same bins.

    Returns
    -------
    (...,) float64
        NaN where either side has no rows.

    Examples
    --------
    >>> round(float(psi(np.array([850, 100, 50]), np.array([900, 100, 0]))), 4)
    0.2333
    """
    actual, expected = smoothed_shares(window_bins), smoothed_shares(baseline_bins)
    return np.asarray(np.sum((actual - expected) * np.log(actual / expected), axis=-1))


def smoothed_shares(bins: Amounts) -> Floats:
    """Smoothed shares of the last axis; NaN where it has no rows."""
    n = bins.sum(axis=-1, keepdims=True)
    smoothed: Floats = (bins + JEFFREYS) / np.where(n > 0, n + JEFFREYS * bins.shape[-1], np.nan)
    return smoothed


def psi_noise(n: Ints, m: int | Ints, bins: int) -> Floats:
    """The 99 % point of PSI between two samples of one distribution: χ²(B-1) x (1/n + 1/m).

    Yurdakul and Naranjo (2020). NaN where either side has no rows.
    """
    spread = ratio(1, n) + ratio(1, m)
    return np.asarray(spread * (point_01(bins - 1) if bins > 1 else 0))


def weighted_psi_noise(bins: Amounts, squared: Amounts, baseline_bins: Ints) -> Floats:
    """The 99 % point of PSI where the window's rows have weights (Rao and Scott 1981, second order).

    PSI is nearly Σ (a - e)² ÷ e, a sum of squares whose spread differs from bin to bin: before renormalising
    a stable share has variance e r, where r is the mean weight of the bin's rows ÷ Σw plus 1 ÷ baseline rows.
    The sum is told by a multiple of χ² of the same mean and variance (Satterthwaite 1946). With all weights 1
    this is `psi_noise`.

    Parameters
    ----------
    bins, squared : (..., B)
        Σw and Σw² of the window.
    baseline_bins : (B,)
        Counts of the baseline.
    """
    from scipy.special import chdtri  # noqa: PLC0415 - costs more to import than the rest of core

    scale, freedom = _weighted_null(bins, squared, baseline_bins)
    return np.asarray(scale * chdtri(freedom, 0.01))


def psi_p(bins: Amounts, squared: Amounts, baseline_bins: Ints) -> Floats:
    """Probability that a stable window shows at least this PSI, by the χ² that its noise point rests on.

    Parameters
    ----------
    bins, squared : (..., B)
        Σw and Σw² of the window; one and the same array where rows have no weights.
    baseline_bins : (..., B)
        Counts of the baseline.

    Returns
    -------
    (...,) float64
        1 for a feature of a single bin, NaN where either side has no rows.
    """
    from scipy.special import chdtrc  # noqa: PLC0415 - costs more to import than the rest of core

    value = psi(bins, baseline_bins)
    if bins.shape[-1] < 2:
        return value + 1
    n, m = bins.sum(axis=-1), baseline_bins.sum(axis=-1)
    scale, freedom = ratio(1, n) + ratio(1, m), np.full(value.shape, bins.shape[-1] - 1.0)
    if squared is not bins:
        uneven, even = _weighted_null(bins, squared, baseline_bins), n == squared.sum(axis=-1)
        scale, freedom = np.where(even, scale, uneven[0]), np.where(even, freedom, uneven[1])
    return np.asarray(chdtrc(freedom, ratio(value, scale)))


def _weighted_null(bins: Amounts, squared: Amounts, baseline_bins: Ints) -> tuple[Floats, Floats]:
    """The multiple of χ², and its degrees of freedom, that PSI of stable weighted rows is told by."""
    total, twice = (array.sum(axis=-1, keepdims=True) for array in (bins, squared))
    mean_weight = np.where(bins > 0, ratio(squared, bins), ratio(twice, total))
    r = ratio(mean_weight, total) + ratio(1, baseline_bins.sum(axis=-1, keepdims=True))
    expected = smoothed_shares(baseline_bins)
    mean, mean_square = (expected * r).sum(axis=-1), (expected * r * r).sum(axis=-1)
    first, second = r.sum(axis=-1) - mean, (r * r).sum(axis=-1) - 2 * mean_square + mean * mean
    return ratio(second, first), ratio(first * first, second)


def ks(window_cells: Amounts, baseline_cells: Ints, atom: Flags) -> tuple[Floats, Floats]:
    """Kolmogorov-Smirnov distance max |F₁ - F₂| at the ends of ascending cells, and its error bound.

    The exact distance of the same rows is within the bound: rows inside a cell have an unknown order unless
    all share one value (`atom`), and an atom may lie anywhere among the rows of the cell it follows.

    Parameters
    ----------
    window_cells : (..., C)
        Counts of the window.
    baseline_cells : (C,)
        Counts of the baseline.
    atom : (C,)
        True where all rows of a cell share one exact value.

    Returns
    -------
    distance, bound : (...,) float64
        NaN where either side has no rows.
    """
    source = np.maximum.accumulate(np.where(atom, -1, np.arange(atom.size)))
    (low_1, high_1), (low_2, high_2) = (_range(cells, source) for cells in (window_cells, baseline_cells))
    above, below = high_1 - low_2, high_2 - low_1
    distance = np.max(np.abs(high_1 - high_2), axis=-1, initial=0)
    most = np.max(np.maximum(above, below), axis=-1, initial=0)
    settled = np.append(~atom[1:], True)  # the next cell starts beyond every row so far
    surely = np.where(settled, np.abs(high_1 - high_2), np.maximum(-above, -below))
    least = np.max(surely, axis=-1, initial=0)
    defined = _defined(window_cells, baseline_cells)
    bound = np.maximum(np.maximum(most - distance, distance - least), 0)
    return np.where(defined, distance, np.nan), np.where(defined, bound, np.nan)


def _defined(window_cells: Amounts, baseline_cells: Ints) -> Flags:
    return np.asarray((window_cells.sum(axis=-1) > 0) & (baseline_cells.sum(axis=-1) > 0))


def _range(cells: Amounts, source: Ints) -> tuple[Floats, Floats]:
    """Least and greatest cumulative share that is possible at each cell's upper end.

    The open rows are those of the nearest cell, at or before, that has an inner order: `source`, -1 for none.
    """
    n = np.maximum(cells.sum(axis=-1, keepdims=True), 1)
    high = np.cumsum(cells, axis=-1) / n
    open_rows = np.where(source >= 0, np.take(cells, np.maximum(source, 0), axis=-1), 0) / n
    return high - open_rows, high


@metric("psi", FeatureSummary, family="drift", direction=-1)
def population_stability(summary: FeatureSummary) -> Estimate:
    """Population stability index Σ (a - e) ln(a / e) over the baseline-pinned drift bins, nulls included.

    Shares a of the window and e of the baseline are those of counts + 0.5. The noise point, which stable
    windows of this size stay under, is χ²(B-1, 99 %) x (1/n + 1/m) (Yurdakul and Naranjo 2020).
    """
    return shift(summary, lambda s: s.bins, summary.baseline_bins)


def shift(summary: Additive, bins: Callable[[Any], Amounts], baseline_bins: Ints) -> Estimate:
    """PSI of counts that a summary holds, with the noise of its sample size.

    Parameters
    ----------
    bins
        From sums to the rows per bin (..., B).
    baseline_bins : (..., B)
        Counts of the baseline; leading axes broadcast.
    """
    found, squared, seen = layers(summary, bins)
    n, squares = found.sum(axis=-1), squared.sum(axis=-1)
    noise = psi_noise(n, baseline_bins.sum(axis=-1), found.shape[-1])
    if squared is not found and found.shape[-1] > 1:
        noise = np.where(n == squares, noise, weighted_psi_noise(found, squared, baseline_bins))
    size = effective(n, n if squared is found else squares)
    value = psi(found, baseline_bins)
    return Estimate(value, np.asarray(seen.sum(axis=-1)), noise=noise, effective=size)


@metric("ks", FeatureSummary, family="drift", direction=-1, takes="numbers")
def kolmogorov_smirnov(summary: FeatureSummary) -> Estimate:
    """KS distance over the finest cells of a numeric feature's present values; NaN for a categorical one."""
    n, squares, seen = layers(summary, lambda s: np.asarray(s.cells.sum(axis=-1)))
    if not summary.ordered:
        return Estimate(np.full(n.shape, np.nan), seen)
    distance, bound = ks(summary.cells, summary.baseline_cells, summary.atom)
    spread = ratio(1, n)
    if summary.twice is not None:
        spread = widest_spread(summary.cells, summary.twice.cells)
    noise = _KS_CRITICAL_01 * np.sqrt(spread + ratio(1, summary.baseline_cells.sum(axis=-1)))
    return Estimate(distance, seen, bound=bound, noise=noise, effective=effective(n, squares))


def widest_spread(cells: Amounts, squared: Amounts) -> Floats:
    """Four times the largest variance of a cumulative share: where all weights are 1, 1 ÷ rows."""
    total, twice = (array.sum(axis=-1, keepdims=True) for array in (cells, squared))
    share, below = ratio(np.cumsum(cells, axis=-1), total), np.cumsum(squared, axis=-1)
    variance = ratio((1 - share) ** 2 * below + share**2 * (twice - below), total * total)
    widest = 4 * np.max(variance, axis=-1, initial=0)
    return np.where((total == twice)[..., 0], ratio(1, total)[..., 0], widest)
