"""Quality while labels are late: what the scores say, calibrated on the version's own matured cohort.

Confidence-based performance estimation (CBPE; NannyML's documentation, "Confidence-based Performance
Estimation"): with a calibrated probability c of each row, the expected number of true positives is Σ c over
predicted positives, and so on. It holds while the scores' meaning does, under a shift of features; a change
of the concept is invisible to it. Quality on labels that are known is `quality`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95, dot, effective, enough, layers, ratio
from mlobs_pipelines.core.metrics.quality import MIN_CLASS, accuracy, auc, base_rate, f1, precision, recall
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ClassExpectedSummary, EstimatedSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats, Ints

MIN_ROWS = 200
NEED = f"at least {MIN_ROWS:,} rows, and {MIN_CLASS} matured labels of each class to calibrate on"


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Probability of a positive label per score cell.

    Attributes
    ----------
    share : (B,)
        Isotonic in the score; NaN everywhere without a cohort.
    block : (B,)
        Which of the K pooled probabilities is nearest to each cell.
    pooled, support : (K,)
        The pooled probabilities, and how many labelled rows of the cohort each rests on.
    """

    share: Floats
    block: Ints
    pooled: Floats
    support: Floats


def calibrated(positives: Amounts, negatives: Amounts, middle: Floats) -> Calibrated:
    """Isotonic regression of the label on the score (Zadrozny and Elkan 2002), straight between cells.

    Parameters
    ----------
    positives, negatives : (B,)
        Labelled rows per ascending score cell.
    middle : (B,)
        Score that stands for each cell.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - costs more than the rest of core

    n = np.asarray(positives + negatives, np.float64)
    held = np.flatnonzero(n > 0)
    if not held.size:
        return Calibrated(np.full(n.size, np.nan), np.zeros(n.size, dtype=np.int64), np.empty(0), np.empty(0))
    fit = isotonic_regression(positives[held] / n[held], weights=n[held])
    of_block = np.repeat(np.arange(fit.blocks.size - 1), np.diff(fit.blocks))
    halfway = (middle[held][1:] + middle[held][:-1]) / 2
    block = of_block[np.searchsorted(halfway, middle)]
    support = np.add.reduceat(n[held], fit.blocks[:-1])
    return Calibrated(np.interp(middle, middle[held], fit.x), block, fit.x[fit.blocks[:-1]], support)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The scores of windows, and what their labels are expected to be.

    Attributes
    ----------
    n, hits, misses : (..., B)
        Scored rows per cell, and how many are expected to be positive and negative.
    labels : (..., B)
        Variance of the number of positives per cell, the scores being given.
    block, unsure : (..., B), (..., K)
        Which pooled probability each cell has, and the variance of each.
    """

    n: Floats
    hits: Floats
    misses: Floats
    labels: Floats
    block: Ints
    unsure: Floats


@shared
def _expected(summary: EstimatedSummary) -> Expectation:
    return expectation(summary, summary.scored, summary.squared.scored)


def expectation(
    cohort: EstimatedSummary | ClassExpectedSummary, scored: Amounts, squared: Amounts
) -> Expectation:
    """Expect of rows per cell what labelled rows of a cohort in such cells were.

    Parameters
    ----------
    scored, squared : (..., B)
        Rows per cell, and Σw² of them.
    """
    shape = np.broadcast_shapes(cohort.positives.shape, scored.shape)
    fits = _fits(cohort, shape)
    share = np.array([fit.share for fit in fits]).reshape(shape)
    most = max((fit.pooled.size for fit in fits), default=0)
    unsure = np.array([np.pad(_unsure(fit), (0, most - fit.pooled.size)) for fit in fits])
    block = np.array([fit.block for fit in fits]).reshape(shape)
    n = np.broadcast_to(np.asarray(scored, np.float64), shape)
    hits = np.asarray(n * share)
    return Expectation(
        n, hits, n - hits, squared * share * (1 - share), block, unsure.reshape(*shape[:-1], most)
    )


def _fits(summary: EstimatedSummary | ClassExpectedSummary, shape: tuple[int, ...]) -> list[Calibrated]:
    """The calibration of every window; one for all windows that have the same cohort."""
    sides = (
        np.broadcast_to(side, shape).reshape(-1, shape[-1]) for side in (summary.positives, summary.negatives)
    )
    middle = (summary.low + summary.high) / 2
    known: dict[bytes, Calibrated] = {}
    found = []
    for positives, negatives in zip(*sides, strict=True):
        key = positives.tobytes() + negatives.tobytes()
        if key not in known:
            known[key] = calibrated(positives, negatives, middle)
        found.append(known[key])
    return found


