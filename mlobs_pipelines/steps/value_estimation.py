"""From stored statistics to what errors of a regression model are estimated from: those of such predictions.

Which days have matured is `cohorts`; what becomes of the summary is `estimation`.
"""

from functools import partial

import numpy as np

from mlobs_pipelines.core.buckets import Grid, bucket_edges, bucket_of
from mlobs_pipelines.core.metrics.value_estimated import MIN_COHORT
from mlobs_pipelines.core.summaries import ValueEstimatedSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Ints
from mlobs_pipelines.engine.scores import LOSS_GRAIN, LOSSES
from mlobs_pipelines.steps.against import placed
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.matured_counts import Estimable, matured_counts
from mlobs_pipelines.steps.outcomes import regression_summary
from mlobs_pipelines.steps.windows import Counts


def value_estimable(counts: Counts, days: Cohorts, training: Counts, grid: Grid) -> Estimable:
    """Predicted numbers of the windows beside the errors of their matured days, or of the training set.

    Parameters
    ----------
    days
        Matured days, of the same windows.
    grid
        Cells that predicted numbers are counted by.
    """
    earlier = arranged(days.rows, [days.stretch])
    codes = _codes(counts, grid, [earlier, training])
    losses = partial(_losses, codes=codes)
    before = matured_counts(counts, days, losses, rows=1)
    known = before[0].sum(axis=-1) >= MIN_COHORT
    fallback = [placed(counts, training, part) for part in losses(training)]
    cohort = [
        np.where(known[..., np.newaxis], mine, other) for mine, other in zip(before, fallback, strict=True)
    ]
    layers = (_layer(layer, codes, cohort, grid) for layer in counts.layers())
    return Estimable(weighted(*layers), known, cohort[0].sum(axis=-1))


def _codes(counts: Counts, grid: Grid, learnt: list[Counts]) -> Ints:
    """Cells of the predicted number that any row is in."""
    of_rows = [_cells(counts.flat(SCORE, "cells")[0].codes, grid)]
    of_losses = [owner.flat(SCORE, LOSSES[0])[0].codes for owner in learnt]
    return np.unique(np.concatenate([*of_rows, *of_losses])).astype(np.int64)


def _cells(codes: np.ndarray, grid: Grid) -> Ints:
    """Cell of losses that each cell of predicted numbers lies in."""
    return np.asarray(bucket_of(codes.astype(np.int32), grid) // LOSS_GRAIN, dtype=np.int64)


def _losses(counts: Counts, codes: Ints) -> Amounts:
    """Labelled rows, Σ|e|, Σe² and Σe⁴ per cell: (4, G, W, B)."""
    found = []
    for part in LOSSES:
        flat, group, day = counts.flat(SCORE, part)
        at = np.searchsorted(codes, flat.codes)
        sums = (flat.counts, flat.sums, flat.squares)
        found.append([counts.windows(group, day, at, codes.size, values) for values in sums])
    (n, absolute, squared), (_, _, quartic) = found
    return np.stack([n.astype(np.float64), absolute, squared, quartic])


def _layer(counts: Counts, codes: Ints, cohort: list[Amounts], grid: Grid) -> ValueEstimatedSummary:
    flat, group, day = counts.flat(SCORE, "cells")
    at = np.searchsorted(codes, _cells(flat.codes, grid))
    scored = counts.windows(group, day, at, codes.size, flat.counts)
    first = (codes * LOSS_GRAIN).astype(np.int32)
    low = bucket_edges(first, grid.location, grid.scale)[0]
    high = bucket_edges(first + (LOSS_GRAIN - 1), grid.location, grid.scale)[1]
    known, absolute, error_sq, error_4 = cohort
    return ValueEstimatedSummary(
        scored=scored,
        known=known,
        absolute=absolute,
        error_sq=error_sq,
        error_4=error_4,
        low=low,
        high=high,
        realised=regression_summary(counts, grid),
    )
