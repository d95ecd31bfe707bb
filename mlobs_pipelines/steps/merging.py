"""Stored statistics of many days and roles added up into stored statistics of one: a baseline from a window.

What is added up, and what the result is compared with, is `references`.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Floats, Ints
from mlobs_pipelines.engine.cells import CELLS_SCHEMA, Flat, flatten
from mlobs_pipelines.engine.features import DISTINCT
from mlobs_pipelines.engine.moments import EXTREMES
from mlobs_pipelines.engine.sample import SAMPLE
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.samples import merged_sample

Merge = Callable[[str, Ints, Floats, int], Floats]
SCORE_PARTS = ("positive", "negative", "unlabelled")
_KEPT = ("model_version", "segment", "segment_value")
_LISTS = ("codes", "names", "counts", "sums", "squares")


def with_score_cells(rows: pa.Table) -> pa.Table:
    """Rows of statistics, and the scores once more without regard to their labels, as a baseline has them."""
    own = pc.and_(pc.equal(rows.column("subject"), SCORE), pc.equal(rows.column("part"), "cells"))
    if pc.any(own).as_py():  # days of a model that is not binary have them
        return rows
    pieces = [rows]
    for part in SCORE_PARTS:
        found = rows.filter(
            pc.and_(
                pc.equal(rows.column("subject"), SCORE),
                pc.match_substring_regex(rows.column("part"), f"^{part}(:|$)"),
            )
        )
        named = pc.replace_substring_regex(found.column("part"), f"^{part}", "cells")
        pieces.append(found.set_column(found.column_names.index("part"), "part", named))
    return pa.concat_tables(pieces)


def merged(rows: pa.Table, day: str, role: str) -> pa.Table:
    """Add one version's statistics up over days and roles, by segment, subject and part.

    Parameters
    ----------
    rows
        Of `CELLS_SCHEMA`, ordered by day: sums of floats are taken in that order.
    day, role
        What stands for the days and roles in the result.

    Returns
    -------
    pyarrow.Table
        Of `CELLS_SCHEMA`.
    """
    added = rows.filter(pc.not_equal(rows.column("part"), SAMPLE))
    pieces = [_merged_part(part, day, role) for part in _by_part(added)]
    return pa.concat_tables([CELLS_SCHEMA.empty_table(), *pieces, merged_sample(rows, day, role)])


def _by_part(rows: pa.Table) -> Iterator[pa.Table]:
    keys = pc.binary_join_element_wise(rows.column("subject"), rows.column("part"), "\x1f")
    for key in sorted(pc.unique(keys).to_pylist()):
        yield rows.filter(pc.equal(keys, key))


def _merged_part(rows: pa.Table, day: str, role: str) -> pa.Table:
    keys = pc.binary_join_element_wise(*(rows.column(name) for name in _KEPT), "\x1f")
    encoded = keys.combine_chunks().dictionary_encode()
    first = np.unique(encoded.indices.to_numpy(), return_index=True)[1]
    flat = flatten(rows)
    part = rows.column("part")[0].as_py()
    merges = np.maximum if part == DISTINCT else np.add, _extreme if part == EXTREMES else _sum
    lists = _added(flat, encoded.indices.to_numpy()[flat.row].astype(np.int64), first.size, *merges)
    columns = {name: rows.column(name).take(pa.array(first)) for name in (*_KEPT, "subject", "part")}
    constant = {"day": day, "role": role}
    columns |= {name: pa.repeat(pa.scalar(text), first.size) for name, text in constant.items()}
    return pa.table({**columns, **lists}).select(CELLS_SCHEMA.names).cast(CELLS_SCHEMA)


def _sum(_: str, place: Ints, values: Floats, cells: int) -> Floats:
    return np.bincount(place, weights=values, minlength=cells).astype(np.float64, copy=False)


def _extreme(name: str, place: Ints, values: Floats, cells: int) -> Floats:
    """Extremes are kept as sums and squares are, and merge by the least and by the greatest."""
    merge, nothing = (np.minimum, np.inf) if name == "sums" else (np.maximum, -np.inf)
    found = np.full(cells, nothing)
    merge.at(found, place, values)
    return found


def _added(flat: Flat, group: Ints, groups: int, count: np.ufunc, merge: Merge) -> dict[str, pa.Array]:
    """Lists of every group with one entry per code; `count` merges counts, `merge` the two values beside."""
    names = None if flat.names is None else flat.names.dictionary_encode()
    codes = flat.codes.astype(np.int64) if names is None else names.indices.to_numpy().astype(np.int64)
    width = int(codes.max(initial=0)) + 1
    cells, place = np.unique(group * width + codes, return_inverse=True)
    offsets = pa.array(np.searchsorted(cells, np.arange(groups + 1) * width), pa.int32())
    counts = np.zeros(cells.size, dtype=np.int64)
    count.at(counts, place, flat.counts)
    values = {"counts": pa.array(counts)}
    plain = pa.array(cells % width, pa.int64())
    if names is None:
        values["codes"] = plain.cast(pa.int32())
    else:
        values["names"] = names.dictionary.take(plain)
    for name in ("sums", "squares"):
        array = getattr(flat, name)
        if array.size:
            values[name] = pa.array(merge(name, place, array, cells.size))
    return {name: _listed(name, offsets, values.get(name), groups) for name in _LISTS}


def _listed(name: str, offsets: pa.Array, values: pa.Array | None, groups: int) -> pa.Array:
    kind = CELLS_SCHEMA.field(name).type
    return pa.nulls(groups, kind) if values is None else pa.ListArray.from_arrays(offsets, values, type=kind)
