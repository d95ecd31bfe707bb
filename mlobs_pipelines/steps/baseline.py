"""Baseline: what each model version learned from, as statistics, with the cells and bins fixed on it.

A feature's cells are fixed once, on the first declared version that has it; its drift bins once per version.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import (
    Codes,
    Grid,
    bucket_of,
    cell_codes,
    fit_grid,
    quantile_edges,
    score_codes,
)
from mlobs_pipelines.engine.attributions import SIZES
from mlobs_pipelines.engine.scan import FeaturePlan, ScanPlan, floats, scan_labels, scan_training
from mlobs_pipelines.engine.scores import ScorePlan, top_class
from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError
from mlobs_pipelines.sources.files import deliveries
from mlobs_pipelines.steps.binning import RARE, SCORE
from mlobs_pipelines.steps.bins import BaselineError, sampled_features, stored_grids
from mlobs_pipelines.steps.layouts import BASELINE_FEATURES, BASELINE_LAYOUT, LABELS
from mlobs_pipelines.steps.samples import BASELINE_ROWS
from mlobs_pipelines.steps.segments import trained
from mlobs_pipelines.steps.training import LABEL, labelled, numeric, scored
from mlobs_pipelines.steps.walk import Outcome, Walk
from mlobs_pipelines.store.content import content_hash

ROLE = "baseline"


def measure_baselines(walk: Walk) -> dict[str, Outcome]:
    """Measure the training set of every declared version.

    Returns
    -------
    dict of str to Outcome
        By model version; the content hash of the published features is the baseline's id.

    Raises
    ------
    BaselineError
        If a training set is missing, unreadable or lacks a column.
    """
    grids = stored_grids(walk)
    outcomes = {}
    for version in walk.spec.monitor.versions:
        frame, facts = _training(walk, version)
        arrow = frame.to_arrow()
        for feature in walk.spec.monitor.features:
            if feature.kind == "numeric":
                values = floats(arrow.column(feature.name))
                grids.setdefault(feature.name, fit_grid(values[np.isfinite(values)]))
        if walk.spec.monitor.task == "regression":
            grids.setdefault(SCORE, fit_grid(floats(arrow.column(SCORE))))
        outcomes[version] = _publish(walk, version, arrow, grids, facts)
    return outcomes


def training_rows(walk: Walk, version: str) -> pl.DataFrame:
    """Rows that a declared version learned from: features, scores, segments and, if they are known, labels.

    Raises
    ------
    BaselineError
        If the training set is missing, unreadable or lacks a column.
    """
    return _training(walk, version)[0]


def _training(walk: Walk, version: str) -> tuple[pl.DataFrame, dict[str, float]]:
    declared = walk.spec.monitor.versions[version]
    path = Path(declared.baseline.format(landing=walk.landing))
    monitor = walk.spec.monitor
    wanted = [*monitor.feature_names, *monitor.score_columns, *monitor.segments]
    attributions = tuple(monitor.attribution_columns.values())
    rows = _rows(version, path, tuple(dict.fromkeys(wanted)), attributions)
    frame = labelled(monitor, version, path, rows)
    numbers = [f.name for f in monitor.features if f.kind == "numeric"]
    numbers += [name for name in attributions if name in frame.columns]
    wrong = [name for name in [*numbers, *monitor.score_columns] if not numeric(frame.schema[name])]
    if wrong:
        raise BaselineError(f"baseline of {version}: {path}: column {', '.join(wrong)} does not hold numbers")
    return scored(monitor, version, path, frame), _importance(
        version, Path(declared.facts.format(landing=walk.landing))
    )


def _rows(version: str, path: Path, columns: tuple[str, ...], attributions: tuple[str, ...]) -> pl.DataFrame:
    """Rows with the columns asked for; labels where there are any, attributions where all or none are."""
    slot = Slot("baseline", date.min, (*columns, *attributions, LABEL))
    for delivery in deliveries(Place("local", "parquet", str(path)), slot) if path.is_file() else ():
        if delivery.problem:
            raise BaselineError(f"baseline of {version}: {path}: {delivery.problem}")
        if set(attributions) & set(delivery.columns):
            columns = (*columns, *attributions)
        absent = sorted(set(columns) - set(delivery.columns))
        if absent:
            raise BaselineError(f"baseline of {version}: {path}: missing column {', '.join(absent)}")
        try:
            kept = [name for name in (*columns, LABEL) if name in delivery.columns]
            return pl.concat([frame.select(kept) for frame in delivery.frames()])
        except UnreadableError as error:
            raise BaselineError(f"baseline of {version}: {path}: {error}") from None
    raise BaselineError(f"baseline of {version}: {path}: the file does not exist")


def _importance(version: str, path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["importance"]
        return {str(name): float(value) for name, value in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BaselineError(
            f'baseline of {version}: {path}: expected {{"importance": {{feature: number}}}}; write it so'
        ) from None


def _publish(
    walk: Walk, version: str, rows: pa.Table, grids: Mapping[str, Grid], importance: Mapping[str, float]
) -> Outcome:
    plans = [
        FeaturePlan(f.name, grids[f.name] if f.kind == "numeric" else None)
        for f in walk.spec.monitor.features
    ]
    described = [_describe(rows, plan, importance.get(plan.name)) for plan in plans]
    described.append(_describe_score(rows, ScorePlan({}, walk.spec.monitor.classes, grids.get(SCORE))))
    described = [{**row, "model_version": version} for row in described]
    fixed = pa.schema([field for field in BASELINE_FEATURES.schema if field.name != "baseline_id"])
    table = pa.Table.from_pylist(described, schema=fixed)
    statistics = _statistics(walk, version, rows, plans, grids.get(SCORE))
    baseline_id = _id(table, statistics)
    table = table.append_column("baseline_id", _repeat(baseline_id, len(described)))
    features = table.select(BASELINE_FEATURES.schema.names).cast(BASELINE_FEATURES.schema)
    walk.lake.replace(walk.model, BASELINE_FEATURES, [(version,)], features, commit=walk.commit)
    published = walk.lake.replace(walk.model, BASELINE_LAYOUT, [(version,)], statistics, commit=walk.commit)
    return Outcome(
        rows.num_rows,
        rows.num_rows,
        0,
        published[(version,)],
        {},
        {"baseline_id": baseline_id, "features": len(plans)},
    )


def _id(features: pa.Table, statistics: pa.Table) -> str:
    """Short hash of what windows are compared with: how features are binned and, if known, attributed."""
    sizes = statistics.filter(pc.equal(statistics.column("part"), SIZES))
    told = content_hash(features) + (content_hash(sizes) if sizes.num_rows else "")
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _repeat(text: str, times: int) -> pa.Array:
    return pa.array([text] * times, pa.string())


def _statistics(
    walk: Walk, version: str, rows: pa.Table, plans: list[FeaturePlan], values: Grid | None
) -> pa.Table:
    constant = {"day": ROLE, "model_version": version, "role": ROLE}
    for name, value in constant.items():
        rows = rows.append_column(name, _repeat(value, rows.num_rows))
    monitor = walk.spec.monitor
    thresholds = {version: monitor.versions[version].threshold}
    plan = ScanPlan(
        tuple(plans),
        monitor.segments,
        thresholds,
        crosses=monitor.crosses,
        classes=monitor.classes,
        values=values,
        sample=BASELINE_ROWS if monitor.multivariate else 0,
        sampled=sampled_features(walk.spec),
        kept=trained(monitor, version, rows),
    )
    if set(monitor.attribution_columns.values()) <= set(rows.column_names):
        plan = replace(plan, attributions=monitor.attribution_columns)
    counted = scan_training(rows, plan)
    if LABEL not in rows.column_names:
        if plan.scores.binary:
            return counted
        rows = rows.append_column(LABEL, pa.nulls(rows.num_rows, LABELS[monitor.task]))
    return pa.concat_tables([counted, _by_label(rows, plan)])


def _by_label(rows: pa.Table, plan: ScanPlan) -> pa.Table:
    """Scores by label, as those of days are counted; when the labels came is not known and not counted."""
    at_once = pa.array(np.zeros(rows.num_rows))
    columns = {"lag_s": at_once, "age_s": at_once, "state": _repeat("known", rows.num_rows)}
    for name, column in columns.items():
        rows = rows.append_column(name, column)
    counted = scan_labels(rows, plan)
    return counted.filter(pc.equal(counted.column("subject"), SCORE))


def _describe(rows: pa.Table, plan: FeaturePlan, importance: float | None) -> dict[str, object]:
    if plan.grid is None:
        names = rows.column(plan.name).cast(pa.string()).drop_null()
        counted = pc.value_counts(names).to_pylist()
        common = sorted(item["values"] for item in counted if item["counts"] >= RARE * rows.num_rows)
        return _row(plan.name, "categorical", Grid(), np.empty(0, np.int32), common, importance)
    return _describe_numbers(rows, plan.name, plan.grid, importance)


def _describe_numbers(rows: pa.Table, name: str, grid: Grid, importance: float | None) -> dict[str, object]:
    values = floats(rows.column(name))
    codes = bucket_of(cell_codes(values[np.isfinite(values)] + 0.0, grid), grid)
    return _row(name, "numeric", grid, _edges(codes), [], importance)


def _describe_score(rows: pa.Table, plan: ScorePlan) -> dict[str, object]:
    """Bins of the score, of the largest one, or of the predicted number."""
    if plan.values is not None:
        return _describe_numbers(rows, SCORE, plan.values, None)
    scores = np.column_stack([floats(rows.column(name)) for name in plan.columns])
    return _row(SCORE, SCORE, Grid(), _edges(score_codes(top_class(scores)[1])), [], None)


def _edges(codes: Codes) -> Codes:
    return quantile_edges(*np.unique(codes, return_counts=True))


def _row(
    name: str, kind: str, grid: Grid, edges: Codes, categories: list[str], importance: float | None
) -> dict[str, object]:
    return {
        "feature": name,
        "kind": kind,
        "location": grid.location,
        "scale": grid.scale,
        "atoms": grid.atoms.tolist(),
        "edges": edges.tolist(),
        "categories": categories,
        "importance": importance,
    }
