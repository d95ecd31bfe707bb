"""Quantiles of binned values, with their intervals and bounds; latency and feature percentiles rest on them.

Registers no metric.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    Z95,
    effective,
    enough,
    layers,
    quantile_need,
    ratio,
    share_size,
)
from mlobs_pipelines.core.summaries import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats, Ints

# Half a billionth of a row: a rank such as 0.95 x 20 is not pushed into the next cell by rounding.
_RANK_SLACK = 5e-10


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
    reached = np.cumsum(counts, axis=-1)
    rank, cell = _reach(reached, level)
    inside, total = (_entry(array, cell) for array in (counts, reached))
    closed = (total > 0) & np.isfinite(low[cell]) & np.isfinite(high[cell])
    width = np.subtract(high[cell], low[cell], out=np.full(cell.shape, np.nan), where=closed)
    value = low[cell] + width * np.clip(ratio(rank - (total - inside), inside), 0, 1)
    return value, width


def _reach(reached: Amounts, level: Floats) -> tuple[Floats, Ints]:
    """Rank of a level, and position of the first cell in which it is reached."""
    n = reached[..., -1] if reached.shape[-1] else np.zeros(reached.shape[:-1])
    rank = np.clip(level * n, 1, np.maximum(n, 1)) - _RANK_SLACK
    return rank, _cell(reached, rank)


def quantile(
    summary: Additive, cells: Callable[[Any], Amounts], edges: tuple[Floats, Floats], level: float
) -> Estimate:
    """A quantile with the 95 % interval of the ranks that a binomial count may reach.

    Parameters
    ----------
    cells
        From sums to the rows per cell, ascending.
    edges : (C,), (C,)
        Lower and upper edges of the cells.
    """
    n, squares, seen = layers(summary, lambda s: np.asarray(cells(s).sum(axis=-1)))
    counts = cells(summary)
    size = n if squares is n else _rank_size(counts, cells(summary.squared), level)
    away = Z95 * np.sqrt(level * (1 - level) / np.maximum(size, 1))
    levels = [np.full(n.shape, level), np.clip(level - away, 0, 1), np.clip(level + away, 0, 1)]
    (value, bound), (lower, _), (upper, _) = (cell_quantile(counts, *edges, p) for p in levels)
    # A limit says nothing where the quantile itself lies beyond the cells.
    lower, upper = (np.where(np.isnan(value), np.nan, limit) for limit in (lower, upper))
    return Estimate(value, seen, lower, upper, bound, **enough(effective(n, squares), quantile_need(level)))


def quantile_cell(counts: Amounts, level: float) -> Ints:
    """Position of the cell in which `cell_quantile` finds a level."""
    reached = np.cumsum(counts, axis=-1)
    return _reach(reached, np.full(reached.shape[:-1], level))[1]


def _rank_size(counts: Amounts, squared: Amounts, level: float) -> Floats:
    """How many rows of equal weight say as much about the share of rows up to a quantile (Woodruff 1952)."""
    total = counts.sum(axis=-1)
    cell = _cell(np.cumsum(counts, axis=-1), level * total)
    below = _entry(np.cumsum(squared, axis=-1), cell)
    return share_size(np.full(total.shape, level), total, below, squared.sum(axis=-1))


def _cell(reached: Amounts, rank: Floats) -> Ints:
    """Position of the first cell in which a rank is reached."""
    return np.asarray(np.argmax(reached >= rank[..., np.newaxis], axis=-1))


def _entry(cells: Amounts, index: Ints) -> Amounts:
    return np.asarray(np.take_along_axis(cells, index[..., np.newaxis], axis=-1)[..., 0])
