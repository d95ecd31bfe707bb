"""Errors of a regression model while labels are late: how far off predictions of such a size were before.

Direct loss estimation (DLE; NannyML's documentation, "Direct Loss Estimation"): a loss is learned on labelled
rows and averaged over rows that have no label yet. Here it is learned from counts: the mean loss per stretch
of predicted numbers, straight between the middles of stretches. Quality on known labels is `regression`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.metrics.estimated import error_of
from mlobs_pipelines.core.metrics.estimates import Z95, dot, effective, enough, layers, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.regression import UNIT, mae, rmse
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ValueEstimatedSummary
from mlobs_pipelines.core.vocabulary import Estimate, Floats, Ints

MIN_ROWS = MIN_COHORT = 200
ROWS_PER_STRETCH, MOST_STRETCHES = 100, 50
NEED = f"at least {MIN_ROWS:,} rows, and {MIN_COHORT:,} matured labels to learn from"


@dataclass(frozen=True, slots=True)
class Learned:
    """What a cohort says of the losses of predictions of any size.

    Attributes
    ----------
    left, share : (B,)
        Of each cell: the stretch whose middle lies below it, and how far it is from there to the next one's.
    beyond : (B,)
        What a loss would change by if its trend over the outer fifth of the stretches went on to a cell that
        lies outside of their middles, where the loss is taken to be that of the outermost stretch.
    mean, square, n : (K,)
        Mean loss and mean squared loss per stretch, and the rows that they rest on; K is 0 without a cohort.
    """

    left: Ints
    share: Floats
    beyond: Floats
    mean: Floats
    square: Floats
    n: Floats

    def reach(self, rows: Floats) -> Floats:
        """How much of each stretch's mean goes into a sum over rows per cell: (K,)."""
        size, right = self.n.size, np.minimum(self.left + 1, self.n.size - 1)
        below = np.bincount(self.left, weights=rows * (1 - self.share), minlength=size)
        return np.asarray(below + np.bincount(right, weights=rows * self.share, minlength=size))

    def of_cells(self, means: Floats) -> Floats:
        """A mean per stretch, read at every cell: (B,)."""
        right = means[np.minimum(self.left + 1, self.n.size - 1)]
        return np.asarray(means[self.left] * (1 - self.share) + right * self.share)


