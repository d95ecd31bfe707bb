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

    The 95 % interval is normal, by the delta method on mean squared error and label variance. The spread of
    e² is that of the rows; that of (label - mean)², and how it goes along with e², are those of normal
    labels and errors with the same covariance, because the summary holds no fourth moments of labels: labels
    with longer tails make the interval too narrow.
    """
    n, squares, seen = layers(summary, lambda s: s.n)
    mean = ratio(summary.label, n)
    spread = ratio(summary.label_sq, n) - mean**2
    spread = np.where(spread > 1e-12 * np.nan_to_num(ratio(summary.label_sq, n)), spread, np.nan)
    error = ratio(summary.error_sq, n)
    value = 1 - ratio(error, spread)
    together = ratio(summary.cross, n) - mean * ratio(summary.error, n)
    half = Z95 * np.sqrt(_r2_variance(summary, error, spread, together))
    worth = effective(n, squares)
    upper = np.clip(value + half, value, 1)
    return Estimate(value, np.asarray(seen), value - half, upper, **enough(worth, MIN_PROPORTION))


def _r2_variance(summary: RegressionSummary, error: Floats, spread: Floats, together: Floats) -> Floats:
    """Variance of 1 - error ÷ spread, means over the rows of e² and (y - mean)²; NaN for fewer than two."""
    twice = summary.squared
    own = twice.error_4 - 2 * error * twice.error_sq + error**2 * twice.n
    rest = twice.n * (2 * error**2 - 4 * error * ratio(together**2, spread))
    found = ratio(np.maximum(own + rest, 0), summary.n**2) / spread**2
    return np.where(effective(summary.n, twice.n) > 1, found, np.nan)


def _percentile(name: str, level: float) -> Callable[[RegressionSummary], Estimate]:
    """Register one percentile of |error|; its bound is the width of the cell it lies in."""

    @metric(name, RegressionSummary, family="quality", unit=UNIT, direction=-1)
    def percentile(summary: RegressionSummary) -> Estimate:
        return quantile(summary, _errors, (summary.low, summary.high), level)

    return percentile


def _errors(summary: RegressionSummary) -> Amounts:
    return summary.errors


absolute_error_p50 = _percentile("absolute_error_p50", 0.50)
absolute_error_p90 = _percentile("absolute_error_p90", 0.90)
absolute_error_p95 = _percentile("absolute_error_p95", 0.95)
