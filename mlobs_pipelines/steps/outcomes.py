"""From stored statistics to summaries of what multiclass and regression models said against what came true.

Those of binary models are in `windows` and `against`; what a metric makes of a summary is `core.metrics`.
"""

import numpy as np

from mlobs_pipelines.core.buckets import SCORE_CELLS, Grid, bucket_edges, bucket_of
from mlobs_pipelines.core.summaries import (
    MulticlassSummary,
    OutcomeSummary,
    PredictedSummary,
    RegressionSummary,
)
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints
from mlobs_pipelines.engine.scores import ERROR_CODES, RELIABILITY_BINS
from mlobs_pipelines.steps.against import placed
from mlobs_pipelines.steps.binning import SCORE, FeatureBaseline
from mlobs_pipelines.steps.windows import Counts, score_edges

MOST_CELLS = 16_384  # of all classes together: more of them share coarser cells, which their bound tells


def multiclass_summary(counts: Counts, classes: tuple[str, ...]) -> MulticlassSummary:
    """Scores of all classes by label of every window."""
    size = len(classes)
    loss, loss_sq = counts.sums(SCORE, "log_loss", 1)
    error, error_sq = counts.sums(SCORE, "squared_error", 1)
    bins, sums, squares = zip(*(_reliability(counts, name) for name in ("right", "wrong")), strict=True)
    positives, negatives, low, high = _one_against_rest(counts, size)
    confusion = counts.counts(SCORE, "confusion", size * size)
    return MulticlassSummary(
        confusion=confusion.reshape(*confusion.shape[:-1], size, size),
        positives=positives,
        negatives=negatives,
        unlabelled=counts.counts(SCORE, "waiting", 1)[..., 0],
        log_loss=loss[..., 0],
        log_loss_sq=loss_sq[..., 0],
        squared_error=error[..., 0],
        squared_error_sq=error_sq[..., 0],
        bin_n=bins[0] + bins[1],
        bin_correct=bins[0],
        bin_score=sums[0] + sums[1],
        bin_score_sq=squares[0] + squares[1],
        bin_score_correct=sums[0],
        classes=classes,
        low=low,
        high=high,
    )


def _reliability(counts: Counts, name: str) -> tuple[Amounts, Floats, Floats]:
    part = f"reliability_{name}"
    return counts.counts(SCORE, part, RELIABILITY_BINS), *counts.sums(SCORE, part, RELIABILITY_BINS)


def _one_against_rest(counts: Counts, size: int) -> tuple[Amounts, Amounts, Floats, Floats]:
    """Rows of each class and of the others per cell of its score, and the edges of the cells."""
    step = _step(size)
    parts = [counts.flat(SCORE, part) for part in ("class_positive", "class_negative")]
    cells = [flat.codes % SCORE_CELLS // step for flat, _, _ in parts]
    known = np.unique(np.concatenate(cells)).astype(np.int64)
    found = []
    for (flat, group, day), cell in zip(parts, cells, strict=True):
        place = flat.codes // SCORE_CELLS * known.size + np.searchsorted(known, cell)
        rows = counts.windows(group, day, place, size * known.size, flat.counts)
        found.append(rows.reshape(*rows.shape[:-1], size, known.size))
    first = known * step
    low, high = score_edges(first)[0], score_edges(first + (step - 1))[1]
    return found[0], found[1], low, high


def _step(size: int) -> int:
    """How many score cells lie in one: by the number of classes alone, never by the rows."""
    step = 1
    while size * SCORE_CELLS // step > MOST_CELLS and step < SCORE_CELLS:
        step *= 2
    return step


def regression_summary(counts: Counts, values: Grid) -> RegressionSummary:
    """Errors of every window."""
    seen = counts.counts(SCORE, "errors", len(ERROR_CODES))
    sums, squares = counts.sums(SCORE, "errors", len(ERROR_CODES))
    rows, once, twice = (
        {name: array[..., code] for name, code in ERROR_CODES.items()} for array in (seen, sums, squares)
    )
    flat, group, day = counts.flat(SCORE, "error_cells")
    # A quantile takes one cell at least, be it empty.
    codes = np.unique(flat.codes if flat.codes.size else np.zeros(1)).astype(np.int32)
    low, high = bucket_edges(codes)
    return RegressionSummary(
        n=rows["error"],
        unlabelled=counts.counts(SCORE, "waiting", 1)[..., 0],
        error=once["error"],
        error_sq=twice["error"],
        error_4=twice["squared"],
        absolute=once["absolute"],
        label=once["label"],
        label_sq=twice["label"],
        cross=once["cross"],
        relative=once["relative"],
        relative_sq=twice["relative"],
        zero=rows["zero"],
        errors=counts.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts),
        centre=values.location,
        low=np.maximum(low, 0.0),
        high=high,
        cross_sq=twice["cross"],
        label_3=once["label_cubed"],
        label_4=twice["label_squared"],
        error_sq_label=once["squared_cross"],
    )


def predicted_summary(counts: Counts, baseline: Counts, size: int) -> PredictedSummary:
    """Predicted classes of every window, beside those of the baseline of each group."""
    found = [owner.counts(SCORE, "predicted", size) for owner in (counts, baseline)]
    return PredictedSummary(found[0], placed(counts, baseline, found[1]))


def class_outcomes(counts: Counts, baseline: Counts, size: int) -> OutcomeSummary:
    """Classes that came true in every window, beside those of the baseline of each group."""

    def of(owner: Counts) -> Amounts:
        flat, group, day = owner.flat(SCORE, "confusion")
        return owner.windows(group, day, flat.codes // size, size, flat.counts)

    return OutcomeSummary(of(counts), placed(counts, baseline, of(baseline)))


def value_outcomes(counts: Counts, baseline: Counts, binned: FeatureBaseline) -> OutcomeSummary:
    """Numbers that came true in every window, in the drift bins of those that are predicted."""
    grid = binned.grid or Grid()

    def of(owner: Counts) -> Amounts:
        flat, group, day = owner.flat(SCORE, "label_cells")
        place: Ints = np.searchsorted(binned.edges, bucket_of(flat.codes, grid), side="right")
        return owner.windows(group, day, place, binned.edges.size + 1, flat.counts)

    return OutcomeSummary(of(counts), placed(counts, baseline, of(baseline)))
