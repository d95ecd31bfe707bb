"""Mergeable statistics as values: what a metric function receives.

Each class holds additive counts and sums with any number of leading axes (days, windows); `total` adds over
the first of them, which is what merging means here. Where rows have weights, the fields are weighted, and the
same sums by rows seen and by squared weights go along. Nothing in this package reads rows or knows a window.
"""

from mlobs_pipelines.core.summaries.additive import Additive, weighted
from mlobs_pipelines.core.summaries.attributions import AttributionPanel, AttributionSummary
from mlobs_pipelines.core.summaries.class_corrected import ClassCorrectedSummary
from mlobs_pipelines.core.summaries.class_estimated import ClassEstimatedSummary
from mlobs_pipelines.core.summaries.class_expected import ClassExpectedSummary
from mlobs_pipelines.core.summaries.class_lags import ClassLagSummary
from mlobs_pipelines.core.summaries.corrected import CorrectedSummary
from mlobs_pipelines.core.summaries.estimated import EstimatedSummary
from mlobs_pipelines.core.summaries.features import FeatureSummary, PanelSummary
from mlobs_pipelines.core.summaries.labels import LabelSummary
from mlobs_pipelines.core.summaries.multiclass import MulticlassSummary
from mlobs_pipelines.core.summaries.operations import OperationSummary, QueueSummary, SkewSummary
from mlobs_pipelines.core.summaries.outcomes import OutcomeSummary, PredictedSummary
from mlobs_pipelines.core.summaries.paired import PAIRS, ClassPairSummary, PairSummary, ValuePairSummary
from mlobs_pipelines.core.summaries.regression import RegressionSummary
from mlobs_pipelines.core.summaries.samples import SampleSummary
from mlobs_pipelines.core.summaries.scores import DecisionSummary, GroupSummary, ScoreSummary, ShiftSummary
from mlobs_pipelines.core.summaries.sources import LabelSourceSummary
from mlobs_pipelines.core.summaries.value_estimated import ValueEstimatedSummary

__all__ = [
    "PAIRS",
    "Additive",
    "AttributionPanel",
    "AttributionSummary",
    "ClassCorrectedSummary",
    "ClassEstimatedSummary",
    "ClassExpectedSummary",
    "ClassLagSummary",
    "ClassPairSummary",
    "CorrectedSummary",
    "DecisionSummary",
    "EstimatedSummary",
    "FeatureSummary",
    "GroupSummary",
    "LabelSourceSummary",
    "LabelSummary",
    "MulticlassSummary",
    "OperationSummary",
    "OutcomeSummary",
    "PairSummary",
    "PanelSummary",
    "PredictedSummary",
    "QueueSummary",
    "RegressionSummary",
    "SampleSummary",
    "ScoreSummary",
    "ShiftSummary",
    "SkewSummary",
    "Summary",
    "ValueEstimatedSummary",
    "ValuePairSummary",
    "weighted",
]

Summary = (
    FeatureSummary
    | AttributionSummary
    | AttributionPanel
    | PanelSummary
    | ScoreSummary
    | MulticlassSummary
    | RegressionSummary
    | PredictedSummary
    | OutcomeSummary
    | PairSummary
    | ClassPairSummary
    | ValuePairSummary
    | EstimatedSummary
    | ClassCorrectedSummary
    | ClassEstimatedSummary
    | ClassExpectedSummary
    | ValueEstimatedSummary
    | ShiftSummary
    | DecisionSummary
    | GroupSummary
    | LabelSourceSummary
    | LabelSummary
    | ClassLagSummary
    | CorrectedSummary
    | OperationSummary
    | QueueSummary
    | SkewSummary
    | SampleSummary
)
