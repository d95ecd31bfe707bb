"""Operation metrics: how many requests a model answered, how often it failed, and how quickly."""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    Z95,
    amount,
    effective,
    enough,
    layers,
    proportion,
    quantile_need,
    ratio,
    share_size,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import OperationSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats, Ints

# Half a billionth of a row: a rank such as 0.95 x 20 is not pushed into the next cell by rounding.
_RANK_SLACK = 5e-10


@metric("request_count", OperationSummary, family="operations", unit="rows")
def request_count(summary: OperationSummary) -> Estimate:
    """Requests of the window; 0 where there are none, exact unless requests were sampled."""
    return amount(summary, lambda s: s.requests, lambda s: s.requests)


@metric("error_share", OperationSummary, family="operations", direction=-1)
def error_share(summary: OperationSummary) -> Estimate:
    """Requests that did not end in a declared good status ÷ requests."""
    return proportion(summary, lambda s: (s.errors, s.requests))


def cell_quantile(counts: Amounts, low: Floats, high: Floats, level: Floats) -> tuple[Floats, Floats]:
    """Quantile (inverse of the empirical distribution) of binned values, and its error bound.

    Parameters
    ----------
    counts : (..., C)
        Rows per cell, ascending.
    low, high : (C,)
        Edges of the cells.
    level : (...,)
        Wanted share of rows at or below the quantile, in [0, 1].

    Returns
    -------
    value, bound : (...,) float64
        Interpolated inside the cell where the level is reached; the bound is that cell's width. NaN without
        rows and where the cell is open-ended.
    """
    n = counts.sum(axis=-1)
    reached = np.cumsum(counts, axis=-1)
    rank = np.clip(level * n, 1, np.maximum(n, 1)) - _RANK_SLACK
    cell = _cell(reached, rank)
    inside, total = (_entry(array, cell) for array in (counts, reached))
    closed = (n > 0) & np.isfinite(low[cell]) & np.isfinite(high[cell])
    width = np.subtract(high[cell], low[cell], out=np.full(cell.shape, np.nan), where=closed)
    value = low[cell] + width * np.clip(ratio(rank - (total - inside), inside), 0, 1)
    return value, width


def _rank_size(summary: OperationSummary, level: float) -> Floats:
    """How many rows of equal weight say as much about the share of rows up to a quantile (Woodruff 1952)."""
    total, squared = summary.latency.sum(axis=-1), np.asarray(summary.squared.latency)
    cell = _cell(np.cumsum(summary.latency, axis=-1), level * total)
    below = _entry(np.cumsum(squared, axis=-1), cell)
    return share_size(np.full(total.shape, level), total, below, squared.sum(axis=-1))


def _cell(reached: Amounts, rank: Floats) -> Ints:
    """Position of the first cell in which a rank is reached."""
    return np.asarray(np.argmax(reached >= rank[..., np.newaxis], axis=-1))


def _entry(cells: Amounts, index: Ints) -> Amounts:
    return np.asarray(np.take_along_axis(cells, index[..., np.newaxis], axis=-1)[..., 0])


def _latency(name: str, level: float) -> Callable[[OperationSummary], Estimate]:
    """Register one latency quantile; its interval takes the ranks that a binomial count may reach."""
    need = quantile_need(level)

    @metric(name, OperationSummary, family="operations", unit="ms", direction=-1)
    def latency(summary: OperationSummary) -> Estimate:
        n, squares, seen = layers(summary, lambda s: np.asarray(s.latency.sum(axis=-1)))
        size = n if squares is n else _rank_size(summary, level)
        away = Z95 * np.sqrt(level * (1 - level) / np.maximum(size, 1))
        levels = [np.full(n.shape, level), np.clip(level - away, 0, 1), np.clip(level + away, 0, 1)]
        edges = summary.low_ms, summary.high_ms
        (value, bound), (lower, _), (upper, _) = (cell_quantile(summary.latency, *edges, p) for p in levels)
        return Estimate(value, seen, lower, upper, bound, **enough(effective(n, squares), need))

    return latency


latency_p50 = _latency("latency_p50", 0.50)
latency_p95 = _latency("latency_p95", 0.95)
latency_p99 = _latency("latency_p99", 0.99)
