"""Turns one logged request with its answer into rows of text: paths, mapping, row numbers, frames.

The formats (`sagemaker`, `kserve`, `inference_table`) say where a log keeps what; shapes of request and
response bodies are `payloads`. Values stay as they were written: what is a number, the contract says.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import IO, Any

import polars as pl

from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError
from mlobs_pipelines.sources.payloads import UnmappedError, inputs, outputs, single
from mlobs_pipelines.sources.text import encoding_of, text_blocks

LOG_ROWS = 16_384  # rows are Python texts before they are a frame: a fraction of BATCH_ROWS bounds the memory
RECORD_BYTES = 64 * 1024 * 1024

Row = tuple[str | None, ...]


class Digits(str):
    """A JSON number exactly as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One logged request with its answer.

    Attributes
    ----------
    record
        The record as stored, for the mapping's paths.
    request, response
        Their bodies, decoded; None where the log has none or they cannot be read.
    derived
        Canonical columns that the format works out: status, latency_ms, predicted_at.
    mapped
        Whether the log says everything about it; otherwise its rows get no `prediction_id`.
    """

    record: Mapping[str, Any]
    request: object
    response: object
    derived: Mapping[str, Any] = field(default_factory=dict)
    mapped: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What the paths of one row can see: its exchange, its own input and output, its place in the batch."""

    exchange: Exchange
    input: object
    output: object
    index: int
    rows: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of a log are made.

    Attributes
    ----------
    columns
        Of every frame, in this order.
    mapping
        By canonical column, the paths tried in turn.
    features
        Names of the values of a request that is a bare array, in their order.
    """

    columns: tuple[str, ...]
    mapping: Mapping[str, tuple[tuple[str, ...], ...]]
    features: tuple[str, ...]


def reading(place: Place, slot: Slot, defaults: Mapping[str, str]) -> Reading:
    """Read a place's options `mapping` and `features`.

    Raises
    ------
    UnreadableError
        If `mapping` is not a JSON object of columns and paths.
    """
    paths = {**defaults, **_overrides(place.options.get("mapping", "{}"))}
    names = tuple(name.strip() for name in place.options.get("features", "").split(",") if name.strip())
    mapping = {column: _alternatives(path) for column, path in paths.items()}
    return Reading(slot.columns, mapping, names)


def _overrides(text: str) -> dict[str, str | list[str | int]]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        path and isinstance(path, str | list) for path in found.values()
    ):
        raise UnreadableError(
            "the server's option 'mapping' is not a JSON object of column: path; write it like "
            '{"score": "output.1", "model_version": "=7"}'
        )
    return found


def _alternatives(path: str | list[str | int]) -> tuple[tuple[str, ...], ...]:
    if isinstance(path, list):
        return (tuple(map(str, path)),)
    return tuple(
        ("=", one[1:])
        if one.startswith("=")
        else tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", one))
        for one in (part.strip() for part in path.split("|"))
        if one
    )


def parse(text: str | bytes) -> object:
    """Parse JSON; numbers keep their digits.

    Raises
    ------
    UnmappedError
        If it is no JSON, no UTF-8, nested too deeply, or an object has a name twice.
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        reason = "no JSON"
    raise UnmappedError(reason)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnmappedError("an object has a name twice")
    return found


_DECODER = json.JSONDecoder(
    parse_float=Digits, parse_int=Digits, parse_constant=Digits, object_pairs_hook=_object
)


def rows(exchange: Exchange, how: Reading) -> Iterator[Row]:
    """Yield the rows of one exchange, one for each input of a batch.

    A row that cannot be told in full keeps what can be read and gets no `prediction_id`, so that the primary
    key's rule holds it back with its place. A record that is none at all is a row of nulls.
    """
    if not exchange.record:
        yield (None,) * len(how.columns)
        return
    for scope in scopes(exchange, how):
        try:
            yield _row(scope, how)
        except UnmappedError:
            yield (None,) * len(how.columns)


def scopes(exchange: Exchange, how: Reading) -> Iterator[Scope]:
    """Yield what each row of an exchange can see; inputs and outputs are paired by their order."""
    mapped = exchange.mapped
    try:
        asked = inputs(exchange.request, how.features)
    except UnmappedError:
        asked, mapped = [], False
    try:
        answered = outputs(exchange.response, len(asked))
    except UnmappedError:
        answered, mapped = [], False
    if asked and answered and len(asked) != len(answered):
        answered, mapped = [], False
    count = max(len(asked), len(answered), 1)
    told = (
        exchange
        if mapped
        else Exchange(exchange.record, exchange.request, None, exchange.derived, mapped=False)
    )
    for index in range(count):
        yield Scope(told, _at(asked, index), _at(answered, index), index, count)


def _at(values: Sequence[Any], index: int) -> object:
    return values[index] if index < len(values) else None


def _row(scope: Scope, how: Reading) -> Row:
    values = {column: written(find(scope, how, column)) for column in how.columns}
    if "prediction_id" in values:
        values["prediction_id"] = _prediction_id(scope, how)
    return tuple(values.values())


