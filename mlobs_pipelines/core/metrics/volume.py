"""Volume metrics: how many rows there are and how many of their values are missing."""

import numpy as np

from mlobs_pipelines.core.metrics.estimates import proportion
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Estimate


@metric("row_count", FeatureSummary, family="volume", unit="rows")
def row_count(summary: FeatureSummary) -> Estimate:
    """Rows of the window, missing values included; exact, and 0 where there are none."""
    n = np.asarray(summary.n)
    return Estimate(n.astype(np.float64), n)


@metric("null_share", FeatureSummary, family="volume", direction=-1)
def null_share(summary: FeatureSummary) -> Estimate:
    """Rows without a value ÷ rows. NaN and infinite values are not missing; they are counted apart."""
    return proportion(summary.nulls, summary.n)
