"""Further distances between a window and its baseline: each says in other units what PSI and KS say.

Over drift bins: Jensen-Shannon, Hellinger, L∞, χ² with Cramér's V. Over values: Wasserstein. Shares are raw
here, never smoothed.
"""

from math import log

import numpy as np

from mlobs_pipelines.core.metrics.drift import psi_noise, weighted_psi_noise
from mlobs_pipelines.core.metrics.estimates import dot, effective, layers, ratio
from mlobs_pipelines.core.metrics.positions import Positions, positions
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

LEAST_EXPECTED = 5
LEAST_STD = 0.001
_NEED = f"an expected count of at least {LEAST_EXPECTED} in every bin"
_Z99 = 2.5758293035489004


def _shares(bins: Amounts) -> Floats:
    return ratio(bins, bins.sum(axis=-1, keepdims=True))


def js_divergence(window_bins: Amounts, baseline_bins: Amounts) -> Floats:
    """Jensen-Shannon divergence to base 2, in [0, 1] (Lin 1991); NaN where either side has no rows.

    Examples
    --------
    >>> round(float(js_divergence(np.array([0, 1, 1, 2]), np.array([1, 1, 0, 0]))), 11)
    0.65563906222
    """
    p, q = np.broadcast_arrays(_shares(window_bins), _shares(baseline_bins))
    half = (p + q) / 2
    parts = [side * np.log2(np.where(side > 0, ratio(side, half), 1)) for side in (p, q)]
    return np.asarray(np.clip((parts[0] + parts[1]).sum(axis=-1) / 2, 0, 1))


def hellinger(window_bins: Amounts, baseline_bins: Amounts) -> Floats:
    """‖√p - √q‖₂ ÷ √2, in [0, 1] (Hellinger 1909); NaN where either side has no rows."""
    away = np.sqrt(_shares(window_bins)) - np.sqrt(_shares(baseline_bins))
    return np.asarray(np.minimum(np.sqrt((away * away).sum(axis=-1) / 2), 1))


@metric("js_distance", FeatureSummary, family="drift", direction=-1, detail=True)
def js_distance(summary: FeatureSummary) -> Estimate:
    """Square root of the base-2 Jensen-Shannon divergence over the drift bins: 0 to 1.

    Near no drift the divergence is PSI ÷ (8 ln 2), so its noise point follows from PSI's.
    """
    value = np.sqrt(js_divergence(summary.bins, summary.baseline_bins))
    return _like_psi(summary, value, 8 * log(2))


@metric("hellinger", FeatureSummary, family="drift", direction=-1, detail=True)
def hellinger_distance(summary: FeatureSummary) -> Estimate:
    """Hellinger distance over the drift bins: 0 to 1. Near no drift its square is PSI ÷ 8."""
    return _like_psi(summary, hellinger(summary.bins, summary.baseline_bins), 8)


def _like_psi(summary: FeatureSummary, value: Floats, factor: float) -> Estimate:
    """An estimate whose square is PSI ÷ factor where drift is small."""
    n, squares, seen = layers(summary, lambda s: np.asarray(s.bins.sum(axis=-1)))
    noise = psi_noise(n, summary.baseline_bins.sum(axis=-1), summary.bins.shape[-1])
    if summary.twice is not None and summary.bins.shape[-1] > 1:
        uneven = weighted_psi_noise(summary.bins, summary.twice.bins, summary.baseline_bins)
        noise = np.where(n == squares, noise, uneven)
    return Estimate(value, seen, noise=np.sqrt(noise / factor), effective=effective(n, squares))


@metric("linf", FeatureSummary, family="drift", direction=-1, detail=True)
def linf(summary: FeatureSummary) -> Estimate:
    """L∞: the largest |share - baseline share| of a drift bin.

    Its noise point holds for all bins at once: the normal one of each bin at 1 % ÷ bins (Bonferroni).
    """
    from scipy.special import ndtri  # noqa: PLC0415 - costs more to import than the rest of core

    n, squares, seen = layers(summary, lambda s: np.asarray(s.bins.sum(axis=-1)))
    expected = _shares(summary.baseline_bins)
    value = np.max(np.abs(_shares(summary.bins) - expected), axis=-1)
    spread = _share_variance(summary, n, squares) + ratio(
        expected * (1 - expected), summary.baseline_bins.sum(axis=-1, keepdims=True)
    )
    z = -ndtri(0.005 / summary.bins.shape[-1])
    noise = z * np.sqrt(np.max(spread, axis=-1))
    return Estimate(value, seen, noise=noise, effective=effective(n, squares))


def _share_variance(summary: FeatureSummary, n: Amounts, squares: Amounts) -> Floats:
    """Variance of each bin's share if the baseline's shares are the true ones; weights widen it."""
    expected = _shares(summary.baseline_bins)
    plain = ratio(expected * (1 - expected), np.asarray(n)[..., np.newaxis])
    if summary.twice is None:
        return plain
    total, twice = (np.asarray(array)[..., np.newaxis] for array in (n, squares))
    inside = np.where(summary.bins > 0, ratio(summary.twice.bins, summary.bins), ratio(twice, total))
    rest = twice - summary.twice.bins
    uneven = ratio((1 - expected) ** 2 * expected * inside, total) + ratio(expected**2 * rest, total * total)
    return np.where(total == twice, plain, uneven)


