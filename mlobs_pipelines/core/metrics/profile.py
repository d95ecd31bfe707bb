"""What a feature's values look like: percentiles, moments, extremes, cardinality, what training had not.

Percentiles come from cells; a value inside a cell is not known more closely than the cell, which the bound
says. Moments and extremes are exact where they were added up row by row.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from mlobs_pipelines.core.distinct import BOUND, distinct
from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    Z95,
    dot,
    effective,
    enough,
    layers,
    proportion,
    ratio,
)
from mlobs_pipelines.core.metrics.positions import positions
from mlobs_pipelines.core.metrics.quantiles import quantile, quantile_cell
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

_ROUNDING = 16 * np.finfo(np.float64).eps
_EXACT = 1e-9


@metric("unseen_share", FeatureSummary, family="drift", direction=-1, takes="categories")
def unseen_share(summary: FeatureSummary) -> Estimate:
    """Rows whose category the baseline does not have ÷ rows with a category.

    Categories past the cap of what is counted apart are one category; NaN where the baseline has no row.
    """
    new = (summary.baseline_cells == 0).astype(np.float64)
    return _known(summary, proportion(summary, lambda s: (dot(s.cells, new), s.cells.sum(axis=-1))))


@metric("out_of_range_share", FeatureSummary, family="drift", direction=-1, takes="numbers", detail=True)
def out_of_range_share(summary: FeatureSummary) -> Estimate:
    """Rows below the baseline's least or above its greatest value ÷ rows with a value.

    Rows in the cell of the least or the greatest value count as inside: the bound is their share.
    """
    out, unsure = (flags.astype(np.float64) for flags in outside(summary))
    found = proportion(summary, lambda s: (dot(s.cells, out), s.cells.sum(axis=-1)))
    bound = ratio(dot(summary.cells, unsure), summary.cells.sum(axis=-1))
    return _known(summary, Estimate(
        found.value, found.n, found.lower, found.upper, bound,
        sufficient=found.sufficient, need=found.need, effective=found.effective,
    ))  # fmt: skip


def outside(summary: FeatureSummary) -> tuple[Flags, Flags]:
    """Cells surely beyond the baseline's range, and those that may reach beyond it.

    Returns
    -------
    (..., C) bool, (..., C) bool
        With leading axes where the baseline has them.
    """
    seen, low, high = summary.baseline_cells > 0, summary.low, summary.high
    none = np.zeros(seen.shape, dtype=bool)
    if low is None or high is None or not seen.any():
        return none, none
    first = np.argmin(np.where(seen, low, np.inf), axis=-1, keepdims=True)
    last = np.argmax(np.where(seen, high, -np.inf), axis=-1, keepdims=True)
    out = ~seen & ((high <= low[first]) | (low >= high[last]))
    near = (low < high[first]) | (high > low[last]) | _at(seen, first) | _at(seen, last)
    return out, near & ~out & ~(seen & summary.atom)


def _at(like: Flags, index: Ints) -> Flags:
    return np.asarray(np.arange(like.shape[-1]) == index)


def _known(summary: FeatureSummary, found: Estimate) -> Estimate:
    """Nothing is new or out of range where there is no baseline to say so."""
    known = summary.baseline_cells.sum(axis=-1) > 0
    if np.all(known):
        return found
    value, lower, upper = (
        np.where(known, array, np.nan) for array in (found.value, found.lower, found.upper)
    )
    return replace(found, value=value, lower=lower, upper=upper, bound=np.where(known, found.bound, 0.0))


@metric("cardinality", FeatureSummary, family="drift", takes="categories", detail=True)
def cardinality(summary: FeatureSummary) -> Estimate:
    """How many different categories the window has.

    Exact up to the cap of what is counted apart in a day; past it an estimate by HyperLogLog with 4,096
    registers, whose standard error is 1.6 % of it: the bound is four of them.
    """
    value = np.asarray(np.count_nonzero(summary.cells, axis=-1), dtype=np.float64)
    bound = np.zeros(value.shape)
    if summary.registers is not None:
        many = np.asarray(summary.registers.any(axis=-1))
        value = np.where(many, distinct(summary.registers), value)
        bound = np.where(many, BOUND * value, bound)
    seen = np.asarray(summary.seen.cells.sum(axis=-1))
    return Estimate(np.where(seen > 0, value, np.nan), seen, bound=bound)


@metric("value_mean", FeatureSummary, family="drift", takes="numbers", detail=True)
def value_mean(summary: FeatureSummary) -> Estimate:
    """Mean of the present finite values, in the feature's unit, with a normal 95 % interval."""
    found = _moments(summary)
    if found is None:
        return _nothing(summary)
    n, squares, seen = _rows(summary)
    size = effective(n, squares)
    half = Z95 * found.deviation * np.sqrt(ratio(1, size - 1))
    return Estimate(
        found.mean, seen, found.mean - half, found.mean + half, found.mean_off, **enough(size, MIN_PROPORTION)
    )


@metric("value_std", FeatureSummary, family="drift", takes="numbers", detail=True)
def value_std(summary: FeatureSummary) -> Estimate:
    """Standard deviation (ddof 0) of the present finite values, in the feature's unit."""
    found = _moments(summary)
    if found is None:
        return _nothing(summary)
    n, squares, seen = _rows(summary)
    rule = enough(effective(n, squares), MIN_PROPORTION)
    return Estimate(found.deviation, seen, bound=found.deviation_off, **rule)


