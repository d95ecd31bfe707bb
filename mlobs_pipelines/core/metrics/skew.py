"""Skew metrics: feature values as served against the same values recomputed point-in-time, row by row."""

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    effective,
    enough,
    layers,
    proportion,
    ratio,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import SkewSummary
from mlobs_pipelines.core.vocabulary import Estimate


@metric("skew_mismatch_share", SkewSummary, family="skew", direction=-1)
def skew_mismatch_share(summary: SkewSummary) -> Estimate:
    """Rows with two different values ÷ rows with at least one."""
    return proportion(summary, lambda s: (s.mismatched, s.pairs))


@metric("skew_missing_share", SkewSummary, family="skew", direction=-1)
def skew_missing_share(summary: SkewSummary) -> Estimate:
    """Rows whose value serving did not have although it was known ÷ rows with at least one value."""
    return proportion(summary, lambda s: (s.missing, s.pairs))


@metric("skew_extra_share", SkewSummary, family="skew", direction=-1)
def skew_extra_share(summary: SkewSummary) -> Estimate:
    """Rows served with a value that was not known at the time ÷ rows with at least one value."""
    return proportion(summary, lambda s: (s.extra, s.pairs))


@metric("skew_smape", SkewSummary, family="skew", direction=-1, takes="numbers")
def skew_smape(summary: SkewSummary) -> Estimate:
    """Σ|a - b| ÷ Σ(|a| + |b|) over rows with both values: 0 to 1.

    0 where every value on both sides is zero; NaN for categories, and where no row has both values.
    """
    both, squares, seen = layers(summary, lambda s: np.asarray(s.pairs - s.missing - s.extra))
    agreed = (summary.absolute_sum == 0) & (both > 0) & summary.numeric
    value = np.where(agreed, 0.0, ratio(summary.absolute_delta, summary.absolute_sum))
    return Estimate(value, seen, **enough(effective(both, squares), MIN_PROPORTION))
