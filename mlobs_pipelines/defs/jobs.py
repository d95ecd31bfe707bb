"""Jobs of a model: its baseline, the walk of a day whole and in parts with cadences of their own, the report.

When they run by themselves is `cadence`.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as AssetJob,  # what define_asset_job returns has no public name
)

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.defs.lineage import asset_key

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
JOINED = ("feature_snapshots", "prediction_log", "labelled_predictions")
MEASURED = ("statistics", "metrics")
SAYS = {
    "baseline": "Measure the training set of every declared version: once, and after adding a version.",
    "features": "Ingest feature rows, behind the predictions whose lookups reach back for them.",
    "labels": "Ingest labels by day of arrival, ahead of the predictions they belong to.",
    "ingest": "Ingest what was delivered of a day: predictions, feature rows, labels, under contract.",
    "join": "Point-in-time snapshots, the log and the join with labels, for days that were ingested.",
    "quality": "Statistics, metrics and verdicts of every family, error budgets, incidents, for joined days.",
    "label_lag": "Join and measure days again whose labels are still coming in: coverage, backlog, lag.",
    "calibration": "Join and measure days again whose labels are due now: calibration and quality that stay.",
    "daily": "The whole walk of a day, or of a range of days in one run: ingest to verdict.",
    "recompute": "The walk after ingest, for days whose rows have changed: snapshots to verdict.",
    "report": "Write the HTML report from the metric store.",
}


def job_name(model: str, part: str) -> str:
    """Name of one of a model's jobs."""
    return f"{model}_{part}"


def made_by(spec: ModelSpec, part: str) -> tuple[str, ...]:
    """The assets that a job materializes, in the order of the walk."""
    judged = ("slo_status", "incidents") if spec.monitor.slos else ("incidents",)
    quality = (*MEASURED, *judged)
    again = ("labelled_predictions", *quality)
    made = {
        "ingest": DATASETS,
        "join": JOINED,
        "quality": quality,
        "label_lag": again,
        "calibration": again,
        "recompute": (*JOINED, *quality),
        "daily": (*DATASETS, *JOINED, *quality),
    }
    return made.get(part, (part,))


def jobs(spec: ModelSpec) -> Iterator[AssetJob]:
    """A model's jobs; `daily` runs the whole walk for any days, and is what backfills use."""
    model = spec.monitor.model
    for part, text in SAYS.items():
        keys = [asset_key(model, name) for name in made_by(spec, part)]
        yield dg.define_asset_job(
            job_name(model, part),
            selection=dg.AssetSelection.assets(*keys) | dg.AssetSelection.checks_for_assets(*keys),
            description=text,
            tags={"mlobs/model": model},
        )


def range_tags(first: date, last: date) -> dict[str, str]:
    """Run tags that ask for all days from `first` to `last` in one run."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}
