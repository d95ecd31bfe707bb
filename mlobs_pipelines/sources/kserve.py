"""KServe and Seldon request-response logs: CloudEvents as JSON lines, a request and a response paired by id.

Schemas: https://kserve.github.io/website/latest/modelserving/logger/logger/ with the attributes of
github.com/kserve/kserve pkg/logger/worker.go, and https://docs.seldon.io (payload logging). Rows are made by
`records`.
"""

import base64
import binascii
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import IO, Any

import polars as pl

from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError
from mlobs_pipelines.sources.payloads import UnmappedError
from mlobs_pipelines.sources.records import Exchange, framed, lines, parse, reading, rows, seen

DEFAULTS: Mapping[str, str] = {
    "prediction_id": "requestid | id",
    "correlation_id": "requestid | id",
    "predicted_at": "derived.predicted_at",
    "model_version": "response.model_version",
    "role": "derived.role",
    "score": "output",
    "status": "derived.status | =timeout",
}
_TYPE = re.compile(r"(org\.kubeflow|io\.seldon)\.serving\.inference\.(request|response)")
_ROLES = {"default": "champion", "canary": "canary"}
_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")
_TIMEOUTS = (408, 504)
_UNPAIRED = "create table unpaired (turn integer primary key, pair text unique, kind text, line blob)"


def frames(file: IO[bytes], place: Place, slot: Slot) -> Iterator[pl.DataFrame]:
    """Yield the rows of a log of events, all columns of the slot, as text.

    A row stands where the later event of its pair stood; requests and responses without their other half
    follow at the end, in the order of the log.

    Raises
    ------
    UnreadableError
        If no line of it is an inference event, or an option cannot be read.
    """
    how = reading(place, slot, DEFAULTS)
    return framed(
        (row for exchange in exchanges(file, place.options) for row in rows(exchange, how)), how.columns
    )


def columns(file: IO[bytes], place: Place, slot: Slot) -> dict[str, str]:
    """Return the columns of a log of events, which is read to its end."""
    return seen(exchanges(file, place.options), reading(place, slot, DEFAULTS))


def exchanges(file: IO[bytes], options: Mapping[str, str]) -> Iterator[Exchange]:
    """Yield requests with their responses; a line that is no such event comes as an unmapped one."""
    known = number = 0
    with closing(sqlite3.connect("")) as halves:  # on disk once it is large, and gone with the connection
        halves.execute(_UNPAIRED)
        for line in lines(file, options):
            number += 1
            event = _event(line)
            known += event is not None
            yield from _paired(halves, line, event) if event else [Exchange({}, None, None, mapped=False)]
        yield from _unpaired(halves)
    if number and not known:
        raise UnreadableError(
            f"none of {number} lines is a CloudEvent of type org.kubeflow.serving.inference.* or "
            "io.seldon.serving.inference.*"
        )


def _event(line: bytes) -> dict[str, Any] | None:
    """Return an event's attributes in lower case without their prefix, with `kind` and its `body`."""
    try:
        stored = parse(line)
    except UnmappedError:
        return None
    if not isinstance(stored, dict):
        return None
    headers = stored.get("headers")
    written = stored | (headers if isinstance(headers, dict) else {})
    event = {name.lower().removeprefix("ce-").removeprefix("ce_"): value for name, value in written.items()}
    kind = _TYPE.fullmatch(str(event.get("type")))
    if kind is None or _pair(event) is None:
        return None
    return event | {"kind": kind[2], "body": stored}


def _pair(event: Mapping[str, Any]) -> str | None:
    pair = event.get("requestid") or event.get("id")
    return pair if isinstance(pair, str) and pair.isascii() else None


def _paired(halves: sqlite3.Connection, line: bytes, event: dict[str, Any]) -> Iterator[Exchange]:
    pair = _pair(event)
    found = halves.execute("select turn, kind, line from unpaired where pair = ?", [pair]).fetchone()
    if found is None:
        row = (pair, event["kind"], line)
        halves.execute("insert into unpaired (pair, kind, line) values (?, ?, ?)", row)
        return
    turn, kind, other = found
    if kind == event["kind"]:  # sent twice: it stands for itself, and the rules about repeats decide
        yield _half(event)
        return
    halves.execute("delete from unpaired where turn = ?", [turn])
    earlier = _event(other) or {}
    yield _exchange(earlier, event) if kind == "request" else _exchange(event, earlier)


def _unpaired(halves: sqlite3.Connection) -> Iterator[Exchange]:
    for (line,) in halves.execute("select line from unpaired order by turn"):
        yield _half(_event(line) or {})


def _half(event: dict[str, Any]) -> Exchange:
    return _exchange(event, None) if event["kind"] == "request" else _exchange(None, event)


def _exchange(request: dict[str, Any] | None, response: dict[str, Any] | None) -> Exchange:
    asked, understood = _body(request)
    answered, readable = _body(response)
    derived = _derived(request or {}, response)
    told = derived["status"] == "ok"
    record = {name: value for name, value in (request or response or {}).items() if name != "body"}
    answer = {name: value for name, value in (response or {}).items() if name != "body"}
    mapped = request is not None and understood and (readable or not told)
    return Exchange({**record, "answer": answer}, asked, answered if told else None, derived, mapped)


def _derived(request: Mapping[str, Any], response: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "status": _status(response),
        "role": _ROLES.get(str(request.get("endpoint"))),
        "predicted_at": _microseconds(request.get("time")),
        "latency_ms": _between(request.get("time"), (response or {}).get("time")),
    }


def _status(response: Mapping[str, Any] | None) -> str | None:
    """Return what became of a request; None where there is no response to tell."""
    if response is None:
        return None
    code = str(response.get("statuscode", "200"))
    if not code.isdecimal() or int(code) in range(200, 300):
        return "ok" if code.isdecimal() else "error"
    return "timeout" if int(code) in _TIMEOUTS else "error"


def _microseconds(time: object) -> str | None:
    """Return an event's time as the lake can hold it: KServe writes nanoseconds."""
    return None if time is None else _BEYOND_MICROSECONDS.sub(r"\1", str(time))


def _between(start: object, end: object) -> str | None:
    """Return the milliseconds between two times; None where one is missing or no time."""
    try:
        sent, answered = (datetime.fromisoformat(_microseconds(time) or "") for time in (start, end))
        return str((answered - sent) / timedelta(milliseconds=1))
    except (TypeError, ValueError):
        return None


def _body(event: Mapping[str, Any] | None) -> tuple[object, bool]:
    """Return an event's body, decoded, and whether that was possible."""
    if event is None:
        return None, True
    try:
        return _decoded(event["body"]), True
    except (UnmappedError, ValueError, binascii.Error):
        return None, False


def _decoded(stored: Mapping[str, Any]) -> object:
    if "data_base64" in stored:
        return parse(base64.b64decode(str(stored["data_base64"]), validate=True))
    held = next((stored[name] for name in ("data", "json", "body", "value") if name in stored), None)
    if held is None:
        raise UnmappedError("an event without data")
    return parse(held) if isinstance(held, str) else held
