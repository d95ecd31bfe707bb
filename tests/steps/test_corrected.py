"""Corrected quality in the metric store, row by row; and the simulated year of fraud reported late."""

import importlib.util
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.metrics import score
from tests.steps import loans
from tests.steps.redeclared import metrics_of, redeclared

OBJECTIVE = "  - {metric: corrected_auc, window: 1d, fail_below: 0.55, segments: true}\n"
DAY, MATURED, HORIZON_H, LEAST = loans.DAYS[-2], loans.DAYS[:5], 72, 30
STUDY = Path(__file__).parents[2] / "benchmarks" / "young_labels.py"


@pytest.fixture(scope="module")
def stored(scored, tmp_path_factory):
    """Metric rows of a young day, with an objective that asks for corrected quality by day."""
    walk = redeclared(scored, tmp_path_factory.mktemp("corrected"), objectives=OBJECTIVE)
    score(walk, [DAY, MATURED[0]])
    return metrics_of(walk)


@pytest.fixture(scope="module")
def raw(rows):
    """Scored predictions of version a with the label known as of the run, its lag and its age in hours."""
    known = rows.labels.filter(pl.col("arrived_at") <= loans.AS_OF).sort("arrived_at", "revision")
    label = known.group_by("prediction_id").agg(pl.col("label").last(), first=pl.col("arrived_at").min())
    asked = rows.predictions.filter(pl.col("model_version") == "a").drop_nulls("score")
    hours = pl.duration(hours=1)
    return asked.join(label, on="prediction_id", how="left").with_columns(
        day=pl.col("predicted_at").dt.date(),
        lag=((pl.col("first") - pl.col("predicted_at")) / hours).clip(0).ceil(),
        age=((pl.lit(loans.AS_OF) - pl.col("predicted_at")) / hours).floor().clip(0, HORIZON_H),
        said=pl.col("score") >= 0.5,
    )


def chances(cohort, row):
    """Probability that a label like this one has come, from the lags of the cohort's labels like it."""
    if row["age"] >= HORIZON_H:
        return 1.0
    both = cohort.filter(pl.col("label") == row["label"])
    alike = both.filter(pl.col("said") == row["said"])
    lag = (alike if alike.height >= LEAST else both)["lag"]
    return ((lag <= row["age"]).mean() + (lag <= row["age"] + 1).mean()) / 2


def weighted_values(window, weight):
    """Base rate, accuracy, Brier score and AUC of weighted rows, one by one."""
    label, said, scores = (window[name].to_numpy() for name in ("label", "said", "score"))
    wins = (scores[:, None] > scores) + (scores[:, None] == scores) / 2
    up, down = weight * (label == 1), weight * (label == 0)
    return {
        "base_rate": np.average(label, weights=weight),
        "accuracy": np.average(said == label, weights=weight),
        "brier_score": np.average((scores - label) ** 2, weights=weight),
        "auc": up @ wins @ down / up.sum() / down.sum(),
    }


def test_a_young_day_is_corrected_by_the_lags_of_matured_days(stored, raw):
    """Each known label stands for 1 ÷ the share of labels like it that had come by then on matured days."""
    cohort = raw.filter(pl.col("day").is_in(MATURED) & (pl.col("lag") <= HORIZON_H)).drop_nulls("label")
    window = raw.filter(pl.col("day") == DAY).drop_nulls("label")
    own = np.array([1 / chances(cohort, row) for row in window.iter_rows(named=True)])
    # What is not kept by age and score is weighted with the mean of the day's labels like it.
    mean = window.with_columns(w=pl.Series(own)).select(pl.col("w").mean().over("label", "said"))["w"]
    assert own.max() > 1.05
    about = {"window": "1d", "model_version": "a", "segment": "", "window_start": DAY}
    mine = {row["metric"]: row for row in stored.filter(**about).iter_rows(named=True)}
    for name, value in weighted_values(window, mean.to_numpy()).items():
        row = mine[f"corrected_{name}"]
        near = 5e-4 if name in ("auc", "brier_score") else 1e-9  # rows of one cell, and the bin that is cut
        assert row["value"] == pytest.approx(value, abs=near), name
        assert row["n"] == window.height
        assert row["lower"] < row["value"] < row["upper"]
    told = mine["corrected_auc"]["told"]
    assert told["corrected_with"]["last_day"] == str(MATURED[-1])
    assert sum(told["corrected_with"]["labels"]) >= cohort.height


def test_a_mature_day_needs_no_correction(stored):
    """Once all predictions have reached the horizon, corrected values are those of the labels."""
    ended = datetime.combine(MATURED[0], datetime.min.time(), UTC) + timedelta(days=1)
    assert loans.AS_OF - ended >= timedelta(hours=HORIZON_H)
    about = stored.filter(window="1d", window_start=MATURED[0], model_version="a", segment="region")
    values = {(row["metric"], row["segment_value"]): row for row in about.iter_rows(named=True)}
    compared = [key for key in values if key[0].startswith("corrected_")]
    assert {name for name, _ in compared} >= {"corrected_auc", "corrected_base_rate", "corrected_recall"}
    for name, region in compared:
        plain = values[name.removeprefix("corrected_"), region]
        for field in ("value", "lower", "upper"):
            mine = values[name, region][field]
            assert mine == (plain[field] if plain[field] is None else pytest.approx(plain[field], abs=2e-4))
        assert values[name, region]["n"] == plain["n"]


@pytest.fixture(scope="module")
def study():
    """The study as a module."""
    spec = importlib.util.spec_from_file_location("young_labels", STUDY)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_corrected_values_find_the_truth_in_a_year_of_late_fraud(study):
    """At every moment within two standard errors of what all labels say, where raw values are not."""
    found = list(study.study(rows=150, seed=2, every=35))
    assert len(found) >= 7
    for _, values in found:
        assert abs(study.errors(values, "corrected_base_rate", "base_rate")) <= 2
        assert abs(study.errors(values, "corrected_auc", "auc")) <= 2
        assert study.errors(values, "base_rate", "base_rate") < -4
    raw = [study.errors(values, "auc", "auc") for _, values in found]
    assert min(raw) > 0
    assert np.mean(raw) > 2


def test_rows_stand_for_as_many_as_their_weight(study):
    """Values are those of rows repeated as often as their weight says; the interval is that of fewer rows."""
    year, moment = study.simulated(40, 3), 160
    times = np.random.default_rng(3).choice([1, 1, 4], year.at.size)

    def estimates(weight):
        rows, mine = study.known(year, moment, 0, moment), times[year.day < moment]
        if weight:
            rows = rows.append_column("sample_weight", pa.array(mine.astype(float)))
        else:
            rows = rows.take(pa.array(np.repeat(np.arange(mine.size), mine)))
        statistics = study.scan_labels(rows, study.PLAN)
        start, end = (study.FIRST + timedelta(days=at) for at in (moment - study.WINDOW, moment))
        counts = study.arranged(statistics, [study.Span(study.Window.FOUR_WEEKS, start, end)])
        units = study.units_of(study.HORIZON, study.UNIT)
        matured = study.matured(statistics, moment)
        ((summary, _),) = study.corrected_summaries(counts, matured, units, study.THRESHOLD)
        return {name: METRICS[name].function(summary) for name in ("corrected_auc", "corrected_base_rate")}

    weighted, repeated = estimates(weight=True), estimates(weight=False)
    for name, found in weighted.items():
        np.testing.assert_allclose(found.value, repeated[name].value, rtol=1e-6)
        assert found.n < repeated[name].n
        assert found.upper - found.lower > repeated[name].upper - repeated[name].lower
