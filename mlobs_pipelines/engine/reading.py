"""Reading Parquet files batch by batch: the next batch is decoded while the last one is counted.

Also puts two streams of rows beside each other by a key both are ordered by. What a batch is used for is not
known here.
"""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

if TYPE_CHECKING:  # importing it takes longer than reading a file
    import pyarrow.dataset as ds

BATCH_ROWS = 131_072
BUFFER_BYTES = 1 << 16  # larger buffers, or one for a whole row group, cost memory and save no time


def read_batches(
    path: str,
    columns: Collection[str] | None = None,
    filesystem: fs.FileSystem | None = None,
    plain: Collection[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Rows of a Parquet file in their order; texts come as dictionaries.

    Parameters
    ----------
    columns
        Columns to read; those that the file does not have are left out. All by default.
    plain
        Columns of texts that seldom repeat, which come as they are.
    """
    source = path if filesystem is None else filesystem.open_input_file(path)
    with pq.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        schema, metadata = file.schema_arrow, file.metadata
    kept = [name for name in schema.names if columns is None or name in columns]
    texts = [name for name in kept if pa.types.is_string(schema.field(name).type) and name not in plain]
    source = path if filesystem is None else filesystem.open_input_file(path)
    with pq.ParquetFile(
        source, metadata=metadata, read_dictionary=texts, buffer_size=BUFFER_BYTES, pre_buffer=False
    ) as file:
        yield from _ahead(file.iter_batches(BATCH_ROWS, columns=kept))


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
            del batch


def partition_batches(
    dataset: "ds.Dataset", schema: pa.Schema, constants: Mapping[str, str], ordered_by: str
) -> Iterator[pa.RecordBatch]:
    """Rows of one partition, ascending by a column of texts.

    Parameters
    ----------
    schema
        Columns to read; those that a file does not have come as nulls.
    constants
        Value of each column that stands for the partition.
    """
    fragments = list(dataset.get_fragments())
    if len(fragments) > 1 or not all(_ascends(fragment, ordered_by) for fragment in fragments):
        rows = dataset.to_table(columns=schema.names).sort_by(ordered_by)
        yield from rows.to_batches(max_chunksize=BATCH_ROWS)
        return
    for fragment in fragments:
        for batch in read_batches(fragment.path, schema.names, fragment.filesystem, [ordered_by]):
            yield _completed(batch, schema, constants)


def _ascends(fragment: "ds.Fragment", name: str) -> bool:
    before = None
    for batch in read_batches(fragment.path, [name], fragment.filesystem, [name]):
        keys = batch.column(0)
        first = pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py() if len(keys) > 1 else True
        if not first or (before is not None and pc.less(keys[0], before).as_py()):
            return False
        before = keys[-1]
    return True


def _completed(batch: pa.RecordBatch, schema: pa.Schema, constants: Mapping[str, str]) -> pa.RecordBatch:
    columns = {}
    for field in schema:
        if field.name in constants:
            columns[field.name] = _repeated(constants[field.name], batch.num_rows)
        elif field.name in batch.schema.names:
            columns[field.name] = batch.column(field.name)
        else:
            columns[field.name] = pa.nulls(batch.num_rows, field.type)
    return pa.RecordBatch.from_pydict(columns)


def _repeated(text: str, times: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), pa.array([text]))


def beside(
    batches: Iterator[pa.RecordBatch], others: Iterator[pa.RecordBatch], key: str, names: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Put columns of other rows beside rows of the same key; nulls where there is no such row.

    Both streams ascend by the key, which is distinct in the other one.

    Parameters
    ----------
    names
        New name of each column to take from the other rows.
    """
    held: pa.Table | None = None
    for batch in batches:
        keys = batch.column(key)
        last = keys[-1] if len(keys) else None
        while last is not None and (held is None or not _reaches(held, key, last)):
            more = next(others, None)
            if more is None:
                break
            # An empty table has no last key, so what comes next is asked for again.
            held = pa.Table.from_batches([more]) if held is None else pa.concat_tables([held, pa.table(more)])
        yield _widened(batch, held, key, names)
        if held is not None and last is not None:
            held = held.slice(pc.sum(pc.less(held.column(key), last)).as_py() or 0)


def _reaches(held: pa.Table, key: str, last: pa.Scalar) -> bool:
    return bool(held.num_rows and pc.greater_equal(held.column(key)[-1], last).as_py())


def _widened(
    batch: pa.RecordBatch, held: pa.Table | None, key: str, names: Mapping[str, str]
) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if held is None:
        return pa.RecordBatch.from_pydict(
            columns
            | {new: pa.nulls(batch.num_rows, batch.schema.field(name).type) for name, new in names.items()}
        )
    where = pc.index_in(batch.column(key), held.column(key).combine_chunks())
    for name, new in names.items():
        taken = held.column(name).unify_dictionaries().take(where)
        columns[new] = pa.concat_arrays(taken.chunks) if taken.num_chunks != 1 else taken.chunk(0)
    return pa.RecordBatch.from_pydict(columns)
