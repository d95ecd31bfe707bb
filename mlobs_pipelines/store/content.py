"""A canonical hash of what a table says, whatever way Arrow holds it.

Two tables with the same names, types and values hash alike: chunks, slices, bytes under nulls, dictionary
encoding and the width of string offsets do not count. The order of rows does; sort first where it should not.
"""

import hashlib
from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def content_hash(table: pa.Table, *, ignore: Collection[str] = ()) -> str:
    """SHA-256 over the names, types and values of a table.

    Columns are taken in the order of their names, so the order of columns does not count. Negative zero
    equals zero, every NaN equals every other NaN, and neither equals null.

    Parameters
    ----------
    table
        Columns of booleans, numbers, strings, binaries, dates, times, and lists of these (nested or not).
    ignore
        Columns that are left out.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        For a column of another type.

    Examples
    --------
    >>> plain = pa.table({"a": ["x", None]})
    >>> coded = pa.table({"a": pa.array(["x", None]).dictionary_encode()})
    >>> content_hash(plain) == content_hash(coded)
    True
    """
    digest = hashlib.sha256(f"rows {table.num_rows}".encode())
    for name in sorted(set(table.column_names) - set(ignore)):
        for part in _column_parts(name, table.column(name)):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def type_name(kind: pa.DataType) -> str:
    """Name a type the same way for every physical form of it."""
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if is_text(kind):
        return "string"
    if is_binary(kind):
        return "binary"
    return f"list<{type_name(kind.value_type)}>" if is_list(kind) else str(kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are strings, in any of Arrow's layouts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Whether values are bytes of any length, in any of Arrow's layouts."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists of any length, in any of Arrow's layouts that have offsets."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _column_parts(name: str, column: pa.ChunkedArray) -> Iterator[bytes]:
    yield f"{name}:{type_name(column.type)}".encode()
    yield from _parts(_one_array(column))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    column = column.cast(_wide(column.type))
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _wide(kind: pa.DataType) -> pa.DataType:
    if is_text(kind):
        return pa.large_string()
    if is_binary(kind):
        return pa.large_binary()
    return pa.large_list(_wide(kind.value_type)) if is_list(kind) else kind


def _parts(array: pa.Array) -> Iterator[bytes]:
    yield str(len(array)).encode()
    yield _validity(array)
    present = array.drop_null() if array.null_count else array
    if is_list(array.type):
        yield pc.list_value_length(present).to_numpy(zero_copy_only=False).tobytes()
        yield from _parts(present.flatten())
    elif is_text(array.type) or is_binary(array.type):
        yield from _text_parts(present)
    else:
        yield _fixed(present)


def _validity(array: pa.Array) -> bytes:
    if array.null_count == 0:
        return b""
    return np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes()


def _text_parts(present: pa.Array) -> Iterator[bytes]:
    if len(present) == 0:
        return
    _, offsets, data = present.buffers()
    ends = np.frombuffer(offsets, np.int64)[present.offset : present.offset + len(present) + 1]
    yield np.diff(ends).tobytes()
    yield bytes(data[int(ends[0]) : int(ends[-1])]) if data is not None else b""


def _fixed(present: pa.Array) -> bytes:
    kind = present.type
    if pa.types.is_floating(kind):
        return _canonical_floats(present.to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_boolean(kind):
        return np.packbits(present.to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return _bytes_of(present)
    if pa.types.is_null(kind):
        return b""
    raise TypeError(
        f"a column of type {kind} has no content hash; store it as text, numbers or lists of them"
    )


def _canonical_floats(values: NDArray[np.floating]) -> NDArray[np.floating]:
    canonical: NDArray[np.floating] = values + values.dtype.type(0)
    canonical[np.isnan(canonical)] = np.nan
    return canonical


def _bytes_of(present: pa.Array) -> bytes:
    data = present.buffers()[1]
    if data is None:
        return b""
    width = present.type.bit_width // 8
    return bytes(data[present.offset * width : (present.offset + len(present)) * width])
