"""Snapshot and log in Dagster: features as known at each prediction, and the log of declared versions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.assets import Part, Upstream, table_asset
from mlobs_pipelines.defs.checks import Finding, partitioned_check
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.layouts import log_layout, predictions_layout, snapshots_layout
from mlobs_pipelines.steps.log import DATASET, log
from mlobs_pipelines.steps.snapshot import feature_reach_days, snapshot
from mlobs_pipelines.steps.walk import Walk, texts
from mlobs_pipelines.store.tables import QUARANTINE

COVERAGE = 0.5
DECIDED = {
    "binary": ", with the decision each led to at the version's threshold",
    "multiclass": ", with the class that got the largest score",
    "regression": "",
}


def snapshot_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Asset and check of the snapshot step."""
    viewed = [feature.name for feature in spec.monitor.features if feature.view]
    yield table_asset(
        site,
        spec,
        snapshot,
        snapshots_layout(spec),
        "Features as they were known at each prediction, recomputed point-in-time, with age and miss reason.",
        upstream=[Upstream("predictions"), Upstream("features", before=feature_reach_days(spec))],
        lineage={name: [("features", name)] for name in viewed},
        kinds={"duckdb"},
    )
    yield partitioned_check(
        site,
        spec,
        "feature_snapshots",
        "point_in_time",
        f"At least {COVERAGE:.0%} of the predictions find a known, unexpired value in every feature view.",
        _coverage,
    )


def log_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Asset and check of the log step."""
    served = set(predictions_layout(spec).schema.names)
    carried = [name for name in log_layout(spec).schema.names if name in served]
    yield table_asset(
        site,
        spec,
        log,
        log_layout(spec),
        f"Predictions of declared versions{DECIDED[spec.monitor.task]}.",
        upstream=[Upstream("predictions")],
        lineage={name: [("predictions", name)] for name in carried if name != "day"} | _decided(spec),
        kinds={"polars"},
    )
    yield partitioned_check(
        site,
        spec,
        "prediction_log",
        "version_known",
        "Every prediction comes from a version that monitor.yaml declares.",
        _versions,
    )


def _decided(spec: ModelSpec) -> dict[str, list[tuple[str, str]]]:
    """What the decision, if there is one, was made from."""
    names = [*spec.monitor.score_columns, *(["model_version"] if spec.monitor.task == "binary" else [])]
    made = {"decision": [("predictions", name) for name in names]}
    return {} if spec.monitor.task == "regression" else made


def _coverage(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    layout = snapshots_layout(walk.spec)
    misses = [name for name in layout.schema.names if name.endswith("__miss")]
    rows = walk.lake.read(walk.model, layout, where={"day": texts(days)}, columns=["day", *misses])
    frame = pl.DataFrame(rows)
    return {day: _judge_coverage(frame.filter(pl.col("day") == day.isoformat()), misses) for day in days}


def _judge_coverage(rows: pl.DataFrame, misses: Sequence[str]) -> Finding:
    if rows.is_empty():
        return Finding(passed=True, undecided=True, description="No predictions on this day.")
    metadata: dict[str, dg.MetadataValue] = {"predictions": dg.MetadataValue.int(rows.height)}
    low = []
    for name in misses:
        view = name.removesuffix("__miss")
        share = rows.get_column(name).null_count() / rows.height
        metadata[f"{view}_coverage"] = dg.MetadataValue.float(share)
        reasons = rows.get_column(name).drop_nulls().value_counts(name="rows").sort(name)
        metadata |= {f"{view}_{reason}": dg.MetadataValue.int(count) for reason, count in reasons.iter_rows()}
        low += [f"{view} {share:.1%}"] if share < COVERAGE else []
    if low:
        text = f"Fewer than {COVERAGE:.0%} of {rows.height} predictions found a value in: {', '.join(low)}."
        return Finding(passed=False, description=text, severe=False, metadata=metadata)
    return Finding(passed=True, description="Every view was found for most predictions.", metadata=metadata)


def _versions(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    where = {"dataset": [DATASET], "day": texts(days)}
    rows = walk.lake.read(walk.model, QUARANTINE, where=where, columns=["day"])
    unknown = dict(pl.DataFrame(rows).group_by("day").len().iter_rows())
    declared = ", ".join(sorted(walk.spec.monitor.versions))
    return {day: _judge_versions(int(unknown.get(day.isoformat(), 0)), declared) for day in days}


def _judge_versions(rows: int, declared: str) -> Finding:
    metadata = {
        "unknown_version_rows": dg.MetadataValue.int(rows),
        "declared": dg.MetadataValue.text(declared),
    }
    if not rows:
        return Finding(passed=True, description=f"Only declared versions: {declared}.", metadata=metadata)
    text = (
        f"{rows} predictions come from a version that is not declared (declared: {declared}). They are in "
        "quarantine: add the version to monitor.yaml and run the day again."
    )
    return Finding(passed=False, description=text, metadata=metadata)
