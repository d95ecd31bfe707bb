"""What a table of the lake looks like, and the checks that rows pass before they are written to it.

Delta would take a float for an integer and cut it in silence; here it is refused. Nothing in this module
reads or writes a file, and no message of it carries a value of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlobs_pipelines.store.content import is_binary, is_list, is_text, type_name

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
_PLAIN = (
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
    pa.string(), pa.binary(), pa.date32(), UTC_MICROSECONDS,
)  # fmt: skip
_LARGEST = 2**62
_HEAD, _FEW = 4_096, 0.25  # a column of which fewer values differ is sorted by their places
_UTC_NAMES = ("UTC", "Etc/UTC", "+00:00")


class LayoutMismatchError(ValueError):
    """Rows, or a table already stored, that do not fit the layout asked for."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The shape of one table of the lake.

    Attributes
    ----------
    name
        Folder of the table under its model.
    schema
        Every column, partition columns included; strings, numbers, booleans, dates, ``timestamp[us, UTC]``
        and lists of these.
    keys
        Partition columns, outermost first; all of them strings.
    sort_by
        The order of rows inside a partition; ties are broken by the other columns.
    volatile
        Columns that differ between two runs that say the same, such as ``run_id``: not part of the content
        hash.
    """

    name: str
    schema: pa.Schema
    keys: tuple[str, ...]
    sort_by: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a layout that the lake could not keep."""
        unknown = {*self.keys, *self.sort_by, *self.volatile} - set(self.schema.names)
        if unknown:
            raise LayoutMismatchError(
                f"layout {self.name}: no column {', '.join(sorted(unknown))} in its schema"
            )
        for key in self.keys:
            if not pa.types.is_string(self.schema.field(key).type):
                raise LayoutMismatchError(f"layout {self.name}: partition column {key} must be a string")
        for field in self.schema:
            if not _storable(field.type):
                raise LayoutMismatchError(
                    f"layout {self.name}: column {field.name} of type {field.type} is not storable"
                )

    def empty(self) -> pa.Table:
        """A table of this layout without rows."""
        return self.schema.empty_table()


def conform(rows: pa.Table, layout: TableLayout) -> pa.Table:
    """Rows under the exact schema of a layout, or an error that names the column.

    Only casts that keep every value are made: wider numbers, decoded dictionaries, other forms of strings.

    Raises
    ------
    LayoutMismatchError
        For a missing, unknown or repeated column, a cast that could lose something (float to integer,
        nanoseconds, timestamps without UTC), or a null where the layout allows none.
    """
    _check_names(rows, layout)
    columns = [_cast(rows.column(field.name), field, layout.name) for field in layout.schema]
    return pa.Table.from_arrays(columns, schema=layout.schema)


def ordered(rows: pa.Table, layout: TableLayout) -> pa.Table:
    """Rows by partition, then ``sort_by``, then every other column: one order for one set of rows.

    The order depends on the rows only, not on the order they came in. Volatile columns do not take part.
    """
    names = list(dict.fromkeys([*layout.keys, *layout.sort_by, *sorted(rows.column_names)]))
    kept = [name for name in names if name not in layout.volatile and name in rows.column_names]
    scalars = [name for name in kept if not is_list(rows.schema.field(name).type)]
    lists = [name for name in kept if name not in scalars]
    telling = sum(name in {*layout.keys, *layout.sort_by} for name in scalars)
    if lists and _has_ties(rows, scalars):
        return _sorted_with_lists(rows, scalars, lists)
    return rows.take(_order(rows, scalars, telling))


def split(rows: pa.Table, keys: tuple[str, ...]) -> dict[tuple[str, ...], pa.Table]:
    """Cut rows that are ordered by their partition columns into one slice per partition."""
    if rows.num_rows == 0:
        return {}
    begins = np.zeros(rows.num_rows, dtype=bool)
    begins[0] = True
    for key in keys:
        column = rows.column(key)
        begins[1:] |= pc.not_equal(column.slice(1), column.slice(0, rows.num_rows - 1)).to_numpy()
    starts = np.flatnonzero(begins).tolist()
    first = rows.select(list(keys)).take(pa.array(starts))
    names = zip(*(first.column(key).to_pylist() for key in keys), strict=True)
    bounds = pairwise([*starts, rows.num_rows])
    return {name: rows.slice(a, b - a) for name, (a, b) in zip(names, bounds, strict=True)}


def prepared(
    rows: pa.Table, layout: TableLayout, wanted: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], pa.Table]:
    """Rows as they are kept, by partition; a wanted partition without rows is empty.

    Raises
    ------
    LayoutMismatchError
        If rows do not fit the layout or lie outside of the wanted partitions.
    """
    cut = split(ordered(conform(rows, layout), layout), layout.keys)
    outside = sum(part.num_rows for key, part in cut.items() if key not in set(wanted))
    if outside:
        raise LayoutMismatchError(
            f"table {layout.name}: {outside} rows lie outside of the {len(wanted)} partitions to be written; "
            "filter the rows or name their partitions",
        )
    return {key: cut.get(key, layout.empty()) for key in wanted}


