"""Moments and extremes from rows to metrics: numpy's figures, for any order and cut of the rows."""

import math
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core import tally
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine import parts as counting
from mlobs_pipelines.engine.scan import FeaturePlan, LogScan, ScanPlan
from mlobs_pipelines.steps.against import feature_summary
from mlobs_pipelines.steps.binning import FeatureBaseline
from mlobs_pipelines.steps.merging import merged
from mlobs_pipelines.steps.windows import Counts
from tests.engine.weighted_days import FIRST, calendar, parts

NAMES = ("value_mean", "value_std", "value_min", "value_max")


def table(values, groups, days, weights=None):
    """Rows of a log that hold one number; NaN is a null."""
    n = len(values)
    columns = {
        "day": pa.array([str(FIRST + timedelta(days=int(day))) for day in days], pa.string()),
        "g": pa.array([f"g{group}" for group in groups], pa.string()),
        "x": pa.array(np.asarray(values, float), from_pandas=True),
        "latency_ms": pa.nulls(n, pa.float64()),
    }
    columns |= {
        name: pa.array([text] * n, pa.string())
        for name, text in {"model_version": "v", "role": "champion", "status": "ok"}.items()
    }
    return pa.table(
        columns if weights is None else columns | {"sample_weight": pa.array(weights, pa.float64())}
    )


def scanned(rows, grid, size=1000):
    """Stored statistics of rows that come so many at a time."""
    scan = LogScan(ScanPlan((FeaturePlan("x", grid),), ("g",), {"v": 0.5}))
    for batch in rows.combine_chunks().to_batches(max_chunksize=size):
        scan.add(batch)
    return scan.finish()


def figures(stored, grid, days=1):
    """Value and bound of each metric, per group, in one window of so many days."""
    pairs = zip(stored["segment"].to_pylist(), stored["segment_value"].to_pylist(), strict=True)
    groups = sorted({("", ""), *pairs})
    spans = [Span(Window.DAY, FIRST, FIRST + timedelta(days=days))]
    counts = Counts(parts(stored), groups, calendar(days), spans)
    binned = FeatureBaseline(grid, np.empty(0, np.int32), (), np.nan)
    found = {}
    summary = feature_summary(counts, counts, "x", binned)
    for name in NAMES:
        estimate = METRICS[name].function(summary)
        for at, (_, group) in enumerate(groups):
            found[group, name] = float(estimate.value[at, 0]), float(estimate.bound[at, 0])
    return found


def exact(values, weights=None):
    """The same by numpy; NaN where nothing is finite."""
    w = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    kept = np.isfinite(values)
    x, w = np.asarray(values, float)[kept], w[kept]
    if not x.size:
        return dict.fromkeys(NAMES, math.nan)
    mean = np.average(x, weights=w)
    spread = math.sqrt(np.average((x - mean) ** 2, weights=w))
    return dict(zip(NAMES, (mean, spread, x.min(), x.max()), strict=True))


