"""Retention in Dagster: a job per model that deletes what has expired, and the schedule that runs it."""

from datetime import timedelta

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.jobs import job_name
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.settings import operating_user
from mlobs_pipelines.steps.keeping import Keep
from mlobs_pipelines.steps.retention import Asked, Line, apply
from mlobs_pipelines.steps.walk import Walk

CRON = "15 3 * * 0"
ASKED_BY = ("dagster/schedule_name", "dagster/sensor_name")
SAYS = (
    "Delete partitions that are older than their contracts promise, and files that no version of a table "
    "needs any more. Every deletion is in the table audit; mlobs retention shows what would go."
)


def retention_job(site: Site, spec: ModelSpec) -> dg.JobDefinition:
    """The job of one model."""
    name = job_name(spec.monitor.model, "retention")

    @dg.op(name=f"{name}_tables", description=SAYS, out=dg.Out(dg.Nothing))
    def tables(context: dg.OpExecutionContext) -> None:
        walk = site.walk(spec, context.run_id)
        lines = apply(walk, asked(site, walk, who_of(context.run)))
        for line in lines:
            if line.expiry.gone.partitions or (line.tidied and line.tidied.files):
                context.log.info(sentence(line))
        context.add_output_metadata(totals(lines))

    @dg.job(name=name, description=SAYS, tags={"mlobs/model": spec.monitor.model})
    def retention() -> None:
        tables()

    return retention


def retention_schedule(spec: ModelSpec, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Once a week, in the zone of the model; on from the start only where a history is replayed."""
    replayed = spec.monitor.replay_as_of is not None
    return dg.ScheduleDefinition(
        name=job_name(spec.monitor.model, "retention_schedule"),
        job=job,
        cron_schedule=CRON,
        execution_timezone=spec.monitor.schedule.timezone,
        description="Delete every Sunday what has expired.",
        default_status=(dg.DefaultScheduleStatus.RUNNING if replayed else dg.DefaultScheduleStatus.STOPPED),
    )


def asked(site: Site, walk: Walk, who: str) -> Asked:
    """Retention as of a walk's knowledge time, under this installation's settings."""
    settings = site.settings
    keep = Keep(walk.as_of, settings.retention_statistics_days)
    return Asked(keep, timedelta(days=settings.retention_versions_days), site.clock(), who)


def who_of(run: dg.DagsterRun) -> str:
    """Who asked for a run: its schedule or sensor, or else the user that Dagster runs as."""
    named = (run.tags.get(tag) for tag in ASKED_BY)
    return next((name for name in named if name), operating_user())


def sentence(line: Line) -> str:
    """What went from a table, in words."""
    rule, gone, tidied = line.expiry.rule, line.expiry.gone, line.tidied
    name = f"{rule.table} ({rule.dataset})" if rule.dataset else rule.table
    parts = []
    if gone.partitions:
        days = f"{line.expiry.first} to {line.expiry.last}"
        parts.append(f"{gone.partitions} partitions with {gone.rows} rows, {days}: {rule.why}")
    if tidied and tidied.files:
        parts.append(f"{tidied.files} files of {tidied.bytes} bytes that no kept version needs")
    return f"{name}: {'; '.join(parts)}"


def totals(lines: list[Line]) -> dict[str, dg.MetadataValue]:
    """What went in all."""
    tidied = [line.tidied for line in lines if line.tidied]
    found = {
        "partitions_deleted": sum(line.expiry.gone.partitions for line in lines),
        "rows_deleted": sum(line.expiry.gone.rows for line in lines),
        "files_removed": sum(one.files for one in tidied),
        "bytes_removed": sum(one.bytes for one in tidied),
        "partitions_merged": sum(one.merged for one in tidied),
    }
    return {name: dg.MetadataValue.int(value) for name, value in found.items()}
