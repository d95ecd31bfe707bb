"""From stored statistics to what multiclass quality is estimated from: how often such top scores were right.

Which days have matured is `cohorts`; what becomes of the summary is `estimation`.
"""

import numpy as np

from mlobs_pipelines.core.metrics.class_estimated import MIN_COHORT
from mlobs_pipelines.core.summaries import ClassEstimatedSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints
from mlobs_pipelines.engine.scores import RELIABILITY_BINS
from mlobs_pipelines.steps.against import placed
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.matured_counts import Estimable, matured_counts
from mlobs_pipelines.steps.windows import Counts, score_edges

_SIDES = ("reliability_right", "reliability_wrong")


def class_estimable(counts: Counts, days: Cohorts, training: Counts) -> Estimable:
    """Top scores of the windows beside those of their matured days, or of the training set.

    Parameters
    ----------
    days
        Matured days, of the same windows.
    """
    before = matured_counts(counts, days, _sides, rows=2)
    known = np.sum(before, axis=(0, -1)) >= MIN_COHORT
    fallback = [placed(counts, training, side) for side in _sides(training)]
    right, wrong = (
        np.where(known[..., np.newaxis], mine, other) for mine, other in zip(before, fallback, strict=True)
    )
    layers = (_layer(layer, right + wrong, right) for layer in counts.layers())
    return Estimable(weighted(*layers), known, np.sum(right + wrong, axis=-1))


def _sides(counts: Counts) -> Amounts:
    """Labelled rows predicted rightly and wrongly per bin: (2, groups, windows, bins)."""
    return np.stack([counts.counts(SCORE, part, RELIABILITY_BINS) for part in _SIDES])


def _layer(counts: Counts, known: Amounts, right: Amounts) -> ClassEstimatedSummary:
    flat, group, day = counts.flat(SCORE, "cells")
    low, high = (_bins(edge) for edge in score_edges(flat.codes))
    scored = counts.windows(group, day, low, RELIABILITY_BINS, flat.counts)
    split = low != high
    unsure = counts.windows(group[split], day[split], low[split], RELIABILITY_BINS, flat.counts[split])
    hits, misses = (side.sum(axis=-1) for side in _sides(counts))
    return ClassEstimatedSummary(scored, unsure, known, right, hits + misses, hits)


def _bins(edge: Floats) -> Ints:
    """Bin of equal width that each edge of a cell lies in."""
    return np.minimum((edge * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