def _storable(kind: pa.DataType) -> bool:
    return _storable(kind.value_type) if pa.types.is_list(kind) else kind in _PLAIN


def _check_names(rows: pa.Table, layout: TableLayout) -> None:
    given, wanted = rows.column_names, layout.schema.names
    problems = {
        "missing": sorted(set(wanted) - set(given)),
        "unknown": sorted(set(given) - set(wanted)),
        "repeated": sorted({name for name in given if given.count(name) > 1}),
    }
    told = [f"{problem} columns: {', '.join(names)}" for problem, names in problems.items() if names]
    if told:
        raise LayoutMismatchError(
            f"rows for table {layout.name} do not have its columns ({'; '.join(told)}); add, drop or "
            "rename them before writing",
        )


def _cast(column: pa.ChunkedArray, field: pa.Field, table: str) -> pa.ChunkedArray:
    where = f"table {table}, column {field.name}"
    if not _lossless(column.type, field.type):
        raise LayoutMismatchError(
            f"{where}: {column.type} cannot be kept as {field.type} without loss; cast it before writing",
        )
    try:
        cast = column.cast(field.type)
    except pa.ArrowInvalid:  # its message quotes the value
        raise LayoutMismatchError(
            f"{where}: a value does not fit {field.type}; cast it before writing"
        ) from None
    if cast.null_count and not field.nullable:
        raise LayoutMismatchError(f"{where}: {cast.null_count} nulls in a column that allows none")
    return cast


def _lossless(source: pa.DataType, target: pa.DataType) -> bool:
    if source == target or pa.types.is_null(source):
        return True
    if pa.types.is_dictionary(source):
        return _lossless(source.value_type, target)
    if is_list(source) and is_list(target):
        return _lossless(source.value_type, target.value_type)
    if pa.types.is_timestamp(source) and pa.types.is_timestamp(target):
        return source.tz in _UTC_NAMES and source.unit != "ns"
    return _same_text(source, target) or _wider_number(source, target)


def _same_text(source: pa.DataType, target: pa.DataType) -> bool:
    return (is_text(source) and is_text(target)) or (is_binary(source) and is_binary(target))


def _wider_number(source: pa.DataType, target: pa.DataType) -> bool:
    if pa.types.is_integer(source):  # the cast itself refuses an integer that would not fit
        return bool(pa.types.is_integer(target) or pa.types.is_float64(target))
    return bool(
        pa.types.is_floating(source) and pa.types.is_floating(target) and source.bit_width <= target.bit_width
    )


def _order(rows: pa.Table, names: list[str], telling: int) -> pa.Array:
    """Stable ascending order, nulls last; the first `telling` columns are tried alone."""
    ranks = [_rank(rows.column(name)) for name in names[:telling]] if rows.num_rows else []
    if ranks and all(rank is not None for rank in ranks):
        combined, bound = np.zeros(rows.num_rows, dtype=np.int64), 1
        for rank, size in (found for found in ranks if found is not None):
            combined, bound = combined * size + rank, bound * size
        order = np.argsort(combined, kind="stable")
        if bound < _LARGEST and (np.diff(combined[order]) > 0).all():
            return pa.array(order)
    return pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in names])


def _rank(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int] | None:
    """Place of each value among those that occur, and how many there may be; None where these are many."""
    text, head = is_text(column.type), column.slice(0, _HEAD)
    if not (text or pa.types.is_date32(column.type)) or len(head.unique()) > _FEW * max(len(head), _HEAD):
        return None
    coded = column.combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    words = len(coded.dictionary)
    place = np.empty(words + 1, dtype=np.int64)
    place[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(words)
    place[words] = words
    found: NDArray[np.int64] = place[pc.fill_null(coded.indices, words).to_numpy()]
    return found, words + 1


def _has_ties(rows: pa.Table, names: list[str]) -> bool:
    return bool(rows.group_by(names).aggregate([]).num_rows < rows.num_rows)


def _sorted_with_lists(rows: pa.Table, scalars: list[str], lists: list[str]) -> pa.Table:
    spelled = {f"{name} as text": [repr(v) for v in rows.column(name).to_pylist()] for name in lists}
    keyed = rows.select(scalars)
    for name, values in spelled.items():
        keyed = keyed.append_column(name, pa.array(values, pa.string()))
    return rows.take(_order(keyed, [*scalars, *spelled], 0))


def same_type(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether two types are the same to a reader, whatever their physical form."""
    return type_name(left) == type_name(right)
