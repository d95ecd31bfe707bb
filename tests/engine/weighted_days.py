"""Days of requests, of which a part is kept with weights: drawn, scanned, and read back as summaries."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.buckets import Grid, bucket_codes, quantile_edges, score_codes
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import weighted
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.scan import FeaturePlan, ScanPlan, floats, scan_labels, scan_log, scan_training
from mlobs_pipelines.steps.against import feature_summary, score_drift_summary
from mlobs_pipelines.steps.binning import FeatureBaseline
from mlobs_pipelines.steps.windows import (
    Counts,
    label_summary,
    operation_summary,
    score_summary,
    skew_summary,
)

FIRST, DAY = date(2024, 1, 1), timedelta(days=1)
GRID = Grid(0.0, 1.0, np.array([0.0]))
FEATURES = (FeaturePlan("x", GRID, recomputed=True), FeaturePlan("c", None, recomputed=True))
HORIZONS_H = np.array([24.0, 72.0])
PLAN = ScanPlan(FEATURES, (), {"v": 0.5}, horizons_s=tuple(HORIZONS_H * 3600))
PLACES = np.array(["north", "south", "east", "west", "isle"])


def requests(rng, days, per_day, rate=0.1):
    """Draw requests of many days; mark which a sampler keeps, and for how many each stands.

    The isle is rare and its requests are kept, as are errors; of the others a share `rate` is. Whatever is
    measured differs between the isle and elsewhere: scores, labels, the feature, latencies and lags.
    """
    n = days * per_day
    isle = rng.random(n) < 0.2
    x = np.where(rng.random(n) < 0.2, 0.0, rng.normal(np.where(isle, 1.5, 0.0), np.where(isle, 0.5, 1.0)))
    score = np.clip(rng.beta(np.where(isle, 3.0, 1.2), 2.5), 1e-6, 1 - 1e-6)
    label = (rng.random(n) < score ** np.where(isle, 0.7, 1.2)).astype(float)
    error = rng.random(n) < np.where(isle, 0.10, 0.02)
    latency = rng.lognormal(np.where(error, 6.0, np.where(isle, 4.0, 3.0)), 0.5)
    lag = rng.exponential(np.where(isle, 30.0, 12.0)) * 3600
    age = rng.uniform(0, 120, n) * 3600
    came = lag <= age
    place = np.where(isle, 4, rng.integers(0, 4, n))
    sure = isle | error
    columns = {
        "day": np.arange(n),
        "status": np.where(error, "error", "ok"),
        "latency_ms": latency,
        "x": x,
        "pit__x": np.where(rng.random(n) < np.where(isle, 0.3, 0.05), x + 1, x),
        "c": PLACES[place],
        "pit__c": PLACES[place],
        "score": score,
        "label": np.where(came, label, np.nan),
        "lag_s": np.where(came, lag, np.nan),
        "age_s": age,
    }
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    for name, value in {"model_version": "v", "role": "champion", "state": "labelled"}.items():
        table = table.append_column(name, pa.array([value] * n))
    table = table.set_column(0, "day", pa.array(np.repeat([str(day) for day in calendar(days)], per_day)))
    return table, sure | (rng.random(n) < rate), np.where(sure, 1.0, 1 / rate)


def scan(table):
    """Stored statistics of a table."""
    return pa.concat_tables([scan_log(table, PLAN), scan_labels(table, PLAN)])


def counts_of(table, days, window=Window.DAY, length=1):
    """Scan a table into counts, with a window of so many days from each day on."""
    last = range(length - 1, len(days))
    spans = [Span(window, days[end] - DAY * (length - 1), days[end] + DAY) for end in last]
    return Counts(parts(scan(table)), [("", "")], days, spans)


def calendar(days):
    """So many days from the first on."""
    return [FIRST + DAY * day for day in range(days)]


def parts(rows):
    """Stored rows by subject and part."""
    found: dict[tuple[str, str], list[int]] = {}
    keys = zip(rows.column("subject").to_pylist(), rows.column("part").to_pylist(), strict=True)
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return {key: rows.take(pa.array(positions)) for key, positions in found.items()}


def baseline_of(table):
    """Statistics of a training set and how its features are binned."""
    day = pa.array([FIRST.isoformat()] * table.num_rows)
    rows = table.set_column(table.column_names.index("day"), "day", day)
    codes = score_codes(floats(rows.column("score")))
    plain = tuple(FeaturePlan(feature.name, feature.grid) for feature in FEATURES)
    stored = scan_training(rows, ScanPlan(plain, (), {}))
    counts = Counts(parts(stored), [("", "")], [FIRST], [Span(Window.DAY, FIRST, FIRST + timedelta(days=1))])
    x = bucket_codes(floats(rows.column("x")))
    edges = [quantile_edges(*np.unique(some, return_counts=True)) for some in (x, codes)]
    empty = np.empty(0, np.int32)
    binned = {
        "x": FeatureBaseline(GRID, edges[0], (), np.nan),
        "c": FeatureBaseline(None, empty, tuple(sorted(PLACES)), np.nan),
        "score": FeatureBaseline(None, edges[1], (), np.nan),
    }
    return counts, binned


def summaries(counts, baseline=None):
    """Every summary of the windows, by the subject it is about."""

    def layered(build):
        return weighted(*(build(layer) for layer in counts.layers()))

    yield "scores", layered(score_summary)
    yield "labels", layered(lambda layer: label_summary(layer, 1.0, HORIZONS_H))
    yield "requests", layered(operation_summary)
    for feature in FEATURES:
        yield (
            f"skew of {feature.name}",
            layered(lambda layer, f=feature: skew_summary(layer, f.name, numeric=f.grid is not None)),
        )
    if baseline is not None:
        base, binned = baseline
        for feature in FEATURES:
            yield feature.name, feature_summary(counts, base, feature.name, binned[feature.name])
        yield "score", score_drift_summary(counts, base, binned["score"])


def estimates(counts, baseline=None):
    """Every single-number metric of every summary, by subject and name; windows on the last axis."""
    found = {}
    for subject, summary in summaries(counts, baseline):
        for metric in METRICS.values():
            if type(summary) in metric.functions and metric.labels is None:
                found[subject, metric.name] = metric.function(summary)
    return found
