"""Who ran what in Dagster, into the model's audit: sensors on runs that have ended, however they ended.

Runs of `mlobs backfill` are audited by that command, as one act of the person who gave it.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.jobs import RANGE_END, RANGE_START
from mlobs_pipelines.defs.launch import BY_COMMAND
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.defs.retention import who_of
from mlobs_pipelines.defs.watched import MODEL_TAG, ended
from mlobs_pipelines.store.audit import Detail, Entry, append
from mlobs_pipelines.telemetry import spans

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def audit_sensors(site: Site, models: Mapping[str, ModelSpec]) -> Iterator[dg.SensorDefinition]:
    """A sensor for each way in which a run ends, for all models together."""
    for status in ENDED:
        yield dg.run_status_sensor(
            run_status=status,
            name=f"mlobs_audit_{status.value.lower()}",
            description=f"Keeps in the audit of its model that a run ended: {status.value.lower()}.",
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=30,
        )(_keeper(site, models))


def _keeper(
    site: Site, models: Mapping[str, ModelSpec]
) -> Callable[[dg.RunStatusSensorContext], dg.SkipReason | None]:
    def keep(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        run = context.dagster_run
        model = run.tags.get(MODEL_TAG, "")
        if model not in models or BY_COMMAND in run.tags:
            return dg.SkipReason("no run of a model, or one that mlobs backfill has told of")
        record = context.instance.get_run_record_by_id(run.run_id)
        if record is not None:  # a process that was killed could not tell of its run itself
            spans.run(ended(record))
        at = datetime.fromtimestamp(record.end_time, UTC) if record and record.end_time else site.clock()
        entry = Entry(at, who_of(run), "run", run.job_name, _facts(run))
        append(site.lake, model, entry, {"run_id": run.run_id})
        return None

    return keep


def _facts(run: dg.DagsterRun) -> dict[str, Detail]:
    days = (run.tags.get(tag) for tag in (RANGE_START, RANGE_END))
    first, last = (day or run.tags.get("dagster/partition") for day in days)
    asked_by = run.tags.get("dagster/backfill")
    return {
        "run_id": run.run_id,
        "status": run.status.value,
        "first": first,
        "last": last,
        "backfill": asked_by,
    }