def close(found, true, size):
    """Equal to nine digits of what the values are like, or no further off than the bound says."""
    value, bound = found
    return (math.isnan(value) and math.isnan(true)) or abs(value - true) <= 1e-9 * size + bound


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 300),
    size=st.integers(1, 300),
    dense=st.sampled_from([1 << 19, 0]),
    weighted=st.booleans(),
)
def test_moments_and_extremes_are_those_of_the_rows(seed, n, size, dense, weighted):
    """Mean, deviation, least and greatest value of every group are numpy's, nulls and infinities left out."""
    rng = np.random.default_rng(seed)
    location, scale = rng.normal(0, 100), 10.0 ** rng.integers(-3, 4)
    values = rng.normal(location, scale, n)
    values[rng.random(n) < 0.1] = np.nan
    values[rng.random(n) < 0.05] = np.inf
    groups, days = rng.integers(0, 3, n), rng.integers(0, 3, n)
    weights = rng.choice([1.0, 2.0, 10 / 3], n) if weighted else None
    grid = Grid(location + scale, scale)
    with pytest.MonkeyPatch.context() as patch:
        for module in (tally, counting):
            patch.setattr(module, "DENSE_CELLS", dense)
        found = figures(scanned(table(values, groups, days, weights), grid, size), grid, 3)
    for group in ("", *sorted({f"g{g}" for g in groups})):
        mine = np.ones(n, bool) if group == "" else groups == int(group[1:])
        true = exact(values[mine], None if weights is None else weights[mine])
        for name in NAMES:
            assert close(found[group, name], true[name], abs(location) + scale), (group, name)
            assert math.isnan(true[name]) or found[group, name][1] == 0, (group, name)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_stored_sums_hardly_depend_on_order_and_cut(seed):
    """Shuffled rows in other batches give sums within 1e-12 of what is added up, and equal extremes."""
    rng = np.random.default_rng(seed)
    values, groups = rng.lognormal(3, 1, 500), rng.integers(0, 3, 500)
    rows = table(values, groups, np.zeros(500), rng.choice([1.0, 3.7], 500))
    grid = Grid(20.0, 10.0)
    one = scanned(rows, grid, int(rng.integers(1, 500)))
    two = scanned(rows.take(pa.array(rng.permutation(500))), grid, int(rng.integers(1, 500)))
    keys = ["segment", "segment_value", "subject", "part"]
    left, right = (t.sort_by([(k, "ascending") for k in keys]).to_pylist() for t in (one, two))
    for mine, other in zip(left, right, strict=True):
        assert [mine[k] for k in (*keys, "codes", "counts")] == [other[k] for k in (*keys, "codes", "counts")]
        if mine["part"] == "extremes":
            assert (mine["sums"], mine["squares"]) == (other["sums"], other["squares"])
        elif mine["sums"] is not None:
            # Distances of both signs cancel: the scale is what they come to without their signs.
            scale = math.sqrt(sum(map(abs, mine["squares"])) * sum(mine["counts"]))
            assert mine["sums"] == pytest.approx(other["sums"], rel=1e-12, abs=1e-12 * scale)
            assert mine["squares"] == pytest.approx(other["squares"], rel=1e-12)


def test_a_constant_has_no_deviation():
    """One value far from the location, however often, deviates by exactly nothing."""
    grid = Grid(0.0, 1.0)
    found = figures(scanned(table(np.full(999, 12345.6789), np.zeros(999), np.zeros(999)), grid), grid)
    assert found["", "value_std"] == (0.0, 0.0)
    assert found["", "value_mean"][0] == pytest.approx(12345.6789, rel=1e-14)


def test_a_deviation_lost_in_rounding_says_so():
    """Where rows are close together and far from the location, the bound holds the true deviation."""
    grid = Grid(0.0, 1.0)
    values = 1e9 + np.random.default_rng(1).normal(size=2000)
    found = figures(scanned(table(values, np.zeros(2000), np.zeros(2000)), grid), grid)
    value, bound = found["", "value_std"]
    assert abs(value - values.std()) <= bound
    assert bound > 0


def test_values_whose_squares_are_infinite_keep_their_extremes():
    """Beyond 1e154 cells say where values are; least and greatest stay exact, and no number is infinite."""
    grid = Grid(0.0, 1.0)
    values = np.array([-1e200, 5.0, 1e300])
    found = figures(scanned(table(values, np.zeros(3), np.zeros(3)), grid), grid)
    assert (found["", "value_min"][0], found["", "value_max"][0]) == (-1e200, 1e300)
    assert all(not math.isinf(value) for value, _ in found.values())


def test_days_added_up_into_a_baseline_keep_extremes():
    """Stored days merge into one: sums add up, extremes are the least and the greatest of all days."""
    rng = np.random.default_rng(4)
    values, groups, days = rng.normal(size=600), rng.integers(0, 2, 600), rng.integers(0, 3, 600)
    grid = Grid(0.0, 1.0)
    stored = scanned(table(values, groups, days), grid)
    found = figures(merged(stored, str(FIRST), "baseline"), grid)
    for group in ("", "g0", "g1"):
        true = exact(values if group == "" else values[groups == int(group[1:])])
        assert {name: found[group, name][0] for name in NAMES} == pytest.approx(true, rel=1e-9)
