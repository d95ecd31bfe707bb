"""Shift of decisions and outcomes: what a model decides, and what comes true, against its baseline.

Drift of features and of the score is `drift`; quality on its own is `quality`.
"""

import numpy as np

from mlobs_pipelines.core.metrics.calibration import ece
from mlobs_pipelines.core.metrics.drift import shift
from mlobs_pipelines.core.metrics.estimates import change, proportion, ratio
from mlobs_pipelines.core.metrics.quality import base_rate
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import (
    DecisionSummary,
    OutcomeSummary,
    PredictedSummary,
    ScoreSummary,
    ShiftSummary,
)
from mlobs_pipelines.core.vocabulary import Amounts, Estimate


@metric("selection_rate", DecisionSummary, family="quality")
def selection_rate(summary: DecisionSummary) -> Estimate:
    """Rows whose score reaches the model's threshold ÷ scored rows, whether or not their label is known.

    Exact where the threshold is the edge of a score cell, as 0.5 is; else the bound is its cell's share.
    """
    found = proportion(summary, lambda s: (s.classes[..., -1], s.classes.sum(axis=-1)))
    bound = ratio(summary.unsure, summary.classes.sum(axis=-1))
    return Estimate(
        found.value, found.n, found.lower, found.upper, bound,
        sufficient=found.sufficient, need=found.need, effective=found.effective,
    )  # fmt: skip


@metric("prediction_psi", DecisionSummary, family="drift", direction=-1)
def prediction_psi(summary: DecisionSummary) -> Estimate:
    """PSI over the predicted classes, with its noise."""
    return shift(summary, lambda s: s.classes, summary.baseline_classes)


@metric("prediction_psi", PredictedSummary, family="drift", direction=-1)
def class_psi(summary: PredictedSummary) -> Estimate:
    """PSI over the predicted classes of a multiclass model, with its noise."""
    return shift(summary, lambda s: s.classes, summary.baseline_classes)


def _labels(scores: ScoreSummary) -> Amounts:
    positives, n = scores.bin_positives.sum(axis=-1), scores.bin_n.sum(axis=-1)
    return np.stack([n - positives, positives], axis=-1)


@metric("label_psi", ShiftSummary, family="drift", direction=-1)
def label_psi(summary: ShiftSummary) -> Estimate:
    """Label shift: PSI over the two labels known so far, against those of the baseline."""
    return shift(summary, lambda s: _labels(s.now), _labels(summary.before))


@metric("label_psi", OutcomeSummary, family="drift", direction=-1)
def outcome_psi(summary: OutcomeSummary) -> Estimate:
    """Label shift: PSI over the classes known so far, or over the drift bins of the numbers known so far."""
    return shift(summary, lambda s: s.outcomes, summary.baseline_outcomes)


@metric("base_rate_change", ShiftSummary, family="drift")
def base_rate_change(summary: ShiftSummary) -> Estimate:
    """Label shift: base rate - base rate of the baseline; interval by Newcombe (1998)."""
    return change(base_rate(summary.scores), base_rate(summary.before))


@metric("ece_change", ShiftSummary, family="calibration", direction=-1)
def ece_change(summary: ShiftSummary) -> Estimate:
    """Calibration drift: ECE - ECE of the baseline."""
    return change(ece(summary.scores), ece(summary.before))
