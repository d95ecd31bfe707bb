"""Which metrics a model has by its task: those of the summaries that its statistics can be made into."""

from collections.abc import Mapping

from mlobs_pipelines.core.metrics.registry import Metric
from mlobs_pipelines.core.summaries import (
    ClassCorrectedSummary,
    ClassEstimatedSummary,
    ClassExpectedSummary,
    ClassPairSummary,
    CorrectedSummary,
    DecisionSummary,
    EstimatedSummary,
    GroupSummary,
    LabelSourceSummary,
    MulticlassSummary,
    OutcomeSummary,
    PairSummary,
    PredictedSummary,
    RegressionSummary,
    ScoreSummary,
    ShiftSummary,
    Summary,
    ValueEstimatedSummary,
    ValuePairSummary,
)

TASKS = ("binary", "multiclass", "regression")
# A summary that is not named here is one of every model.
_TASKS_OF: Mapping[type[Summary], tuple[str, ...]] = {
    ScoreSummary: ("binary",),
    DecisionSummary: ("binary",),
    ShiftSummary: ("binary",),
    GroupSummary: ("binary",),
    EstimatedSummary: ("binary",),
    CorrectedSummary: ("binary",),
    PairSummary: ("binary",),
    ClassCorrectedSummary: ("multiclass",),
    ClassEstimatedSummary: ("multiclass",),
    ClassExpectedSummary: ("multiclass",),
    ClassPairSummary: ("multiclass",),
    ValueEstimatedSummary: ("regression",),
    ValuePairSummary: ("regression",),
    MulticlassSummary: ("multiclass",),
    PredictedSummary: ("multiclass",),
    RegressionSummary: ("regression",),
    LabelSourceSummary: ("binary", "multiclass"),
    OutcomeSummary: ("multiclass", "regression"),
}


def has(task: str, metric: Metric) -> bool:
    """Whether models of a task have a metric.

    Examples
    --------
    >>> from mlobs_pipelines.core.metrics import METRICS
    >>> [task for task in TASKS if has(task, METRICS["log_loss"])]
    ['binary', 'multiclass']
    """
    return any(task in _TASKS_OF.get(kind, TASKS) for kind in metric.functions)
