"""From stored statistics to how long labels of each class take, in every window.

Quality corrected for it is `corrected`; lags of all labels together are in `windows`.
"""

from datetime import timedelta

from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.core.summaries import ClassLagSummary
from mlobs_pipelines.engine.class_lags import BINARY, LAGS, STRATA, codes_of, units_of
from mlobs_pipelines.steps.windows import Counts

LABEL = "label"


def class_names(monitor: Monitor) -> tuple[str, ...]:
    """What labels may say, in the order in which they are counted; nothing for numbers."""
    return {"binary": BINARY, "multiclass": tuple(monitor.classes), "regression": ()}[monitor.task]


def lag_units(monitor: Monitor) -> int:
    """Whole lag units up to the label horizon."""
    return units_of(monitor.labels.horizon / timedelta(hours=1), monitor.labels.unit / timedelta(hours=1))


def class_lag_summary(counts: Counts, monitor: Monitor) -> ClassLagSummary:
    """Lags by class of every window's predictions that have reached the label horizon."""
    classes, width = class_names(monitor), lag_units(monitor) + 1
    flat, group, day = counts.flat(LABEL, LAGS)
    unit, label = codes_of(flat.codes, STRATA if classes == BINARY else len(classes))
    label = label // 2 if classes == BINARY else label
    found = counts.windows(group, day, label * width + unit, len(classes) * width, flat.counts)
    arrived = found.reshape(*found.shape[:-1], len(classes), width)
    return ClassLagSummary(arrived, classes, monitor.labels.unit / timedelta(hours=1))
