"""Slope and intercept of logistic recalibration: how the logit of a score should be stretched and moved.

From score cells; the bins of the other calibration metrics play no part.
"""

from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95, dot, effective, layers, ratio
from mlobs_pipelines.core.metrics.quality import MIN_CLASS, negative_rows, positive_rows
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import ScoreSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats

LIMIT = 16.0
_STEPS = 40
_CLOSE = 1e-10
_WILD = 1e3
_NEED = f"at least {MIN_CLASS} positives and {MIN_CLASS} negatives"


@dataclass(frozen=True, slots=True)
class Fit:
    """A logistic regression of the label on the logit of the score.

    Attributes
    ----------
    line : (..., 2)
        Intercept and slope; NaN where there is no finite best one.
    error, bound : (..., 2)
        Their standard errors (Huber 1967, White 1982), and how far they may be off, to first order, because
        rows of a cell stand at its middle.
    """

    line: Floats
    error: Floats
    bound: Floats


@metric("calibration_slope", ScoreSummary, family="calibration")
def calibration_slope(summary: ScoreSummary) -> Estimate:
    """Slope of the logistic recalibration (Cox 1958): 1 is perfect, under 1 the scores are too extreme.

    Logits are cut at ±16; NaN where one label is missing or the labels can be told apart without error.
    """
    return _part(summary, 1)


@metric("calibration_intercept", ScoreSummary, family="calibration")
def calibration_intercept(summary: ScoreSummary) -> Estimate:
    """Intercept of the logistic recalibration (Cox 1958), the slope being free: 0 is perfect."""
    return _part(summary, 0)


def _part(summary: ScoreSummary, index: int) -> Estimate:
    found = fit(summary)
    value, error, bound = (array[..., index] for array in (found.line, found.error, found.bound))
    sides = [layers(summary, side) for side in (positive_rows, negative_rows)]
    sizes = [effective(n, squares) for n, squares, _ in sides]
    return Estimate(
        value,
        np.asarray(sum(seen for *_, seen in sides)),
        value - Z95 * error,
        value + Z95 * error,
        bound,
        sufficient=(sizes[0] >= MIN_CLASS) & (sizes[1] >= MIN_CLASS),
        need=_NEED,
        effective=sizes[0] + sizes[1],
    )


def logits(summary: ScoreSummary) -> tuple[Floats, Floats]:
    """Middle and half-width of the score cells on the logit scale."""
    with np.errstate(divide="ignore"):
        ends = [np.log(edge) - np.log1p(-edge) for edge in (summary.low, summary.high)]
    low, high = (np.clip(end, -LIMIT, LIMIT) for end in ends)
    return (low + high) / 2, (high - low) / 2


def fit(summary: ScoreSummary) -> Fit:
    """Newton's method on the cells, from the base rate on; each window stops when it stands still."""
    x, half = logits(summary)
    hits, misses = (np.asarray(array, np.float64) for array in (summary.positives, summary.negatives))
    line, going = _start(hits, misses)
    done: Flags = np.zeros_like(going)
    for _ in range(_STEPS):
        if not going.any():
            break
        step = _step(line[going], x, hits[going], misses[going])
        line[going] += step
        size = np.abs(line[going]).max(axis=-1)
        still = np.abs(step).max(axis=-1) <= _CLOSE * np.maximum(1, size)
        wild = ~(size < _WILD)
        done[going], going[going] = still & ~wild, ~(still | wild)
    line[~done] = np.nan
    return _errors(summary, Fit(line, line, line), x, half)


def _start(hits: Floats, misses: Floats) -> tuple[Floats, Flags]:
    ones, zeros = (np.asarray(array.sum(axis=-1)) for array in (hits, misses))
    both: Flags = np.asarray((ones > 0) & (zeros > 0))
    line = np.zeros((*both.shape, 2))
    line[..., 0] = np.log(np.where(both, ratio(ones, zeros), 1))
    return line, both


def _chances(line: Floats, x: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-(line[..., :1] + line[..., 1:] * x))))


def _step(line: Floats, x: Floats, hits: Floats, misses: Floats) -> Floats:
    p = _chances(line, x)
    rest, weight = hits * (1 - p) - misses * p, (hits + misses) * p * (1 - p)
    inverse = _inverse(weight, x)
    slopes = dot(rest, np.ones_like(x)), dot(rest, x)
    return np.stack([sum(inverse[i][j] * slopes[j] for j in (0, 1)) for i in (0, 1)], axis=-1)


def _inverse(weight: Floats, x: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Inverse of Σ weight (1, x)(1, x)'; NaN where it has none."""
    one, first, second = (dot(weight, x**power) for power in (0, 1, 2))
    scale = ratio(1, one * second - first * first)
    return (second * scale, -first * scale), (-first * scale, one * scale)


def _errors(summary: ScoreSummary, found: Fit, x: Floats, half: Floats) -> Fit:
    p, slope = _chances(found.line, x), found.line[..., 1:]
    inverse = _inverse((summary.positives + summary.negatives) * p * (1 - p), x)
    spread = _spread(summary, p, x)
    errors, bounds = [], []
    for row in inverse:
        variance = row[0] ** 2 * spread[0] + 2 * row[0] * row[1] * spread[1] + row[1] ** 2 * spread[2]
        errors.append(np.sqrt(np.maximum(variance, 0)))
        left, right = (part[..., np.newaxis] for part in row)
        bent = p * (1 - p) * slope * (left + right * x)
        moved = summary.positives * np.abs(right * (1 - p) - bent)
        bounds.append(dot(moved + summary.negatives * np.abs(-right * p - bent), half))
    return Fit(found.line, np.stack(errors, axis=-1), np.stack(bounds, axis=-1))


def _spread(summary: ScoreSummary, p: Floats, x: Floats) -> list[Floats]:
    """Σ w² (label - p)² times 1, x and x²: the spread of the score equations."""
    twice = summary.squared
    weight = twice.positives * (1 - p) ** 2 + twice.negatives * p**2
    return [dot(weight, x**power) for power in (0, 1, 2)]
