"""Arrow arrays of numpy's numbers and of texts, taken as they are.

`pyarrow.array` has to guess what it is given, and imports pandas to do so: half a second of a short process.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

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