@metric("value_min", FeatureSummary, family="drift", takes="numbers", detail=True)
def value_min(summary: FeatureSummary) -> Estimate:
    """Least of the present finite values that were seen, in the feature's unit."""
    return _extreme(summary, summary.least)


@metric("value_max", FeatureSummary, family="drift", takes="numbers", detail=True)
def value_max(summary: FeatureSummary) -> Estimate:
    """Greatest of the present finite values that were seen, in the feature's unit."""
    return _extreme(summary, summary.greatest)


def _extreme(summary: FeatureSummary, value: Floats | None) -> Estimate:
    seen = np.asarray(summary.seen.cells.sum(axis=-1))
    return _nothing(summary) if value is None else Estimate(np.where(seen > 0, value, np.nan), seen)


def _rows(summary: FeatureSummary) -> tuple[Amounts, Amounts, Amounts]:
    """Rows with a value: by weight, by squared weight, and as seen."""
    return layers(summary, lambda s: np.asarray(s.cells.sum(axis=-1)))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Mean and standard deviation, and how far each may be off."""

    mean: Floats
    mean_off: Floats
    deviation: Floats
    deviation_off: Floats


def _moments(summary: FeatureSummary) -> _Moments | None:
    exact = _of_distances(summary)
    if exact is not None and np.isfinite(np.asarray(summary.distance_sq)).all():
        return exact
    at = positions(summary)
    if at is None:
        return exact
    found = _Moments(*at.mean(summary.cells), *at.deviation(summary.cells))
    if exact is None:
        return found
    # Squares of values beyond 1e154 are infinite: cells still say where these are.
    known = np.isfinite(np.asarray(summary.distance_sq))
    pairs = ((getattr(exact, item.name), getattr(found, item.name)) for item in fields(_Moments))
    return _Moments(*(np.where(known, one, other) for one, other in pairs))


def _of_distances(summary: FeatureSummary) -> _Moments | None:
    """Moments from Σd and Σd²; None where these are not known."""
    first, second, least, greatest = summary.distance, summary.distance_sq, summary.least, summary.greatest
    if first is None or second is None or least is None or greatest is None:
        return None
    n = np.asarray(summary.cells.sum(axis=-1))
    with np.errstate(over="ignore", invalid="ignore"):
        away, mean_sq = ratio(first, n), ratio(second, n)
        one = np.equal(least, greatest) & (n > 0)
        deviation = np.where(one, 0.0, np.sqrt(np.maximum(mean_sq - away * away, 0)))
        # What rounding leaves of the difference, where rows are close together and far from the location.
        off = np.fmin(np.sqrt(_ROUNDING * mean_sq), ratio(_ROUNDING * mean_sq, 2 * deviation))
    off = np.where(one | (off < _EXACT * deviation), 0.0, off)
    return _Moments(
        summary.location + away, np.zeros(away.shape), deviation, np.where(np.isnan(off), 0.0, off)
    )


def _nothing(summary: FeatureSummary) -> Estimate:
    seen = np.asarray(summary.seen.cells.sum(axis=-1))
    return Estimate(np.full(seen.shape, np.nan), seen)


def _percentile(level: int) -> Callable[[FeatureSummary], Estimate]:
    """Register one percentile of a feature's values."""

    @metric(f"value_p{level:02d}", FeatureSummary, family="drift", takes="numbers", detail=True)
    def value_percentile(summary: FeatureSummary) -> Estimate:
        """Value that the percentage of present rows in the name lies at or under, within its bound."""
        low, high = summary.low, summary.high
        if low is None or high is None or low.size == 0:
            return _nothing(summary)
        found = quantile(summary, lambda s: s.cells, (low, high), level / 100)
        bound = _mixed(summary, low, high, found, quantile_cell(summary.cells, level / 100))
        return Estimate(
            found.value, found.n, found.lower, found.upper, bound,
            sufficient=found.sufficient, need=found.need, effective=found.effective,
        )  # fmt: skip

    return value_percentile


def _mixed(summary: FeatureSummary, low: Floats, high: Floats, found: Estimate, cell: Amounts) -> Floats:
    """Bound of a percentile where a bucket holds atoms and other rows, whose order is not known.

    A bucket and the atoms after it are in order with all others: the percentile lies between the bucket's
    edges. An atom that stands alone in its bucket is exact.
    """
    start = np.maximum.accumulate(np.where(summary.atom, 0, np.arange(summary.atom.size)))[cell]
    group = np.cumsum(~summary.atom)
    same = group == group[cell][..., np.newaxis]
    inside = np.where(same, summary.cells, 0).sum(axis=-1)
    own = np.take_along_axis(summary.cells, cell[..., np.newaxis], axis=-1)[..., 0]
    away = np.maximum(found.value - low[start], high[start] - found.value)
    atom = np.where(own == inside, 0, away)
    return np.where(np.isnan(found.value), np.nan, np.where(summary.atom[cell], atom, found.bound))


value_p01 = _percentile(1)
value_p05 = _percentile(5)
value_p25 = _percentile(25)
value_p50 = _percentile(50)
value_p75 = _percentile(75)
value_p95 = _percentile(95)
value_p99 = _percentile(99)
