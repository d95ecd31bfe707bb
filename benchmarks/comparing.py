"""The product's way from two files to metrics, as `measuring` times it: cells fixed, rows counted, compared.

Only what a comparison takes is imported, and only when it is called.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlobs_pipelines.core.buckets import fit_grid
from mlobs_pipelines.engine.arrow import of_texts
from mlobs_pipelines.engine.features import numbers
from mlobs_pipelines.engine.reading import read_batches
from mlobs_pipelines.engine.scan import FeaturePlan, LabelScan, LogScan, ScanPlan
from mlobs_pipelines.engine.threads import all_done

DAY = date(2024, 3, 1)
COLUMNS = 2  # of a baseline at a time, by either thread


def plan_of(path: Path, segment: str) -> ScanPlan:
    """What is counted: cells fixed on a baseline, whose numbers are read a few columns at a time."""
    schema, rows = pq.read_schema(path), pq.read_metadata(path).num_rows
    names = [name for name in schema.names if name[0] in "xc" and name[1:].isdigit()]
    numeric, grids = [name for name in names if name[0] == "x"], {}

    def fit(some: list[str]) -> None:
        batches, held = list(read_batches(str(path), some)), np.empty(rows)
        for name in some:
            grids[name] = fit_grid(held[: _finite((batch.column(name) for batch in batches), held)])

    starts = range(0, len(numeric), COLUMNS)
    all_done([partial(fit, numeric[start : start + COLUMNS]) for start in starts], rows)
    features = tuple(FeaturePlan(name, grids.get(name)) for name in names)
    return ScanPlan(features, (segment,), dict.fromkeys(["v1", "v2", "v3"], 0.5))


def _finite(columns: Iterator[pa.Array], held: np.ndarray) -> int:
    """Put the finite values of columns into an array that is there; how many they are."""
    end = 0
    for column in columns:
        values, valid = numbers(column)
        kept = np.isfinite(values) & (True if valid is None else valid)
        start, end = end, end + int(np.count_nonzero(kept))
        np.compress(kept, values, out=held[start:end])
    return end


def log_of(plan: ScanPlan, batches: object) -> pa.Table:
    """Statistics of requests and features."""
    scan = LogScan(plan)
    for batch in batches:
        scan.add(batch)
    return scan.finish()


def labels_of(plan: ScanPlan, batches: object) -> pa.Table:
    """Statistics of scores and labels."""
    scan = LabelScan(plan)
    for batch in batches:
        scan.add(batch)
    return scan.finish()


def compare(plan: ScanPlan, before: pa.Table, after: pa.Table, wanted: tuple[str, ...]) -> int:
    """Metrics of each version in all groups, its baseline beside it; how many numbers they are.

    `wanted` are names or families of metrics.
    """
    found = 0
    for version in plan.thresholds:
        mine = (
            rows.filter(pc.is_in(rows.column("model_version"), of_texts([version])))
            for rows in (before, after)
        )
        found += _version(plan, *mine, wanted)
    return found


def _version(plan: ScanPlan, before: pa.Table, after: pa.Table, wanted: tuple[str, ...]) -> int:
    from mlobs_pipelines.core.metrics import METRICS
    from mlobs_pipelines.core.summaries import FeatureSummary, ScoreSummary
    from mlobs_pipelines.core.vocabulary import Window
    from mlobs_pipelines.core.windows import Span
    from mlobs_pipelines.steps.against import feature_summary
    from mlobs_pipelines.steps.arranged import arranged, single
    from mlobs_pipelines.steps.binning import FeatureBaseline
    from mlobs_pipelines.steps.fitting import fitted
    from mlobs_pipelines.steps.windows import score_summary

    metrics = [
        metric
        for metric in METRICS.values()
        if not metric.detail and not {metric.name, metric.family}.isdisjoint(wanted)
    ]
    counts = arranged(after, [Span(Window.DAY, DAY, DAY + timedelta(days=1))])
    base = single(before)
    found = 0
    for feature in plan.features:
        binned = FeatureBaseline(feature.grid, np.empty(0, np.int32), (), np.nan)
        summary = feature_summary(counts, base, feature.name, fitted(base, feature.name, binned))
        for metric in metrics:
            if FeatureSummary in metric.functions and metric.suits(numeric=feature.grid is not None):
                found += np.isfinite(metric.function(summary).value).sum()
    scores = score_summary(counts) if "quality" in wanted else None
    for metric in metrics if scores is not None else ():
        if ScoreSummary in metric.functions:
            found += np.isfinite(metric.function(scores).value).sum()
    return int(found)
