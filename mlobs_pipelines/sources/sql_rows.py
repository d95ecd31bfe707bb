"""Rows of a database driver as frames: values kept exactly, a digest, a file to read them from again.

What is asked of a database is `sql`. The file has no name, so that it is gone with the process that holds it.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any

import polars as pl

SQL_ROWS = (
    16_384  # rows are Python values before they are a frame: a fraction of BATCH_ROWS bounds the memory
)
_DECIMAL_DIGITS = 38
_BITS = 2**256
_INT64 = range(-(2**63), 2**63)


@dataclass(slots=True)
class Shape:
    """What a column's values have been so far: the one type that keeps all of them.

    Attributes
    ----------
    kind
        null, int, decimal, float, text and so on; text once values are of several kinds.
    whole, scale
        Most digits before and after the decimal point.
    """

    kind: str = "null"
    whole: int = 1
    scale: int = 0

    def take(self, kind: str, values: Sequence[Any]) -> None:
        """Widen the shape to hold more values."""
        if kind == "null":
            return
        self.kind = kind if self.kind in {"null", kind} else "text"
        for value in values if kind == "decimal" else ():
            if value is not None:
                exponent = value.as_tuple().exponent
                self.whole = max(self.whole, value.adjusted() + 1)
                self.scale = max(self.scale, -exponent if isinstance(exponent, int) else _DECIMAL_DIGITS)

    @property
    def dtype(self) -> pl.DataType:
        """The column's type in frames."""
        if self.kind == "decimal" and self.whole + self.scale <= _DECIMAL_DIGITS:
            return pl.Decimal(_DECIMAL_DIGITS, self.scale)
        return _DTYPES.get(self.kind, pl.String())


_DTYPES: Mapping[str, pl.DataType] = {
    "bool": pl.Boolean(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bytes": pl.Binary(),
    "instant": pl.Datetime("us", "UTC"),
    "datetime": pl.Datetime("us"),
    "date": pl.Date(),
    "time": pl.Time(),
    "duration": pl.Duration("us"),
}


_WORDS: Mapping[str, str] = {
    "null": "",
    "text": "text",
    "bool": "boolean",
    "int": "bigint",
    "decimal": "numeric",
    "float": "double precision",
    "bytes": "bytea",
    "instant": "timestamp with time zone",
    "datetime": "timestamp",
    "date": "date",
    "time": "time",
    "duration": "interval",
}


@dataclass(slots=True)
class Spool:
    """Rows written to a nameless file once, while they are digested, to be read as often as needed.

    The digest is the sum of the digests of all rows, so that their order does not change it.
    """

    names: tuple[str, ...]
    rows: int = 0
    _sum: int = 0
    _shapes: list[Shape] = field(default_factory=list)
    _parts: list[tuple[int, int]] = field(default_factory=list)
    _file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def fill(self, batches: Iterable[Sequence[Sequence[Any]]]) -> None:
        """Write rows, a batch of the driver's values at a time."""
        self._shapes = [Shape() for _ in self.names]
        for batch in batches:
            columns = [[_plain(value) for value in column] for column in zip(*batch, strict=True)]
            self._digest(columns)
            self._write(columns)
            self.rows += len(batch)

    def _digest(self, columns: list[list[Any]]) -> None:
        for row in zip(*columns, strict=True):
            digest = hashlib.sha256(repr(row).encode("utf-8", "backslashreplace")).digest()
            self._sum = (self._sum + int.from_bytes(digest)) % _BITS

    def _write(self, columns: list[list[Any]]) -> None:
        stored = []
        for name, values, shape in zip(self.names, columns, self._shapes, strict=True):
            kind = _kind(values)
            shape.take(kind, values)
            # Decimals wait as text until the digits of all of them are known.
            texts = kind in {"decimal", "text"}
            stored.append(pl.Series(name, list(map(_text, values)) if texts else values, _stored(kind)))
        start = self._file.tell()
        pl.DataFrame(stored).write_ipc(self._file, compression="lz4")
        self._parts.append((start, self._file.tell() - start))

    @property
    def sha256(self) -> str:
        """Digest of the columns and of all rows in any order."""
        said = f"{self.names}\n{self.rows}\n{self._sum:064x}"
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def types(self) -> dict[str, str]:
        """What the values were, for a query that declares nothing; "" where all were null."""
        return {name: _WORDS[shape.kind] for name, shape in zip(self.names, self._shapes, strict=True)}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows as they were written, every frame with the same types."""
        self._file.flush()
        for start, size in self._parts:
            part = pl.read_ipc(io.BytesIO(os.pread(self._file.fileno(), size, start)))
            yield part.select(
                _settled(part[name], shape) for name, shape in zip(self.names, self._shapes, strict=True)
            )


def _settled(values: pl.Series, shape: Shape) -> pl.Series:
    """Return a column of a part as the type that keeps the values of all parts."""
    if values.dtype == pl.Binary and shape.dtype == pl.String:
        return values.bin.encode("hex")
    return values.cast(shape.dtype)


def _stored(kind: str) -> pl.DataType:
    return pl.String() if kind in {"decimal", "null"} else _DTYPES.get(kind, pl.String())


def _kind(values: Sequence[Any]) -> str:
    """Return the kind that all values of a batch have, text where they are of several."""
    kinds = {_KINDS.get(found, "text") for found in set(map(type, values))} - {"null"}
    if len(kinds) != 1:
        return "text" if kinds else "null"
    kind = kinds.pop()
    if kind == "datetime":
        kinds = {"instant" if value.tzinfo else "datetime" for value in values if value is not None}
        return kinds.pop() if len(kinds) == 1 else "text"
    if kind == "int" and not all(value is None or value in _INT64 for value in values):
        return "text"
    return kind


_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "decimal",
    str: "text",
    bytes: "bytes",
    datetime: "datetime",
    date: "date",
    time: "time",
    timedelta: "duration",
}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a driver returns
    """Return a driver's value as one of few types: instants in UTC, structures and arrays as JSON text."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=_text, ensure_ascii=False)
    return value if type(value) in _KINDS else str(value)


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever a driver returns
    """Return a value as text that says all of it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | time) else str(value)
