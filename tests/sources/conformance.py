"""What every source must do, written once: a case per way that rows can lie, and what is asked of each.

A new source adds a `Case` here; `test_conformance.py` runs every promise on every case.
"""

import gzip
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from mlobs_pipelines.sources.deliveries import Place, Slot

DAY, EMPTY_DAY = date(2013, 3, 1), date(2013, 3, 9)
SECRET = "hunter2secret"  # noqa: S105 -- planted, to be searched for
COLUMNS = ("prediction_id", "label", "arrived_at")
ROWS = pl.DataFrame(
    {
        "prediction_id": ["a1", "a2", "ünï", 'q"u,o;te'],
        "label": [1, 0, None, 1],
        "arrived_at": [datetime(2013, 3, 1, hour, tzinfo=UTC) for hour in (0, 7, 12, 23)],
        "unasked": [0.5, 1.5, None, 2.5],
    },
)
LATER = ROWS.with_columns(pl.col("arrived_at") + pl.duration(days=1))
WHOLE = pl.concat([ROWS, LATER])


@dataclass(frozen=True)
class Case:
    """One way that the rows of two days can lie, and a place that is not there.

    `fill` gets a folder, and gives the place of the rows and a place that cannot be reached.
    """

    name: str
    fill: Callable[[Path], tuple[Place, Place]]
    text: bool = True


def _csv(frame):
    return frame.with_columns(pl.col("arrived_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv().encode()


def _lines(frame):
    return frame.with_columns(pl.col("arrived_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_ndjson().encode()


def _parquet(frame):
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def _zipped(frame):
    return gzip.compress(_csv(frame), mtime=0)


def _files(form, write, suffix):
    def fill(folder):
        for day, frame in ((DAY, ROWS), (date(2013, 3, 2), LATER)):
            path = folder / "labels" / f"{day}{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(write(frame))
        gone = Place("local", form, f"{folder}/nowhere/{{table}}/{{date}}{suffix}")
        return Place("local", form, f"{folder}/{{table}}/{{date}}{suffix}"), gone

    return fill


def _hive(folder):
    for day, frame in ((DAY, ROWS), (date(2013, 3, 2), LATER)):
        path = folder / f"labels/day={day}/part-0.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(_parquet(frame))
        (path.parent / "_SUCCESS").touch()
    gone = Place("local", "parquet", f"{folder}/nowhere/{{date}}/*.parquet")
    return Place("local", "parquet", f"{folder}/{{table}}/day={{date}}/*.parquet"), gone


def _memory(folder):
    import obstore  # noqa: PLC0415 -- only here

    from mlobs_pipelines.sources.object_folders import memory_store  # noqa: PLC0415 -- as above

    base = f"memory://conformance{abs(hash(str(folder)))}/"
    for day, frame in ((DAY, ROWS), (date(2013, 3, 2), LATER)):
        obstore.put(memory_store(base), f"labels/{day}.jsonl", _lines(frame))
    return Place("memory", "jsonl", base + "{table}/{date}.jsonl"), Place("memory", "jsonl", "no address")


def _delta(folder):
    from deltalake import write_deltalake  # noqa: PLC0415 -- only here

    write_deltalake(str(folder / "labels"), WHOLE.to_arrow())
    options = {"watermark": "arrived_at", "watermark_type": "timestamp"}
    gone = Place("local", "delta", f"{folder}/nowhere", options)
    return Place("local", "delta", f"{folder}/{{table}}", options), gone


def _database(folder):
    file = folder / "labels.db"
    rows = WHOLE.with_columns(pl.col("arrived_at").dt.strftime("%Y-%m-%d %H:%M:%S.%f")).rows()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "create table labels (prediction_id text, label bigint, arrived_at datetime, unasked real)"
        )
        connection.executemany("insert into labels values (?, ?, ?, ?)", rows)
    options = {"watermark": "arrived_at", "watermark_type": "timestamp"}
    gone = {"url": f"postgresql+psycopg2://me:{SECRET}@127.0.0.1:1/nowhere"}
    return (
        Place("sqlite", "", "{table}", options, {"url": f"sqlite:///{file}"}),
        Place("postgresql", "", "{table}", options, gone),
    )


def _stored(frame):
    """An inference table whose requests carry the rows."""
    bodies = [json.dumps({"dataframe_records": [row]}, default=str) for row in frame.to_dicts()]
    return pl.DataFrame(
        {
            "databricks_request_id": [f"r{number}" for number in range(frame.height)],
            "request_time": frame["arrived_at"],
            "status_code": [200] * frame.height,
            "request": bodies,
            "response": ['{"predictions": [0.5]}'] * frame.height,
        },
    )


_IDS = {"prediction_id": "input.prediction_id", "label": "input.label", "arrived_at": "input.arrived_at"}
MAPPING = {"mapping": json.dumps(_IDS)}


def _inference(folder):
    from deltalake import write_deltalake  # noqa: PLC0415 -- only here

    write_deltalake(str(folder / "labels"), _stored(WHOLE).to_arrow())
    gone = Place("local", "inference-table", f"{folder}/nowhere", MAPPING)
    return Place("local", "inference-table", f"{folder}/{{table}}", MAPPING), gone


def _captured(frame):
    def part(kind, data):
        return {"observedContentType": "application/json", "mode": kind, "data": data, "encoding": "JSON"}

    records = [
        {
            "captureData": {
                "endpointInput": part("INPUT", json.dumps({"instances": [row]}, default=str)),
                "endpointOutput": part("OUTPUT", json.dumps({"predictions": [0.5]})),
            },
            "eventMetadata": {"eventId": f"e{number}", "inferenceTime": "2013-03-01T07:00:00Z"},
            "eventVersion": "0",
        }
        for number, row in enumerate(frame.to_dicts())
    ]
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _events(frame):
    def event(kind, number, data):
        kind = f"org.kubeflow.serving.inference.{kind}"
        return {
            "specversion": "1.0",
            "type": kind,
            "id": f"e{number}",
            "time": "2013-03-01T07:00:00Z",
            "data": data,
        }

    records = [
        found
        for number, row in enumerate(json.loads(json.dumps(frame.to_dicts(), default=str)))
        for found in (
            event("request", number, {"instances": [row]}),
            event("response", number, {"predictions": [0.5]}),
        )
    ]
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _mapped(form, write):
    def fill(folder):
        plain, gone = _files(form, write, ".jsonl")(folder)
        return Place("local", form, plain.location, MAPPING), gone

    return fill


CASES = (
    Case("parquet", _files("parquet", _parquet, ".parquet"), text=False),
    Case("csv", _files("csv", _csv, ".csv")),
    Case("csv.gz", _files("csv", _zipped, ".csv.gz")),
    Case("jsonl", _files("jsonl", _lines, ".jsonl")),
    Case("hive", _hive, text=False),
    Case("memory", _memory),
    Case("delta", _delta, text=False),
    Case("database", _database, text=False),
    Case("inference-table", _inference),
    Case("sagemaker-data-capture", _mapped("sagemaker-data-capture", _captured)),
    Case("kserve", _mapped("kserve", _events)),
)
SLOT, EMPTY = Slot("labels", DAY, COLUMNS), Slot("labels", EMPTY_DAY, COLUMNS)
# The same modules reach these: object stores through one client, databases through SQLAlchemy.
ELSEWHERE = {
    "s3": "test_objects.py, on a server that speaks S3",
    "gcs": "the client of s3",
    "azure": "the client of s3",
    "seldon": "the format kserve",
    "postgresql": "test_sql.py, on a server",
    "databases": "SQLAlchemy's dialects",
}
