"""Numbers and texts into Arrow arrays and back, taken as they lie in memory.

`pyarrow.array` and `to_numpy` import pandas where it is installed: half a second of a short process.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Flags, Ints

_TYPES = {np.dtype(np.int64): pa.int64(), np.dtype(np.int32): pa.int32(), np.dtype(np.float64): pa.float64()}


def of_numbers(values: np.ndarray) -> pa.Array:
    """Numbers of 4 or 8 bytes, not copied where they lie side by side; none of them is null."""
    flat = np.ascontiguousarray(values)
    return pa.Array.from_buffers(_TYPES[flat.dtype], flat.size, [None, pa.py_buffer(flat)])


def of_texts(texts: Sequence[str]) -> pa.StringArray:
    """Texts, none of them null."""
    coded = [text.encode() for text in texts]
    offsets = np.zeros(len(coded) + 1, dtype=np.int32)
    np.cumsum([len(text) for text in coded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(coded), pa.py_buffer(offsets), pa.py_buffer(b"".join(coded)))


def sorted_texts(texts: pa.StringArray) -> tuple[pa.StringArray, Ints]:
    """Different texts in order, and the place of each among them."""
    encoded = texts.dictionary_encode()
    words = encoded.dictionary
    order = numbers_in(pc.sort_indices(words)).astype(np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    return words.take(of_numbers(order)), place.take(numbers_in(encoded.indices))


def numbers_in(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers of a column without nulls, not copied where they lie side by side."""
    array = _whole(column)
    kind, data = array.type.to_pandas_dtype(), array.buffers()[1]
    if data is None or not len(array):
        return np.empty(0, kind)
    return np.frombuffer(data, kind)[array.offset : array.offset + len(array)]


def flags_in(column: pa.Array | pa.ChunkedArray) -> Flags:
    """Truth values of a column; a null is false."""
    array = _whole(column)
    if not len(array):
        return np.empty(0, dtype=bool)
    valid, data = array.buffers()
    known = _bits(data, array)
    return known if valid is None or not array.null_count else known & _bits(valid, array)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays([of_empty(column.type), *column.chunks])
    )


def _bits(buffer: pa.Buffer, array: pa.Array) -> Flags:
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little", count=array.offset + len(array))
    return bits[array.offset :].view(bool)


def of_empty(kind: pa.DataType) -> pa.Array:
    """No value of a type."""
    return pa.nulls(0, kind)
