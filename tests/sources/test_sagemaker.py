"""SageMaker Data Capture as published: every body, batches, overrides, and records that say too little."""

import io
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.sources import sagemaker
from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError

LOG = Path(__file__).parent / "fixtures" / "sagemaker.jsonl"
COLUMNS = (
    "prediction_id",
    "correlation_id",
    "predicted_at",
    "model_version",
    "score",
    "status",
    "carrier",
    "origin",
    "temp",
)
SLOT = Slot("predictions", date(2013, 6, 21), COLUMNS)
NAMED = {"features": "carrier, origin, temp"}


def _place(**options):
    return Place("local", "sagemaker-data-capture", "{date}.jsonl", options)


def _read(content, **options):
    return pl.concat(list(sagemaker.frames(io.BytesIO(content), _place(**options), SLOT)))


def test_the_published_record_becomes_rows():
    """CSV, JSON, JSON lines and base64 bodies are rows with ids, times, scores and features as written."""
    found = _read(LOG.read_bytes(), **NAMED)
    event = "00000000-0000-4000-8000-0000000000"
    told = found.filter(pl.col("prediction_id").is_not_null())
    assert told.select("prediction_id", "score", "carrier", "temp").rows() == [
        ("flight-1", "0.0254181120544672", "AA", "12.50"),
        (f"{event}02-0", "0.1", "UA", None),
        (f"{event}02-1", "0.9", "DL", "7"),
        ("flight-3", "0.75", "B6", "70.10"),
        (f"{event}04", "0.5", "EV", "9007199254740993"),
        (f"{event}06", "0.25", "WN", "1"),
        (f"{event}07-0", "0.3", "MQ", "1"),
        (f"{event}07-1", "0.4", "HA", "2"),
    ]
    assert set(told["status"]) == {"ok"}
    assert set(told["predicted_at"]) == {"2013-06-21T10:00:00Z"}
    assert found.columns == list(COLUMNS)


def test_a_record_that_says_too_little_keeps_its_row():
    """What cannot be mapped is a row without an id, in its place, with what could be read of it."""
    found = _read(LOG.read_bytes(), **NAMED).with_row_index("row")
    lost = found.filter(pl.col("prediction_id").is_null())
    assert lost.select("row", "carrier", "status", "score").rows() == [
        (5, "WN", None, None),
        (9, "AA", None, None),
        (10, None, "ok", "0.6"),
        (11, None, None, None),
    ]


def test_columns_are_the_mapped_and_those_of_the_inputs():
    """A capture names what it has: a feature that no record has is not among its columns."""
    with LOG.open("rb") as log:
        found = sagemaker.columns(log, _place(), SLOT)
    assert {"prediction_id", "score", "carrier", "temp"} <= found.keys()
    assert "model_version" not in found
    assert set(found.values()) == {"text"}


def test_the_mapping_is_the_contracts_to_change():
    """Constants, other fields of the record and places in arrays take the place of the defaults."""
    mapping = {
        "model_version": "=7",
        "correlation_id": "eventMetadata.customAttributes.0",
        "origin": "input.1",
        "carrier": ["input", 0],
        "score": "nothing | output",
    }
    found = _read(LOG.read_bytes(), mapping=json.dumps(mapping)).row(0, named=True)
    assert (found["model_version"], found["origin"], found["carrier"]) == ("7", "JFK", "AA")
    assert found["correlation_id"] == "c000b4f9-df62-4c85-a0bf-7c525f9104a4"
    assert found["temp"] is None


def test_two_numbers_are_no_score_until_the_contract_says_which():
    """Class probabilities are not guessed at: the row has no id until `score` is mapped."""
    body = {"observedContentType": "application/json", "encoding": "JSON"}
    record = {
        "captureData": {
            "endpointInput": {**body, "data": '{"carrier": "AA"}'},
            "endpointOutput": {**body, "data": '{"predictions": [[0.2, 0.8]]}'},
        },
        "eventMetadata": {"eventId": "e", "inferenceTime": "2013-06-21T10:00:00Z"},
    }
    log = json.dumps(record).encode()
    assert _read(log)["prediction_id"].to_list() == [None]
    mapped = _read(log, mapping='{"score": "output.1"}')
    assert mapped.select("prediction_id", "score").rows() == [("e", "0.8")]
    parallel = _read(log, mapping='{"score": "response.predictions.#.0"}')
    assert parallel["score"].to_list() == ["0.2"]


@pytest.mark.parametrize("mapping", ["[]", "{", '{"score": 1}', '{"score": ""}'])
def test_a_mapping_that_cannot_be_read_says_how_to_write_one(mapping):
    """A broken option refuses the delivery with an example."""
    with pytest.raises(UnreadableError, match="write it like"):
        _read(LOG.read_bytes(), mapping=mapping)


def test_a_declared_encoding_is_read():
    """A log that is not UTF-8 is read by the encoding that its contract declares."""
    plain = LOG.read_text().replace("AA,JFK", "Ä,JFK")
    found = _read(plain.encode("utf-16"), **NAMED, encoding="utf-16")
    assert found.equals(_read(plain.encode(), **NAMED))
    assert found["carrier"][0] == "Ä"
    lost = _read(plain.encode("latin-1"), **NAMED)
    assert lost.height == found.height
    assert lost["score"][0] is None


def test_another_file_is_refused_as_a_whole():
    """A file without one capture record is no capture file; an empty one has no rows."""
    with pytest.raises(UnreadableError, match="none of 2 lines"):
        _read(b'{"a": 1}\nnonsense\n')
    assert list(sagemaker.frames(io.BytesIO(b"\n"), _place(), SLOT)) == []


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_loses_a_line_or_crashes(data):
    """Whatever bytes are damaged, every line is still at least one row, or the file is refused."""
    content = bytearray(LOG.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    lines = [line for line in bytes(content).split(b"\n") if line.strip()]
    try:
        frames = list(sagemaker.frames(io.BytesIO(bytes(content)), _place(**NAMED), SLOT))
    except UnreadableError:
        return
    assert sum(frame.height for frame in frames) >= len(lines)
