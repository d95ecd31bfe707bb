"""Attribution drift: what each feature does to the scores, and whether they rank as in training.

Which bins and segments carry a feature's own drift is `attribution`.
"""

from functools import cache

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    Z95,
    average,
    dot,
    effective,
    enough,
    layers,
    ratio,
)
from mlobs_pipelines.core.metrics.quantiles import quantile
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import AttributionPanel, AttributionSummary
from mlobs_pipelines.core.vocabulary import Estimate, Floats

DRAWS, SEED = 100, 20130101


@metric("attribution_mean", AttributionSummary, family="drift")
def attribution_mean(summary: AttributionSummary) -> Estimate:
    """Mean size of a feature's attribution (mean |SHAP|), with a normal 95 % interval."""
    return average(summary, lambda s: (s.size, s.size_sq, s.n))


@metric("attribution_share", AttributionSummary, family="drift")
def attribution_share(summary: AttributionSummary) -> Estimate:
    """Sizes of a feature's attributions ÷ those of all features'."""
    n, squares, seen = layers(summary, lambda s: s.n)
    value = ratio(summary.size, summary.whole)
    return Estimate(value, np.asarray(seen), **enough(effective(n, squares), MIN_PROPORTION))


@metric("attribution_p95", AttributionSummary, family="drift", detail=True)
def attribution_p95(summary: AttributionSummary) -> Estimate:
    """Size that 95 % of a feature's attributions stay under; interval as for latencies."""
    return quantile(summary, lambda s: s.cells, (summary.low, summary.high), 0.95)


@metric("attribution_ndcg", AttributionPanel, family="drift", direction=1)
def attribution_ndcg(summary: AttributionPanel) -> Estimate:
    """Normalised discounted cumulative gain of the window's order of features: 1 where it is the baseline's.

    Features stand in the order of their mean |attribution|, the gain of each is its weight in the baseline
    (Järvelin and Kekäläinen 2002; feature attribution drift as SageMaker and Vertex AI have it). The interval
    is a parametric bootstrap over the sampling error of the means, each on its own. A feature of unknown
    weight is left out; NaN where a feature has no attribution, or none has a weight.
    """
    found = average(summary, lambda s: (s.size, s.size_sq, s.n))
    known = ~np.isnan(np.broadcast_to(summary.baseline, found.value.shape))
    gains = np.where(known, np.maximum(summary.baseline, 0), 0.0)
    means = np.where(known, found.value, -np.inf)
    best = dot(-np.sort(-gains, axis=-1), _discount(means.shape[-1]))
    best = np.where(np.isnan(means).any(axis=-1), 0.0, best)
    value = ratio(dcg(gains, np.nan_to_num(means, neginf=-np.inf)), best)
    error = np.where(known, (found.upper - found.value) / Z95, 0.0)
    lower, upper = _interval(gains, means, error, best)
    n, squares, seen = layers(summary, lambda s: s.n)
    size = np.where(known, effective(n, squares), np.inf).min(axis=-1)
    rows = np.asarray(seen.min(axis=-1))
    ends = np.minimum(lower, value), np.maximum(upper, value)
    return Estimate(value, rows, *ends, **enough(np.minimum(size, n.max(axis=-1)), MIN_PROPORTION))


def dcg(gains: Floats, means: Floats) -> Floats:
    """Σ gain ÷ log2(rank + 1) with features ranked by their means, the largest first.

    Features of equal means share the discounts of the ranks they take.

    Parameters
    ----------
    gains, means : (..., F)

    Examples
    --------
    >>> training, live = np.array([0.7, 0.5, 0.05]), np.array([0.1, 0.2, 0.3])
    >>> round(float(dcg(training, live) / dcg(training, training)), 5)
    0.68764
    """
    order = np.argsort(-means, axis=-1, kind="stable")
    ranked = np.take_along_axis(means, order, axis=-1)
    return dot(np.take_along_axis(gains, order, axis=-1), _shared(ranked))


def _shared(ranked: Floats) -> Floats:
    """Discount of each rank, averaged over the ranks of equal means."""
    size = ranked.shape[-1]
    at = np.arange(size)
    new = np.concatenate([np.ones_like(ranked[..., :1], bool), ranked[..., 1:] != ranked[..., :-1]], axis=-1)
    start = np.maximum.accumulate(np.where(new, at, 0), axis=-1)
    last = np.concatenate([new[..., 1:], np.ones_like(new[..., :1])], axis=-1)
    end = np.flip(np.minimum.accumulate(np.flip(np.where(last, at + 1, size), -1), axis=-1), -1)
    alone = end - start == 1
    running = np.concatenate([[0.0], np.cumsum(_discount(size))])
    return np.where(alone, _discount(size), (running[end] - running[start]) / (end - start))


def _discount(size: int) -> Floats:
    return np.asarray(1 / np.log2(np.arange(size) + 2))


def _interval(gains: Floats, means: Floats, error: Floats, best: Floats) -> tuple[Floats, Floats]:
    """Central 95 % of the values that the means could as well give; NaN where their error is unknown."""
    sure = np.isfinite(error).all(axis=-1) & (best > 0)
    finite = np.where(np.isnan(error), 0.0, error)
    drawn = [ratio(dcg(gains, means + finite * z), best) for z in _normal(means.shape[-1])]
    spread = np.where(sure, np.stack(drawn), 0.0)
    lower, upper = np.quantile(spread, [0.025, 0.975], axis=0)
    return np.where(sure, lower, np.nan), np.where(sure, upper, np.nan)


@cache
def _normal(features: int) -> Floats:
    """The same draws for every window, so that a window's interval depends on nothing but its counts.

    Half of them are the others turned round, which makes few draws say more.
    """
    half = np.random.default_rng(SEED).standard_normal((DRAWS // 2, features))
    return np.concatenate([half, -half])
