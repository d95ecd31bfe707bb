"""The stored form of statistics: one row per group, subject and part, holding a sparse additive vector.

Builds such rows from tallies and unnests them again. A group in which a row stands for more than itself has
rows beside: what weights add to the plain counts and sums of a part. What is counted is `scan`'s business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.tally import Cells, tally
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints

GROUP_COLUMNS = ("day", "model_version", "role", "segment", "segment_value")
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
MAX_CATEGORIES = 1000
OTHER = "__other__"
UNKNOWN = "__null__"
WEIGHT = "sample_weight"
# What weights w add to a part, kept as excess over the plain counts and sums: nothing where every w is 1.
EXCESS = ":w"  # sums: Σ(w - 1), squares: Σ(w² - 1)
EXCESS_ONCE = ":wx"  # sums: Σ(w - 1)x, squares: Σ(w - 1)x²
EXCESS_TWICE = ":wwx"  # sums: Σ(w² - 1)x, squares: Σ(w² - 1)x²


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows assigned to groups of one segment.

    Attributes
    ----------
    ids : (n,) int64
        Group of each row.
    keys
        One row per group, columns ``GROUP_COLUMNS``.
    weights : (n,) float64 or None
        How many rows each row stands for; None where all stand for themselves.
    """

    ids: Ints
    keys: pa.Table
    weights: Floats | None = None

    def repeated(self, times: int) -> "Grouping":
        """The same rows `times` over, one run after the other."""
        weights = None if self.weights is None else np.tile(self.weights, times)
        return replace(self, ids=np.tile(self.ids, times), weights=weights)


def groupings(table: pa.Table, segments: Sequence[str]) -> list[Grouping]:
    """Assign rows to (day, version, role), and to each of these crossed with each segment's values.

    Parameters
    ----------
    table
        ``day``, ``model_version``, ``role``, the segment columns and, where rows were sampled, their weight.
    segments
        Segment columns; the first grouping is always that of all rows (segment ``""``).

    Raises
    ------
    ValueError
        If a weight is not a finite number of at least 1.
    """
    base = [_codes(table.column(name)) for name in ("day", "model_version", "role")]
    found = [_grouping(base, "", None), *(_grouping(base, name, table.column(name)) for name in segments)]
    weights = _weights(table)
    return found if weights is None else [replace(grouping, weights=weights) for grouping in found]


def _weights(table: pa.Table) -> Floats | None:
    """Inverse inclusion probability of each row, 1 where none is given; None where every one is 1."""
    if WEIGHT not in table.column_names:
        return None
    weights: Floats = pc.fill_null(table.column(WEIGHT).cast(pa.float64()), 1.0).to_numpy()
    wrong = int(np.count_nonzero(~(np.isfinite(weights) & (weights >= 1))))
    if wrong:
        raise ValueError(
            f"column {WEIGHT}: {wrong:,} of {weights.size:,} rows hold no finite number of at least 1; "
            "a weight is one divided by the share of rows that were kept"
        )
    return None if bool(np.all(weights == 1)) else weights


