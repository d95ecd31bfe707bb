"""The stored form of statistics: one row per group, subject and part, holding a sparse additive vector.

Builds such rows from what was counted and unnests them again. A group in which a row stands for more than
itself has rows beside: what weights add to the plain counts and sums of a part. What is counted is `scan`'s
business.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.tally import run_starts
from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.arrow import numbers_in, of_numbers, of_texts
from mlobs_pipelines.engine.features import MAX_CATEGORIES
from mlobs_pipelines.engine.folding import OTHER, UNKNOWN
from mlobs_pipelines.engine.groups import GROUP_COLUMNS, WEIGHT, Groups
from mlobs_pipelines.engine.parts import EXCESS, EXCESS_ONCE, EXCESS_TWICE, Counted

__all__ = [
    "CELLS_SCHEMA",
    "EXCESS",
    "EXCESS_ONCE",
    "EXCESS_TWICE",
    "GROUP_COLUMNS",
    "MAX_CATEGORIES",
    "OTHER",
    "SORT_BY",
    "UNKNOWN",
    "WEIGHT",
    "Flat",
    "end_to_end",
    "flatten",
    "stored",
]

CELLS_SCHEMA = pa.schema(
    [
        ("day", pa.string()),
        ("model_version", pa.string()),
        ("role", pa.string()),
        ("segment", pa.string()),
        ("segment_value", pa.string()),
        ("subject", pa.string()),
        ("part", pa.string()),
        ("codes", pa.list_(pa.int32())),
        ("names", pa.list_(pa.string())),
        ("counts", pa.list_(pa.int64())),
        ("sums", pa.list_(pa.float64())),
        ("squares", pa.list_(pa.float64())),
    ]
)
SORT_BY = ("model_version", "role", "segment", "segment_value", "subject", "part")


def stored(groups: Groups, parts: Iterable[Counted]) -> pa.Table:
    """Stored rows of everything that was counted.

    Returns
    -------
    pyarrow.Table
        Rows of ``CELLS_SCHEMA``, by part in the order given, then by group.
    """
    pieces = [_Piece.of(counted) for counted in parts if counted.cells.groups.size]
    if not pieces:
        return CELLS_SCHEMA.empty_table()
    columns = _key_columns(groups, pieces)
    times = np.repeat(np.arange(len(pieces)), [piece.groups.size for piece in pieces])
    for name in ("subject", "part"):
        words = of_texts([getattr(piece.counted, name) for piece in pieces])
        columns[name] = words.take(of_numbers(times))
    columns["codes"] = _number_lists(
        pieces, "codes", [None if p.counted.names is not None else p.counted.cells.codes for p in pieces]
    )
    names = [_named(piece.counted) for piece in pieces]
    columns["names"] = _lists(pieces, "names", names, pa.concat_arrays([of_texts([]), *filter(None, names)]))
    for name in ("counts", "sums", "squares"):
        columns[name] = _number_lists(pieces, name, [getattr(p.counted.cells, name) for p in pieces])
    return pa.Table.from_arrays([columns[name] for name in CELLS_SCHEMA.names], schema=CELLS_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The stored rows of one part: their groups, and how many cells each has."""

    counted: Counted
    groups: Ints
    lengths: Ints

    @staticmethod
    def of(counted: Counted) -> "_Piece":
        cells = counted.cells.groups
        starts = run_starts(cells)
        return _Piece(counted, cells[starts], np.diff(np.concatenate([starts, [cells.size]])))


def _key_columns(groups: Groups, pieces: Sequence[_Piece]) -> dict[str, pa.Array]:
    keys = [groups.keys(cut) for cut in range(groups.cuts)]
    start = np.concatenate([[0], np.cumsum([len(some) for some in keys])])
    at = of_numbers(np.concatenate([piece.groups + start[piece.counted.cut] for piece in pieces]))
    words = zip(*(key for some in keys for key in some), strict=True)
    return {name: of_texts(some).take(at) for name, some in zip(GROUP_COLUMNS, words, strict=True)}


def _named(counted: Counted) -> pa.Array | None:
    return None if counted.names is None else counted.names.take(of_numbers(counted.cells.codes))


def _number_lists(pieces: Sequence[_Piece], name: str, values: Sequence[np.ndarray | None]) -> pa.ListArray:
    kind = CELLS_SCHEMA.field(name).type.value_type.to_pandas_dtype()
    flat = np.concatenate(
        [np.empty(0, kind), *(some.astype(kind, copy=False) for some in values if some is not None)]
    )
    return _lists(pieces, name, values, of_numbers(flat))


def _lists(
    pieces: Sequence[_Piece], name: str, values: Sequence[np.ndarray | pa.Array | None], flat: pa.Array
) -> pa.ListArray:
    """Values of all pieces, end to end, as a list per stored row; null where a piece has none."""
    there = np.array([some is not None for some in values])
    sizes = [piece.groups.size for piece in pieces]
    lengths = np.concatenate([piece.lengths * has for piece, has in zip(pieces, there, strict=True)])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    bits = np.packbits(np.repeat(there, sizes), bitorder="little")
    buffers = [pa.py_buffer(bits), pa.py_buffer(offsets)]
    return pa.Array.from_buffers(CELLS_SCHEMA.field(name).type, lengths.size, buffers, children=[flat])


@dataclass(frozen=True, slots=True)
class Flat:
    """Stored rows of one part, unnested.

    Attributes
    ----------
    row : (m,) int64
        Position of the stored row each cell came from.
    codes : (m,) int32, or names : list of str
        What each cell is.
    counts : (m,) int64, or float64 where weights count
    sums, squares : (m,) float64
        Empty where the part keeps no value.
    """

    row: Ints
    codes: np.ndarray
    names: pa.Array | None
    counts: Ints | Floats
    sums: Floats
    squares: Floats


def flatten(rows: pa.Table) -> Flat:
    """Unnest stored rows, all of the same part."""
    counts = rows.column("counts").combine_chunks()
    counts = counts if isinstance(counts, pa.ListArray) else pa.concat_arrays(counts.chunks)
    named = rows.column("names").null_count < rows.num_rows
    return Flat(
        numbers_in(pc.list_parent_indices(counts)).astype(np.int64),
        np.empty(0, dtype=np.int32) if named else _flat(rows, "codes"),
        pc.list_flatten(rows.column("names")).combine_chunks() if named else None,
        _flat(rows, "counts"),
        _flat(rows, "sums"),
        _flat(rows, "squares"),
    )


def end_to_end(flats: Sequence[Flat]) -> Flat:
    """Put the cells of several parts after one another; those that name the same cell add up later."""
    names = [flat.names for flat in flats if flat.names is not None]
    arrays = {
        name: np.concatenate([getattr(flat, name) for flat in flats])
        for name in ("row", "codes", "counts", "sums", "squares")
    }
    return Flat(**arrays, names=pa.concat_arrays(names) if names else None)


def _flat(rows: pa.Table, name: str) -> np.ndarray:
    return numbers_in(pc.list_flatten(rows.column(name)))
