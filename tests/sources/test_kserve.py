"""KServe and Seldon logs as published: events of every shape, paired by id, and what has no other half."""

import io
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.sources import kserve
from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError

FIXTURES = Path(__file__).parent / "fixtures"
KSERVE, SELDON = FIXTURES / "kserve.jsonl", FIXTURES / "seldon.jsonl"
COLUMNS = ("prediction_id", "correlation_id", "predicted_at", "model_version", "role", "score", "status")
SLOT = Slot("predictions", date(2013, 6, 21), (*COLUMNS, "latency_ms", "carrier", "origin", "temp"))
NAMED = {"features": "carrier,origin,temp"}


def _read(content, **options):
    place = Place("local", "kserve", "{date}.jsonl", options)
    return pl.concat(list(kserve.frames(io.BytesIO(content), place, SLOT)))


def test_requests_and_responses_become_rows():
    """V1 and V2 bodies, structured and binary events and batches are rows in the order their pairs close."""
    found = _read(KSERVE.read_bytes(), **NAMED).filter(pl.col("status") == "ok")
    told = found.filter(pl.col("prediction_id").is_not_null())
    assert told.select("prediction_id", "role", "score", "carrier", "temp").rows() == [
        ("q1", "champion", "0.25", "AA", "1.5"),
        ("q2-0", "champion", "0.5", "UA", "2"),
        ("q2-1", "champion", "0.75", "DL", "3"),
        ("q4-0", "canary", "0.1", "AA", "1.5"),
        ("q4-1", "canary", "0.2", "DL", "2.5"),
        ("q7", "champion", "0.8", "WN", "6"),
    ]
    assert told["model_version"].to_list() == [None, None, None, "v7", "v7", None]


def test_times_are_the_requests_cut_to_microseconds():
    """The event's nanoseconds are cut to what the lake can hold, and the zone stays."""
    found = _read(KSERVE.read_bytes(), **NAMED)
    assert found["predicted_at"][0] == "2013-06-21T10:00:00.123456Z"


def test_what_became_of_a_request_is_told():
    """A response with an error code makes an error, a request without a response a timeout."""
    found = _read(KSERVE.read_bytes(), **NAMED)
    failed = found.filter(pl.col("status").is_in(["error", "timeout"]))
    assert failed.select("prediction_id", "status", "score", "carrier").rows() == [
        ("q5", "error", None, "EV"),
        ("q3", "timeout", None, "B6"),
    ]
    other = _read(KSERVE.read_bytes(), **NAMED, mapping='{"status": "derived.status | =error"}')
    assert other.filter(pl.col("prediction_id") == "q3")["status"].item() == "error"


def test_what_has_no_request_or_no_shape_keeps_its_row_without_an_id():
    """A response alone, a batch answered in part and an event of another type are rows without an id."""
    found = _read(KSERVE.read_bytes(), **NAMED).filter(pl.col("prediction_id").is_null())
    assert found.select("correlation_id", "score", "temp").rows() == [
        ("q8", None, "1"),
        ("q8", None, "2"),
        (None, None, None),
        ("q6", "0.9", None),
    ]


def test_latency_is_between_the_events_where_the_contract_asks_for_it():
    """The time between the two events is a latency only where the mapping says so."""
    assert set(_read(KSERVE.read_bytes())["latency_ms"]) == {None}
    found = _read(KSERVE.read_bytes(), mapping='{"latency_ms": "derived.latency_ms"}')
    assert float(found["latency_ms"][0]) == pytest.approx(40.0)


def test_seldon_events_are_paired_by_request_id():
    """Seldon numbers each event and names the request: ndarray and tensor bodies are rows with names."""
    found = _read(SELDON.read_bytes(), mapping='{"score": "output | output.t1", "model_version": "modelid"}')
    assert found.select("prediction_id", "score", "carrier", "temp", "model_version").rows() == [
        ("r1-0", "0.25", "AA", "1.5", "flights-predictor"),
        ("r1-1", "0.75", "UA", "2.5", "flights-predictor"),
        ("r2", "0.6", None, "7.0", "flights-predictor"),
    ]


def test_a_response_before_its_request_is_paired():
    """The order in which a sink stores the two events does not matter."""
    lines = KSERVE.read_bytes().splitlines(keepends=True)
    turned = _read(lines[2] + lines[0], **NAMED)
    assert turned.equals(_read(lines[0] + lines[2], **NAMED))


def test_an_event_sent_twice_is_two_rows():
    """A request that a sink stored twice stands twice, so that the rules about repeats see it."""
    lines = KSERVE.read_bytes().splitlines(keepends=True)
    found = _read(lines[0] + lines[0] + lines[2], **NAMED)
    assert found["status"].to_list() == ["timeout", "ok"]
    assert found["prediction_id"].to_list() == ["q1", "q1"]


def test_columns_are_the_mapped_and_those_of_the_inputs():
    """A log names what it maps and what its inputs have."""
    place = Place("local", "kserve", "", NAMED)
    found = kserve.columns(io.BytesIO(KSERVE.read_bytes()), place, SLOT)
    assert {*COLUMNS, "carrier", "origin", "temp"} <= found.keys()
    assert "latency_ms" not in found


def test_another_file_is_refused_as_a_whole():
    """A file without one inference event is no such log."""
    with pytest.raises(UnreadableError, match="none of 1 lines is a CloudEvent"):
        _read(json.dumps({"type": "com.example.other", "id": "1"}).encode())


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_damage_loses_a_line_or_crashes(data):
    """Whatever bytes are damaged, there are at least half as many rows as lines, or the file is refused."""
    content = bytearray(data.draw(st.sampled_from([KSERVE, SELDON])).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    lines = [line for line in bytes(content).split(b"\n") if line.strip()]
    try:
        found = _read(bytes(content), **NAMED)
    except UnreadableError:
        return
    assert 2 * found.height >= len(lines)
