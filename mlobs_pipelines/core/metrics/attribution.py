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
