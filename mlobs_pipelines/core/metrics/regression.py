"""Quality metrics of a regression model on the rows whose label is known.

An error is prediction - label. All but the percentiles come from exact sums.
"""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    Z95,
    average,
    effective,
    enough,
    layers,
    proportion,
    ratio,
)
from mlobs_pipelines.core.metrics.quantiles import quantile
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import RegressionSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats

UNIT = "label"  # that of the label
_FLAT = 1e-12  # labels whose variance is so small beside their square differ by rounding


@metric("mae", RegressionSummary, family="quality", unit=UNIT, direction=-1)
def mae(summary: RegressionSummary) -> Estimate:
    """Mean absolute error, in the label's unit."""
    return average(summary, lambda s: (s.absolute, s.error_sq, s.n))


@metric("bias", RegressionSummary, family="quality", unit=UNIT)
def bias(summary: RegressionSummary) -> Estimate:
    """Mean error, in the label's unit: above 0 where predictions are too high."""
    return average(summary, lambda s: (s.error, s.error_sq, s.n), floor=-np.inf)


@metric("rmse", RegressionSummary, family="quality", unit=UNIT, direction=-1)
def rmse(summary: RegressionSummary) -> Estimate:
    """Root of the mean squared error, in the label's unit.

    The 95 % interval is normal, with the standard error of the mean squared error ÷ 2 RMSE (delta method).
    """
    found = average(summary, lambda s: (s.error_sq, s.error_4, s.n))
    value = np.sqrt(found.value)
    half = ratio(found.upper - found.value, 2 * value)
    half = np.where((value == 0) & np.isfinite(found.upper), 0.0, half)
    size = found.effective
    return Estimate(value, found.n, np.maximum(value - half, 0), value + half, **enough(size, MIN_PROPORTION))


@metric("mape", RegressionSummary, family="quality", direction=-1)
def mape(summary: RegressionSummary) -> Estimate:
    """Mean of |error ÷ label| over the rows whose label is not 0; `mape_undefined_share` tells the others."""
    return average(summary, lambda s: (s.relative, s.relative_sq, s.n - s.zero))


@metric("mape_undefined_share", RegressionSummary, family="quality", direction=-1)
def mape_undefined_share(summary: RegressionSummary) -> Estimate:
    """Rows whose label is 0, which `mape` leaves out, ÷ labelled rows."""
    return proportion(summary, lambda s: (s.zero, s.n))


@metric("r2", RegressionSummary, family="quality", direction=1)
def r2(summary: RegressionSummary) -> Estimate:
    """1 - Σe² ÷ Σ(label - mean label)²; NaN where all labels are equal.

    The 95 % interval is normal, by the delta method on both means of squares, from fourth moments of errors
    and labels; there is none where these were not counted.
    """
    n, squares, seen = layers(summary, lambda s: s.n)
    mean = ratio(summary.label, n)
    spread = ratio(summary.label_sq, n) - mean**2
    spread = np.where(spread > _FLAT * np.nan_to_num(ratio(summary.label_sq, n)), spread, np.nan)
    share = ratio(ratio(summary.error_sq, n), spread)
    value, worth = 1 - share, effective(n, squares)
    variance = ratio(_r2_influence(summary.squared, mean, share), spread**2)
    half = Z95 * np.sqrt(ratio(ratio(variance, n), n - ratio(squares, n)))
    upper = np.clip(value + half, value, 1)
    return Estimate(value, np.asarray(seen), value - half, upper, **enough(worth, MIN_PROPORTION))


def _r2_influence(summary: RegressionSummary, mean: Floats, share: Floats) -> Floats:
    """Σ(share (y - mean)² - e²)²: what the rows do to R², each times the label variance; NaN if not known."""
    z, zz, zzz, zzzz = summary.label, summary.label_sq, summary.label_3, summary.label_4
    ez, zze = summary.error_sq_label, summary.cross_sq
    if zzz is None or zzzz is None or ez is None or zze is None:
        return np.full(share.shape, np.nan)
    fourth = zzzz - 4 * mean * zzz + 6 * mean**2 * zz - 4 * mean**3 * z + mean**4 * summary.n
    both = zze - 2 * mean * ez + mean**2 * summary.error_sq
    return np.maximum(share**2 * fourth - 2 * share * both + summary.error_4, 0)


def _percentile(name: str, level: float) -> Callable[[RegressionSummary], Estimate]:
    """Register one percentile of |error|; its bound is the width of the cell it lies in."""

    @metric(name, RegressionSummary, family="quality", unit=UNIT, direction=-1)
    def percentile(summary: RegressionSummary) -> Estimate:
        """Absolute error that the share of rows in the name stays within; the bound is its cell's width."""
        return quantile(summary, _errors, (summary.low, summary.high), level)

    return percentile


def _errors(summary: RegressionSummary) -> Amounts:
    return summary.errors


absolute_error_p50 = _percentile("absolute_error_p50", 0.50)
absolute_error_p90 = _percentile("absolute_error_p90", 0.90)
absolute_error_p95 = _percentile("absolute_error_p95", 0.95)
