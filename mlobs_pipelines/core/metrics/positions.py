"""Where the rows of a feature's cells stand: cells as values with a half-width, and moments from them.

Registers no metric.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.metrics.estimates import dot, ratio
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class Positions:
    """Middles of a feature's cells.

    Attributes
    ----------
    order : (C,) intp
        The cells in ascending order of their middle: an atom may stand before the middle of its bucket.
    values : (C,)
        Middles in that order.
    middle, half : (C,)
        Middle and half-width of each cell in the order of the cells; infinite cells have none.
    """

    order: NDArray[np.intp]
    values: Floats
    middle: Floats
    half: Floats

    def mean(self, cells: Amounts) -> tuple[Floats, Floats]:
        """Mean of the rows, and how far it may be off."""
        return ratio(dot(cells, self.middle), cells.sum(axis=-1)), self.half_width(cells)

    def deviation(self, cells: Amounts) -> tuple[Floats, Floats]:
        """Standard deviation (ddof 0) of the rows, and how far it may be off (Minkowski's inequality)."""
        n = cells.sum(axis=-1)
        mean = ratio(dot(cells, self.middle), n)
        away = self.middle - mean[..., np.newaxis]
        spread = np.sqrt(ratio(dot(cells, away * away), n))
        return spread, np.sqrt(ratio(dot(cells, np.where(cells > 0, self.half**2, 0)), n))

    def half_width(self, cells: Amounts) -> Floats:
        """Mean half-width of the cells that the rows are in."""
        # Empty cells are left out by hand: an open one is infinitely wide.
        return ratio(dot(cells, np.where(cells > 0, self.half, 0)), cells.sum(axis=-1))


def positions(summary: FeatureSummary) -> Positions | None:
    """Where the cells stand; None for categories and where there is no cell at all."""
    if summary.low is None or summary.high is None or summary.low.size == 0:
        return None
    # An open cell has no middle: its rows stand at its one edge, with no bound on how far that may be off.
    low, high = (np.where(np.isfinite(one), one, other) for one, other in _pairs(summary.low, summary.high))
    middle = low + (high - low) / 2
    half = np.where(np.isfinite(summary.low) & np.isfinite(summary.high), (high - low) / 2, np.inf)
    order = np.argsort(middle, kind="stable")
    return Positions(order, middle[order], middle, half)


def _pairs(low: Floats, high: Floats) -> list[tuple[Floats, Floats]]:
    return [(low, high), (high, low)]