def learned(known: Floats, loss: Floats, square: Floats, middle: Floats) -> Learned:
    """Learn mean losses by stretches of the predicted number that hold about equally many labelled rows.

    Parameters
    ----------
    known, loss, square : (B,)
        Labelled rows, Σ loss and Σ loss² per ascending cell.
    middle : (B,)
        Predicted number that stands for each cell.
    """
    total = float(known.sum())
    if not total > 0:
        nothing, none = np.zeros(middle.size), np.empty(0)
        return Learned(nothing.astype(np.int64), nothing, nothing, none, none, none)
    stretches = int(np.clip(total // ROWS_PER_STRETCH, 1, MOST_STRETCHES))
    place = (np.cumsum(known) - known / 2) / total * stretches
    held = np.flatnonzero(known > 0)
    _, of = np.unique(np.minimum(place[held].astype(np.int64), stretches - 1), return_inverse=True)
    n, *sums = (np.bincount(of, weights=some[held]) for some in (known, known * middle, loss, square))
    at, mean, squares = (np.asarray(total / n, np.float64) for total in sums)
    left = np.clip(np.searchsorted(at, middle, side="right") - 1, 0, max(at.size - 2, 0)).astype(np.int64)
    gap = at[np.minimum(left + 1, at.size - 1)] - at[left]
    share = np.clip(np.nan_to_num(ratio(middle - at[left], gap)), 0.0, 1.0)
    return Learned(left, share, _beyond(at, mean, middle), mean, squares, np.asarray(n, np.float64))


def _beyond(at: Floats, mean: Floats, middle: Floats) -> Floats:
    """How far the loss of each cell may be off that lies outside of the stretches' middles."""
    inner = min(max(1, at.size // 5), at.size - 1)
    ends = ((at[0] - middle, 0, inner), (middle - at[-1], -1, -1 - inner))
    found = np.zeros(middle.size)
    for distance, end, other in ends:
        slope = np.nan_to_num(ratio(abs(mean[end] - mean[other]), abs(at[end] - at[other])))
        found += np.maximum(distance, 0) * slope
    return found


@dataclass(frozen=True, slots=True)
class _Loss:
    """Expected mean loss of windows, the variance of what labels will say it is, and its bound."""

    value: Floats
    variance: Floats
    bound: Floats


def _expected(summary: ValueEstimatedSummary, loss: Floats, square: Floats) -> _Loss:
    """Average a learned loss over the rows of every window."""
    shape = np.broadcast_shapes(summary.known.shape, summary.scored.shape)
    middle = (summary.low + summary.high) / 2
    known: dict[bytes, Learned] = {}
    found = []
    layers_of = (summary.known, loss, square, summary.scored, summary.squared.scored)
    flat = [np.broadcast_to(some, shape).reshape(-1, shape[-1]).astype(np.float64) for some in layers_of]
    for cohort, one, two, rows, rows_squared in zip(*flat, strict=True):
        key = cohort.tobytes() + one.tobytes()
        if key not in known:
            known[key] = learned(cohort, one, two, middle)
        found.append(_averaged(known[key], rows, rows_squared))
    columns = np.array(found).reshape(*shape[:-1], 3)
    return _Loss(columns[..., 0], columns[..., 1], columns[..., 2])


def _averaged(fit: Learned, rows: Floats, squared: Floats) -> tuple[float, float, float]:
    """Mean loss of one window, its variance, and how far it may be off for rows unlike any of the cohort."""
    total = float(np.cumsum(rows)[-1]) if rows.size else 0.0
    if not (fit.n.size and total > 0):
        return np.nan, np.nan, 0.0
    reach = fit.reach(rows)
    mean, spread = fit.of_cells(fit.mean), np.maximum(fit.square - fit.mean**2, 0)
    labels = dot(squared, np.maximum(fit.of_cells(fit.square) - mean**2, 0))
    learnt = dot(reach**2, ratio(spread, np.maximum(fit.n - 1, 1)))
    bound = float(dot(rows, fit.beyond)) / total
    return float(dot(reach, fit.mean)) / total, float(labels + learnt) / total**2, bound


def _estimate(
    summary: ValueEstimatedSummary, found: _Loss, change: Callable[[Floats], tuple[Floats, Floats]]
) -> Estimate:
    """What a mean loss is turned into, with its slope, and the interval that the realised one falls into."""
    value, slope = change(found.value)
    half = Z95 * np.sqrt(found.variance) * slope
    total, squares, seen = layers(summary, lambda s: s.scored.sum(axis=-1))
    rule = {**enough(effective(total, squares), MIN_ROWS), "need": NEED}
    rule["sufficient"] = rule["sufficient"] & (np.asarray(summary.known.sum(axis=-1)) >= MIN_COHORT)
    bound = np.nan_to_num(found.bound * slope)
    return Estimate(value, np.asarray(seen), np.maximum(value - half, 0), value + half, bound, **rule)


@metric("estimated_mae", ValueEstimatedSummary, family="quality", unit=UNIT, direction=-1)
def estimated_mae(summary: ValueEstimatedSummary) -> Estimate:
    """Expected mean absolute error, by how far predictions of such a size were off on matured days."""
    return _mae(summary)


@shared
def _mae(summary: ValueEstimatedSummary) -> Estimate:
    found = _expected(summary, summary.absolute, summary.error_sq)
    return _estimate(summary, found, lambda mean: (mean, np.ones_like(mean)))


@metric("estimated_rmse", ValueEstimatedSummary, family="quality", unit=UNIT, direction=-1)
def estimated_rmse(summary: ValueEstimatedSummary) -> Estimate:
    """Root of the expected mean squared error, by those of predictions of such a size on matured days."""
    return _rmse(summary)


@shared
def _rmse(summary: ValueEstimatedSummary) -> Estimate:
    found = _expected(summary, summary.error_sq, summary.error_4)

    def root(mean: Floats) -> tuple[Floats, Floats]:
        value = np.sqrt(mean)
        return value, np.where(value == 0, 0.0, ratio(1, 2 * value))

    return _estimate(summary, found, root)


@metric("estimated_mae_error", ValueEstimatedSummary, family="quality", unit=UNIT)
def estimated_mae_error(summary: ValueEstimatedSummary) -> Estimate:
    """Estimated MAE minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_mae(summary), mae(summary.outcome))


@metric("estimated_rmse_error", ValueEstimatedSummary, family="quality", unit=UNIT)
def estimated_rmse_error(summary: ValueEstimatedSummary) -> Estimate:
    """Estimated RMSE minus the realised one: the estimator's own track record, known once labels are."""
    return error_of(_rmse(summary), rmse(summary.outcome))
