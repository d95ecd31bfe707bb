"""Quality and calibration metrics of a multiclass model on the rows whose label is known.

The confusion matrix gives what is about predicted classes; what is about ranks comes from one-vs-rest score
cells in `multiclass_ranking`. Names shared with binary models mean the same there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mlobs_pipelines.core.metrics import calibration
from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    average,
    dot,
    effective,
    enough,
    layers,
    proportion,
    ratio,
    wilson,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import MulticlassSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats

Averaging = Literal["macro", "weighted"]
Metric = Callable[[MulticlassSummary], Estimate]
# How often the rows of a class count in the denominator: those of its label, and those predicted as it.
_BASES = {"precision": (0, 1), "recall": (1, 0), "f1": (1, 1)}


def class_names(summary: MulticlassSummary) -> list[str]:
    """The classes, for a metric with a value for each."""
    return list(summary.classes)


def _pair_names(summary: MulticlassSummary) -> list[str]:
    return [f"{true}→{predicted}" for true in summary.classes for predicted in summary.classes]


def hits(summary: MulticlassSummary) -> Amounts:
    """(..., K) rows of each class that were predicted as it."""
    return np.asarray(np.diagonal(summary.confusion, axis1=-2, axis2=-1))


def true_rows(summary: MulticlassSummary) -> Amounts:
    """(..., K) rows by label."""
    return np.asarray(summary.confusion.sum(axis=-1))


def predicted_rows(summary: MulticlassSummary) -> Amounts:
    """(..., K) labelled rows by predicted class."""
    return np.asarray(summary.confusion.sum(axis=-2))


def labelled(summary: MulticlassSummary) -> Amounts:
    """Labelled rows."""
    return np.asarray(summary.confusion.sum(axis=(-2, -1)))


@metric("accuracy", MulticlassSummary, family="quality", direction=1)
def accuracy(summary: MulticlassSummary) -> Estimate:
    """Rows whose predicted class is the true one ÷ labelled rows."""
    return proportion(summary, lambda s: (hits(s).sum(axis=-1), labelled(s)))


@metric("log_loss", MulticlassSummary, family="quality", direction=-1)
def log_loss(summary: MulticlassSummary) -> Estimate:
    """Mean of -ln(score given to the class that came true), natural logarithm."""
    return average(summary, lambda s: (s.log_loss, s.log_loss_sq, labelled(s)))


@metric("brier_score", MulticlassSummary, family="quality", direction=-1)
def brier_score(summary: MulticlassSummary) -> Estimate:
    """Mean of Σ_k (score of class k - [label is k])², from 0 to 2 (Brier 1950, his original definition)."""
    return average(summary, lambda s: (s.squared_error, s.squared_error_sq, labelled(s)), ceiling=2.0)


@metric("ece", MulticlassSummary, family="calibration", direction=-1)
def ece(summary: MulticlassSummary) -> Estimate:
    """Expected calibration error of the top score: Σ (n_b / n) |mean top score - accuracy| (Guo et al. 2017).

    Bins, interval and minimum sample are those of a binary model's.
    """
    return calibration.ece(summary)


@metric("mce", MulticlassSummary, family="calibration", direction=-1)
def mce(summary: MulticlassSummary) -> Estimate:
    """Maximum calibration error of the top score: the largest |mean top score - accuracy| of a bin."""
    return calibration.mce(summary)


@metric("reliability_score", MulticlassSummary, family="calibration", labels=calibration.bin_names)
def reliability_score(summary: MulticlassSummary) -> Estimate:
    """Mean top score per reliability bin; NaN for an empty bin."""
    return calibration.reliability_score(summary)


@metric("reliability_observed", MulticlassSummary, family="calibration", labels=calibration.bin_names)
def reliability_observed(summary: MulticlassSummary) -> Estimate:
    """Rows predicted rightly ÷ labelled rows per bin of the top score, with Wilson's interval."""
    return calibration.reliability_observed(summary)


@metric("class_share", MulticlassSummary, family="quality", labels=class_names)
def class_share(summary: MulticlassSummary) -> Estimate:
    """Rows of each class ÷ labelled rows."""
    return proportion(summary, lambda s: (true_rows(s), labelled(s)[..., np.newaxis]))


@metric("class_predicted_share", MulticlassSummary, family="quality", labels=class_names)
def class_predicted_share(summary: MulticlassSummary) -> Estimate:
    """Labelled rows predicted as each class ÷ labelled rows, so that it compares with `class_share`."""
    return proportion(summary, lambda s: (predicted_rows(s), labelled(s)[..., np.newaxis]))


@metric("confusion_share", MulticlassSummary, family="quality", labels=_pair_names, detail=True)
def confusion_share(summary: MulticlassSummary) -> Estimate:
    """The confusion matrix by row: labelled rows of each true and predicted class ÷ labelled rows."""
    return proportion(summary, lambda s: (_flat(s.confusion), labelled(s)[..., np.newaxis]))


@metric("class_precision", MulticlassSummary, family="quality", direction=1, labels=class_names)
def class_precision(summary: MulticlassSummary) -> Estimate:
    """Rows rightly predicted as a class ÷ labelled rows predicted as it; NaN where there are none."""
    return proportion(summary, lambda s: (hits(s), predicted_rows(s)))


@metric("class_recall", MulticlassSummary, family="quality", direction=1, labels=class_names)
def class_recall(summary: MulticlassSummary) -> Estimate:
    """Rows of a class predicted as it ÷ rows of the class; NaN where there are none."""
    return proportion(summary, lambda s: (hits(s), true_rows(s)))


