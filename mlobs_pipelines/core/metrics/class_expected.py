"""Quality of a multiclass model while labels are late: what the scores of all classes say together.

Confidence-based performance estimation (CBPE) with one calibration per class against the rest, as NannyML has
it. The rows expected of each class among those predicted as one are scaled to add up to these. What rests on
the top score alone is `class_estimated`.
"""

from dataclasses import dataclass, replace

import numpy as np

from mlobs_pipelines.core.metrics.estimated import Expectation, area, error_of, expectation, learnt
from mlobs_pipelines.core.metrics.estimates import Z95, dot, effective, enough, layers, ratio
from mlobs_pipelines.core.metrics.multiclass import Average, f1_macro, log_loss
from mlobs_pipelines.core.metrics.multiclass_ranking import auc_macro
from mlobs_pipelines.core.metrics.quality import MIN_CLASS
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ClassExpectedSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats

MIN_ROWS = 200
LEAST_ROWS = 0.5  # a class of which fewer rows are expected, and none predicted, does not occur
NEED = f"at least {MIN_ROWS:,} rows, and {MIN_CLASS} matured labels of each class to calibrate on"


@shared
def _expected(summary: ClassExpectedSummary) -> Expectation:
    """Rows per cell of each class's score, and how many of them are expected to be of it: (..., K, B)."""
    return expectation(summary, summary.scored.sum(axis=-2), summary.squared.scored.sum(axis=-2))


@dataclass(frozen=True, slots=True)
class _Table:
    """The confusion matrix that the labels are expected to give.

    Attributes
    ----------
    rows, shares : (..., K, K)
        Expected rows by true, then by predicted class; and as a share of those predicted as it.
    scale : (..., K)
        What rows predicted as each class were scaled by to add up.
    squares : (..., K)
        Σw² of the rows predicted as each class.
    """

    rows: Floats
    shares: Floats
    scale: Floats
    squares: Floats


@shared
def _table(summary: ClassExpectedSummary) -> _Table:
    chance = _chance(_expected(summary))
    raw = dot(summary.scored, chance[..., np.newaxis, :])
    predicted, squares = (_predicted(one) for one in (summary, summary.squared))
    scale = ratio(predicted, raw.sum(axis=-2))
    shares = np.nan_to_num(raw * ratio(1, raw.sum(axis=-2))[..., np.newaxis, :])
    return _Table(shares * predicted[..., np.newaxis, :], shares, np.nan_to_num(scale), squares)


def _predicted(summary: ClassExpectedSummary) -> Floats:
    """Rows per predicted class: the cells of any one class hold all of them."""
    return np.asarray(summary.scored[..., 0, :, :].sum(axis=-1), np.float64)


def _chance(found: Expectation) -> Floats:
    """Probability of the class per cell, 0 in empty cells, NaN everywhere without a cohort."""
    return np.asarray(np.where(found.n > 0, ratio(found.hits, found.n), found.hits * 0.0))


def _ruled(summary: ClassExpectedSummary, value: Floats, half: Floats, most: float) -> Estimate:
    """A value from 0 on with its interval and the rule on rows."""
    total, squares, seen = layers(summary, lambda s: _predicted(s).sum(axis=-1))
    sides = [np.asarray(side.sum(axis=-1)).min(axis=-1) for side in (summary.positives, summary.negatives)]
    rule = {**enough(effective(total, squares), MIN_ROWS), "need": NEED}
    rule["sufficient"] = rule["sufficient"] & (sides[0] >= MIN_CLASS) & (sides[1] >= MIN_CLASS)
    ends = np.maximum(value - half, 0), np.minimum(value + half, np.maximum(value, most))
    return Estimate(value, np.asarray(seen).astype(np.int64), *ends, **rule)


@metric("estimated_f1_macro", ClassExpectedSummary, family="quality", direction=1)
def estimated_f1_macro(summary: ClassExpectedSummary) -> Estimate:
    """Expected `f1_macro`, of the expected confusion matrix.

    The 95 % interval holds the value that the labels bring: rows predicted as one class vary as draws from
    their mean shares do, which is more than with the shares of each row.
    """
    return _f1(summary)


