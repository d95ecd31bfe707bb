"""Bins and samples of features as stored: what the baseline step fixed, as the steps after it read it.

Fixing bins is the baseline step's business; counting with them is the engine's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.engine.scan import FeaturePlan, ScanPlan
from mlobs_pipelines.steps.binning import SCORE, Baseline, FeatureBaseline
from mlobs_pipelines.steps.layouts import BASELINE_FEATURES
from mlobs_pipelines.steps.walk import Walk


class BaselineError(RuntimeError):
    """A version's training set that cannot be used, or one that was not measured yet."""


def load_baselines(walk: Walk) -> dict[str, Baseline]:
    """Read how every version's features are binned.

    Raises
    ------
    BaselineError
        If a declared version has not been measured.
    """
    rows = walk.lake.read(walk.model, BASELINE_FEATURES).to_pylist()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["model_version"], {})[row["feature"]] = row
    absent = sorted(set(walk.spec.monitor.versions) - set(found))
    if absent:
        raise BaselineError(
            f"{walk.model}: the baseline of {', '.join(absent)} has not been measured: materialize "
            f"{walk.model}/baseline first"
        )
    return {version: _baseline(features) for version, features in found.items()}


def stored_grids(walk: Walk) -> dict[str, Grid]:
    """Cells of the numeric features that any version was ever measured with.

    Stored statistics are counted in these cells, so they outlive the version they were fitted on.
    """
    rows = walk.lake.read(walk.model, BASELINE_FEATURES).to_pylist()
    return {row["feature"]: _grid(row) for row in rows if row["kind"] == "numeric"}


def _grid(row: Mapping[str, Any]) -> Grid:
    return Grid(row["location"], row["scale"], np.array(row["atoms"], dtype=np.float64))


def _baseline(rows: Mapping[str, Mapping[str, Any]]) -> Baseline:
    features = {name: _feature(row) for name, row in rows.items()}
    return Baseline(next(iter(rows.values()))["baseline_id"], features)


def _feature(row: Mapping[str, Any]) -> FeatureBaseline:
    grid = _grid(row) if row["kind"] == "numeric" else None
    importance = np.nan if row["importance"] is None else row["importance"]
    return FeatureBaseline(grid, np.array(row["edges"], np.int32), tuple(row["categories"]), importance)


def scan_plan(walk: Walk, baselines: Mapping[str, Baseline]) -> ScanPlan:
    """How the model's rows are counted: cells from the baselines, the rest from the monitor."""
    monitor = walk.spec.monitor
    grids = {n: f.grid for b in baselines.values() for n, f in b.features.items()}
    features = tuple(
        FeaturePlan(f.name, grids[f.name] if f.kind == "numeric" else None, f.view is not None)
        for f in monitor.features
    )
    horizons = tuple(h.total_seconds() for h in monitor.labels.horizons)
    return ScanPlan(
        features,
        monitor.segments,
        {name: version.threshold for name, version in monitor.versions.items()},
        monitor.good_status,
        monitor.labels.unit.total_seconds(),
        horizons,
        monitor.crosses,
        monitor.timeout_status,
        monitor.classes,
        grids.get(SCORE),
        monitor.attribution_columns,
        sample=monitor.multivariate.sample if monitor.multivariate else 0,
        sampled=sampled_features(walk.spec),
    )


def sampled_features(spec: ModelSpec) -> tuple[str, ...]:
    """Features of which samples are kept: all but restricted ones, and those that the monitor leaves out."""
    section = spec.monitor.multivariate
    if section is None:
        return ()
    without = {*section.without, *spec.table("predictions").restricted}
    return tuple(name for name in spec.monitor.feature_names if name not in without)
