"""Databricks inference tables: rows of Delta or Parquet with the request and response bodies as JSON text.

Schemas: https://docs.databricks.com/aws/en/machine-learning/model-serving/inference-tables (request_metadata,
timestamp_ms) and https://docs.databricks.com/aws/en/ai-gateway/inference-tables (request_time,
served_entity_id). Rows are made by `records`; reading the files is not done here.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.payloads import UnmappedError
from mlobs_pipelines.sources.records import Exchange, framed, parse, reading, rows, seen

READ_ROWS = 2_048  # bodies may be megabytes: what a reader should take at a time
COLUMNS = (
    "databricks_request_id",
    "client_request_id",
    "invocation_id",
    "timestamp_ms",
    "request_time",
    "event_time",
    "status_code",
    "execution_time_ms",
    "execution_duration_ms",
    "latency_ms",
    "request",
    "response",
    "request_metadata",
    "served_entity_id",
    "sampling_fraction",
    "requester",
    "logging_error_codes",
)
DEFAULTS: Mapping[str, str] = {
    "prediction_id": "databricks_request_id | invocation_id",
    "correlation_id": "client_request_id",
    "predicted_at": "request_time | derived.predicted_at | event_time",
    "model_version": "request_metadata.model_version | served_entity_id",
    "latency_ms": "execution_duration_ms | execution_time_ms | latency_ms",
    "status": "derived.status",
    "score": "output",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OK, _TIMEOUT = range(200, 300), (408, 504)


def map_frames(tables: Iterable[pl.DataFrame], place: Place, slot: Slot) -> Iterator[pl.DataFrame]:
    """Yield the rows of an inference table, one for each input of a request: the slot's columns, as text.

    Parameters
    ----------
    tables
        The table as stored, with those of `COLUMNS` that it has; frames of `READ_ROWS` bound the memory.
    place, slot
        As everywhere.
    """
    how = reading(place, slot, DEFAULTS)
    return framed((row for exchange in exchanges(tables) for row in rows(exchange, how)), how.columns)


def map_frame(frame: pl.DataFrame, place: Place, slot: Slot) -> pl.DataFrame:
    """Return the rows of one frame of an inference table, as `map_frames` does."""
    empty = pl.DataFrame(schema=dict.fromkeys(slot.columns, pl.String()))
    return pl.concat([empty, *map_frames([frame], place, slot)])


def columns(tables: Iterable[pl.DataFrame], place: Place, slot: Slot) -> dict[str, str]:
    """Return the columns that an inference table is mapped to; it is read to its end."""
    return seen(exchanges(tables), reading(place, slot, DEFAULTS))


def exchanges(tables: Iterable[pl.DataFrame]) -> Iterator[Exchange]:
    """Yield the requests of an inference table, one per stored row."""
    for table in tables:
        for record in table.iter_rows(named=True):
            yield _exchange(record)


def _exchange(record: dict[str, Any]) -> Exchange:
    record["request_metadata"] = _map(record.get("request_metadata"))
    status = _status(record.get("status_code"))
    request, asked = _body(record.get("request"))
    response, answered = _body(record.get("response"))
    derived = {"status": status, "predicted_at": _instant(record.get("timestamp_ms"))}
    if status == "ok":
        return Exchange(record, request, response, derived, mapped=asked and answered)
    return Exchange(record, request, None, derived, mapped=asked)  # an error's body is no output


def _body(text: object) -> tuple[object, bool]:
    if text is None:
        return None, True
    try:
        return parse(str(text)), True
    except UnmappedError:
        return None, False


def _status(code: object) -> str | None:
    if not str(code).isdecimal():
        return None
    number = int(str(code))
    return "ok" if number in _OK else "timeout" if number in _TIMEOUT else "error"


def _instant(milliseconds: object) -> str | None:
    """Return `timestamp_ms` as an instant; one that is none stays as it is, for the contract."""
    if milliseconds is None:
        return None
    try:
        return (_EPOCH + timedelta(milliseconds=int(str(milliseconds)))).isoformat()
    except (ValueError, OverflowError):
        return str(milliseconds)


def _map(value: object) -> object:
    """Return a MAP column as a dict: Parquet has it as a list of keys and values, some exports as JSON."""
    if isinstance(value, list):
        pairs = [pair for pair in value if isinstance(pair, dict) and {"key", "value"} <= pair.keys()]
        return {str(pair["key"]): pair["value"] for pair in pairs}
    return _body(value)[0] if isinstance(value, str) else value
