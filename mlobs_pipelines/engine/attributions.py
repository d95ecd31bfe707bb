"""Counting feature attributions that a log carries: how far each feature moved each row's score.

Sizes only, by feature: their sums, and their counts over log-scale cells. Nulls are left out.
"""

from collections.abc import Iterator

import numpy as np

from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.engine.features import NumberPart, floats
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Rows
from mlobs_pipelines.engine.parts import Counted, Part

SIZES, CELLS = "attribution", "attribution_cells"  # parts of a feature


class Attribution:
    """Attributions of one feature, and the column that holds them."""

    def __init__(self, cuts: int, feature: str, column: str) -> None:
        self._column = column
        self._sizes = Part(cuts, feature, SIZES, valued=True)
        self._cells = NumberPart(cuts, Grid(), feature, CELLS, states=None)

    def add(self, rows: Assigned, batch: Rows) -> None:
        """Count a batch."""
        size = np.abs(floats(batch.column(self._column)))
        present = np.isfinite(size)
        self._sizes.add(rows, np.where(present, 0, -1), size)
        self._cells.add(rows, size, present)

    def merge(self, other: "Attribution", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._sizes.merge(other._sizes, moved)
        self._cells.merge(other._cells, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Every part."""
        yield from self._sizes.counted(groups)
        yield from self._cells.counted(groups)
