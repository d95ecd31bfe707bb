"""Quality metrics of a binary model on the rows whose label is known.

Ranking metrics come from score cells, the others from exact sums; scores are raw, never recalibrated.
"""

from dataclasses import replace

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    Z95,
    average,
    dot,
    effective,
    layers,
    proportion,
    ratio,
    wilson,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import ScoreSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats

MIN_CLASS = 30


@metric("base_rate", ScoreSummary, family="quality")
def base_rate(summary: ScoreSummary) -> Estimate:
    """Positives ÷ labelled rows."""
    return proportion(summary, lambda s: (s.bin_positives.sum(axis=-1), s.bin_n.sum(axis=-1)))


@metric("mean_score", ScoreSummary, family="quality")
def mean_score(summary: ScoreSummary) -> Estimate:
    """Mean score of the labelled rows, so that it compares with `base_rate`."""

    def sums(s: ScoreSummary) -> tuple[Floats, Floats, Amounts]:
        return s.bin_score.sum(axis=-1), s.bin_score_sq.sum(axis=-1), s.bin_n.sum(axis=-1)

    return average(summary, sums, ceiling=1.0)


@metric("auc", ScoreSummary, family="quality", direction=1)
def auc(summary: ScoreSummary) -> Estimate:
    """Area under the ROC curve: P(score of a positive > of a negative), ties ½.

    Mann-Whitney over score cells; a 95 % interval by DeLong, DeLong and Clarke-Pearson (1988) on the
    same cells. The bound ½ Σ p n / (P N) is what ties inside cells may hide.
    """
    squared = summary.squared
    area, variance, bound = delong(summary.positives, summary.negatives, squared.positives, squared.negatives)
    half = Z95 * np.sqrt(variance)
    sides = [layers(summary, side) for side in (positive_rows, negative_rows)]
    sizes = [effective(n, squares) for n, squares, _ in sides]
    return Estimate(
        area,
        np.asarray(sum(seen for *_, seen in sides)),
        np.clip(area - half, 0, 1),
        np.clip(area + half, 0, 1),
        bound,
        sufficient=np.asarray((sizes[0] >= MIN_CLASS) & (sizes[1] >= MIN_CLASS)),
        need=f"at least {MIN_CLASS} positives and {MIN_CLASS} negatives",
        effective=sizes[0] + sizes[1],
    )


def positive_rows(summary: ScoreSummary) -> Amounts:
    """Rows whose label is 1."""
    return np.asarray(summary.positives.sum(axis=-1))


def negative_rows(summary: ScoreSummary) -> Amounts:
    """Rows whose label is 0."""
    return np.asarray(summary.negatives.sum(axis=-1))


def delong(
    positives: Amounts,
    negatives: Amounts,
    positives_squared: Amounts | None = None,
    negatives_squared: Amounts | None = None,
) -> tuple[Floats, Floats, Floats]:
    """AUC, its DeLong variance and its binning bound from counts over ascending score cells.

    Parameters
    ----------
    positives, negatives : (..., B)
        Rows per cell and label; rows of one cell count as tied.
    positives_squared, negatives_squared : (..., B), optional
        Σw² per cell and label where rows are weighted: each row's own part in the area then counts with its
        squared weight.

    Returns
    -------
    area, variance, bound : (...,) float64
        The area is NaN without both labels, the variance with fewer than two rows of either.
    """
    n_pos, n_neg = positives.sum(axis=-1), negatives.sum(axis=-1)
    below = placement(negatives, n_neg)
    area = ratio(dot(positives, below), np.where(n_neg > 0, n_pos, 0))
    above = 1 - placement(positives, n_pos)
    twice_pos, twice_neg = _else(positives_squared, positives), _else(negatives_squared, negatives)
    variance = spread(twice_pos, below, area, n_pos) + spread(twice_neg, above, area, n_neg)
    return area, variance, ratio(dot(positives, negatives) / 2, n_pos * n_neg)


def _else(given: Amounts | None, plain: Amounts) -> Amounts:
    return plain if given is None else given


def placement(counts: Amounts, n: Amounts) -> Floats:
    """Share of `counts` below each cell, its own cell counted half; 0 where there are none."""
    middle = np.cumsum(counts, axis=-1) - counts / 2
    middle /= np.maximum(n, 1)[..., np.newaxis]
    return np.asarray(middle)


def spread(squared: Amounts, placed: Floats, area: Floats, n: Amounts) -> Floats:
    """Variance of the mean placement of one label's rows: without weights, their sample variance ÷ n."""
    away = placed - area[..., np.newaxis]
    return ratio(ratio(dot(squared, away * away), n - ratio(squared.sum(axis=-1), n)), n)


