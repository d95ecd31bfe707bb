"""Volume metrics: how many rows there are and how many of their values are missing."""

from mlobs_pipelines.core.metrics.estimates import amount, proportion
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Estimate


@metric("row_count", FeatureSummary, family="volume", unit="rows")
def row_count(summary: FeatureSummary) -> Estimate:
    """Rows of the window, missing values included; 0 where there are none, exact unless rows were sampled."""
    return amount(summary, lambda s: s.n, lambda s: s.n)


@metric("null_share", FeatureSummary, family="volume", direction=-1)
def null_share(summary: FeatureSummary) -> Estimate:
    """Rows without a value ÷ rows. NaN and infinite values are not missing; they are counted apart."""
    return proportion(summary, lambda s: (s.nulls, s.n))
