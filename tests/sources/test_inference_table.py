"""Databricks inference tables, both published schemas: bodies of every shape, rows that say too little."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlobs_pipelines.sources import inference_table
from mlobs_pipelines.sources.deliveries import Place, Slot
from mlobs_pipelines.sources.registry import SOURCES

ROWS = Path(__file__).parent / "fixtures" / "inference_table.jsonl"
COLUMNS = (
    "prediction_id",
    "correlation_id",
    "predicted_at",
    "model_version",
    "status",
    "score",
    "latency_ms",
)
SLOT = Slot("predictions", date(2013, 6, 21), (*COLUMNS, "carrier", "origin", "temp", "sampling_fraction"))
PLACE = Place("local", "inference-table", "{date}.parquet", {})


def _stored():
    """Return the fixture with the types of the published schema, the MAP column as Parquet has it."""
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    for row in rows:
        row["request_metadata"] = list(row["request_metadata"].items())
        row["date"] = date.fromisoformat(row["date"])
    text = ("databricks_request_id", "client_request_id", "request", "response")
    fields = [(name, pa.string()) for name in text]
    fields += [("date", pa.date32()), ("timestamp_ms", pa.int64()), ("status_code", pa.int32())]
    fields += [("execution_time_ms", pa.int64()), ("sampling_fraction", pa.float64())]
    fields += [("request_metadata", pa.map_(pa.string(), pa.string()))]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


@pytest.fixture
def delivered(tmp_path):
    """Return the rows of a Parquet export of the table, read as any delivery is."""
    pq.write_table(_stored(), tmp_path / "2013-06-21.parquet")
    place = Place("local", "inference-table", f"{tmp_path}/{{date}}.parquet", {"storage": "parquet"})
    (delivery,) = SOURCES["local"](place, SLOT)
    assert not delivery.problem
    assert {*COLUMNS, "carrier"} <= delivery.columns.keys()
    return pl.concat(list(delivery.frames()))


def test_every_published_body_becomes_rows(delivered):
    """Split and record frames, columns of inputs and instances are rows with their outputs."""
    told = delivered.filter(pl.col("prediction_id").is_not_null())
    assert told.select("prediction_id", "status", "score", "carrier", "temp").rows() == [
        ("db-1-0", "ok", "0.25", "AA", "1.50"),
        ("db-1-1", "ok", "0.75", "UA", None),
        ("db-2", "ok", "0.5", "DL", "3"),
        ("db-3-0", "ok", "0.1", "B6", "4"),
        ("db-3-1", "ok", "0.2", "EV", "5"),
        ("db-4", "ok", "0.6", "WN", "6"),
        ("db-5", "error", None, "AA", "7"),
        ("db-6", "timeout", None, "AA", "8"),
    ]


def test_what_the_row_says_of_itself_is_kept(delivered):
    """Ids, version, latency, time and sampling fraction come from the stored columns."""
    first = delivered.row(0, named=True)
    assert (first["correlation_id"], first["model_version"], first["latency_ms"]) == ("flight-1", "3", "41")
    assert first["predicted_at"] == "2013-06-21T10:00:00.123000+00:00"


def test_rows_without_bodies_keep_their_place_without_an_id(delivered):
    """A body that was too large to log, or is broken, makes a row without an id."""
    lost = delivered.filter(pl.col("prediction_id").is_null())
    assert lost.select("status", "score", "carrier").rows() == [("ok", None, None), ("ok", "0.5", None)]


def test_the_newer_schema_is_read_too():
    """Gateway tables have instants, durations and the served entity under other names."""
    frame = pl.DataFrame(
        {
            "databricks_request_id": ["a", "b"],
            "request_time": [datetime(2013, 6, 21, 10, 0, 0, 5, tzinfo=UTC)] * 2,
            "status_code": [200, None],
            "execution_duration_ms": [12, None],
            "request": ['{"dataframe_records": [{"carrier": "AA"}]}'] * 2,
            "response": ['{"predictions": [0.5]}'] * 2,
            "served_entity_id": ["e1"] * 2,
            "logging_error_codes": [[], ["MAX_RESPONSE_SIZE_EXCEEDED"]],
        }
    )
    found = inference_table.map_frame(frame, PLACE, SLOT)
    assert found.select("prediction_id", "predicted_at", "model_version", "latency_ms").row(0) == (
        "a",
        "2013-06-21T10:00:00.000005+00:00",
        "e1",
        "12",
    )
    assert found["prediction_id"][1] is None


def test_the_mapping_is_the_contracts_to_change():
    """A contract may name any stored column or part of a body, and what the table does not say."""
    mapping = {
        "sampling_fraction": "sampling_fraction",
        "prediction_id": "input.carrier",
        "model_version": "=9",
    }
    place = Place("local", "inference-table", "", {"mapping": json.dumps(mapping)})
    found = inference_table.map_frame(pl.from_arrow(_stored()), place, SLOT)
    assert found.select("prediction_id", "sampling_fraction", "model_version").rows()[:2] == [
        ("AA", "0.5", "9"),
        ("UA", "0.5", "9"),
    ]


def test_no_rows_are_a_frame_with_the_columns():
    """A table without rows is a frame without rows."""
    found = inference_table.map_frame(pl.DataFrame(schema={"request": pl.String()}), PLACE, SLOT)
    assert (found.height, tuple(found.columns)) == (0, SLOT.columns)
