"""Quality of a multiclass model on labels known so far, corrected for classes whose labels take longer.

Every known label stands for 1 ÷ the probability that a label of its class has arrived by the age of its
prediction (Horvitz and Thompson 1952). That of binary models is `corrected`, which has the assumptions.
"""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics import multiclass
from mlobs_pipelines.core.metrics.corrected import widened
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ClassCorrectedSummary, MulticlassSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Estimate

Quality = Callable[[MulticlassSummary], Estimate]


def class_names(summary: ClassCorrectedSummary) -> list[str]:
    """The classes, for a metric with a value for each."""
    return list(summary.classes)


def _corrected(summary: ClassCorrectedSummary, measure: Quality) -> Estimate:
    """A metric of the confusion matrix of the weighted labels."""
    outcome, moved = _outcomes(summary)
    return widened(measure(outcome), measure(moved).value, summary.stood.ndim - 2)


@shared
def _outcomes(summary: ClassCorrectedSummary) -> tuple[MulticlassSummary, MulticlassSummary]:
    """The weighted labels, and as they would be with other lag curves, on an axis more."""
    parts = (summary.seen.known, summary.stood, summary.squared.spread)
    axis = summary.stood.ndim - 2
    moved = np.expand_dims(summary.stood, axis) + summary.shifts
    return weighted(*(_of(part, summary.classes) for part in parts)), _of(moved, summary.classes)


def _of(confusion: Amounts, classes: tuple[str, ...]) -> MulticlassSummary:
    """A summary of which nothing but the confusion matrix is known."""
    each = np.full(confusion.shape[:-2], np.nan)
    bins, cells = np.zeros((*each.shape, 0)), np.zeros((*each.shape, len(classes), 0))
    none = np.empty(0)
    return MulticlassSummary(
        confusion,
        cells,
        cells,
        each,
        each,
        each,
        each,
        each,
        bins,
        bins,
        bins,
        bins,
        bins,
        classes,
        none,
        none,
    )


@metric("corrected_accuracy", ClassCorrectedSummary, family="quality", direction=1)
def corrected_accuracy(summary: ClassCorrectedSummary) -> Estimate:
    """Share of rows classified rightly, expected once all labels of the horizon are there."""
    return _corrected(summary, multiclass.accuracy)


@metric("corrected_f1_macro", ClassCorrectedSummary, family="quality", direction=1)
def corrected_f1_macro(summary: ClassCorrectedSummary) -> Estimate:
    """Macro F1, expected once all labels of the horizon are there."""
    return _corrected(summary, multiclass.f1_macro)


@metric("corrected_recall_macro", ClassCorrectedSummary, family="quality", direction=1)
def corrected_recall_macro(summary: ClassCorrectedSummary) -> Estimate:
    """Macro recall, expected once all labels of the horizon are there."""
    return _corrected(summary, multiclass.recall_macro)


@metric("corrected_class_share", ClassCorrectedSummary, family="quality", labels=class_names)
def corrected_class_share(summary: ClassCorrectedSummary) -> Estimate:
    """Rows of each class ÷ labels, expected once all labels of the horizon are there."""
    return _corrected(summary, multiclass.class_share)
