"""Quality metrics of a binary model on the rows whose label is known.

Ranking metrics come from score cells, the others from exact sums; scores are raw, never recalibrated.
"""

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    NEED_PROPORTION,
    Z95,
    average,
    proportion,
    ratio,
    wilson,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import ScoreSummary
from mlobs_pipelines.core.vocabulary import Estimate, Floats, Ints

MIN_CLASS = 30


@metric("base_rate", ScoreSummary, family="quality")
def base_rate(summary: ScoreSummary) -> Estimate:
    """Positives ÷ labelled rows."""
    return proportion(summary.bin_positives.sum(axis=-1), summary.bin_n.sum(axis=-1))


@metric("mean_score", ScoreSummary, family="quality")
def mean_score(summary: ScoreSummary) -> Estimate:
    """Mean score of the labelled rows, so that it compares with `base_rate`."""
    total, squares = summary.bin_score.sum(axis=-1), summary.bin_score_sq.sum(axis=-1)
    return average(total, squares, summary.bin_n.sum(axis=-1), ceiling=1.0)


@metric("auc", ScoreSummary, family="quality", direction=1)
def auc(summary: ScoreSummary) -> Estimate:
    """Area under the ROC curve: P(score of a positive > of a negative), ties ½.

    Mann-Whitney over score cells; a 95 % interval by DeLong, DeLong and Clarke-Pearson (1988) on the
    same cells. The bound ½ Σ p n / (P N) is what ties inside cells may hide.
    """
    area, variance, bound = delong(summary.positives, summary.negatives)
    half = Z95 * np.sqrt(variance)
    positives, negatives = summary.positives.sum(axis=-1), summary.negatives.sum(axis=-1)
    return Estimate(
        area,
        np.asarray(positives + negatives),
        np.clip(area - half, 0, 1),
        np.clip(area + half, 0, 1),
        bound,
        sufficient=np.asarray((positives >= MIN_CLASS) & (negatives >= MIN_CLASS)),
        need=f"at least {MIN_CLASS} positives and {MIN_CLASS} negatives",
    )


def delong(positives: Ints, negatives: Ints) -> tuple[Floats, Floats, Floats]:
    """AUC, its DeLong variance and its binning bound from counts over ascending score cells.

    Parameters
    ----------
    positives, negatives : (..., B)
        Rows per cell and label; rows of one cell count as tied.

    Returns
    -------
    area, variance, bound : (...,) float64
        The area is NaN without both labels, the variance with fewer than two rows of either.
    """
    n_pos, n_neg = positives.sum(axis=-1), negatives.sum(axis=-1)
    below = _placement(negatives, n_neg)
    area = ratio(_dot(positives, below), np.where(n_neg > 0, n_pos, 0))
    spread_pos = _spread(positives, below, area, n_pos)
    above = 1 - _placement(positives, n_pos)
    variance = ratio(spread_pos, n_pos) + ratio(_spread(negatives, above, area, n_neg), n_neg)
    return area, variance, ratio(_dot(positives, negatives) / 2, n_pos * n_neg)


def _placement(counts: Ints, n: Ints) -> Floats:
    """Share of `counts` below each cell, its own cell counted half; 0 where there are none."""
    middle = np.cumsum(counts, axis=-1) - counts / 2
    middle /= np.maximum(n, 1)[..., np.newaxis]
    return np.asarray(middle)


def _spread(counts: Ints, placement: Floats, area: Floats, n: Ints) -> Floats:
    """Sample variance of the placements of one label's rows."""
    away = placement - area[..., np.newaxis]
    return ratio(_dot(counts, away * away), n - 1)


def _dot(left: Ints, right: Ints | Floats) -> Floats:
    # A running sum adds cell by cell: cells that are empty here but not in another window change no bit.
    running = np.cumsum(left * np.asarray(right, np.float64), axis=-1)
    return np.asarray(running[..., -1]) if running.shape[-1] else np.zeros(running.shape[:-1])


@metric("accuracy", ScoreSummary, family="quality", direction=1)
def accuracy(summary: ScoreSummary) -> Estimate:
    """Rows classified rightly at the model's own threshold ÷ labelled rows."""
    right = summary.tp + summary.tn
    return proportion(right, right + summary.fp + summary.fn)


@metric("precision", ScoreSummary, family="quality", direction=1)
def precision(summary: ScoreSummary) -> Estimate:
    """True positives ÷ predicted positives; NaN where nothing was predicted positive."""
    return proportion(summary.tp, summary.tp + summary.fp)


@metric("recall", ScoreSummary, family="quality", direction=1)
def recall(summary: ScoreSummary) -> Estimate:
    """True positives ÷ positives; NaN where there are none."""
    return proportion(summary.tp, summary.tp + summary.fn)


@metric("f1", ScoreSummary, family="quality", direction=1)
def f1(summary: ScoreSummary) -> Estimate:
    """2 TP ÷ (2 TP + FP + FN).

    The interval is Wilson's for the proportion J = TP ÷ (TP + FP + FN), carried over by F1 = 2J ÷ (1 + J).
    """
    n = summary.tp + summary.fp + summary.fn
    lower, upper = wilson(summary.tp, n)
    value = ratio(2 * summary.tp, summary.tp + n)
    ends = np.fmin(2 * lower / (1 + lower), value), np.fmax(2 * upper / (1 + upper), value)
    return Estimate(value, np.asarray(n), *ends, sufficient=n >= MIN_PROPORTION, need=NEED_PROPORTION)


@metric("log_loss", ScoreSummary, family="quality", direction=-1)
def log_loss(summary: ScoreSummary) -> Estimate:
    """Mean of -ln(score given to the label that came true), natural logarithm."""
    return average(summary.log_loss, summary.log_loss_sq, summary.bin_n.sum(axis=-1))


@metric("brier_score", ScoreSummary, family="quality", direction=-1)
def brier_score(summary: ScoreSummary) -> Estimate:
    """Mean of (score - label)² (Brier 1950)."""
    n = summary.bin_n.sum(axis=-1)
    return average(summary.squared_error, summary.squared_error_sq, n, ceiling=1.0)
