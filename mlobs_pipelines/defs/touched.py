"""Days whose rows changed in a run about other days: the sensor that asks for what depends on them.

Ingest marks such materializations; here they become runs of the model's `recompute` job. What late labels ask
for is `rescore`'s business.
"""

import json
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import Dataset
from mlobs_pipelines.defs.events import materialized_since
from mlobs_pipelines.defs.jobs import job_name, range_tags
from mlobs_pipelines.defs.lineage import TOUCHED_TAG, asset_key
from mlobs_pipelines.steps.arrivals import ranges
from mlobs_pipelines.steps.snapshot import feature_reach_days

DAY = timedelta(days=1)
WATCHED: tuple[Dataset, ...] = ("predictions", "features")


def touched_sensor(spec: ModelSpec) -> dg.SensorDefinition:
    """The sensor of one model; off until it is switched on."""
    model = spec.monitor.model

    @dg.sensor(
        name=job_name(model, "touched"),
        job_name=job_name(model, "recompute"),
        minimum_interval_seconds=60,
        description=(
            "Late predictions and features land in the day of their event. Recomputes every day that a run "
            "about other days has changed, and the days that depend on it, once; days next to each other in "
            "one run."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
        days: set[date] = set()
        for dataset in WATCHED:
            changed, last = _changed(context.instance, model, dataset, seen.get(dataset, 0))
            days |= {day for one in changed for day in _depending(spec, dataset, one)}
            seen[dataset] = last
        runs = [_request(first, last, seen) for first, last in ranges(days)]
        return dg.SensorResult(run_requests=runs, cursor=json.dumps(seen))

    return sensor


def _changed(instance: dg.DagsterInstance, model: str, dataset: Dataset, after: int) -> tuple[set[date], int]:
    """Days of a dataset that runs about other days have changed since an event, and the last event seen."""
    found: set[date] = set()
    for record in materialized_since(instance, asset_key(model, dataset), after):
        event, after = record.asset_materialization, max(after, record.storage_id)
        if event is not None and TOUCHED_TAG in (event.tags or {}):
            found.add(date.fromisoformat(str(record.partition_key)))
    return found, after


def _depending(spec: ModelSpec, dataset: Dataset, day: date) -> Iterator[date]:
    """Prediction days that read a day of a dataset: its own, and lookups after it."""
    after = feature_reach_days(spec) if dataset == "features" else 0
    last = spec.monitor.end_date or date.max
    for offset in range(after + 1):
        if spec.monitor.start_date <= day + offset * DAY <= last:
            yield day + offset * DAY


def _request(first: date, last: date, seen: dict[str, int]) -> dg.RunRequest:
    return dg.RunRequest(run_key=f"{first}:{last}:{json.dumps(seen)}", tags=range_tags(first, last))
