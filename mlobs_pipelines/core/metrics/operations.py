"""Operation metrics: how many requests a model answered, how often it failed, and how quickly."""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95, proportion, quantile_need, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import OperationSummary
from mlobs_pipelines.core.vocabulary import Estimate, Floats, Ints

# Half a billionth of a row: a rank such as 0.95 x 20 is not pushed into the next cell by rounding.
_RANK_SLACK = 5e-10


@metric("request_count", OperationSummary, family="operations", unit="rows")
def request_count(summary: OperationSummary) -> Estimate:
    """Requests of the window; exact, and 0 where there are none."""
    n = np.asarray(summary.requests)
    return Estimate(n.astype(np.float64), n)


@metric("error_share", OperationSummary, family="operations", direction=-1)
def error_share(summary: OperationSummary) -> Estimate:
    """Requests that did not end in a declared good status ÷ requests."""
    return proportion(summary.errors, summary.requests)


def cell_quantile(counts: Ints, low: Floats, high: Floats, level: Floats) -> tuple[Floats, Floats]:
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
    cell = np.argmax(reached >= rank[..., np.newaxis], axis=-1)
    inside, total = (np.take_along_axis(a, cell[..., np.newaxis], axis=-1)[..., 0] for a in (counts, reached))
    closed = (n > 0) & np.isfinite(low[cell]) & np.isfinite(high[cell])
    width = np.subtract(high[cell], low[cell], out=np.full(cell.shape, np.nan), where=closed)
    value = low[cell] + width * np.clip(ratio(rank - (total - inside), inside), 0, 1)
    return value, width


def _latency(name: str, level: float) -> Callable[[OperationSummary], Estimate]:
    """Register one latency quantile; its interval takes the ranks that a binomial count may reach."""
    need = quantile_need(level)

    @metric(name, OperationSummary, family="operations", unit="ms", direction=-1)
    def latency(summary: OperationSummary) -> Estimate:
        n = np.asarray(summary.latency.sum(axis=-1))
        away = Z95 * np.sqrt(level * (1 - level) / np.maximum(n, 1))
        levels = [np.full(n.shape, level), np.clip(level - away, 0, 1), np.clip(level + away, 0, 1)]
        edges = summary.low_ms, summary.high_ms
        (value, bound), (lower, _), (upper, _) = (cell_quantile(summary.latency, *edges, p) for p in levels)
        sufficient = n >= need
        return Estimate(value, n, lower, upper, bound, sufficient=sufficient, need=f"at least {need:,} rows")

    return latency


latency_p50 = _latency("latency_p50", 0.50)
latency_p95 = _latency("latency_p95", 0.95)
latency_p99 = _latency("latency_p99", 0.99)
