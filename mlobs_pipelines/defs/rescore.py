"""Late labels in Dagster: the job that measures exactly some days again, and the sensor that asks for it.

Which days wait for labels is found where labels are ingested, and again by the run itself: a day that another
run has brought up to date meanwhile is left alone.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.checks import Looks, evaluations
from mlobs_pipelines.defs.events import materialized_since
from mlobs_pipelines.defs.jobs import job_name
from mlobs_pipelines.defs.join import join_looks
from mlobs_pipelines.defs.judge import slo_looks
from mlobs_pipelines.defs.lineage import asset_key, events, evidence
from mlobs_pipelines.defs.measure import metric_looks
from mlobs_pipelines.defs.partitions import daily
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.arrivals import WAITING, spelled, spelled_days
from mlobs_pipelines.steps.expired import Step, expired_before
from mlobs_pipelines.steps.join import behind, rejoin
from mlobs_pipelines.steps.judge import judge_slos
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.steps.walk import Walk

DAYS_PER_RUN = 500


@dataclass(frozen=True, slots=True)
class _Made:
    """A table that depends on labels: its name, the step that writes it, and its checks."""

    name: str
    step: Step
    looks: Looks


def _tables(spec: ModelSpec) -> list[_Made]:
    judged = [_Made("slo_status", judge_slos, slo_looks())] if spec.monitor.slos else []
    return [
        _Made("labelled_predictions", rejoin, join_looks()),
        _Made("statistics", measure, {}),
        _Made("metrics", score, metric_looks(spec)),
        *judged,
    ]


def rescore_job(site: Site, spec: ModelSpec) -> dg.JobDefinition:
    """The job of one model; a run names its days, which need not be next to each other."""
    model = spec.monitor.model

    @dg.op(
        name=job_name(model, "rescore_days"),
        config_schema={"days": dg.Field(str, description="As in 2013-06-01..2013-06-03, 2013-06-07.")},
    )
    def rescore_days(context: dg.OpExecutionContext) -> dg.Output[None]:
        walk = site.walk_at(context.run, spec)
        asked = spelled_days(context.op_config["days"])
        expired = [expired_before(walk).get(table.name, date.min) for table in _tables(spec)]
        days = behind(walk, [day for day in asked if day >= max(expired)])
        for event in _remade(context.instance, walk, days) if days else ():
            context.log_event(event)  # type: ignore[arg-type] # evaluations too
        said = {"asked": dg.MetadataValue.int(len(asked)), "measured_again": dg.MetadataValue.int(len(days))}
        return dg.Output(None, metadata={**said, "days": dg.MetadataValue.text(spelled(days))})

    @dg.job(
        name=job_name(model, "rescore"),
        description="Join, measure and judge days again whose labels came late: those days and no others.",
        tags={"mlobs/model": model},
    )
    def rescore() -> None:
        rescore_days()

    return rescore


def _remade(
    instance: dg.DagsterInstance, walk: Walk, days: Sequence[date]
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Make every table of some days again; one materialization per day, and its checks."""
    known = daily(walk.spec.monitor)
    for table in _tables(walk.spec):
        key = asset_key(walk.model, table.name)
        made = sorted(table.step(walk, days).items())
        outcomes = {day: outcome for day, outcome in made if known.has_partition_key(day.isoformat())}
        told = {day.isoformat(): evidence(walk, outcome) for day, outcome in outcomes.items()}
        yield from events(key, outcomes, told, {}, set(told))
        for name, (_, look) in table.looks.items():
            yield from evaluations(instance, walk, dg.AssetCheckKey(key, name), look, days)


def late_labels_sensor(spec: ModelSpec) -> dg.SensorDefinition:
    """The sensor of one model; off until it is switched on."""
    model = spec.monitor.model

    @dg.sensor(
        name=job_name(model, "late_labels"),
        job_name=job_name(model, "rescore"),
        minimum_interval_seconds=60,
        description=(
            "Labels arrive long after the predictions they belong to. Measures again every prediction day "
            "that has been joined without labels which have arrived since: a delivery's days in one run."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        after = int(context.cursor or 0)
        days, last = _waiting(context.instance, model, after)
        if not days:
            return dg.SensorResult(skip_reason="No joined day waits for labels.", cursor=str(last))
        return dg.SensorResult(run_requests=list(_requests(model, days, last)), cursor=str(last))

    return sensor


def _waiting(instance: dg.DagsterInstance, model: str, after: int) -> tuple[list[date], int]:
    """Days that labels materialized since an event have found waiting, and the last event seen."""
    found: set[date] = set()
    for record in materialized_since(instance, asset_key(model, "labels"), after):
        event, after = record.asset_materialization, max(after, record.storage_id)
        said = event.metadata.get(WAITING) if event is not None else None
        found |= set(spelled_days(str(said.value))) if said is not None else set()
    return sorted(found), after


def _requests(model: str, days: Sequence[date], last: int) -> Iterator[dg.RunRequest]:
    """Few runs for many days; one key per delivery, so that a tick which is repeated asks for nothing new."""
    for start in range(0, len(days), DAYS_PER_RUN):
        text = spelled(days[start : start + DAYS_PER_RUN])
        config = {"ops": {job_name(model, "rescore_days"): {"config": {"days": text}}}}
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        yield dg.RunRequest(run_key=f"{last}:{key}", run_config=config)