@shared
def _f1(summary: ClassExpectedSummary) -> Estimate:
    table = _table(summary)
    there = (table.rows.sum(axis=-1) >= LEAST_ROWS) | (table.rows.sum(axis=-2) > 0)
    found = Average.of(table.rows, table.rows * there[..., np.newaxis], "f1", "macro")
    mean = (table.shares * found.slopes).sum(axis=-2, keepdims=True)
    moved = found.slopes - mean
    labels = dot(table.squares, (table.shares * moved**2).sum(axis=-2))
    scaled = (moved * table.scale[..., np.newaxis, :])[..., np.newaxis, :]
    influence = dot(np.moveaxis(summary.scored, -2, -1), scaled)
    spread = learnt(_expected(summary), np.nan_to_num(ratio(influence, _expected(summary).n)))
    half = Z95 * np.sqrt(labels + np.sqrt(spread).sum(axis=-1) ** 2)
    return _ruled(summary, _where_known(summary, found.value), half, 1.0)


def _where_known(summary: ClassExpectedSummary, value: Floats) -> Floats:
    """NaN where nothing tells what the scores mean."""
    known = np.isfinite(_expected(summary).hits).all(axis=(-2, -1)) & (_predicted(summary).sum(axis=-1) > 0)
    return np.asarray(np.where(known, value, np.nan))


@metric("estimated_auc_macro", ClassExpectedSummary, family="quality", direction=1)
def estimated_auc_macro(summary: ClassExpectedSummary) -> Estimate:
    """Expected `auc_macro`: the mean over classes of the expected one-vs-rest AUC.

    As for the realised one, the 95 % interval takes the areas of the classes to vary together.
    """
    return _auc(summary)


@shared
def _auc(summary: ClassExpectedSummary) -> Estimate:
    found = _expected(summary)
    each, influence = area(found)
    known = np.isfinite(each)
    shares = known / np.maximum(known.sum(axis=-1), 1)[..., np.newaxis]
    spread = np.sqrt(dot(found.labels, influence**2) + learnt(found, influence))
    value = np.where(known.any(axis=-1), dot(np.where(known, each, 0), shares), np.nan)
    ties = 0.5 * ratio(dot(found.hits, found.misses), _total(found.hits) * _total(found.misses))
    ruled = _ruled(summary, value, Z95 * dot(np.where(known, spread, 0), shares), 1.0)
    return replace(ruled, bound=dot(np.where(known, ties, 0), shares))


def _total(cells: Amounts) -> Floats:
    return np.asarray(cells.sum(axis=-1), np.float64)


@metric("estimated_log_loss", ClassExpectedSummary, family="quality", direction=-1)
def estimated_log_loss(summary: ClassExpectedSummary) -> Estimate:
    """Expected `log_loss`: -ln of the score of each class, as often as the class is expected to come true.

    The 95 % interval holds the value that the labels bring.
    """
    return _loss(summary)


@shared
def _loss(summary: ClassExpectedSummary) -> Estimate:
    found, squared = _expected(summary), summary.squared
    chance = _chance(found)
    expected = found.hits.sum(axis=(-2, -1))
    value = ratio(_both(summary.losses, chance), expected)
    rows = _both(squared.scored.sum(axis=-2), chance)
    labels = _both(squared.losses_sq, chance) - 2 * value * _both(squared.losses, chance) + value**2 * rows
    mean = ratio(summary.losses, found.n)
    influence = np.nan_to_num(mean - value[..., np.newaxis, np.newaxis])
    spread = np.sqrt(learnt(found, influence)).sum(axis=-1) ** 2
    half = Z95 * np.sqrt(ratio(np.maximum(labels, 0) + spread, expected**2))
    return _ruled(summary, _where_known(summary, value), half, np.inf)


def _both(cells: Amounts, chance: Floats) -> Floats:
    """Σ over classes and cells."""
    return dot(dot(cells, chance), np.ones(chance.shape[-2]))


@metric("estimated_f1_macro_error", ClassExpectedSummary, family="quality")
def estimated_f1_macro_error(summary: ClassExpectedSummary) -> Estimate:
    """Estimated macro F1 minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_f1(summary), f1_macro(summary.outcome))


@metric("estimated_auc_macro_error", ClassExpectedSummary, family="quality")
def estimated_auc_macro_error(summary: ClassExpectedSummary) -> Estimate:
    """Estimated macro AUC minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_auc(summary), auc_macro(summary.outcome))


@metric("estimated_log_loss_error", ClassExpectedSummary, family="quality")
def estimated_log_loss_error(summary: ClassExpectedSummary) -> Estimate:
    """Estimated log loss minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_loss(summary), log_loss(summary.outcome))
