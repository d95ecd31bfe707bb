"""Quality of a multiclass model while labels are late: how often its top scores came true before.

The expected accuracy is the mean, over the window's rows, of the share of rows that were predicted rightly
in the same bin of the top score of a matured cohort. That of binary models is `estimated`.
"""

import numpy as np

from mlobs_pipelines.core.metrics.estimated import error_of
from mlobs_pipelines.core.metrics.estimates import Z95, dot, effective, enough, layers, proportion, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ClassEstimatedSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints

MIN_ROWS = MIN_COHORT = 200
NEED = f"at least {MIN_ROWS:,} rows, and {MIN_COHORT:,} matured labels to calibrate on"


@metric("estimated_accuracy", ClassEstimatedSummary, family="quality", direction=1)
def estimated_accuracy(summary: ClassEstimatedSummary) -> Estimate:
    """Expected share of rows whose top class is right, by how often top scores as large came true before.

    The top-label case of CBPE with a calibration in 15 bins of equal width (histogram binning; Zadrozny and
    Elkan 2001). The 95 % interval holds the value that the labels bring: it covers their own spread, and
    the error of the share of each bin.
    """
    return _accuracy(summary)


@shared
def _accuracy(summary: ClassEstimatedSummary) -> Estimate:
    share, unsure = _shares(summary)
    total, squares, seen = layers(summary, lambda s: s.scored.sum(axis=-1))
    value = ratio(dot(summary.scored, np.nan_to_num(share)), np.where(np.isfinite(share[..., 0]), total, 0))
    labels = dot(summary.squared.scored, np.nan_to_num(share * (1 - share)))
    learnt = dot(np.square(np.asarray(summary.scored, np.float64)), unsure)
    half = Z95 * np.sqrt(ratio(labels + learnt, np.square(np.asarray(total, np.float64))))
    half = np.where(np.isfinite(value), half, np.nan)
    steps = np.abs(np.diff(share, axis=-1, append=share[..., -1:]))
    bound = np.nan_to_num(ratio(dot(summary.unsure, np.nan_to_num(steps)), total))
    lower, upper = np.clip(value - half, 0, value), np.clip(value + half, value, 1)
    rule = {**enough(effective(total, squares), MIN_ROWS), "need": NEED}
    rule["sufficient"] = rule["sufficient"] & (summary.known.sum(axis=-1) >= MIN_COHORT)
    return Estimate(value, np.asarray(seen), lower, upper, bound, **rule)


def _shares(summary: ClassEstimatedSummary) -> tuple[Floats, Floats]:
    """How often each bin came true and the variance of that; an empty bin is as the nearest that is not.

    Returns
    -------
    (..., B), (..., B)
        NaN in all bins, and 0, where the cohort has no row.
    """
    known, right = (np.asarray(side, np.float64) for side in (summary.known, summary.right))
    place = _nearest(known > 0)
    n, hits = (np.take_along_axis(side, place, axis=-1) for side in (known, right))
    smoothed = (hits + 1) / (n + 2)  # one row more of either kind keeps the variance above none
    return ratio(hits, n), np.nan_to_num(ratio(smoothed * (1 - smoothed), n))


def _nearest(held: Flags) -> Ints:
    """Index of the nearest bin that holds rows, the lower one of two; of each bin."""
    bins = np.arange(held.shape[-1])
    gaps = np.abs(bins[:, np.newaxis] - bins) + np.where(held, 0, held.shape[-1])[..., np.newaxis, :]
    return np.asarray(np.argmin(gaps, axis=-1))


@metric("estimated_accuracy_error", ClassEstimatedSummary, family="quality")
def estimated_accuracy_error(summary: ClassEstimatedSummary) -> Estimate:
    """Estimated accuracy minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_accuracy(summary), proportion(summary, lambda s: (s.hits, s.labelled)))
