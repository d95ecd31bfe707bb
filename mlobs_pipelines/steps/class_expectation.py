"""From stored statistics to what a multiclass model's scores of all classes are expected to come to.

Which days have matured is `cohorts`; what becomes of the summary is `estimation`.
"""

from functools import partial

import numpy as np

from mlobs_pipelines.core.buckets import SCORE_CELLS
from mlobs_pipelines.core.metrics.class_estimated import MIN_COHORT
from mlobs_pipelines.core.summaries import ClassExpectedSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts
from mlobs_pipelines.engine.scores import CLASS_LOSSES, class_cells
from mlobs_pipelines.steps.against import placed
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.cohorts import CLASS_SIDES, Cohorts
from mlobs_pipelines.steps.matured_counts import Estimable, matured_counts
from mlobs_pipelines.steps.outcomes import multiclass_summary
from mlobs_pipelines.steps.windows import Counts, score_edges


def class_expectable(counts: Counts, days: Cohorts, training: Counts, classes: tuple[str, ...]) -> Estimable:
    """Scores of all classes of the windows beside those of their matured days, or of the training set.

    Parameters
    ----------
    days
        Matured days, of the same windows.
    """
    sides = partial(_sides, size=len(classes))
    before = matured_counts(counts, days, sides, rows=len(CLASS_SIDES))
    # Every row is counted once per class.
    known = np.sum(before, axis=(0, -1)) >= MIN_COHORT * len(classes)
    fallback = [placed(counts, training, side) for side in sides(training)]
    cohort = [
        np.where(known[..., np.newaxis], mine, other) for mine, other in zip(before, fallback, strict=True)
    ]
    layers = (_layer(layer, cohort, classes) for layer in counts.layers())
    return Estimable(weighted(*layers), known, np.sum(cohort, axis=(0, -1)) / len(classes))


def _sides(counts: Counts, size: int) -> Amounts:
    """Labelled rows of each class and of the others per cell of its score: (2, G, W, K x B)."""
    cells = class_cells(size)
    found = []
    for part in CLASS_SIDES:
        flat, group, day = counts.flat(SCORE, part)
        of_class, cell = np.divmod(flat.codes, SCORE_CELLS)
        at = of_class * cells + cell // (SCORE_CELLS // cells)
        found.append(counts.windows(group, day, at, size * cells, flat.counts))
    return np.stack(found)


def _layer(counts: Counts, cohort: list[Amounts], classes: tuple[str, ...]) -> ClassExpectedSummary:
    size, cells = len(classes), class_cells(len(classes))
    width = size * size * cells
    shape = (len(counts.groups), len(counts.spans), size, size, cells)
    rows = counts.counts(SCORE, CLASS_LOSSES, width).reshape(shape)
    losses, squares = (part.reshape(shape).sum(axis=-2) for part in counts.sums(SCORE, CLASS_LOSSES, width))
    own, others = (side.reshape(*side.shape[:2], size, cells) for side in cohort)
    first, step = np.arange(cells) * (SCORE_CELLS // cells), SCORE_CELLS // cells
    low, high = score_edges(first)[0], score_edges(first + (step - 1))[1]
    known = multiclass_summary(counts, classes)
    return ClassExpectedSummary(rows, losses, squares, own, others, low, high, known)
