"""Quality on labels known so far, corrected for labels that take longer when they say one thing.

Every known label stands for 1 ÷ the probability that a label like it has arrived by the age of its prediction
(inverse probability weighting; Horvitz and Thompson 1952): the value is an estimate for the moment when all
labels of the horizon are there. It takes that labels come as fast as they did on earlier days, and that their
lag does not depend on the score beyond what was decided. Raw values are `quality`.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from mlobs_pipelines.core.metrics import quality
from mlobs_pipelines.core.metrics.estimates import Z95, proportion
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import CorrectedSummary, ScoreSummary
from mlobs_pipelines.core.vocabulary import Estimate, Floats

Quality = Callable[[ScoreSummary], Estimate]


def corrected(summary: CorrectedSummary, measure: Quality) -> Estimate:
    """A metric of the weighted labels; its interval knows of the weights and of the lag curves' own error."""
    outcome, moved = _outcomes(summary)
    found = measure(outcome)
    return widened(found, measure(moved).value, found.value.ndim)


def widened(found: Estimate, moved: Floats, axis: int) -> Estimate:
    """An estimate of weighted labels with the lag curves' own error in its interval.

    Parameters
    ----------
    moved
        The value as it would be with other lag curves, in independent directions on one axis more.
    axis
        That axis.
    """
    moves = moved - np.expand_dims(found.value, axis)
    half = Z95 * np.sqrt((moves * moves).sum(axis=axis))
    down, up = (np.hypot(np.abs(found.value - end), half) for end in (found.lower, found.upper))
    lower = np.clip(found.value - down, np.minimum(0, found.value), found.value)
    return replace(found, lower=lower, upper=np.clip(found.value + up, found.value, np.fmax(1, found.value)))


@shared
def _outcomes(summary: CorrectedSummary) -> tuple[ScoreSummary, ScoreSummary]:
    """The weighted labels, and as they would be with other lag curves, on an axis more."""
    axis, scores, shifts = np.ndim(summary.scores.tp), summary.scores, summary.shifts
    kept = {*ScoreSummary.FIXED, "once", "twice"}
    names = [item.name for item in fields(ScoreSummary) if item.name not in kept]
    arrays: dict[str, Floats] = {
        name: np.expand_dims(getattr(scores, name), axis) + getattr(shifts, name) for name in names
    }
    return summary.outcome, replace(scores, **arrays, once=None, twice=None)


@metric("corrected_base_rate", CorrectedSummary, family="quality")
def corrected_base_rate(summary: CorrectedSummary) -> Estimate:
    """Positives ÷ labels, expected once all labels of the horizon are there."""
    return corrected(summary, _base_rate)


def _base_rate(scores: ScoreSummary) -> Estimate:
    """From the decisions, which are weighted exactly where bins that the threshold cuts are not."""
    return proportion(scores, lambda s: (s.tp + s.fn, s.tp + s.fn + s.fp + s.tn))


@metric("corrected_auc", CorrectedSummary, family="quality", direction=1)
def corrected_auc(summary: CorrectedSummary) -> Estimate:
    """Area under the ROC curve, expected once all labels of the horizon are there."""
    return corrected(summary, quality.auc)


@metric("corrected_accuracy", CorrectedSummary, family="quality", direction=1)
def corrected_accuracy(summary: CorrectedSummary) -> Estimate:
    """Share of rows classified rightly, expected once all labels of the horizon are there."""
    return corrected(summary, quality.accuracy)


@metric("corrected_precision", CorrectedSummary, family="quality", direction=1)
def corrected_precision(summary: CorrectedSummary) -> Estimate:
    """True positives ÷ predicted positives, expected once all labels of the horizon are there."""
    return corrected(summary, quality.precision)


@metric("corrected_recall", CorrectedSummary, family="quality", direction=1)
def corrected_recall(summary: CorrectedSummary) -> Estimate:
    """True positives ÷ positives, expected once all labels of the horizon are there."""
    return corrected(summary, quality.recall)


@metric("corrected_brier_score", CorrectedSummary, family="quality", direction=-1)
def corrected_brier_score(summary: CorrectedSummary) -> Estimate:
    """Mean of (score - label)², expected once all labels of the horizon are there."""
    return corrected(summary, quality.brier_score)
