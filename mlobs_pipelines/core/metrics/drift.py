"""Drift metrics: how far a window's distribution is from its version's training baseline.

Bins and cells are pinned to the baseline before they come here; nothing is fitted to a window.
"""

from math import log, sqrt

import numpy as np

from mlobs_pipelines.core.metrics.estimates import ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints

JEFFREYS = 0.5
_KS_CRITICAL_01 = sqrt(-log(0.01 / 2) / 2)


def psi(window_bins: Ints, baseline_bins: Ints) -> Floats:
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
    actual, expected = _shares(window_bins), _shares(baseline_bins)
    return np.asarray(np.sum((actual - expected) * np.log(actual / expected), axis=-1))


def _shares(bins: Ints) -> Floats:
    """Smoothed shares of the last axis; NaN where it has no rows."""
    n = bins.sum(axis=-1, keepdims=True)
    smoothed: Floats = (bins + JEFFREYS) / np.where(n > 0, n + JEFFREYS * bins.shape[-1], np.nan)
    return smoothed


def psi_noise(n: Ints, m: int | Ints, bins: int) -> Floats:
    """The 99 % point of PSI between two samples of one distribution: χ²(B-1) x (1/n + 1/m).

    Yurdakul and Naranjo (2020). NaN where either side has no rows.
    """
    from scipy.special import chdtri  # noqa: PLC0415 - costs more to import than the rest of core

    spread = ratio(1, n) + ratio(1, m)
    return np.asarray(spread * chdtri(bins - 1, 0.01) if bins > 1 else spread * 0)


def ks(window_cells: Ints, baseline_cells: Ints, atom: Flags) -> tuple[Floats, Floats]:
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
    (low_1, high_1), (low_2, high_2) = _range(window_cells, atom), _range(baseline_cells, atom)
    above, below = high_1 - low_2, high_2 - low_1
    distance = np.max(np.abs(high_1 - high_2), axis=-1, initial=0)
    most = np.max(np.maximum(above, below), axis=-1, initial=0)
    settled = np.append(~atom[1:], True)  # the next cell starts beyond every row so far
    surely = np.where(settled, np.abs(high_1 - high_2), np.maximum(-above, -below))
    least = np.max(surely, axis=-1, initial=0)
    defined = _defined(window_cells, baseline_cells)
    bound = np.maximum(np.maximum(most - distance, distance - least), 0)
    return np.where(defined, distance, np.nan), np.where(defined, bound, np.nan)


def _defined(window_cells: Ints, baseline_cells: Ints) -> Flags:
    return np.asarray((window_cells.sum(axis=-1) > 0) & (baseline_cells.sum() > 0))


def _range(cells: Ints, atom: Flags) -> tuple[Floats, Floats]:
    """Least and greatest cumulative share that is possible at each cell's upper end.

    The open rows are those of the nearest cell, at or before, that has an inner order.
    """
    n = np.maximum(cells.sum(axis=-1, keepdims=True), 1)
    source = np.maximum.accumulate(np.where(atom, -1, np.arange(atom.size)))
    high = np.cumsum(cells, axis=-1) / n
    open_rows = np.where(source >= 0, np.take(cells, np.maximum(source, 0), axis=-1), 0) / n
    return high - open_rows, high


@metric("psi", FeatureSummary, family="drift", direction=-1)
def population_stability(summary: FeatureSummary) -> Estimate:
    """PSI over the baseline-pinned drift bins, the NULL bin included, with the noise of its sample size."""
    n, m = np.asarray(summary.bins.sum(axis=-1)), summary.baseline_bins.sum()
    noise = psi_noise(n, m, summary.bins.shape[-1])
    return Estimate(psi(summary.bins, summary.baseline_bins), n, noise=noise)


@metric("ks", FeatureSummary, family="drift", direction=-1)
def kolmogorov_smirnov(summary: FeatureSummary) -> Estimate:
    """KS distance over the finest cells of a numeric feature's present values; NaN for a categorical one."""
    n, m = np.asarray(summary.cells.sum(axis=-1)), summary.baseline_cells.sum()
    if not summary.ordered:
        return Estimate(np.full(n.shape, np.nan), n)
    distance, bound = ks(summary.cells, summary.baseline_cells, summary.atom)
    noise = _KS_CRITICAL_01 * np.sqrt(ratio(1, n) + ratio(1, m))
    return Estimate(distance, n, bound=bound, noise=noise)
