"""CSV and its relatives as bounded frames of text: nothing is inferred, no line is skipped or filled up.

A record that does not fit the header, or a quote out of place, refuses the file with its line. Blocks of
whole records are found here and parsed by Arrow; what the texts mean is the contract's business.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Place, Slot, UnreadableError
from mlobs_pipelines.sources.formats import Opened, Readable, empty, repeated, wanted
from mlobs_pipelines.sources.text import LONGEST, encoding_of, text_blocks

_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_USUAL = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}
_LF, _CR = 10, 13
_ENDLESS = "the record of line {:,} does not end: a quote is not closed"


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a file is written: one delimiter, and one quote or none ("")."""

    delimiter: str
    quote: str

    def rows(self, text: str) -> Iterator[list[str]]:
        file = io.StringIO(text, newline="")
        if not self.quote:
            return csv.reader(file, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(file, delimiter=self.delimiter, quotechar=self.quote)


@dataclass(slots=True)
class _Records:
    """A block of whole records, as bytes of UTF-8, and the line it begins at."""

    data: bytes
    line: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """What every block is parsed by."""

    dialect: _Dialect
    names: list[str]
    keep: list[str] = field(default_factory=list)


def look(opened: Opened, place: Place, slot: Slot) -> Readable:
    """Read a file's header; see `formats.Look`."""
    dialect, encoding = _dialect(place.options), encoding_of(place.options)
    with opened() as file:
        names = _header(next(_records(file, encoding, dialect), None), dialect, slot)
    columns = dict.fromkeys(names, "text")
    shape = _Shape(dialect, names, wanted(columns, slot))
    return Readable(columns, lambda: _frames(opened, encoding, shape))


def _dialect(options: Mapping[str, str]) -> _Dialect:
    delimiter = options.get("delimiter") or ","
    quote = options.get("quote", '"')
    found = _Dialect(_NAMED.get(delimiter, delimiter), "" if quote == "none" else quote)
    marks = found.delimiter + found.quote
    if (
        len(found.delimiter) != 1
        or len(found.quote) > 1
        or len(set(marks)) < len(marks)
        or not marks.isascii()
    ):
        raise UnreadableError(
            "its contract declares a delimiter or quote that is not one ASCII sign; mend it"
        )
    return found


def _header(records: _Records | None, dialect: _Dialect, slot: Slot) -> list[str]:
    if records is None:
        raise UnreadableError(empty("header"))
    names = next(dialect.rows(records.data.decode()), [])
    problem = repeated(names) or _other_delimiter(names, dialect, slot)
    if not names:
        problem = "its first line is blank; the first line must name the columns"
    if any("\0" in name for name in names):
        problem = "its header has NUL bytes; declare the encoding it has (utf-16?)"
    if problem:
        raise UnreadableError(problem)
    return names


def _other_delimiter(names: list[str], dialect: _Dialect, slot: Slot) -> str:
    if len(names) != 1 or names[0] in slot.columns:
        return ""
    others = [word for sign, word in _USUAL.items() if sign != dialect.delimiter and sign in names[0]]
    if not others:
        return ""
    return (
        f"its header is one column, and has {others[0]} in it: declare delimiter in the contract, or "
        "deliver it with the declared one"
    )


def _frames(opened: Opened, encoding: str, shape: _Shape) -> Iterator[pl.DataFrame]:
    with opened() as file:
        blocks = _records(file, encoding, shape.dialect)
        first = next(blocks)
        yield from _tabled(_without_header(first, shape.dialect), shape)
        for block in blocks:
            yield from _tabled(block, shape)


def _without_header(first: _Records, dialect: _Dialect) -> _Records:
    end = int(_marks(first.data, dialect.quote).records[0])
    return _Records(first.data[end:], first.line + first.data.count(b"\n", 0, end))


def _records(file: IO[bytes], encoding: str, dialect: _Dialect) -> Iterator[_Records]:
    """Cut a file into blocks of whole records; the last one ends in a line feed too."""
    waiting, line = b"", 1
    for text in text_blocks(file, encoding):
        waiting += text.encode()
        cut = _cut(waiting, line, dialect)
        if cut:
            yield _Records(waiting[:cut], line)
            line += waiting.count(b"\n", 0, cut)
            waiting = waiting[cut:]
        if len(waiting) > LONGEST:
            raise UnreadableError(_ENDLESS.format(line))
    if waiting:
        waiting += b"\n"
        if _cut(waiting, line, dialect) < len(waiting):
            raise UnreadableError(_ENDLESS.format(line))
        yield _Records(waiting, line)


def _cut(data: bytes, line: int, dialect: _Dialect) -> int:
    """Return where the last whole record ends, after a look at the quotes before it."""
    found = _marks(data, dialect.quote)
    cut = int(found.records[-1]) if len(found.records) else 0
    if cut:
        _check_quotes(data[:cut], found, dialect, line)
    return cut


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where quotes are in a block, and where its records end."""

    quotes: Any
    records: Any
    returns: Any


def _marks(data: bytes, quote: str) -> _Marks:
    signs = np.frombuffer(data, np.uint8)
    quotes = (
        np.flatnonzero(signs == ord(quote)) if quote and quote.encode() in data else np.empty(0, np.int64)
    )
    lines = np.flatnonzero(signs == _LF)
    returns = np.flatnonzero(signs == _CR) if b"\r" in data else np.empty(0, np.int64)
    outside = [places[np.searchsorted(quotes, places) % 2 == 0] for places in (lines, returns)]
    return _Marks(quotes, outside[0] + 1, outside[1])


def _check_quotes(data: bytes, found: _Marks, dialect: _Dialect, line: int) -> None:
    """Refuse quotes inside a bare field, text behind a closing quote, and returns without a line feed."""
    signs = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    quotes = found.quotes[found.quotes < len(data)]
    edges = np.frombuffer(f"{dialect.delimiter}{dialect.quote}\r\n".encode(), np.uint8)
    opening = ~np.isin(signs[quotes[::2]], edges)
    closing = ~np.isin(signs[quotes[1::2] + 2], edges)
    bad = np.concatenate([quotes[::2][opening], quotes[1::2][closing]])
    if len(bad):
        at = line + data.count(b"\n", 0, int(bad.min()))
        raise UnreadableError(
            f"line {at:,} has a quote inside a field: put the whole field in quotes and double those inside "
            f"it, or declare quote: none"
        )
    alone = found.returns[found.returns < len(data)]
    alone = alone[signs[alone + 2] != _LF]
    if len(alone):
        at = line + data.count(b"\n", 0, int(alone.min()))
        raise UnreadableError(
            f"line {at:,} has a carriage return without a line feed; end lines with LF or CRLF"
        )


def _tabled(records: _Records, shape: _Shape) -> Iterator[pl.DataFrame]:
    if not records.data.strip(b"\r\n") and len(shape.names) > 1:
        return
    try:
        table = pc.read_csv(pa.BufferReader(records.data), *_options(records, shape))
    except pa.ArrowInvalid:
        table = None
    if table is None:
        raise UnreadableError(_ragged(records, shape))
    # by name: Polars gives a column without one another
    frame = pl.DataFrame({name: pl.from_arrow(table.column(name)) for name in shape.keep})
    yield from (part for part in frame.iter_slices(BATCH_ROWS) if part.height)


def _options(records: _Records, shape: _Shape) -> tuple[Any, Any, Any]:
    # with threads, one process in ten was aborted at its exit; a block gains little by them
    read = pc.ReadOptions(column_names=shape.names, block_size=len(records.data) + 1, use_threads=False)
    parse = pc.ParseOptions(
        delimiter=shape.dialect.delimiter,
        quote_char=shape.dialect.quote or False,
        newlines_in_values=bool(shape.dialect.quote),
        # a blank line is a null in a file of one column, and nothing elsewhere
        ignore_empty_lines=len(shape.names) > 1,
    )
    convert = pc.ConvertOptions(
        check_utf8=False,
        column_types=dict.fromkeys(shape.names, pa.string()),
        include_columns=shape.keep,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return read, parse, convert


def _ragged(records: _Records, shape: _Shape) -> str:
    """Find the record that Arrow stumbled over, by the slow reader."""
    rows = shape.dialect.rows(records.data.decode())
    line, width = records.line, len(shape.names)
    for row in rows:
        if row and len(row) != width:
            return (
                f"line {line:,} has {len(row):,} fields where the header has {width:,}; nothing of the file "
                "was taken: deliver it with as many fields on every line"
            )
        line = records.line + rows.line_num  # type: ignore[attr-defined]  # csv.reader has it
    return f"a record from line {records.line:,} on cannot be read; deliver the file again"
