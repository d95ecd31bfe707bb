"""One prediction's journey, told from the tables alone and without a value of its rows."""

import json
from dataclasses import replace

import polars as pl
import pytest

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.contracts.odcs import Privacy
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.privacy import hash_text
from mlobs_pipelines.steps.trace import _state, _stored_ids, trace
from tests.steps.loans import DAYS, walk_of
from tests.steps.waiting import DAY, STRICT, contracts, deliver
from tests.steps.waiting import rows as drawn


def of(stages, name):
    """Stages of one name."""
    return [one for one in stages if one["stage"] == name]


@pytest.fixture(scope="module")
def one(scored, rows):
    """A labelled prediction in the middle of the season: its id and its stages."""
    labelled = rows.labels.filter(pl.col("label").is_not_null())["prediction_id"]
    mine = rows.predictions.filter(
        pl.col("prediction_id").is_in(labelled.to_list())
        & (pl.col("predicted_at").dt.date() == DAYS[4])
        & (pl.col("status") == "ok")
    )
    name = mine["prediction_id"][0]
    return name, trace(scored, name)


def test_the_stages_are_those_of_the_walk_with_runs_and_versions(scored, one):
    """Each version's row is delivered, snapped, logged, joined and counted, in this order, by a known run."""
    _, stages = one
    names = list(dict.fromkeys(stage["stage"] for stage in stages))
    assert names == ["delivered", "snapshot", "logged", "label", "joined", "counted"]
    assert {stage["run_id"] for stage in stages} == {"run"}
    for stage in stages:
        assert stage["table_version"] <= scored.lake.version(scored.model, stage["table"])
    versions = {stage["model_version"] for stage in of(stages, "logged")}
    assert versions == {stage["model_version"] for stage in of(stages, "joined")}
    windows = {stage["what"].split(":")[0] for stage in of(stages, "counted")}
    assert {"windows of 1d", "windows of 7d"} <= windows


def test_values_are_told_only_where_asked_for(scored, rows, one):
    """Without being asked it tells states and ages; asked, what was served, known, scored and labelled."""
    name, stages = one
    score = rows.predictions.filter(pl.col("prediction_id") == name)["score"][0]
    assert str(score) not in json.dumps(stages)
    assert all("served" not in feature for one in of(stages, "snapshot") for feature in one["features"])
    told = trace(scored, name, values=True)
    assert of(told, "logged")[0]["score"] == score
    assert "label" in of(told, "joined")[0]
    assert all("served" in feature for one in of(told, "snapshot") for feature in one["features"])


def test_an_unknown_id_has_no_journey(scored):
    """Nothing is made up for an id that no table knows."""
    assert trace(scored, "nobody") == []


@pytest.mark.parametrize(
    ("known", "served", "state"),
    [
        (1.0, 1.0, "fresh"),
        (1.0, 1.1, "skewed"),
        ("a", "b", "skewed"),
        ("a", "a", "fresh"),
        (None, None, "missing"),
        (None, 2.0, "not known then"),
        (2.0, None, "not served"),
    ],
)
def test_a_feature_is_in_one_state(known, served, state):
    """What was served is held against what was known as the skew metrics do."""
    assert _state(known, served) == state


def test_rows_in_quarantine_are_found_by_their_id(tmp_path):
    """A row that broke its contract is told with its rules, and that it waits."""
    frame = drawn()
    deliver(tmp_path / "landing", frame)
    walk = walk_of(tmp_path, tmp_path / "landing")
    walk = replace(walk, spec=load_model(contracts(tmp_path / "contracts", *STRICT), METRICS))
    ingest(walk, "predictions", [DAY])
    found = [of(trace(walk, name), "quarantined") for name in frame["prediction_id"].unique().to_list()]
    waiting = [stage for stages in found for stage in stages]
    assert len(waiting) == 6
    assert all(stage["rules"] and stage["what"].endswith("; it waits") for stage in waiting)


def test_a_hashed_id_is_found_by_what_was_delivered(scored):
    """Where the contract hashes ids, they are looked for under the key in use, as delivered or as stored."""
    contract = scored.spec.predictions
    (table,) = contract.tables
    hashed = [
        replace(one, privacy=Privacy.HASH) if one.name == "prediction_id" else one for one in table.columns
    ]
    tables = (replace(table, columns=tuple(hashed)),)
    spec = replace(scored.spec, predictions=replace(contract, tables=tables))
    stored = hash_text("p-1", scored.keys.current)
    assert _stored_ids(replace(scored, spec=spec), "p-1") == ["p-1", stored]
    assert _stored_ids(scored, "p-1") == ["p-1"]
