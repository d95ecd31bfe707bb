"""A check that cannot read its evidence is a failed run, never a verdict about the data."""

from pathlib import Path

import dagster as dg

from mlobs_pipelines.definitions import build_defs
from mlobs_pipelines.store.tables import DELIVERIES
from tests.defs.conftest import MODEL, execute

CHECK = dg.AssetCheckKey(dg.AssetKey([MODEL, "predictions"]), "contract")
DAY = "2013-06-22"


def _only_the_check(site):
    job = dg.define_asset_job("only_the_check", selection=dg.AssetSelection.checks(CHECK))
    defs = dg.Definitions.merge(build_defs(site), dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("only_the_check")


def _lose(site, table):
    for file in Path(site.lake.place.table(MODEL, table)).rglob("*.parquet"):
        file.unlink()


def test_lost_evidence_fails_the_run_and_judges_nothing(site, defs, instance):
    """Where the evidence's files are gone the run fails with the store's message, without any evaluation."""
    assert execute(defs, instance, "daily", partition_key=DAY, asset_selection=[CHECK.asset_key]).success
    assert _run(site, instance).success
    _lose(site, DELIVERIES.name)
    run = _run(site, instance)
    assert not run.success
    assert run.get_asset_check_evaluations() == []
    failure = next(event for event in run.all_events if event.is_step_failure)
    assert "its files have expired" in failure.step_failure_data.error.to_string()


def _run(site, instance):
    tags = {"dagster/partition": DAY}
    return _only_the_check(site).execute_in_process(instance=instance, tags=tags, raise_on_error=False)
