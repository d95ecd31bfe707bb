"""SageMaker Data Capture: JSON lines with the request and response bodies of an endpoint as captured.

Schema: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html (version 0).
Rows are made by `records`; the mapping is documented in docs/sources.md.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import IO

import polars as pl

from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError
from mlobs_pipelines.sources.payloads import UnmappedError, table
from mlobs_pipelines.sources.records import Exchange, framed, lines, parse, reading, rows, seen

DEFAULTS: Mapping[str, str] = {
    # As SageMaker joins ground truth: the caller's id where there is one, else the event's.
    "prediction_id": "eventMetadata.inferenceId | eventMetadata.eventId",
    "correlation_id": "eventMetadata.inferenceId",
    "predicted_at": "eventMetadata.inferenceTime",
    "score": "output",
    "status": "derived.status",
}


def frames(file: IO[bytes], place: Place, slot: Slot) -> Iterator[pl.DataFrame]:
    """Yield the rows of a capture file, all columns of the slot, as text.

    Raises
    ------
    UnreadableError
        If no line of it is a capture record, or an option cannot be read.
    """
    how = reading(place, slot, DEFAULTS)
    return framed(
        (row for exchange in exchanges(file, place.options) for row in rows(exchange, how)), how.columns
    )


def columns(file: IO[bytes], place: Place, slot: Slot) -> dict[str, str]:
    """Return the columns of a capture file, which is read to its end."""
    return seen(exchanges(file, place.options), reading(place, slot, DEFAULTS))


def exchanges(file: IO[bytes], options: Mapping[str, str]) -> Iterator[Exchange]:
    """Yield what was captured, a line at a time; a line that is none comes as an unmapped exchange."""
    known = number = 0
    for line in lines(file, options):
        number += 1
        exchange = _exchange(line)
        known += bool(exchange.record)
        yield exchange
    if number and not known:
        raise UnreadableError(f"none of {number} lines is a SageMaker Data Capture record (captureData)")


def _exchange(line: bytes) -> Exchange:
    try:
        record = parse(line)
    except UnmappedError:
        record = None
    captured = record.get("captureData") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(captured, dict):
        return Exchange({}, None, None, mapped=False)
    request, asked = _body(captured.get("endpointInput"))
    response, answered = _body(captured.get("endpointOutput"))
    derived = {"status": "ok"} if response is not None else {}
    return Exchange(record, request, response, derived, mapped=asked and answered)


def _body(captured: object) -> tuple[object, bool]:
    """Return a captured body, decoded, and whether that was possible; one that was not captured is None."""
    if captured is None:
        return None, True
    try:
        return _decoded(captured), True
    except UnmappedError:
        return None, False


def _decoded(captured: object) -> object:
    if not isinstance(captured, dict) or not isinstance(captured.get("data"), str):
        raise UnmappedError("a captured body without data")
    encoding, form = str(captured.get("encoding")), str(captured.get("observedContentType")).lower()
    if encoding == "BASE64":
        form, text = form.partition(";")[0].strip(), _from_base64(captured["data"])
        encoding = "CSV" if form == "text/csv" else "JSON" if "json" in form else "other"
    else:
        text = captured["data"]
    if encoding == "CSV":
        return table(text)
    if encoding == "JSON":
        return _json(text)
    raise UnmappedError("a body that is neither CSV nor JSON")


def _from_base64(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        reason = "no base64 of text"
    raise UnmappedError(reason)


def _json(text: str) -> object:
    """Parse a JSON body, or JSON lines: one row each."""
    try:
        return parse(text)
    except UnmappedError:
        parts = [line for line in text.splitlines() if line.strip()]
    if len(parts) < 2:
        raise UnmappedError("no JSON")
    return [parse(part) for part in parts]
