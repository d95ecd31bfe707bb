"""Jobs and schedules of a model: baseline, labels, the daily walk, the report."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as AssetJob,  # what define_asset_job returns has no public name
)

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.resources import AS_OF_TAG

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
WALKED = (
    "predictions",
    "features",
    "labels",
    "feature_snapshots",
    "prediction_log",
    "labelled_predictions",
    "statistics",
    "metrics",
)


def job_name(model: str, part: str) -> str:
    """Name of one of a model's jobs."""
    return f"{model}_{part}"


def jobs(spec: ModelSpec) -> Iterator[AssetJob]:
    """A model's jobs; `daily` runs the whole walk for any days, and is what backfills use."""
    model = spec.monitor.model
    says = {
        "baseline": "Measure the training set of every declared version: once, and after adding a version.",
        "features": "Ingest feature rows, behind the predictions whose lookups reach back for them.",
        "labels": "Ingest labels by day of arrival, ahead of the predictions they belong to.",
        "daily": "The whole walk of a day, or of a range of days in one run: ingest to verdict.",
        "recompute": "The walk after ingest, for days whose rows have changed: snapshots to verdict.",
        "report": "Write the HTML report from the metric store.",
    }
    for part, text in says.items():
        judged = ("slo_status", "incidents") if spec.monitor.slos else ("incidents",)
        walked = {"daily": (*WALKED, *judged), "recompute": (*WALKED[len(DATASETS) :], *judged)}
        keys = [asset_key(model, name) for name in walked.get(part, (part,))]
        yield dg.define_asset_job(
            job_name(model, part),
            selection=dg.AssetSelection.assets(*keys) | dg.AssetSelection.checks_for_assets(*keys),
            description=text,
            tags={"mlobs/model": model},
        )


def range_tags(first: date, last: date) -> dict[str, str]:
    """Run tags that ask for all days from `first` to `last` in one run."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


def schedules(spec: ModelSpec) -> Iterator[dg.ScheduleDefinition]:
    """The daily schedule: yesterday's walk, and again the days whose labels are still coming in."""
    monitor, model = spec.monitor, spec.monitor.model
    back = -(-monitor.schedule.rescore // timedelta(days=1))

    @dg.schedule(
        name=job_name(model, "daily_schedule"),
        job_name=job_name(model, "daily"),
        cron_schedule=monitor.schedule.cron,
        execution_timezone=monitor.schedule.timezone,
        description=f"Walk yesterday, and again the {back} days before it, whose labels are still coming in.",
    )
    def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # Partitions are UTC days, whatever time zone the cron expression is read in.
        last = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
        return request(spec, last, back)

    yield daily_schedule


def request(spec: ModelSpec, last: date, back: int) -> dg.RunRequest | dg.SkipReason:
    """The run of one schedule tick, or why there is none."""
    monitor = spec.monitor
    if last < monitor.start_date:
        return dg.SkipReason(f"{monitor.model} starts on {monitor.start_date}")
    if monitor.end_date is not None and last > monitor.end_date:
        return dg.SkipReason(f"the history of {monitor.model} ended on {monitor.end_date}")
    first = max(monitor.start_date, last - timedelta(days=back))
    # Labels are ingested up to the end of the last day; nothing later may count as missing.
    known = datetime.combine(last + timedelta(days=1), time(), UTC)
    tags = {**range_tags(first, last), AS_OF_TAG: known.isoformat()}
    return dg.RunRequest(run_key=last.isoformat(), tags=tags)
