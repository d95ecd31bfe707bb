"""Puts the champion's score beside every row of another version that scored the same prediction.

Rows come batch by batch, ascending by prediction; what is counted of a pair is `pairs`' business.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Flags, Ints
from mlobs_pipelines.engine.groups import WEIGHT

CHAMPION = "champion"
BESIDE = "champion__"
_TAKEN = ("score", "model_version", WEIGHT)


def beside_champion(batches: Iterator[pa.RecordBatch], key: str) -> Iterator[pa.RecordBatch]:
    """Add the champion's score, version and weight to rows, null where there is no pair.

    The champion is the one that has this role in the same rows, so it may change from day to day. Its own
    rows are no pairs, nor are rows of predictions for which it has no score. Of two champions of one
    prediction the version that sorts first counts. One batch is held, and the rows of its last prediction.

    Parameters
    ----------
    batches
        With ``role``, ``score`` and ``model_version``, ascending by `key`.
    key
        Column of texts that names the prediction.

    Yields
    ------
    pyarrow.RecordBatch
        The same rows with further columns ``champion__score``, ``champion__model_version`` and, where rows
        have weights, ``champion__sample_weight``; no prediction is in two batches.
    """
    held: pa.RecordBatch | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        joined = batch if held is None else _joined(held, batch)
        keys = joined.column(key)
        start = pc.sum(pc.less(keys, keys[-1])).as_py() or 0
        held = joined.slice(start)
        if start:
            yield _paired(joined.slice(0, start), key)
    if held is not None:
        yield _paired(held, key)


def _joined(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    both = zip(first.columns, second.columns, strict=True)
    return pa.RecordBatch.from_arrays([pa.concat_arrays(pair) for pair in both], names=first.schema.names)


def _paired(batch: pa.RecordBatch, key: str) -> pa.RecordBatch:
    where = _champions(batch, key)
    index = pa.array(where, mask=where < 0)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    beside = {BESIDE + name: columns[name].take(index) for name in _TAKEN if name in columns}
    return pa.RecordBatch.from_pydict(columns | beside)


def _champions(batch: pa.RecordBatch, key: str) -> Ints:
    """Position of the champion's row of the same prediction; -1 where there is none, and for its own."""
    leads = _flags(pc.equal(batch.column("role"), CHAMPION))
    scored = np.flatnonzero(leads & _flags(batch.column("score").is_valid()))
    if leads.all() or not scored.size:
        return np.full(leads.size, -1, dtype=np.int64)
    keys = batch.column(key)
    prediction = np.concatenate([[0], np.cumsum(_flags(pc.not_equal(keys[1:], keys[:-1])))])
    if np.any(np.diff(prediction[scored]) == 0):
        scored = scored[_by_version(batch, scored)]
    first = np.full(int(prediction[-1]) + 1, -1, dtype=np.int64)
    first[prediction[scored[::-1]]] = scored[::-1]  # the last one written stays
    return np.where(leads, -1, first[prediction])


def _by_version(batch: pa.RecordBatch, rows: Ints) -> Ints:
    names = batch.column("model_version").take(pa.array(rows)).cast(pa.string())
    found: Ints = pc.sort_indices(names).to_numpy().astype(np.int64)
    return found


def _flags(flags: pa.BooleanArray) -> Flags:
    found: Flags = pc.fill_null(flags, fill_value=False).to_numpy(zero_copy_only=False)
    return found
