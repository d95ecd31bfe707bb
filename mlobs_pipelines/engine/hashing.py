"""Hashes of texts and of places: the same on every machine, in every run, for any cut of the rows.

They tell values apart and spread them evenly; they keep nothing secret, which is the business of ingest.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Ints
from mlobs_pipelines.engine.groups import dictionary

_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)
_LAST, _HALF, _WORD = np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33), 8


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
