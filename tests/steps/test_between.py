"""Drift between any stretches of days: counted from rows by hand, and as windows of the store say it."""

import dataclasses
from datetime import timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mlobs_pipelines.core.buckets import bucket_codes, score_codes
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.scan import scan_labels, scan_log
from mlobs_pipelines.steps.against import feature_summary, score_drift_summary
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.between import drift_between
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.bins import load_baselines, scan_plan
from mlobs_pipelines.steps.layouts import (
    BASELINE_FEATURES,
    BASELINE_LAYOUT,
    STATISTICS_LAYOUT,
    labelled_layout,
    log_layout,
)
from mlobs_pipelines.steps.references import moving
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.tables import as_of_key
from tests.steps import loans

FIRST = loans.DAYS[0]
WEEK = Window.WEEK


def span(start: int, end: int) -> Span:
    """Some days of the loans' history."""
    return Span(WEEK, FIRST + timedelta(days=start), FIRST + timedelta(days=end))


BEFORE, SPANS = span(0, 4), [span(4, 7), span(4, 9), span(20, 22)]


@pytest.fixture(scope="module")
def weighted(scored, tmp_path_factory):
    """The same days, stored as if their rows had weights."""
    home = tmp_path_factory.mktemp("weighted")
    walk = dataclasses.replace(scored, lake=Lake(str(home / "lake")))
    for table in ("baseline", "baseline_features"):
        rows = scored.lake.read(scored.model, table)
        layout = next(one for one in (BASELINE_FEATURES, BASELINE_LAYOUT) if one.name == table)
        keys = sorted({(version,) for version in rows.column("model_version").to_pylist()})
        walk.lake.replace(walk.model, layout, keys, rows, commit={})
    plan = scan_plan(walk, load_baselines(walk))
    served = tuple(dataclasses.replace(feature, recomputed=False) for feature in plan.features)
    plan = dataclasses.replace(plan, features=served)
    log, labelled = (
        _weighed(scored.lake.read(scored.model, layout(scored.spec)))
        for layout in (log_layout, labelled_layout)
    )
    counted = pa.concat_tables([scan_log(log, plan), scan_labels(labelled, plan)])
    key = as_of_key(walk.as_of)
    counted = counted.append_column(
        "as_of", pa.array([walk.as_of] * counted.num_rows, pa.timestamp("us", tz="UTC"))
    )
    counted = counted.append_column("as_of_key", pa.array([key] * counted.num_rows))
    days = sorted({(day, key) for day in counted.column("day").to_pylist()})
    walk.lake.replace(walk.model, STATISTICS_LAYOUT, days, counted, commit={})
    return walk


def _weighed(rows):
    weights = 1 + np.arange(rows.num_rows) % 4
    return rows.append_column("sample_weight", pa.array(weights.astype(np.float64)))


@pytest.fixture(params=["scored", "weighted"])
def walk(request):
    """The loans' days, once without and once with weights."""
    return request.getfixturevalue(request.param)


def by_windows(walk, version: str, feature: str) -> dict:
    """PSI by group and window, the way the metrics step computes it."""
    binned = load_baselines(walk)[version]
    rows = walk.lake.read(walk.model, STATISTICS_LAYOUT)
    mine = rows.filter(pa.compute.equal(rows.column("model_version"), version))
    counts = arranged(mine, SPANS)
    base = moving(walk.spec.monitor.compared_with, binned, mine, [BEFORE] * len(SPANS), {}).counts
    if feature == SCORE:
        summary = score_drift_summary(counts, base, binned.features[feature])
    else:
        summary = feature_summary(counts, base, feature, binned.features[feature])
    found = METRICS["psi"].function(summary)
    return {
        (*group, one.start, one.end): (
            found.value[at, window],
            found.noise[at, window],
            found.n[at, window],
            found.effective[at, window],
        )
        for at, group in enumerate(counts.groups)
        for window, one in enumerate(SPANS)
    }


def test_values_are_those_of_windows_compared_with_the_same_days(walk):
    """Every feature and the score, of every version and group, with noise point and rows."""
    found = pl.DataFrame(drift_between(walk, BEFORE, SPANS))
    seen = 0
    for (version, feature), part in found.group_by("model_version", "feature"):
        wanted = by_windows(walk, version, feature)
        for row in part.iter_rows(named=True):
            key = tuple(row[name] for name in ("segment", "segment_value", "window_start", "window_end"))
            got = [row[name] for name in ("psi", "noise", "n", "effective")]
            got = [np.nan if value is None else value for value in got]
            np.testing.assert_allclose(got, wanted[key], rtol=1e-12, atol=1e-15, err_msg=f"{feature} {key}")
            seen += 1
    assert seen == found.height > 100


def test_psi_is_that_of_rows_counted_by_hand(scored):
    """The bins of every row of two features and of the score, counted one by one."""
    found = pl.DataFrame(drift_between(scored, BEFORE, SPANS[:1]))
    log = pl.DataFrame(scored.lake.read(scored.model, "prediction_log"))
    for version, binned in load_baselines(scored).items():
        rows = log.filter(model_version=version)
        for name in ("amount", "grade", SCORE):
            counted = [_by_hand(rows, name, binned.features[name], days) for days in (BEFORE, SPANS[0])]
            before, now = (some + 0.5 for some in counted)
            shares = now / now.sum() - before / before.sum()
            wanted = (shares * np.log(now / now.sum() / (before / before.sum()))).sum()
            row = found.row(
                by_predicate=(pl.col("model_version") == version)
                & (pl.col("feature") == name)
                & (pl.col("segment") == ""),
                named=True,
            )
            there = counted[0].sum() > 0  # the second version came later
            assert row["psi"] == (pytest.approx(wanted, rel=1e-12) if there else None)
            assert row["n"] == counted[1].sum()


def _by_hand(rows, name, binned, days):
    rows = rows.filter(pl.col("day").is_in([day.isoformat() for day in days.days]))
    values = rows[name] if name != SCORE else rows[name].drop_nulls()
    if name == "grade":
        bins = [*binned.categories, "another", None]
        told = [text if text in bins else "another" for text in values]
        return np.array([told.count(one) for one in bins], float)
    known = values.drop_nulls().to_numpy()
    grid = binned.grid
    codes = score_codes(known) if grid is None else bucket_codes(known + 0.0, grid.location, grid.scale)
    counted = np.bincount(np.searchsorted(binned.edges, codes, side="right"), minlength=binned.edges.size + 1)
    return np.append(counted, values.null_count()).astype(float)


def test_days_that_are_not_there_give_no_number(scored):
    """A stretch without statistics has rows without PSI; without a first stretch there is none at all."""
    found = pl.DataFrame(drift_between(scored, BEFORE, SPANS)).filter(window_start=SPANS[2].start)
    assert found["psi"].null_count() == found.height > 0
    assert found["n"].sum() == 0
    assert drift_between(scored, span(20, 21), [span(30, 31)]).num_rows == 0
