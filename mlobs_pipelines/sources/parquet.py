"""Parquet as bounded frames: the columns that are wanted, any physical type, nothing held for longer.

Types that Polars lacks become the nearest that holds every value exactly. Contracts are enforced elsewhere.
"""

import io
from collections.abc import Iterator
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Place, Slot, UnreadableError
from mlobs_pipelines.sources.formats import Opened, Readable, repeated, wanted

_BUFFER = 1 << 16
_FRAME_BYTES = 128 * 1024 * 1024
_FEWEST_ROWS = 256
_ENCRYPTED = b"PARE"


def look(opened: Opened, _place: Place, slot: Slot) -> Readable:
    """Read a file's schema; see `formats.Look`."""
    with opened() as file:
        _refuse_encrypted(file)
        schema = _parquet(file).schema_arrow
    if problem := repeated(schema.names):
        raise UnreadableError(problem)
    columns = {field.name: str(field.type) for field in schema}
    names = wanted(columns, slot)
    return Readable(columns, lambda: _frames(opened, names))


def _refuse_encrypted(file: IO[bytes]) -> None:
    file.seek(0)
    if file.read(4) == _ENCRYPTED:
        raise UnreadableError("it is encrypted; deliver it without Parquet encryption")
    file.seek(0)


def _parquet(file: IO[bytes]) -> Any:  # noqa: ANN401 -- pyarrow has no types
    # pages are streamed: reading ahead would hold whole row groups, and mapping the file would crash the
    # process if it were cut short meanwhile
    source = pa.BufferReader(file.getvalue()) if isinstance(file, io.BytesIO) else pa.PythonFile(file, "r")
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True)


def _frames(opened: Opened, names: list[str]) -> Iterator[pl.DataFrame]:
    with opened() as file:
        parquet = _parquet(file)
        batches = parquet.iter_batches(_batch_rows(parquet.metadata), columns=names)
        yield from (frame_of(batch.select(names)) for batch in batches)


def _batch_rows(metadata: Any) -> int:  # noqa: ANN401 -- pyarrow has no types
    """Fewer rows a frame where rows are long, as logged requests are."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    longest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(_FEWEST_ROWS, min(BATCH_ROWS, _FRAME_BYTES // max(longest, 1)))


def frame_of(batch: Any) -> pl.DataFrame:  # noqa: ANN401 -- pyarrow has no types
    """Turn a record batch into a frame, exactly.

    Raises
    ------
    UnreadableError
        If a text is not UTF-8, or a column has a type that no frame can hold.
    """
    return pl.DataFrame({name: _series(name, batch.column(name)) for name in batch.schema.names})


def _series(name: str, array: Any) -> pl.Series:  # noqa: ANN401 -- pyarrow has no types
    try:
        array.validate(full=not pa.types.is_primitive(array.type))
        return pl.Series(name, pl.from_arrow(_plain(array)))
    except pa.ArrowInvalid:
        problem = f"column {name} holds text that is not UTF-8, or is damaged; deliver it again"
    except (pa.ArrowNotImplementedError, pl.exceptions.PolarsError, ValueError, TypeError):
        problem = f"column {name} has type {array.type}, which cannot be read; deliver it as another type"
    raise UnreadableError(problem)


def _plain(array: Any) -> Any:  # noqa: ANN401 -- one line per type; pyarrow has no types
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if pa.types.is_float16(kind):
        return array.cast(pa.float32())
    if pa.types.is_decimal256(kind):
        return array.cast(pa.decimal128(38, kind.scale) if kind.precision <= 38 else pa.string())
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return _plain(array.cast(pa.timestamp(kind.unit, "UTC"))) if kind.tz != "UTC" else _seconds(array)
    return _seconds(array)


def _seconds(array: Any) -> Any:  # noqa: ANN401 -- pyarrow has no types
    kind = array.type
    if not pa.types.is_timestamp(kind) or kind.unit != "s":
        return array
    return array.cast(pa.timestamp("ms", kind.tz))
