"""What becomes of a delivery after it was accepted: replaced, refused, gone, repeated, held back."""

from datetime import timedelta

import polars as pl
import pytest

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.snapshot import snapshot
from tests.steps import loans, parcels
from tests.steps.parcels import Parcel, Row

DAY = parcels.FIRST
EXPECTED = "  - name: predictions\n"
RULE = (
    f"{EXPECTED}    quality:\n      - {{id: enough, type: library, metric: rowCount, "
    "mustBeGreaterOrEqualTo: 3, severity: {severity}}}\n"
)


@pytest.fixture
def landing(tmp_path):
    """A folder that files are delivered into."""
    return tmp_path / "landing"


@pytest.fixture
def walk(tmp_path, landing):
    """A walk over that folder."""
    return parcels.walk_of(parcels.declare(tmp_path / "loan_risk"), tmp_path / "home", landing)


def table(walk, name):
    """Rows of one table as dictionaries."""
    return walk.lake.read(walk.model, name).to_pylist()


def ids(walk, name="predictions"):
    """Day and prediction of each row of a table."""
    return sorted((row["day"], row["prediction_id"]) for row in table(walk, name))


def told(walk):
    """State, counts and presence of each delivery on record."""
    names = ("delivery", "state", "rows_in", "accepted", "repeated", "at_source")
    return [tuple(row[name] for name in names) for row in table(walk, "deliveries")]


def test_rows_of_another_day_land_in_their_own(walk, landing):
    """A late row is published with the day it belongs to, which is among the outcomes of the run."""
    parcels.deliver([Parcel(2, "a", (Row(1), Row(2, shift=-2)))], landing)
    delivered = DAY + timedelta(days=2)
    outcomes = ingest(walk, "predictions", [delivered])
    assert ids(walk) == [(str(DAY), "loan-2"), (str(delivered), "loan-1")]
    assert {day: outcome.rows_out for day, outcome in outcomes.items()} == {DAY: 1, delivered: 1}
    assert outcomes[delivered].facts["rows_of_other_days"] == f"1 days from {DAY} to {DAY}"


def test_a_broken_file_leaves_the_rows_of_the_one_before(walk, landing):
    """A refused file stands on record beside the accepted one of its name, whose rows stay."""
    parcels.deliver([Parcel(0, "a", (Row(1), Row(2)))], landing)
    before = ingest(walk, "predictions", [DAY])[DAY]
    parcels.deliver([Parcel(0, "a", None)], landing)
    after = ingest(walk, "predictions", [DAY])[DAY]
    assert after.version.content_hash == before.version.content_hash
    states = {(name, state, accepted, at_source) for name, state, _, accepted, _, at_source in told(walk)}
    name = "predictions/" + table(walk, "deliveries")[0]["delivery"].removeprefix("predictions/")
    assert states == {(name, "accepted", 2, False), (name, "refused", 0, True)}
    parcels.deliver([Parcel(0, "a", (Row(3),))], landing)
    ingest(walk, "predictions", [DAY])
    assert told(walk) == [(name, "accepted", 1, 1, 0, True)]
    assert ids(walk) == [(str(DAY), "loan-3")]


def test_a_file_that_is_gone_keeps_its_rows(walk, landing):
    """Whatever is cleaned up at the source after ingestion stays in the lake, and its record says so."""
    parcels.deliver([Parcel(0, "a", (Row(1), Row(2, bad=True))), Parcel(0, "b", (Row(3),))], landing)
    ingest(walk, "predictions", [DAY])
    (landing / "predictions" / str(DAY) / "a.parquet").unlink()
    ingest(walk, "predictions", [DAY])
    assert ids(walk) == [(str(DAY), "loan-1"), (str(DAY), "loan-3")]
    assert [row["at_source"] for row in table(walk, "deliveries")] == [False, True]
    assert len(table(walk, "quarantine")) == 1


def test_repeats_are_kept_beside_with_their_reason(walk, landing):
    """Of the rows of a key the corrected one stands, else the first; each other one says why it does not."""
    first = Parcel(0, "a", (Row(1), Row(1), Row(2), Row(2, content=1), Row(3)))
    parcels.deliver([first, Parcel(1, "a", (Row(3, shift=-1, content=1, version=1),))], landing)
    ingest(walk, "predictions", [DAY, DAY + timedelta(days=1)])
    reasons = [(row["prediction_id"], row["reason"]) for row in table(walk, "predictions_repeats")]
    assert sorted(reasons) == [("loan-1", "identical"), ("loan-2", "conflict"), ("loan-3", "superseded")]
    (corrected,) = [row for row in table(walk, "predictions") if row["prediction_id"] == "loan-3"]
    assert (corrected["latency_ms"], corrected["delivered_on"]) == (1.0, str(DAY + timedelta(days=1)))
    assert [(accepted, repeated) for *_, accepted, repeated, _ in told(walk)] == [(2, 3), (1, 0)]


def test_pairs_of_hashes_outlive_the_file_that_brought_them(walk, landing):
    """What was hashed with both keys is joined still when its file is gone and the day is read again."""
    from tests.steps.kill import KEYS  # noqa: PLC0415 - only this test replaces a key

    parcels.deliver([Parcel(0, "a", (Row(1),)), Parcel(0, "b", (Row(2),))], landing)
    walk = parcels.walk_of(walk.spec, landing.parent / "home", landing, KEYS)
    ingest(walk, "predictions", [DAY])
    before = table(walk, "hash_aliases")
    assert len(before) == 2
    (landing / "predictions" / str(DAY) / "a.parquet").unlink()
    ingest(walk, "predictions", [DAY])
    assert table(walk, "hash_aliases") == before


@pytest.mark.parametrize(("severity", "flows"), [("error", 0), ("warn", 2)])
def test_a_failed_rule_of_severity_error_holds_the_day(tmp_path, landing, severity, flows):
    """The day is published for who wants to look, but no later step reads it; with a warning it flows."""
    parcels.declare(tmp_path / "loan_risk")
    contract = tmp_path / "loan_risk" / "predictions.odcs.yaml"
    ruled = (
        RULE.replace("{severity}", {"warn": "warning"}.get(severity, severity))
        .replace("{{", "{")
        .replace("}}", "}")
    )
    contract.write_text(contract.read_text().replace(EXPECTED, ruled))
    walk = parcels.walk_of(load_model(tmp_path / "loan_risk", METRICS), tmp_path / "home", landing)
    parcels.deliver([Parcel(0, "a", (Row(1), Row(2)))], landing)
    assert ingest(walk, "predictions", [DAY])[DAY].rows_out == 2
    (result,) = [row for row in table(walk, "rule_results") if row["rule"] == "enough"]
    assert (result["outcome"], result["severity"], result["rows"]) == ("fail", severity, 2)
    logged = log(walk, [DAY])[DAY]
    assert (logged.rows_out, snapshot(walk, [DAY])[DAY].rows_out) == (flows, flows)
    assert ("held back" in logged.note) == (severity == "error")


def test_identifiers_of_all_datasets_meet_under_one_key(landing, tmp_path, rows):
    """The same customer has the same hash in predictions and features, whichever file brought him."""
    loans.deliver(rows, landing)
    walk = loans.walk_of(tmp_path / "home", landing)
    for dataset in ("predictions", "features"):
        ingest(walk, dataset, loans.DAYS[:2])
    found = [
        set(pl.DataFrame(table(walk, name))["customer"]) - {None} for name in ("predictions", "features")
    ]
    assert found[0] & found[1]
    assert {value.split(":")[0] for value in found[0] | found[1]} == {walk.keys.current.key_id}
