"""Slope and intercept of logistic recalibration: how the logit of a score should be stretched and moved.

From score cells; the bins of the other calibration metrics play no part.
"""

from dataclasses import dataclass, fields

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95, effective, layers, ratio
from mlobs_pipelines.core.metrics.quality import MIN_CLASS, negative_rows, positive_rows
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ScoreSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints

LIMIT = 16.0
_STEPS = 40
_CLOSE = 1e-10
_WILD = 1e3
_NEED = f"at least {MIN_CLASS} positives and {MIN_CLASS} negatives"


@dataclass(frozen=True, slots=True)
class _Rows:
    """The cells of all windows that hold labelled rows, one after the other.

    Attributes
    ----------
    window : (m,)
        Which window a cell is of.
    x, half : (m,)
        Middle and half-width of the cell on the logit scale.
    hits, misses, hits_squared, misses_squared : (m,)
        Σw and Σw² of the rows with each label.
    windows
        How many windows there are.
    """

    window: Ints
    x: Floats
    half: Floats
    hits: Floats
    misses: Floats
    hits_squared: Floats
    misses_squared: Floats
    windows: int

    @staticmethod
    def of(summary: ScoreSummary) -> "_Rows":
        """Leave out empty cells, which are most: a day has fewer rows than there are cells."""
        *leading, width = summary.positives.shape
        shape, twice = (int(np.prod(leading)), width), summary.squared
        sides = {
            "hits": summary.positives,
            "misses": summary.negatives,
            "hits_squared": twice.positives,
            "misses_squared": twice.negatives,
        }
        flat = {name: np.asarray(side, np.float64).reshape(shape) for name, side in sides.items()}
        window, cell = np.nonzero((flat["hits"] > 0) | (flat["misses"] > 0))
        x, half = logits(summary)
        held = {name: side[window, cell] for name, side in flat.items()}
        return _Rows(window, x[cell], half[cell], **held, windows=flat["hits"].shape[0])

    def among(self, chosen: Flags) -> "_Rows":
        """The cells of some windows."""
        keep = chosen[self.window]
        arrays = {f.name: getattr(self, f.name)[keep] for f in fields(self) if f.name != "windows"}
        return _Rows(**arrays, windows=self.windows)

    def total(self, values: Floats) -> Floats:
        """Add values up cell by cell, by window."""
        added: Floats = np.bincount(self.window, values, self.windows).astype(np.float64)
        return added

    def chances(self, line: Floats) -> Floats:
        """What the line makes of every cell's middle."""
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-(line[self.window, 0] + line[self.window, 1] * self.x))))

    def inverse(self, p: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Inverse of Σ rows p (1 - p) (1, x)(1, x)'; NaN where it has none."""
        weight = (self.hits + self.misses) * p * (1 - p)
        one, first, second = (self.total(weight * self.x**power) for power in (0, 1, 2))
        scale = ratio(1, one * second - first * first)
        return (second * scale, -first * scale), (-first * scale, one * scale)


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


@shared
def fit(summary: ScoreSummary) -> Fit:
    """Newton's method on the cells, from the base rate on; each window stops when it stands still."""
    rows = _Rows.of(summary)
    line, going = _start(summary)
    done: Flags = np.zeros_like(going)
    some = rows
    for _ in range(_STEPS):
        if not going.any():
            break
        some = some.among(going)
        step = _step(line, some)[going]
        line[going] += step
        size = np.abs(line[going]).max(axis=-1)
        still = np.abs(step).max(axis=-1) <= _CLOSE * np.maximum(1, size)
        wild = ~(size < _WILD)
        done[going], going[going] = still & ~wild, ~(still | wild)
    line[~done] = np.nan
    shape = (*summary.positives.shape[:-1], 2)
    return Fit(*(array.reshape(shape) for array in (line, *_errors(rows, line))))


def _start(summary: ScoreSummary) -> tuple[Floats, Flags]:
    ones, zeros = (
        np.asarray(side, np.float64).sum(axis=-1).ravel() for side in (summary.positives, summary.negatives)
    )
    both: Flags = np.asarray((ones > 0) & (zeros > 0))
    return np.stack([np.log(np.where(both, ratio(ones, zeros), 1)), np.zeros(both.size)], axis=-1), both


def _step(line: Floats, rows: _Rows) -> Floats:
    p = rows.chances(line)
    rest = rows.hits * (1 - p) - rows.misses * p
    inverse, slopes = rows.inverse(p), (rows.total(rest), rows.total(rest * rows.x))
    return np.stack([sum(inverse[i][j] * slopes[j] for j in (0, 1)) for i in (0, 1)], axis=-1)


def _errors(rows: _Rows, line: Floats) -> tuple[Floats, Floats]:
    """Standard errors and bounds of intercept and slope."""
    p, slope = rows.chances(line), line[rows.window, 1]
    inverse, spread = rows.inverse(p), _spread(rows, p)
    errors, bounds = [], []
    for row in inverse:
        variance = row[0] ** 2 * spread[0] + 2 * row[0] * row[1] * spread[1] + row[1] ** 2 * spread[2]
        errors.append(np.sqrt(np.maximum(variance, 0)))
        left, right = (part[rows.window] for part in row)
        bent = p * (1 - p) * slope * (left + right * rows.x)
        moved = rows.hits * np.abs(right * (1 - p) - bent)
        bounds.append(rows.total((moved + rows.misses * np.abs(-right * p - bent)) * rows.half))
    undone = np.isnan(line[:, :1])
    return np.stack(errors, axis=-1), np.where(undone, np.nan, np.stack(bounds, axis=-1))


def _spread(rows: _Rows, p: Floats) -> list[Floats]:
    """Σ w² (label - p)² times 1, x and x²: the spread of the score equations."""
    weight = rows.hits_squared * (1 - p) ** 2 + rows.misses_squared * p**2
    return [rows.total(weight * rows.x**power) for power in (0, 1, 2)]