def _codes(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    encoded = pc.fill_null(column.cast(pa.string()), UNKNOWN).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


def _grouping(base: list[tuple[Ints, list[str]]], segment: str, column: pa.ChunkedArray | None) -> Grouping:
    rows = base[0][0].size
    values = (np.zeros(rows, dtype=np.int64), [""]) if column is None else _codes(column)
    parts = [*base, values]
    combined = np.zeros(rows, dtype=np.int64)
    for codes, names in parts:
        combined = combined * max(len(names), 1) + codes
    distinct, first, ids = np.unique(combined, return_index=True, return_inverse=True)
    picked = [[names[code] for code in codes[first]] for codes, names in parts]
    keys = [*picked[:3], [segment] * distinct.size, picked[3]]
    return Grouping(ids.astype(np.int64), pa.table(dict(zip(GROUP_COLUMNS, keys, strict=True))))


def coded_rows(
    grouping: Grouping, subject: str, part: str, codes: np.ndarray, values: Floats | None = None
) -> pa.Table:
    """Tally integer codes by group into stored rows, and what weights add to them.

    Parameters
    ----------
    codes : (n,) integer
        Code of each row, >= 0; rows with a negative code are left out.
    values : (n,) float64, optional
        Value whose Σ and Σ² are kept per cell.
    """
    keep = codes >= 0
    kept = None if values is None else values[keep]
    width = int(codes.max(initial=0)) + 1
    cells = tally(grouping.ids[keep], codes[keep], width, kept)
    found = [("", cells), *_excess(grouping, keep, codes, width, values)]
    return pa.concat_tables([_rows(grouping, subject, part + sign, cells, None) for sign, cells in found])


def _excess(
    grouping: Grouping, keep: Flags, codes: np.ndarray, width: int, values: Floats | None = None
) -> Iterator[tuple[str, Cells]]:
    """What weights add to plain counts and sums, by kind of sum; nothing for a group where every one is 1."""
    if grouping.weights is None:
        return
    heavy = np.zeros(grouping.keys.num_rows, dtype=bool)
    heavy[grouping.ids[grouping.weights != 1]] = True
    rows = keep & heavy[grouping.ids]
    ids, codes, weights = grouping.ids[rows], codes[rows], grouping.weights[rows]
    once, twice = weights - 1, weights * weights - 1
    yield EXCESS, tally(ids, codes, width, once, twice)
    if values is not None:
        x = values[rows]
        for sign, extra in ((EXCESS_ONCE, once), (EXCESS_TWICE, twice)):
            yield sign, tally(ids, codes, width, extra * x, extra * x * x)


def named_rows(grouping: Grouping, subject: str, column: pa.ChunkedArray) -> pa.Table:
    """Tally the values of a categorical column by group; nulls are left out.

    Beyond ``MAX_CATEGORIES`` values in a group the rarest are folded into ``OTHER``.
    """
    codes, names = _codes(column)
    order = np.argsort(np.array(names, dtype=object), kind="stable") if names else np.empty(0, dtype=np.int64)
    rank = np.empty(len(names) + 1, dtype=np.int64)
    rank[order] = np.arange(len(names))
    ordered = [names[index] for index in order]
    keep = column.is_valid().to_numpy()
    ranks, width = rank[codes], len(names) + 1
    found = [("", tally(grouping.ids[keep], ranks[keep], width)), *_excess(grouping, keep, ranks, width)]
    return pa.concat_tables(
        _rows(grouping, subject, "categories" + sign, _capped(cells, len(names)), [*ordered, OTHER])
        for sign, cells in found
    )


def _capped(cells: Cells, other: int) -> Cells:
    order = np.lexsort((cells.codes, -cells.counts, cells.groups))
    groups = cells.groups[order]
    starts = np.searchsorted(groups, groups)
    rare = np.zeros(groups.size, dtype=bool)
    rare[order] = np.arange(groups.size) - starts >= MAX_CATEGORIES
    if not rare.any():
        return cells
    codes = np.where(rare, other, cells.codes)
    merged = tally(cells.groups, codes, other + 1, cells.counts.astype(np.float64))
    counts = np.asarray(merged.sums).astype(np.int64)
    if cells.sums is None:
        return Cells(merged.groups, merged.codes, counts)
    values = tally(cells.groups, codes, other + 1, cells.sums, cells.squares)
    return replace(values, counts=counts)


def _rows(grouping: Grouping, subject: str, part: str, cells: Cells, names: list[str] | None) -> pa.Table:
    groups, starts = np.unique(cells.groups, return_index=True)
    offsets = pa.array(np.append(starts, cells.groups.size), pa.int32())
    columns = {name: grouping.keys.column(name).take(pa.array(groups)) for name in GROUP_COLUMNS}
    columns["subject"] = pa.array([subject] * groups.size, pa.string())
    columns["part"] = pa.array([part] * groups.size, pa.string())
    named = None if names is None else pa.array(names, pa.string()).take(pa.array(cells.codes))
    lists = {
        "codes": None if named is not None else pa.array(cells.codes, pa.int32()),
        "names": named,
        "counts": pa.array(cells.counts, pa.int64()),
        "sums": None if cells.sums is None else pa.array(cells.sums, pa.float64()),
        "squares": None if cells.squares is None else pa.array(cells.squares, pa.float64()),
    }
    for name, flat in lists.items():
        kind = CELLS_SCHEMA.field(name).type
        columns[name] = (
            pa.nulls(groups.size, kind)
            if flat is None
            else pa.ListArray.from_arrays(offsets, flat, type=kind)
        )
    return pa.table(columns, schema=CELLS_SCHEMA)


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
        pc.list_parent_indices(counts).to_numpy(zero_copy_only=False).astype(np.int64),
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
    flat: np.ndarray = pc.list_flatten(rows.column(name)).to_numpy()
    return flat
