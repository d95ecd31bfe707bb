"""Values planted in a database: nothing of them is told, and identifiers are plain nowhere on disk."""

import logging
import sqlite3
from dataclasses import replace

import polars as pl
import pytest

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.ingest import ingest
from tests import canary
from tests.steps import parcels
from tests.steps.parcels import SEVERAL, Parcel, Row

WORD, MAIL, PERSON, SECRET = "canary-3d", "canary-3d@example.org", "person-3d", "password-3d"
FILES = f"server: landing, type: local, format: parquet, path: {SEVERAL}"
DATABASE = (
    "server: warehouse, type: custom, customProperties: [{property: type, value: sqlite}, "
    "{property: table, value: predictions}, {property: watermarkColumn, value: predicted_at}]"
)


@pytest.fixture
def walk(tmp_path):
    """A walk whose predictions come from a database: ten good rows, three bad ones, a stray column."""
    parcels.declare(tmp_path / "loan_risk", rate=0.5)
    contract = tmp_path / "loan_risk" / "predictions.odcs.yaml"
    text = contract.read_text()
    assert FILES in text
    contract.write_text(text.replace(FILES, DATABASE))
    _fill(tmp_path / "rows.db")
    walk = parcels.walk_of(load_model(tmp_path / "loan_risk", METRICS), tmp_path / "home", tmp_path)
    url = f"sqlite:///{tmp_path}/rows.db?password={SECRET}"
    return replace(walk, access={"warehouse": {"url": url}})


def _fill(path):
    rows = parcels.frame_of(Parcel(0, "a", tuple(Row(key) for key in range(13))))
    broken = pl.int_range(pl.len()) < 3
    spoiled = rows.with_columns(
        amount=pl.when(broken).then(pl.lit(WORD)).otherwise(pl.col("amount").cast(pl.String)),
        customer=pl.lit(PERSON) + pl.int_range(pl.len()).cast(pl.String),
        predicted_at=pl.col("predicted_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        contact=pl.lit(MAIL),
    )
    with sqlite3.connect(path) as database:
        database.execute(f"create table predictions ({', '.join(spoiled.columns)})")
        database.executemany(
            f"insert into predictions values ({', '.join('?' * spoiled.width)})",  # noqa: S608 - our own
            spoiled.iter_rows(),
        )
    database.close()


def _told(outcomes, walk, caplog, capfd):
    deliveries = walk.lake.read(walk.model, "deliveries").to_pylist()
    records = [repr(record.__dict__) for record in caplog.records]
    return "\n".join([repr(outcomes), repr(deliveries), caplog.text, *records, *capfd.readouterr()])


def test_rows_of_a_database_are_told_by_counts_only(walk, tmp_path, caplog, capfd):
    """Sampled, quarantined and stray values of a database are in no outcome, record, log or output."""
    caplog.set_level(logging.DEBUG)
    outcomes = ingest(walk, "predictions", [parcels.FIRST])
    (record,) = walk.lake.read(walk.model, "deliveries").to_pylist()
    assert (record["rows_in"], record["quarantined"], record["state"]) == (13, 3, "partial")
    assert record["accepted"] + record["sampled_out"] == 10
    assert "contact: email" in record["suspects"]
    told = _told(outcomes, walk, caplog, capfd)
    assert [form for form in (WORD, MAIL, PERSON, SECRET) if form in told] == []
    assert canary.where(tmp_path / "home", [MAIL, PERSON, SECRET]) == {}
    assert canary.where(tmp_path / "home", [WORD])


def test_a_database_that_breaks_tells_no_value(walk, tmp_path, caplog, capfd):
    """A column that is gone, and a file that is no database, are told without what is in them."""
    caplog.set_level(logging.DEBUG)
    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("alter table predictions drop column amount")
    database.close()
    outcomes = ingest(walk, "predictions", [parcels.FIRST])
    (record,) = walk.lake.read(walk.model, "deliveries").to_pylist()
    assert record["state"] == "refused"
    assert "amount" in record["reason"]
    (tmp_path / "rows.db").write_text(f"{WORD} {PERSON}" * 500)
    with pytest.raises(OSError, match="sqlite") as caught:
        ingest(walk, "predictions", [parcels.FIRST])
    told = _told(outcomes, walk, caplog, capfd) + repr(caught.value) + repr(caught.value.__cause__)
    assert [form for form in (WORD, MAIL, PERSON, SECRET) if form in told] == []
    assert canary.where(tmp_path / "home", [WORD, MAIL, PERSON, SECRET]) == {}