def _unsure(fit: Calibrated) -> Floats:
    """Variance of the pooled probabilities: one row more of either label keeps it above none."""
    share = (fit.pooled * fit.support + 1) / (fit.support + 2)
    return np.asarray(share * (1 - share) / fit.support)


def _sum(cells: Floats) -> Floats:
    return dot(cells, np.ones(cells.shape[-1:]))


Guess = Callable[[Expectation], tuple[Floats, Floats]]  # the value, and what one more positive row does to it


def _estimated(summary: EstimatedSummary, guess: Guess, bound: Floats | float = 0.0) -> Estimate:
    """Expected value of a metric over the labels to come, with the interval that the realised one falls into.

    The variance is that of the labels given the scores, Σ d² c (1 - c) with d the influence of a label, and
    that of the calibration: each probability was itself estimated from the cohort's rows.
    """
    windows = _expected(summary)
    value, influence = guess(windows)
    half = Z95 * np.sqrt(dot(windows.labels, influence**2) + learnt(windows, influence))
    total, squares, seen = layers(summary, lambda s: s.scored.sum(axis=-1))
    size = effective(total, squares)
    sides = [np.asarray(side.sum(axis=-1)) for side in (summary.positives, summary.negatives)]
    rule = {**enough(size, MIN_ROWS), "need": NEED}
    rule["sufficient"] = rule["sufficient"] & (sides[0] >= MIN_CLASS) & (sides[1] >= MIN_CLASS)
    lower, upper = np.clip(value - half, 0, value), np.clip(value + half, value, 1)
    return Estimate(value, np.asarray(seen), lower, upper, np.where(np.isfinite(value), bound, 0.0), **rule)


def learnt(windows: Expectation, influence: Floats) -> Floats:
    """Variance that comes from the calibration: cells of one pooled probability are wrong together."""
    most = windows.unsure.shape[-1]
    rows = int(np.prod(windows.unsure.shape[:-1]))
    start = np.arange(rows).reshape(windows.unsure.shape[:-1])[..., np.newaxis] * most
    together = np.bincount(
        (start + windows.block).ravel(), weights=(windows.n * influence).ravel(), minlength=rows * most
    )
    moved = together[: rows * most].reshape(windows.unsure.shape)
    return dot(moved**2, windows.unsure)


def _cut(summary: EstimatedSummary, over: Amounts) -> Floats:
    """How far a share may be off because one cell lies on both sides of the threshold."""
    return np.minimum(np.nan_to_num(ratio(summary.unsure, over)), 1.0)


@metric("estimated_auc", EstimatedSummary, family="quality", direction=1)
def estimated_auc(summary: EstimatedSummary) -> Estimate:
    """Expected area under the ROC curve, from expected positives and negatives down the score order."""
    return _auc(summary)


@shared
def _auc(summary: EstimatedSummary) -> Estimate:
    return _estimated(summary, area)


def area(windows: Expectation) -> tuple[Floats, Floats]:
    """Expected area under the ROC curve, and what one more positive row does to it."""
    hits, misses = windows.hits, windows.misses
    p, n = (_sum(side)[..., np.newaxis] for side in (hits, misses))
    below = ratio(np.cumsum(misses, axis=-1) - misses / 2, np.where(p > 0, n, 0))
    above = 1 - ratio(np.cumsum(hits, axis=-1) - hits / 2, p)
    area = ratio(dot(hits, np.nan_to_num(below)), np.where(np.isfinite(below[..., 0]), p[..., 0], 0))
    away = area[..., np.newaxis]
    return area, np.asarray((below - away) * ratio(1, p) - (above - away) * ratio(1, n))


@metric("estimated_base_rate", EstimatedSummary, family="quality")
def estimated_base_rate(summary: EstimatedSummary) -> Estimate:
    """Expected share of positives among all scored rows."""
    return _base_rate(summary)


@shared
def _base_rate(summary: EstimatedSummary) -> Estimate:
    return _estimated(summary, lambda windows: _share(windows, np.ones(windows.n.shape[-1])))


@metric("estimated_accuracy", EstimatedSummary, family="quality", direction=1)
def estimated_accuracy(summary: EstimatedSummary) -> Estimate:
    """Expected share of rows that are classified rightly at the model's own threshold."""
    return _accuracy(summary)