@metric("average_precision", ScoreSummary, family="quality", direction=1)
def average_precision(summary: ScoreSummary) -> Estimate:
    """Average precision Σ (recall gained) x (precision) down the score order, rows of one cell tied.

    The interval is Wilson's for as many trials as there are positives (Boyd, Eng and Page 2013, binomial).
    """
    value, bound = precision_area(summary.positives, summary.negatives)
    sides = [layers(summary, side) for side in (positive_rows, negative_rows)]
    sizes = [effective(n, squares) for n, squares, _ in sides]
    trials = np.where(np.isfinite(value), sizes[0], 0)
    lower, upper = wilson(np.nan_to_num(value) * trials, trials)
    return Estimate(
        value,
        np.asarray(sum(seen for *_, seen in sides)),
        np.fmin(lower, value),
        np.fmax(upper, value),
        bound,
        sufficient=np.asarray((sizes[0] >= MIN_CLASS) & (sizes[1] >= MIN_CLASS)),
        need=f"at least {MIN_CLASS} positives and {MIN_CLASS} negatives",
        effective=sizes[0] + sizes[1],
    )


def precision_area(positives: Amounts, negatives: Amounts) -> tuple[Floats, Floats]:
    """Average precision from counts over ascending score cells, and its binning bound.

    In a cell with p positives and n negatives, under P positives and N negatives of higher score, the order
    is not known. All of them tied or the positives first gives each at most (P + p) ÷ (P + N + p), all
    negatives first on average at least the mean of P ÷ (P + N + n) and (P + p) ÷ (P + N + p + n), the
    precision in between being concave.

    Returns
    -------
    area, bound : (...,) float64
        NaN without a positive or without a negative row.
    """
    hits, misses = (np.flip(counts, axis=-1).astype(np.float64) for counts in (positives, negatives))
    gained, false = np.cumsum(hits, axis=-1), np.cumsum(misses, axis=-1)
    precision = ratio(gained, gained + false)
    most = ratio(gained, gained + false - misses)
    first = np.where(gained + false == hits, 1.0, np.nan_to_num(ratio(gained - hits, gained - hits + false)))
    both = (positives.sum(axis=-1) > 0) & (negatives.sum(axis=-1) > 0)
    n = np.where(both, positives.sum(axis=-1), 0)
    area, best, worst = (
        ratio(dot(hits, np.nan_to_num(part)), n) for part in (precision, most, (first + precision) / 2)
    )
    return area, np.maximum(np.maximum(best - area, area - worst), 0)


@metric("accuracy", ScoreSummary, family="quality", direction=1)
def accuracy(summary: ScoreSummary) -> Estimate:
    """Rows classified rightly at the model's own threshold ÷ labelled rows."""
    return proportion(summary, lambda s: (s.tp + s.tn, s.tp + s.tn + s.fp + s.fn))


@metric("precision", ScoreSummary, family="quality", direction=1)
def precision(summary: ScoreSummary) -> Estimate:
    """True positives ÷ predicted positives; NaN where nothing was predicted positive."""
    return proportion(summary, lambda s: (s.tp, s.tp + s.fp))


@metric("recall", ScoreSummary, family="quality", direction=1)
def recall(summary: ScoreSummary) -> Estimate:
    """True positives ÷ positives; NaN where there are none."""
    return proportion(summary, lambda s: (s.tp, s.tp + s.fn))


@metric("specificity", ScoreSummary, family="quality", direction=1)
def specificity(summary: ScoreSummary) -> Estimate:
    """True negatives ÷ negatives, which is 1 - the false positive rate; NaN where there are none."""
    return proportion(summary, lambda s: (s.tn, s.tn + s.fp))


@metric("f1", ScoreSummary, family="quality", direction=1)
def f1(summary: ScoreSummary) -> Estimate:
    """2 TP ÷ (2 TP + FP + FN).

    The interval is Wilson's for the proportion J = TP ÷ (TP + FP + FN), carried over by F1 = 2J ÷ (1 + J).
    """
    found = proportion(summary, lambda s: (s.tp, s.tp + s.fp + s.fn))
    value = ratio(2 * summary.tp, 2 * summary.tp + summary.fp + summary.fn)
    lower, upper = (2 * end / (1 + end) for end in (found.lower, found.upper))
    return replace(found, value=value, lower=np.fmin(lower, value), upper=np.fmax(upper, value))


@metric("log_loss", ScoreSummary, family="quality", direction=-1)
def log_loss(summary: ScoreSummary) -> Estimate:
    """Mean of -ln(score given to the label that came true), natural logarithm."""
    return average(summary, lambda s: (s.log_loss, s.log_loss_sq, s.bin_n.sum(axis=-1)))


@metric("brier_score", ScoreSummary, family="quality", direction=-1)
def brier_score(summary: ScoreSummary) -> Estimate:
    """Mean of (score - label)² (Brier 1950)."""

    def sums(s: ScoreSummary) -> tuple[Floats, Floats, Amounts]:
        return s.squared_error, s.squared_error_sq, s.bin_n.sum(axis=-1)

    return average(summary, sums, ceiling=1.0)
