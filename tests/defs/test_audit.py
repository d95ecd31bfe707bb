"""Who ran what: runs that have ended are in the audit of their model."""

import json

import dagster as dg
import pytest

from mlobs_pipelines.defs.launch import BY_COMMAND
from mlobs_pipelines.store.audit import entries
from tests.defs.conftest import MODEL, execute


@pytest.fixture
def look(defs, instance):
    """Give what a sensor does with the run that it is told of."""

    def tell(name, run):
        sensor = defs.get_repository_def().get_sensor_def(name)
        context = dg.build_run_status_sensor_context(
            sensor_name=name,
            dagster_instance=instance,
            dagster_run=instance.get_run_by_id(run.run_id),
            dagster_event=run.get_run_success_event(),
        )
        return sensor(context)

    return tell


def test_a_run_is_in_the_audit_with_who_asked_for_it(site, defs, instance, look):
    """A run of a schedule is kept under the schedule's name, with its days, how it ended and its id."""
    tags = {"dagster/schedule_name": "nightly"}
    run = execute(defs, instance, "features", tags, partition_key="2013-06-21")
    look("mlobs_audit_success", run)
    (row,) = entries(site.lake, MODEL)
    assert (row["who"], row["action"], row["object"]) == ("nightly", "run", f"{MODEL}_features")
    facts = json.loads(row["details"])
    assert (facts["first"], facts["last"], facts["status"]) == ("2013-06-21", "2013-06-21", "SUCCESS")
    assert facts["run_id"] == run.run_id
    assert row["at"].timestamp() == pytest.approx(instance.get_run_record_by_id(run.run_id).end_time)


def test_a_run_told_of_twice_is_in_the_audit_once(site, defs, instance, look):
    """A sensor that looks at a run again, after a crash of the daemon, adds nothing."""
    run = execute(defs, instance, "features", partition_key="2013-06-21")
    look("mlobs_audit_success", run)
    look("mlobs_audit_success", run)
    assert len(entries(site.lake, MODEL)) == 1


def test_runs_of_the_command_are_left_to_it(site, defs, instance, look):
    """What `mlobs backfill` ran is one act of its own, not one for each run."""
    run = execute(defs, instance, "features", {BY_COMMAND: "mlobs"}, partition_key="2013-06-21")
    assert isinstance(look("mlobs_audit_success", run), dg.SkipReason)
    assert entries(site.lake, MODEL) == []