@shared
def _accuracy(summary: EstimatedSummary) -> Estimate:
    def guess(windows: Expectation) -> tuple[Floats, Floats]:
        right = _sum(np.where(summary.selected, windows.hits, windows.misses))
        total = _sum(windows.n)
        return ratio(right, total), np.where(summary.selected, 1.0, -1.0) * ratio(1, total)[..., np.newaxis]

    return _estimated(summary, guess, _cut(summary, summary.scored.sum(axis=-1)))


def _share(windows: Expectation, among: Floats) -> tuple[Floats, Floats]:
    total = dot(windows.n, among)
    return ratio(dot(windows.hits, among), total), np.asarray(among * ratio(1, total)[..., np.newaxis])


@metric("estimated_precision", EstimatedSummary, family="quality", direction=1)
def estimated_precision(summary: EstimatedSummary) -> Estimate:
    """Expected true positives ÷ predicted positives; NaN where nothing is predicted positive."""
    return _precision(summary)


@shared
def _precision(summary: EstimatedSummary) -> Estimate:
    bound = _cut(summary, dot(summary.scored, summary.selected))
    return _estimated(summary, lambda windows: _share(windows, summary.selected.astype(np.float64)), bound)


@metric("estimated_recall", EstimatedSummary, family="quality", direction=1)
def estimated_recall(summary: EstimatedSummary) -> Estimate:
    """Expected true positives ÷ expected positives; NaN where none are expected."""
    return _recall(summary)


@shared
def _recall(summary: EstimatedSummary) -> Estimate:
    def guess(windows: Expectation) -> tuple[Floats, Floats]:
        positives = _sum(windows.hits)
        recall = ratio(dot(windows.hits, summary.selected), positives)
        return recall, (summary.selected - recall[..., np.newaxis]) * ratio(1, positives)[..., np.newaxis]

    return _estimated(summary, guess, _cut(summary, summary.scored.sum(axis=-1)))


@metric("estimated_f1", EstimatedSummary, family="quality", direction=1)
def estimated_f1(summary: EstimatedSummary) -> Estimate:
    """2 TP ÷ (predicted positives + positives) from their expected numbers."""
    return _f1(summary)


@shared
def _f1(summary: EstimatedSummary) -> Estimate:
    def guess(windows: Expectation) -> tuple[Floats, Floats]:
        size = dot(windows.n, summary.selected) + _sum(windows.hits)
        score = ratio(2 * dot(windows.hits, summary.selected), size)
        return score, (2.0 * summary.selected - score[..., np.newaxis]) * ratio(1, size)[..., np.newaxis]

    return _estimated(summary, guess, _cut(summary, summary.scored.sum(axis=-1)))


def error_of(guess: Estimate, realised: Estimate) -> Estimate:
    """How far an estimate was off, with what sampling alone explains of it as the interval."""
    value = guess.value - realised.value
    lower, upper = value - (guess.upper - guess.value), value + (guess.value - guess.lower)
    bound = np.where(np.isfinite(value), guess.bound + realised.bound, 0.0)
    return Estimate(
        value,
        realised.n,
        lower,
        upper,
        bound,
        sufficient=guess.sufficient & realised.sufficient,
        need=f"{guess.need}; {realised.need}",
        effective=realised.effective,
    )


@metric("estimated_auc_error", EstimatedSummary, family="quality")
def estimated_auc_error(summary: EstimatedSummary) -> Estimate:
    """Estimated AUC minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_auc(summary), auc(summary.outcome))


@metric("estimated_accuracy_error", EstimatedSummary, family="quality")
def estimated_accuracy_error(summary: EstimatedSummary) -> Estimate:
    """Estimated accuracy minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_accuracy(summary), accuracy(summary.outcome))


@metric("estimated_precision_error", EstimatedSummary, family="quality")
def estimated_precision_error(summary: EstimatedSummary) -> Estimate:
    """Estimated precision minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_precision(summary), precision(summary.outcome))


@metric("estimated_recall_error", EstimatedSummary, family="quality")
def estimated_recall_error(summary: EstimatedSummary) -> Estimate:
    """Estimated recall minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_recall(summary), recall(summary.outcome))


@metric("estimated_f1_error", EstimatedSummary, family="quality")
def estimated_f1_error(summary: EstimatedSummary) -> Estimate:
    """Estimated F1 minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_f1(summary), f1(summary.outcome))


@metric("estimated_base_rate_error", EstimatedSummary, family="quality")
def estimated_base_rate_error(summary: EstimatedSummary) -> Estimate:
    """Estimated base rate minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_base_rate(summary), base_rate(summary.outcome))
