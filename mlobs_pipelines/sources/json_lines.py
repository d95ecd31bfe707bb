"""JSON lines as bounded frames: one object a line, every number and text exactly as written.

The whole file is looked at first, so that a column has one type in all frames: a column whose type changes,
or whose numbers its type would not hold exactly, is delivered as the text that was written.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import IO, Any

import polars as pl

from mlobs_pipelines.sources.deliveries import BATCH_ROWS, Place, Slot, UnreadableError
from mlobs_pipelines.sources.formats import Opened, Readable, empty, wanted
from mlobs_pipelines.sources.text import LONGEST, encoding_of, text_blocks

Record = dict[str, Any]
_MOST_COLUMNS = 10_000
_FRAME_CHARACTERS = 32 * 1024 * 1024
_BOOLEAN, _INTEGER, _WIDE, _FLOAT, _INEXACT, _TEXT, _NESTED = (1 << bit for bit in range(7))
_NUMBERS = _INTEGER | _FLOAT


class _Whole(str):
    """The digits of an integer."""

    __slots__ = ()


class _Broken(str):
    """The digits of a number with a point or an exponent, or NaN and the infinities."""

    __slots__ = ()


class _LineError(Exception):
    """Why a line is no record."""


def look(opened: Opened, place: Place, slot: Slot) -> Readable:
    """Read a file to its end for the types of its columns; see `formats.Look`."""
    encoding = encoding_of(place.options)
    seen: dict[str, int] = {}
    with opened() as file:
        for number, line in _lines(file, encoding):
            _note(_record(number, line), seen)
            if len(seen) > _MOST_COLUMNS:
                raise UnreadableError(f"it has more than {_MOST_COLUMNS:,} columns by line {number:,}")
    types = {name: _type(kinds) for name, kinds in seen.items()}
    keep = wanted(types, slot)
    return Readable(types, lambda: _frames(opened, encoding, {name: types[name] for name in keep}))


def _lines(file: IO[bytes], encoding: str) -> Iterator[tuple[int, str]]:
    """Yield lines that are not blank, with their numbers from 1."""
    waiting, number, some = "", 0, False
    for text in text_blocks(file, encoding):
        some = some or bool(text)
        *whole, waiting = (waiting + text).split("\n")
        if len(waiting) > LONGEST:
            raise UnreadableError(f"line {number + len(whole) + 1:,} does not end; deliver one object a line")
        for number, line in enumerate(whole, number + 1):  # noqa: B020 -- counts on from block to block
            if line.strip():
                yield number, line
    if not some:
        raise UnreadableError(empty("object"))
    if waiting.strip():
        yield number + 1, waiting


def _record(number: int, line: str) -> Record:
    try:
        record = _DECODER.decode(line.strip())
    except _LineError as error:
        problem = str(error)
    except RecursionError:
        problem = "nests too deeply"
    except ValueError:
        problem = "is not JSON"
    else:
        problem = "" if isinstance(record, dict) else "is not an object"
        if "\\u" in line and not _encodes(record):
            problem = "has half of a surrogate pair"
        if not problem:
            return dict(record)
    raise UnreadableError(f"line {number:,} {problem}; nothing of the file was taken: deliver it again")


def _object(pairs: Sequence[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _LineError("names a key more than once")
    return record


# NaN and the infinities are no JSON, but common: they are kept, and the contract's rules judge them.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_Whole, parse_float=_Broken, parse_constant=_Broken
)


def _encodes(record: Any) -> bool:  # noqa: ANN401 -- any JSON
    try:
        _written(record).encode()
    except UnicodeEncodeError:
        return False
    return True


def _note(record: Record, seen: dict[str, int]) -> None:
    for name, value in record.items():
        seen[name] = seen.get(name, 0) | _KINDS[type(value)](value)


def _whole_kind(digits: str) -> int:
    if len(digits) < 16:
        return _INTEGER
    exact = len(digits) < 21 and -(2**63) <= int(digits) < 2**63
    return _INTEGER | _WIDE if exact else _INEXACT


def _broken_kind(digits: str) -> int:
    """Whether a double holds exactly what was written, as far as decimal digits go."""
    if len(digits) <= 16 and "e" not in digits and "E" not in digits:
        return _FLOAT
    if digits in _CONSTANTS:
        return _FLOAT
    number = float(digits)
    try:
        same = Decimal(repr(number)) == Decimal(digits)
    except ArithmeticError:
        same = False
    return _FLOAT if same else _INEXACT


_CONSTANTS = ("NaN", "Infinity", "-Infinity")
_KINDS: Mapping[type, Callable[[Any], int]] = {
    type(None): lambda _: 0,
    bool: lambda _: _BOOLEAN,
    _Whole: _whole_kind,
    _Broken: _broken_kind,
    str: lambda _: _TEXT,
    dict: lambda _: _NESTED,
    list: lambda _: _NESTED,
}


def _type(kinds: int) -> str:
    single = {0: "null", _BOOLEAN: "bool", _TEXT: "string", _NESTED: "nested", _INTEGER: "int64"}
    if kinds in single:
        return single[kinds]
    if kinds == _INTEGER | _WIDE:
        return "int64"
    return "double" if kinds & ~_NUMBERS == 0 else "text"


def _frames(opened: Opened, encoding: str, types: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    with opened() as file:
        rows: list[Record] = []
        characters = 0
        for number, line in _lines(file, encoding):
            rows.append(_record(number, line))
            characters += len(line)
            if len(rows) == BATCH_ROWS or characters > _FRAME_CHARACTERS:
                yield _frame(rows, types)
                rows, characters = [], 0
        if rows:
            yield _frame(rows, types)


def _frame(rows: Sequence[Record], types: Mapping[str, str]) -> pl.DataFrame:
    if not types:
        return pl.DataFrame(height=len(rows))
    return pl.DataFrame(
        {name: _column(name, kind, [row.get(name) for row in rows]) for name, kind in types.items()}
    )


def _column(name: str, kind: str, values: Sequence[Any]) -> pl.Series:
    convert, dtype = _COLUMNS[kind]
    return pl.Series(name, [None if value is None else convert(value) for value in values], dtype)


def _written(value: Any) -> str:  # noqa: ANN401 -- any JSON
    """Return a value as JSON, numbers as they were written and texts inside quotes."""
    if isinstance(value, _Whole | _Broken):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_written(of)}" for key, of in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:  # noqa: ANN401 -- any JSON
    return value if type(value) is str else _written(value)


_COLUMNS: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "null": (lambda value: value, pl.Null()),
    "bool": (lambda value: value, pl.Boolean()),
    "int64": (int, pl.Int64()),
    "double": (float, pl.Float64()),
    "string": (lambda value: value, pl.String()),
    "text": (_text, pl.String()),
    # a column of one kind that no contract takes for a text
    "nested": (lambda value: {"json": _written(value)}, pl.Struct({"json": pl.String()})),
}
