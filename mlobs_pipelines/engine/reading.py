"""Reading Parquet files batch by batch: the next batch is decoded while the last one is counted.

What a batch is used for is not known here.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

BATCH_ROWS = 131_072
BUFFER_BYTES = 1 << 16  # larger buffers, or one for a whole row group, cost memory and save no time


def read_batches(
    path: str, columns: Sequence[str] | None = None, filesystem: fs.FileSystem | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of a Parquet file in their order; texts come as dictionaries.

    Parameters
    ----------
    columns
        Columns to read; those that the file does not have are left out. All by default.
    """
    source = path if filesystem is None else filesystem.open_input_file(path)
    schema = pq.read_schema(path, filesystem=filesystem)
    kept = [name for name in schema.names if columns is None or name in columns]
    texts = [name for name in kept if pa.types.is_string(schema.field(name).type)]
    with pq.ParquetFile(source, read_dictionary=texts, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        yield from _ahead(file.iter_batches(BATCH_ROWS, columns=kept))


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
            del batch
