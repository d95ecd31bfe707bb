"""A bounded sample of whole rows: of each day, version and role those whose ids hash to the smallest numbers.

Such samples merge: the k smallest of a union are among the k smallest of its parts, so neither the order nor
the cut of the rows changes one. The stored parts are ``sample`` of ``requests`` (hashes as counts, weights as
sums) and of each feature (its values, in the order of the hashes).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.tally import Cells
from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.features import FeaturePlan, floats
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Rows, dictionary
from mlobs_pipelines.engine.hashing import hashed
from mlobs_pipelines.engine.parts import Counted
from mlobs_pipelines.engine.requests import REQUESTS

SAMPLE = "sample"
_LARGEST = np.iinfo(np.int64).max
_SLACK = 8  # how many times more rows than the sample may be held before the others are let go


class RowSample:
    """Keeps the rows with the smallest hashes of each group of all rows.

    Parameters
    ----------
    features
        What is kept of a row.
    size
        How many rows are kept per group.
    """

    def __init__(self, features: Sequence[FeaturePlan], size: int) -> None:
        self._features, self._size = list(features), size
        self._held = pa.table({plan.name: pa.nulls(0) for plan in self._features})
        self._hashes = self._groups = self._places = np.empty(0, dtype=np.int64)
        self._weights = np.empty(0)
        self._limits = np.empty(0, dtype=np.int64)

    def add(self, rows: Assigned, batch: Rows, hashes: Ints | None = None) -> None:
        """Take in a batch; `hashes` are those of its rows, by default of their ``prediction_id``."""
        hashes = hashed(batch.column("prediction_id")) if hashes is None else hashes
        group = rows.unions[0].take(rows.joint)
        self._make_room(rows.sizes[0])
        at = np.flatnonzero(hashes < self._limits.take(group))
        if not at.size:
            return
        chosen = at[_smallest(group[at], hashes[at], self._size)]
        places = self._held.num_rows + np.arange(chosen.size)
        self._hold(batch, chosen)
        weights = np.ones(chosen.size) if rows.weights is None else rows.weights[chosen]
        self._merge(group[chosen], hashes[chosen], places, weights)

    def merge(self, other: "RowSample", moved: Moved) -> None:
        """Take in the rows that were kept elsewhere."""
        if not other._groups.size:
            return
        self._make_room(moved.known(0))
        places = self._held.num_rows + np.arange(other._groups.size)
        taken = other._taken()
        self._held = pa.concat_tables([self._held, taken]) if self._held.num_rows else taken
        self._merge(moved.cuts[0][other._groups], other._hashes, places, other._weights)

    def _make_room(self, groups: int) -> None:
        more = np.full(max(groups - self._limits.size, 0), _LARGEST)
        self._limits = np.concatenate([self._limits, more])

    def _hold(self, batch: Rows, chosen: Ints) -> None:
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        taken = table.select([plan.name for plan in self._features]).take(pa.array(chosen))
        self._held = pa.concat_tables([self._held, taken]) if self._held.num_rows else taken

    def _merge(self, groups: Ints, hashes: Ints, places: Ints, weights: Floats) -> None:
        groups, hashes, places = (
            np.concatenate(pair)
            for pair in ((self._groups, groups), (self._hashes, hashes), (self._places, places))
        )
        weights = np.concatenate([self._weights, weights])
        kept = _smallest(groups, hashes, self._size)
        self._groups, self._hashes, self._places = groups[kept], hashes[kept], places[kept]
        self._weights = weights[kept]
        full, rows = np.unique(self._groups, return_counts=True)
        last = np.cumsum(rows) - 1
        self._limits[full[rows == self._size]] = self._hashes[last[rows == self._size]]
        if self._held.num_rows > _SLACK * max(kept.size, self._size):
            self._held, self._places = self._taken(), np.arange(kept.size)

    def _taken(self) -> pa.Table:
        return self._held.unify_dictionaries().take(pa.array(self._places)).combine_chunks()

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """The sampled rows, feature by feature, as cells of the segmentation of all rows."""
        del groups
        if not self._groups.size:
            return
        rank = np.arange(self._groups.size) - np.searchsorted(self._groups, self._groups)
        once = np.ones(rank.size, dtype=np.int64)
        yield Counted(0, REQUESTS, SAMPLE, Cells(self._groups, rank, self._hashes, self._weights))
        held = self._taken()
        for plan in self._features:
            column = held.column(plan.name)
            if plan.grid is None:
                cells = Cells(self._groups, np.arange(rank.size), once)
                yield Counted(0, plan.name, SAMPLE, cells, _texts(column))
            else:
                yield Counted(0, plan.name, SAMPLE, Cells(self._groups, rank, once, _finite(column)))


def _smallest(groups: Ints, hashes: Ints, size: int) -> Ints:
    """Positions of the smallest hashes of each group, by group, then hash."""
    by_group = np.argsort(groups.astype(np.int16) if groups.max() < 1 << 15 else groups, kind="stable")
    counts = np.bincount(groups)
    ends = np.cumsum(counts)
    chosen = []
    for start, end in zip((ends - counts)[counts > 0].tolist(), ends[counts > 0].tolist(), strict=True):
        mine = by_group[start:end]
        if mine.size > size:
            mine = mine[np.argpartition(hashes[mine], size - 1)[:size]]
        chosen.append(mine)
    kept = np.concatenate(chosen)
    found: Ints = kept[np.lexsort((hashes[kept], groups[kept]))]
    return found


def _texts(column: pa.ChunkedArray) -> pa.Array:
    encoded = dictionary(column)
    return encoded.dictionary.take(encoded.indices)


def _finite(column: pa.ChunkedArray) -> Floats:
    """Numbers, NaN for what is none; a stored zero has no sign."""
    values = floats(column) + 0.0
    return np.where(np.isfinite(values), values, np.nan)