@metric("class_f1", MulticlassSummary, family="quality", direction=1, labels=class_names)
def class_f1(summary: MulticlassSummary) -> Estimate:
    """2 x rightly predicted as a class ÷ (rows of it + rows predicted as it); interval as for binary `f1`."""
    found = proportion(summary, lambda s: (hits(s), true_rows(s) + predicted_rows(s) - hits(s)))
    value = ratio(2 * hits(summary), true_rows(summary) + predicted_rows(summary))
    lower, upper = (2 * end / (1 + end) for end in (found.lower, found.upper))
    return replace(found, value=value, lower=np.fmin(lower, value), upper=np.fmax(upper, value))


def _averaged(name: str, averaging: Averaging) -> Metric:
    """Register a class metric averaged over the classes.

    As scikit-learn does, *macro* is the plain mean over the classes that occur as a label or as a prediction,
    *weighted* that by the number of their labels, and a class for which the metric is not defined (precision
    where it was never predicted, recall where it never came true) counts 0.

    The 95 % interval is Wilson's for as many trials as have the variance of the delta method on the
    multinomial confusion matrix. For the variance each class gets one more row that is right and one that is
    wrong, so that a few rows without error do not count as certain (Agresti and Caffo 2000).
    """

    @metric(f"{name}_{averaging}", MulticlassSummary, family="quality", direction=1)
    def averaged(summary: MulticlassSummary) -> Estimate:
        """Mean over classes of each against the rest: plain (macro), or by the rows of each (weighted)."""
        (table, squares, seen) = layers(summary, lambda s: s.confusion)
        n, rows = (np.asarray(array.sum(axis=(-2, -1))) for array in (table, squares))
        worth = effective(n, n if squares is table else rows)
        value = Average.of(table, table, name, averaging).value
        lower, upper = wilson(value, 1, _size(table, squares, worth, (name, averaging)))
        seen_rows = np.asarray(seen.sum(axis=(-2, -1)))
        return Estimate(value, seen_rows, lower, upper, **enough(worth, MIN_PROPORTION))

    return averaged


def _size(table: Amounts, squares: Amounts, worth: Floats, which: tuple[str, Averaging]) -> Floats:
    """How many trials of equal weight say as much of an average as the confusion matrix does."""
    unit = np.nan_to_num(ratio(squares.sum(axis=(-2, -1)), table.sum(axis=(-2, -1))))
    pad = _pad(table)
    scale = unit[..., np.newaxis, np.newaxis]
    found = Average.of(table + scale * pad, table, *which)
    variance = dot(_flat(squares + scale**2 * pad), _flat(found.slopes**2))
    size = ratio(found.value * (1 - found.value), variance)
    return np.where(size > 0, size, worth)


def _pad(table: Amounts) -> Floats:
    """One right and one wrong row for each class that occurs, the wrong one spread over the other classes."""
    there = (table.sum(axis=-1) + table.sum(axis=-2)) > 0
    others = np.maximum(there.sum(axis=-1) - 1, 1)[..., np.newaxis, np.newaxis]
    both = there[..., :, np.newaxis] & there[..., np.newaxis, :]
    return np.asarray(np.where(both, np.where(np.eye(table.shape[-1], dtype=bool), 1.0, 1 / others), 0.0))


@dataclass(frozen=True, slots=True)
class Average:
    """An average of class metrics, and its derivatives by the cells of the confusion matrix.

    Attributes
    ----------
    value : (...,)
    slopes : (..., K, K)
    """

    value: Floats
    slopes: Floats

    @staticmethod
    def of(table: Amounts, occurring: Amounts, name: str, averaging: Averaging) -> "Average":
        """Average a class metric over the classes that occur in a table."""
        by_true, by_predicted = _BASES[name]
        true, predicted, n = table.sum(axis=-1), table.sum(axis=-2), table.sum(axis=(-2, -1))
        base = by_true * true + by_predicted * predicted
        right = np.diagonal(table, axis1=-2, axis2=-1) * (by_true + by_predicted)
        each = np.nan_to_num(ratio(right, base))
        there = (occurring.sum(axis=-1) + occurring.sum(axis=-2)) > 0
        shares = there / np.maximum(there.sum(axis=-1), 1)[..., np.newaxis]
        if averaging == "weighted":
            shares = np.nan_to_num(ratio(true, n[..., np.newaxis]))
        value = np.where(n > 0, dot(each, shares), np.nan)
        moved = np.nan_to_num(ratio(shares, base))
        slopes = np.eye(table.shape[-1]) * ((by_true + by_predicted) * moved)[..., np.newaxis]
        slopes = slopes - by_true * (moved * each)[..., np.newaxis]
        slopes = slopes - by_predicted * (moved * each)[..., np.newaxis, :]
        if averaging == "weighted":
            slopes = slopes + ratio(each - value[..., np.newaxis], n[..., np.newaxis])[..., np.newaxis]
        return Average(value, slopes)


def _flat(table: Amounts) -> Amounts:
    """(..., K, K) cells as (..., K²)."""
    return table.reshape(*table.shape[:-2], -1)


precision_macro, precision_weighted = _averaged("precision", "macro"), _averaged("precision", "weighted")
recall_macro, recall_weighted = _averaged("recall", "macro"), _averaged("recall", "weighted")
f1_macro, f1_weighted = _averaged("f1", "macro"), _averaged("f1", "weighted")
