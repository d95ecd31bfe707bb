"""Puts the champion's score beside every row of another version that scored the same prediction.

Rows come batch by batch, ascending by prediction; what is counted of a pair is `pairs`' business.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Flags, Ints
from mlobs_pipelines.engine.groups import WEIGHT

CHAMPION = "champion"
BESIDE = "champion__"
_VERSION = "model_version"


def beside_champion(
    batches: Iterator[pa.RecordBatch], key: str, scores: Sequence[str] = ("score",)
) -> Iterator[pa.RecordBatch]:
    """Add the champion's scores, version and weight to rows, null where there is no pair.

    The champion is the one that has this role in the same rows, so it may change from day to day. Its own
    rows are no pairs, nor are rows of predictions for which it has no score. Of two champions of one
    prediction the version that sorts first counts. One batch is held, and the rows of its last prediction.

    Parameters
    ----------
    batches
        With ``role``, ``model_version`` and the scores, ascending by `key`.
    key
        Column of texts that names the prediction.
    scores
        Columns of a score: one, or one per class.

    Yields
    ------
    pyarrow.RecordBatch
        The same rows with a column ``champion__<name>`` for each score, the version and, where rows have
        weights, the weight; no prediction is in two batches.
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
            yield _paired(joined.slice(0, start), key, scores)
    if held is not None:
        yield _paired(held, key, scores)


def _joined(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    both = zip(first.columns, second.columns, strict=True)
    return pa.RecordBatch.from_arrays([pa.concat_arrays(pair) for pair in both], names=first.schema.names)


def _paired(batch: pa.RecordBatch, key: str, scores: Sequence[str]) -> pa.RecordBatch:
    where = _champions(batch, key, scores)
    index = pa.array(where, mask=where < 0)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    taken = (name for name in (*scores, _VERSION, WEIGHT) if name in columns)
    beside = {BESIDE + name: columns[name].take(index) for name in taken}
    return pa.RecordBatch.from_pydict(columns | beside)


def _champions(batch: pa.RecordBatch, key: str, scores: Sequence[str]) -> Ints:
    """Position of the champion's row of the same prediction; -1 where there is none, and for its own."""
    leads = _flags(pc.equal(batch.column("role"), CHAMPION))
    complete = [_flags(batch.column(name).is_valid()) for name in scores]
    scored = np.flatnonzero(np.logical_and.reduce([leads, *complete]))
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
    names = batch.column(_VERSION).take(pa.array(rows)).cast(pa.string())
    found: Ints = pc.sort_indices(names).to_numpy().astype(np.int64)
    return found


def _flags(flags: pa.BooleanArray) -> Flags:
    found: Flags = pc.fill_null(flags, fill_value=False).to_numpy(zero_copy_only=False)
    return found
