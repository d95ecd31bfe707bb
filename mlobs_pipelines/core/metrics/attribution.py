"""What carries a drift: the bins and the segments that PSI is made of.

Registers no metric: these take a value apart that `drift` computed.
"""

import numpy as np

from mlobs_pipelines.core.metrics.drift import JEFFREYS, smoothed_shares
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints


def psi_parts(window_bins: Amounts, baseline_bins: Amounts) -> Floats:
    """What each bin adds to PSI: (a - e) ln(a / e), never below 0; the parts sum to PSI.

    Parameters
    ----------
    window_bins : (..., B)
        Counts of the window.
    baseline_bins : (B,)
        Counts of the baseline over the same bins.

    Returns
    -------
    (..., B) float64
    """
    actual, expected = smoothed_shares(window_bins), smoothed_shares(baseline_bins)
    return np.asarray((actual - expected) * np.log(actual / expected))


def psi_carriers(window_bins: Amounts, baseline_bins: Amounts, most: int = 3) -> tuple[Ints, Floats]:
    """The bins that carry most of PSI, and what each adds to it.

    Returns
    -------
    (..., k) int64, (..., k) float64
        Largest first, k = min(most, B); of equal ones the lower bin first.

    Examples
    --------
    >>> bins, parts = psi_carriers(np.array([850, 100, 50]), np.array([900, 100, 0]), 2)
    >>> bins.tolist(), parts.round(4).tolist()
    ([2, 0], [0.2304, 0.0029])
    """
    parts = psi_parts(window_bins, baseline_bins)
    index = np.argsort(-parts, axis=-1, kind="stable")[..., :most]
    return index, np.take_along_axis(parts, index, axis=-1)


def psi_by_segment(window_bins: Amounts, baseline_bins: Amounts) -> Floats:
    """What each value of a segment adds to the PSI of all rows.

    The share of a bin is a sum over segment values, so Σ (a - e) ln(a / e) is one too: a value whose rows
    moved as the whole did adds, one that moved the other way takes off. Smoothing is spread evenly.

    Parameters
    ----------
    window_bins : (S, ..., B)
        Counts of the window per value of the segment.
    baseline_bins : (S, B) or (S, ..., B)
        Counts of the baseline per value: one for all windows, or one for each.

    Returns
    -------
    (S, ...) float64
        The parts sum to the PSI of all rows.
    """
    values, width = window_bins.shape[0], window_bins.shape[-1]
    before = baseline_bins
    if before.ndim < window_bins.ndim:
        before = before.reshape(values, *[1] * (window_bins.ndim - 2), width)
    each = JEFFREYS / values
    shares = [(bins + each) / _size(bins, width) for bins in (window_bins, before)]
    actual, expected = (share.sum(axis=0) for share in shares)
    return np.asarray(((shares[0] - shares[1]) * np.log(actual / expected)).sum(axis=-1))


def _size(bins: Amounts, width: int) -> Floats:
    """Rows of all values together, smoothing included; NaN where there are none."""
    n = bins.sum(axis=(0, -1))[..., np.newaxis]
    return np.where(n > 0, n + JEFFREYS * width, np.nan)


def mean_change(
    rows_before: Amounts, means_before: Floats, rows_after: Amounts, means_after: Floats
) -> tuple[Floats, Floats]:
    """What each part adds to the change of a mean over all rows: by having more rows, and by having changed.

    Mix is (w' - w)(m - M) with w the part's share of rows, m its mean and M that of all rows before; within
    is w'(m' - m). Summed over parts they are M' - M exactly: taking M off adds Σ (w' - w) M = 0, and lets a
    part that grew tell whether it is better or worse than the rest. A part without rows on one side is taken
    to have had there the mean of its other side.

    Parameters
    ----------
    rows_before, means_before, rows_after, means_after : (S,)
        Rows of each part and its mean; NaN where a part has no rows.

    Examples
    --------
    >>> mix, within = mean_change(*map(np.array, ([50, 50], [0.1, 0.3], [25, 75], [0.1, 0.4])))
    >>> mix.round(6).tolist(), within.round(6).tolist()
    ([0.025, 0.025], [0.0, 0.075])
    """
    before = np.where(rows_before > 0, means_before, means_after)
    after = np.where(rows_after > 0, means_after, before)
    before, after = (np.where(np.isfinite(means), means, 0.0) for means in (before, after))
    shares, now = (
        rows / total if (total := rows.sum()) else rows * 0.0 for rows in (rows_before, rows_after)
    )
    mix = (now - shares) * (before - (shares * before).sum())
    return mix, now * (after - before)
