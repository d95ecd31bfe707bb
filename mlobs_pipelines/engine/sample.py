"""A bounded sample of whole rows: of each day, version and role those whose ids hash to the smallest numbers.

Such samples merge: the k smallest of a union are among the k smallest of its parts, so neither the order nor
the cut of the rows changes one. The stored parts are ``sample`` of ``requests`` (hashes as counts, weights as
sums) and of each feature (its values, in the order of the hashes).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.tally import Cells
from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.features import FeaturePlan, floats
from mlobs_pipelines.engine.groups import Assigned, Groups, Rows, dictionary
from mlobs_pipelines.engine.parts import Counted
from mlobs_pipelines.engine.requests import REQUESTS

SAMPLE = "sample"
_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)
_LAST, _HALF, _WORD = np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33), 8
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
        more = np.full(max(rows.sizes[0] - self._limits.size, 0), _LARGEST)
        self._limits = np.concatenate([self._limits, more])
        at = np.flatnonzero(hashes < self._limits.take(group))
        if not at.size:
            return
        chosen = at[_smallest(group[at], hashes[at], self._size)]
        places = self._held.num_rows + np.arange(chosen.size)
        self._hold(batch, chosen)
        weights = np.ones(chosen.size) if rows.weights is None else rows.weights[chosen]
        self._merge(group[chosen], hashes[chosen], places, weights)

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


def numbered(first: int, rows: int) -> Ints:
    """Hashes of rows that are known by their place alone."""
    state = np.arange(first, first + rows, dtype=np.uint64) * _STEP
    return _finished(state)


def hashed(column: pa.ChunkedArray | pa.Array) -> Ints:
    """Hash each text to 63 bits that depend on its UTF-8 bytes alone; a null is as an empty text.

    Eight bytes a step, little-endian and filled up with zeros: xor, multiply, shift; at the end the finalizer
    of MurmurHash3. It tells texts apart and spreads them evenly; it keeps nothing secret.

    Returns
    -------
    (n,) int64
    """
    if pa.types.is_dictionary(column.type):
        encoded = dictionary(column)
        indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
        of_word = np.append(hashed(encoded.dictionary), _hashed([0, 0], np.zeros(0, np.uint8)))
        return np.asarray(of_word.take(indices))
    array = pc.fill_null(column, "").cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_string())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    held = np.frombuffer(data, np.uint8)[: ends[-1]] if data is not None else np.zeros(0, np.uint8)
    return _hashed(ends, held)


def _hashed(ends: Sequence[int] | Ints, data: np.ndarray) -> Ints:
    ends = np.asarray(ends, np.int64)
    data = np.concatenate([data[ends[0] :], np.zeros(_WORD, np.uint8)])
    starts, lengths = ends[:-1] - ends[0], np.diff(ends)
    state, longest = lengths.astype(np.uint64) * _STEP, int(lengths.max(initial=0))
    alike = bool(np.all(lengths == longest))
    for done in range(0, longest, _WORD):
        if alike:  # texts lie end to end, so that words lie one length apart
            words = np.ndarray(lengths.shape, "<u8", data, done, (longest,)).astype(np.uint64)
            _mix(state, words, np.uint64(max(done + _WORD - longest, 0) * 8))
            continue
        at = np.flatnonzero(lengths > done)
        words = np.ndarray((data.size - _WORD + 1,), "<u8", data, 0, (1,))[starts[at] + done]
        over = np.maximum(done + _WORD - lengths[at], 0).astype(np.uint64) * np.uint64(8)
        part = state[at]
        _mix(part, words.astype(np.uint64), over)
        state[at] = part
    return _finished(state)


def _mix(state: np.ndarray, words: np.ndarray, over: np.ndarray | np.uint64) -> None:
    """Take words into the state, less the bits that lie past the end of their text."""
    if np.any(over):
        words <<= over
        words >>= over
    state ^= words
    state *= _MIX
    state ^= state >> _HALF


def _finished(state: np.ndarray) -> Ints:
    for factor in (_MIX, _LAST):
        state ^= state >> _HALF
        state *= factor
    found: Ints = ((state ^ (state >> _HALF)) >> np.uint64(1)).astype(np.int64)
    return found
