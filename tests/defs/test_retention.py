"""Retention as a job of Dagster: what it says, and what later runs say of days that are gone."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from mlobs_pipelines.defs.jobs import range_tags
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.defs.retention import asked, sentence
from mlobs_pipelines.steps.retention import apply
from mlobs_pipelines.store.audit import entries
from tests.defs.conftest import CONTRACTS, FIRST, MODEL, execute, materialized, site_at


def _copy(season, spec, tmp_path):
    """Give an installation of the season's tables of its own, and the walk of a moment two years later."""
    home = tmp_path / "home"
    shutil.copytree(season.site.settings.lake_root, home / "lake")
    site = site_at(home, season.site.settings.landing_root, CONTRACTS)
    later = datetime.combine(FIRST + timedelta(days=732), datetime.min.time(), UTC)
    return site, replace(site.walk(spec, "retention"), as_of=later)


def test_the_job_keeps_what_is_promised(season, spec, tmp_path, instance):
    """As of the replayed moment nothing has expired; the job succeeds, says so, and changes no content."""
    from mlobs_pipelines.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds

    site, _ = _copy(season, spec, tmp_path)
    before = {one.table: one.content_hash for one in site.lake.summary(MODEL)}
    run = execute(build_defs(site), instance, "retention", run_config={})
    assert run.success
    (output,) = [event for event in run.all_events if event.is_successful_output]
    told = output.step_output_data.metadata
    assert (told["partitions_deleted"].value, told["rows_deleted"].value) == (0, 0)
    assert {one.table: one.content_hash for one in site.lake.summary(MODEL)} == before


def test_a_run_over_expired_days_says_so(season, spec, tmp_path, instance):
    """A range over days that are gone succeeds, notes on each that it expired, and keeps their metrics."""
    from mlobs_pipelines.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds

    site, walk = _copy(season, spec, tmp_path)
    lines = apply(walk, asked(site, walk, "ann"))
    said = [sentence(line) for line in lines if line.expiry.gone.partitions]
    assert any(text.startswith("prediction_log: 2 partitions with ") for text in said)
    assert {row["who"] for row in entries(site.lake, MODEL)} == {"ann"}
    before = {one.table: one.content_hash for one in site.lake.summary(MODEL)}
    run = execute(build_defs(site), instance, "recompute", range_tags(FIRST, FIRST + timedelta(days=1)))
    assert run.success
    told = materialized(run).items()
    notes = [one.metadata["note"].value for (name, _), one in told if name == "prediction_log"]
    assert len(notes) == 2
    assert all("rows that days before 2013-06-22 rest on were deleted" in note for note in notes)
    assert {one.table: one.content_hash for one in site.lake.summary(MODEL)} == before


def test_the_schedule_is_on_where_history_is_replayed_only(spec):
    """The demo cleans up from the start; a live model once somebody switches it on."""
    from mlobs_pipelines.defs.retention import retention_job, retention_schedule  # noqa: PLC0415 - as above

    live = replace(spec, monitor=spec.monitor.model_copy(update={"replay_as_of": None}))
    site = Site(settings=None)
    found = [retention_schedule(one, retention_job(site, one)).default_status for one in (spec, live)]
    assert found == [dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED]