def _prediction_id(scope: Scope, how: Reading) -> str | None:
    """Return the row's id, numbered within a batch; None where the record says too little about the row."""
    status = written(find(scope, how, "status"))
    told = status is not None and (status != "ok" or find(scope, how, "score") is not None)
    if not scope.exchange.mapped or not told:
        return None
    for path in how.mapping.get("prediction_id", ()):
        value = written(_follow(scope, path))
        if value:
            own = scope.rows == 1 or path[0] in {"input", "output"}
            return value if own else f"{value}-{scope.index}"
    return None


def find(scope: Scope, how: Reading, column: str) -> object:
    """Return the value of one column of a row: by the mapping, else the input of that name."""
    if column in how.mapping:
        found = (_follow(scope, path) for path in how.mapping[column])
        return next((value for value in found if value is not None), None)
    return scope.input.get(column) if isinstance(scope.input, dict) else None


def _follow(scope: Scope, path: tuple[str, ...]) -> object:
    head, *rest = path
    if head == "=":
        return rest[0]
    if head == "output" and not rest:
        return single(scope.output)
    value = _STARTS[head](scope) if head in _STARTS else scope.exchange.record.get(head)
    for part in rest:
        value = _inside(value, str(scope.index) if part == "#" else part)
    return value


_STARTS: Mapping[str, Callable[[Scope], Any]] = {
    "input": lambda scope: scope.input,
    "output": lambda scope: scope.output,
    "request": lambda scope: scope.exchange.request,
    "response": lambda scope: scope.exchange.response,
    "derived": lambda scope: scope.exchange.derived,
}


def _inside(value: object, part: str) -> object:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isdecimal():
        return _at(value, int(part))
    return None


def written(value: object) -> str | None:
    """Return a value as text: numbers as they were written, structures as JSON, instants as ISO 8601.

    Raises
    ------
    UnmappedError
        If it is text that cannot be encoded.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return _encodable(_json(value))
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _encodable(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = ""
        if not text:
            raise UnmappedError("half a character")
    return str(text)


def _json(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_json(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json(part) for part in value) + "]"
    return str(value) if isinstance(value, Digits) else json.dumps(value, default=str, ensure_ascii=False)


def lines(file: IO[bytes], options: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the lines of a log that have something in them, in UTF-8 whatever the option `encoding` says.

    Raises
    ------
    UnreadableError
        If a line is longer than `RECORD_BYTES`, or a declared encoding does not have some bytes. Bytes that
        are not UTF-8 where nothing is declared cost their own line only.
    """
    encoding = encoding_of(options)
    plain = codecs.lookup(encoding).name == "utf-8"
    for number, line in enumerate(_as_stored(file) if plain else _transcoded(file, encoding), 1):
        if len(line) > RECORD_BYTES:
            limit = RECORD_BYTES // 2**20
            raise UnreadableError(f"line {number} is longer than {limit} MiB; is it a file of JSON lines?")
        if line.strip():
            yield line


def _as_stored(file: IO[bytes]) -> Iterator[bytes]:
    yield file.readline(RECORD_BYTES + 1).removeprefix(codecs.BOM_UTF8)
    while line := file.readline(RECORD_BYTES + 1):
        yield line


def _transcoded(file: IO[bytes], encoding: str) -> Iterator[bytes]:
    rest = ""
    for block in text_blocks(file, encoding):
        *whole, rest = (rest + block).split("\n")
        yield from (line.encode() for line in whole)
        if len(rest) > RECORD_BYTES:
            break
    yield rest.encode()


def framed(found: Iterable[Row], columns: tuple[str, ...], size: int = LOG_ROWS) -> Iterator[pl.DataFrame]:
    """Yield rows as frames of text columns, at most `size` rows each."""
    batch: list[Row] = []
    for row in found:
        batch.append(row)
        if len(batch) == size:
            yield _frame(batch, columns)
            batch = []
    if batch:
        yield _frame(batch, columns)


def _frame(batch: list[Row], columns: tuple[str, ...]) -> pl.DataFrame:
    cells = zip(*batch, strict=True) if columns else iter(())
    return pl.DataFrame(
        {name: pl.Series(list(values), dtype=pl.String) for name, values in zip(columns, cells, strict=True)}
    )


def seen(exchanges: Iterable[Exchange], how: Reading) -> dict[str, str]:
    """Return the columns a log has: those its format maps, and every name its inputs have, all of them text.

    Where no input can be read at all nothing is known of its names: the contract's are taken.
    """
    names: dict[str, str] = dict.fromkeys(how.features, "text")
    for exchange in exchanges:
        for scope in scopes(exchange, how):
            if isinstance(scope.input, dict):
                names |= dict.fromkeys(scope.input, "text")
    return {**dict.fromkeys(how.mapping, "text"), **(names or dict.fromkeys(how.columns, "text"))}
