"""The metric registry: one function per metric, one file per family.

A metric takes one summary (`mlobs_pipelines.core.summaries`), computes, and returns an `Estimate`. It does
not know windows, thresholds or tables. Importing this package registers every metric.
"""

from mlobs_pipelines.core.metrics import (
    attribution,
    attribution_drift,
    calibration,
    class_estimated,
    class_lags,
    corrected,
    distances,
    drift,
    estimated,
    fairness,
    label_lag,
    label_states,
    multiclass,
    multiclass_ranking,
    multivariate,
    operations,
    paired,
    panel,
    profile,
    quality,
    recalibration,
    regression,
    shift,
    skew,
    volume,
)
from mlobs_pipelines.core.metrics.registry import METRICS, Metric

__all__ = [
    "METRICS",
    "Metric",
    "attribution",
    "attribution_drift",
    "calibration",
    "class_estimated",
    "class_lags",
    "corrected",
    "distances",
    "drift",
    "estimated",
    "fairness",
    "label_lag",
    "label_states",
    "multiclass",
    "multiclass_ranking",
    "multivariate",
    "operations",
    "paired",
    "panel",
    "profile",
    "quality",
    "recalibration",
    "regression",
    "shift",
    "skew",
    "volume",
]
