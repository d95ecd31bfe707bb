"""Late labels in Dagster: a delivery's days are measured again in one run, those days and no others, once."""

import json
import shutil
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.defs.launch import QUIET
from tests.defs.conftest import CONTRACTS, MODEL, site_at

DELIVERED = date(2013, 7, 2)
ARRIVED = datetime(2013, 7, 2, 9, tzinfo=UTC)
LATE = [date(2013, 6, 20), date(2013, 6, 24)]
REMADE = {"labelled_predictions", "statistics", "metrics"}


@pytest.fixture
def installation(season, landing, kept_instance, tmp_path):
    """A copy of the walked days, with a landing zone and an instance of the test's own."""
    shutil.copytree(landing / MODEL, tmp_path / "landing" / MODEL)
    shutil.copytree(season.site.settings.lake_root, tmp_path / "home" / "lake")
    site = site_at(tmp_path / "home", tmp_path / "landing", CONTRACTS)
    return site, build_defs(site), kept_instance


def _rows(site):
    rows = site.lake.read(MODEL, "labelled_predictions", where={"day": [day.isoformat() for day in LATE]})
    return rows.to_pylist()


def _labelled(site):
    """An id per day that has a label."""
    found = {row["day"]: row["prediction_id"] for row in _rows(site) if row["state"] == "labelled"}
    return [found[day.isoformat()] for day in LATE]


def _deliver(site, ids):
    path = site.settings.landing_root / MODEL / "labels" / f"{DELIVERED}.jsonl"
    common = {"label": 1, "outcome": "late", "arrived_at": ARRIVED.isoformat()}
    rows = [{"prediction_id": one, **common, "revision": 9, "source": "reconciliation"} for one in ids]
    with path.open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def _ingest(defs, instance):
    job = defs.resolve_job_def(f"{MODEL}_labels")
    done = job.execute_in_process(instance=instance, partition_key=DELIVERED.isoformat(), run_config=QUIET)
    assert done.success


def _ticked(defs, instance, cursor=None):
    sensor = defs.resolve_sensor_def(f"{MODEL}_late_labels")
    return sensor(dg.build_sensor_context(instance, definitions=defs, cursor=cursor))


def _materialized(instance, run_id):
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [event.dagster_event.step_materialization_data.materialization for event in events]
    return {(one.asset_key.path[-1], one.partition) for one in found}


def test_a_late_delivery_measures_its_days_once(installation):
    """One delivery for two days apart asks for one run of both, which does nothing when it comes again."""
    site, defs, instance = installation
    quiet = _ticked(defs, instance)
    assert quiet.run_requests == []
    ids = _labelled(site)
    _deliver(site, ids)
    _ingest(defs, instance)
    asked = _ticked(defs, instance, quiet.cursor)
    (request,) = asked.run_requests
    assert request.run_config["ops"][f"{MODEL}_rescore_days"]["config"]["days"] == "2013-06-20, 2013-06-24"
    assert _ticked(defs, instance, asked.cursor).run_requests == []
    job, config = defs.resolve_job_def(f"{MODEL}_rescore"), {**request.run_config, **QUIET}
    before = {name: site.lake.version(MODEL, name) for name in REMADE}
    done = job.execute_in_process(instance=instance, run_config=config)
    made = _materialized(instance, done.run_id)
    days = {day.isoformat() for day in LATE}
    assert {day for name, day in made if name in {"labelled_predictions", "statistics"}} == days
    assert {name for name, _ in made} >= REMADE
    revised = {row["prediction_id"] for row in _rows(site) if row["arrived_at"] == ARRIVED}
    assert revised == set(ids)
    checks = instance.all_logs(done.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    assert {event.dagster_event.asset_check_evaluation_data.partition for event in checks} == days
    after = {name: site.lake.version(MODEL, name) for name in REMADE}
    assert all(after[name] > before[name] for name in REMADE)
    again = job.execute_in_process(instance=instance, run_config=config)
    assert _materialized(instance, again.run_id) == set()
    assert {name: site.lake.version(MODEL, name) for name in REMADE} == after
