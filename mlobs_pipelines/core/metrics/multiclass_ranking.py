"""How well a multiclass model ranks the rows of each class before all others: one-vs-rest AUC.

Everything comes from score cells per class; what is about predicted classes is `multiclass`.
"""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95, dot, effective, layers, ratio
from mlobs_pipelines.core.metrics.multiclass import class_names, labelled
from mlobs_pipelines.core.metrics.quality import MIN_CLASS, delong
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import MulticlassSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats

Sides = tuple[Floats, Floats]
_NEED = f"at least {MIN_CLASS} rows of each class and {MIN_CLASS} of the others"


@metric("class_auc", MulticlassSummary, family="quality", direction=1, labels=class_names)
def class_auc(summary: MulticlassSummary) -> Estimate:
    """One-vs-rest AUC: P(score for a class of a row of it > of another row); interval and bound as `auc`."""
    area, variance, bound = _areas(summary)
    half = Z95 * np.sqrt(variance)
    own, others = _sizes(summary)
    return Estimate(
        area,
        np.asarray(labelled(summary.seen))[..., np.newaxis],
        np.clip(area - half, 0, 1),
        np.clip(area + half, 0, 1),
        bound,
        sufficient=_fit(own, others),
        need=_NEED,
        effective=own + others,
    )


@metric("auc_macro", MulticlassSummary, family="quality", direction=1)
def auc_macro(summary: MulticlassSummary) -> Estimate:
    """Mean of `class_auc` over the classes that have one; too few rows for a verdict where one has none.

    The cells do not tell how the areas of two classes vary together, so the 95 % interval takes them to do so
    fully, as they do with two classes: its half-width is the mean of those of the classes.
    """
    area, _, _ = found = _areas(summary)
    known = np.isfinite(area)
    shares = known / np.maximum(known.sum(axis=-1), 1)[..., np.newaxis]
    return _averaged(summary, found, shares, np.zeros(area.shape[:-1]))


@metric("auc_weighted", MulticlassSummary, family="quality", direction=1)
def auc_weighted(summary: MulticlassSummary) -> Estimate:
    """Mean of `class_auc` by rows of the class; interval as for `auc_macro`, with the chance in the rows."""
    area, _, _ = found = _areas(summary)
    rows, squares, _ = layers(summary, _own)
    rows = np.where(np.isfinite(area), rows, 0)
    n = rows.sum(axis=-1)[..., np.newaxis]
    shares = np.nan_to_num(ratio(rows, n))
    known = np.nan_to_num(area)
    away = known - dot(known, shares)[..., np.newaxis]
    chance = dot(np.where(rows > 0, squares, 0), np.nan_to_num(ratio(away, n)) ** 2)
    return _averaged(summary, found, shares, chance)


def _averaged(
    summary: MulticlassSummary, found: tuple[Floats, Floats, Floats], shares: Floats, chance: Floats
) -> Estimate:
    """Average the areas of the classes; `chance` is the variance that the shares add."""
    area, variance, bound = (np.where(shares > 0, array, 0) for array in found)
    value = np.where(shares.sum(axis=-1) > 0, dot(area, shares), np.nan)
    half = Z95 * np.sqrt(dot(np.sqrt(variance), shares) ** 2 + chance)
    own, others = _sizes(summary)
    n, squares, seen = layers(summary, labelled)
    return Estimate(
        value,
        np.asarray(seen),
        np.clip(value - half, 0, value),
        np.clip(value + half, value, 1),
        dot(bound, shares),
        sufficient=np.asarray(_fit(own, others).all(axis=-1)),
        need=_NEED,
        effective=effective(n, squares),
    )


@shared
def _areas(summary: MulticlassSummary) -> tuple[Floats, Floats, Floats]:
    """Area of each class, its variance, and its binning bound."""
    squared = summary.squared
    return delong(summary.positives, summary.negatives, squared.positives, squared.negatives)


def _sizes(summary: MulticlassSummary) -> Sides:
    """How many rows of equal weight the rows of each class, and all others, are worth."""
    sides: tuple[Callable[[MulticlassSummary], Amounts], ...] = (_own, _others)
    pairs = [layers(summary, side)[:2] for side in sides]
    own, others = (effective(n, squares) for n, squares in pairs)
    return own, others


def _fit(own: Floats, others: Floats) -> Flags:
    return np.asarray((own >= MIN_CLASS) & (others >= MIN_CLASS))


def _own(summary: MulticlassSummary) -> Amounts:
    return np.asarray(summary.positives.sum(axis=-1))


def _others(summary: MulticlassSummary) -> Amounts:
    return np.asarray(summary.negatives.sum(axis=-1))