def chi_square(window_bins: Amounts, baseline_bins: Amounts) -> tuple[Floats, Ints, Flags]:
    """Pearson's χ² of the 2 x k table of window and baseline, without its empty columns.

    A 2 x 2 table has one degree of freedom and is corrected for continuity (Yates 1934), as in scipy.

    Returns
    -------
    statistic : (...,) float64
        NaN where either side has no rows.
    columns : (...,) int64
        k, the bins that have rows on either side.
    fit : (...,) bool
        Whether every expected count is at least 5.
    """
    window, baseline = np.broadcast_arrays(
        np.asarray(window_bins, np.float64), np.asarray(baseline_bins, np.float64)
    )
    both = window + baseline
    columns = np.count_nonzero(both, axis=-1)
    correction = np.where(columns == 2, 0.5, 0.0)[..., np.newaxis]
    n, m = window.sum(axis=-1, keepdims=True), baseline.sum(axis=-1, keepdims=True)
    statistic = np.zeros(n.shape)
    fit = np.ones(both.shape, dtype=bool)
    for counts, size in ((window, n), (baseline, m)):
        expected = ratio(both * size, n + m)
        fit &= (expected >= LEAST_EXPECTED) | (both == 0)
        away = np.maximum(np.abs(counts - expected) - correction, 0)
        statistic = statistic + np.nan_to_num(ratio(away**2, expected)).sum(axis=-1, keepdims=True)
    known = (n > 0) & (m > 0)
    found = np.where(known, statistic, np.nan)[..., 0]
    return found, columns, np.asarray(fit.all(axis=-1))


def _worth(summary: FeatureSummary) -> tuple[Floats, Ints, Floats]:
    """Bins in which weighted rows count as many as they are worth (Rao and Scott 1981, first order)."""
    n, squares, seen = layers(summary, lambda s: np.asarray(s.bins.sum(axis=-1)))
    size = effective(n, squares)
    worth = np.asarray(summary.bins * np.nan_to_num(ratio(size, n))[..., np.newaxis])
    return np.where((size == n)[..., np.newaxis], summary.bins, worth), seen, size


@metric("chi_square_p", FeatureSummary, family="drift", direction=1, takes="categories", detail=True)
def chi_square_p(summary: FeatureSummary) -> Estimate:
    """p-value of Pearson's χ² test of homogeneity over the drift bins: small where the two differ."""
    from scipy.special import chdtrc  # noqa: PLC0415 - costs more to import than the rest of core

    worth, seen, size = _worth(summary)
    statistic, columns, fit = chi_square(worth, summary.baseline_bins)
    value = np.where(columns > 1, chdtrc(np.maximum(columns - 1, 1), statistic), statistic + 1)
    return Estimate(value, seen, effective=size, sufficient=fit, need=_NEED)


@metric("cramers_v", FeatureSummary, family="drift", direction=-1, takes="categories", detail=True)
def cramers_v(summary: FeatureSummary) -> Estimate:
    """Cramér's V of window against baseline over the drift bins, bias-corrected (Bergsma 2013): 0 to 1."""
    worth, seen, size = _worth(summary)
    statistic, columns, fit = chi_square(worth, summary.baseline_bins)
    value = corrected_v(statistic, size + summary.baseline_bins.sum(axis=-1), columns)
    return Estimate(value, seen, effective=size, sufficient=fit, need=_NEED)


def corrected_v(statistic: Floats, n: Amounts, columns: Ints) -> Floats:
    """Cramér's V of a 2 x k table from its χ², less what chance alone adds (Bergsma 2013).

    Examples
    --------
    >>> round(float(corrected_v(np.array(94.289286), np.array(2000), np.array(2))), 5)
    0.21603
    """
    chance = ratio(1, n - 1)
    phi = np.maximum(ratio(statistic, n) - (columns - 1) * chance, 0)
    freedom = np.minimum(1 - chance, columns - 1 - (columns - 1) ** 2 * chance)
    value = np.minimum(np.sqrt(ratio(phi, freedom)), 1)
    return np.where(columns > 1, value, 0 * statistic)


@metric("wasserstein", FeatureSummary, family="drift", direction=-1, takes="numbers", detail=True)
def wasserstein(summary: FeatureSummary) -> Estimate:
    """Wasserstein-1 distance ÷ max(standard deviation of the baseline, 0.001), present values only.

    Rows stand at the middle of their cell: the bound is how far that may move the quotient. The noise point
    is that of a distance whose every part reaches its own 99 % point, so stable windows stay well under it.
    """
    n, squares, seen = layers(summary, lambda s: np.asarray(s.cells.sum(axis=-1)))
    at = positions(summary)
    if at is None:
        return Estimate(np.full(n.shape, np.nan), seen)
    m = np.asarray(summary.baseline_cells.sum(axis=-1))
    share = [ratio(np.cumsum(cells[..., at.order], axis=-1), total[..., np.newaxis])
             for cells, total in ((summary.cells, n), (summary.baseline_cells, m))]  # fmt: skip
    distance = _area(np.abs(share[0] - share[1]), at)
    off = at.half_width(summary.cells) + at.half_width(summary.baseline_cells)
    spread, spread_off = at.deviation(summary.baseline_cells)
    scale = np.maximum(spread, LEAST_STD)
    value = ratio(distance, scale)
    bound = ratio(off + value * spread_off, np.maximum(scale - spread_off, LEAST_STD))
    noise = _Z99 * ratio(_area(np.sqrt(share[1] * (1 - share[1])), at), scale)
    noise = noise * np.sqrt(ratio(1, effective(n, squares)) + ratio(1, m))
    return Estimate(value, seen, bound=bound, noise=noise, effective=effective(n, squares))


def _area(heights: Floats, at: Positions) -> Floats:
    """Area under a step function that has a height from each position on, and none after the last one.

    Written as Σ x (height before - height after), so that an empty cell in between changes no bit.
    """
    after = heights.copy()
    after[..., -1:] = 0
    before = np.concatenate([np.zeros_like(after[..., :1]), after[..., :-1]], axis=-1)
    return np.maximum(dot(before - after, at.values), 0)
