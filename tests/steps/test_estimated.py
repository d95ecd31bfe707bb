"""Estimated quality in the metric store: calibrated on matured days alone, row by row with scikit-learn."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from mlobs_pipelines.steps.metrics import score
from tests.steps import loans
from tests.steps.redeclared import metrics_of, redeclared

OBJECTIVES = """\
  - {metric: estimated_auc, window: 1d, fail_below: 0.55, segments: true}
  - {metric: estimated_auc, window: 7d, fail_below: 0.99}
"""
LATEST, MATURED = loans.DAYS[-1], loans.DAYS[:5]  # the horizon is three days
CELLS, LIMIT = 4096, 16.0


@pytest.fixture(scope="module")
def stored(scored, tmp_path_factory):
    """Metric rows of the latest day, and of the months that hold it, where estimates are asked for by day."""
    walk = redeclared(scored, tmp_path_factory.mktemp("estimated"), objectives=OBJECTIVES)
    score(walk, [MATURED[0], LATEST])
    return metrics_of(walk)


@pytest.fixture(scope="module")
def raw(rows):
    """Scored predictions with the label known as of the run, and the middle of the cell of each."""
    known = rows.labels.filter(pl.col("arrived_at") <= loans.AS_OF).sort("arrived_at", "revision")
    label = known.group_by("prediction_id", maintain_order=True).agg(label=pl.col("label").last())
    asked = rows.predictions.filter(pl.col("predicted_at") <= loans.AS_OF).drop_nulls("score")
    logit = (asked["score"] / (1 - asked["score"])).log().clip(-LIMIT, LIMIT)
    low = ((logit + LIMIT) / (2 * LIMIT) * CELLS).floor()
    ends = [1 / (1 + (-((low + step) / CELLS * 2 * LIMIT - LIMIT)).exp()) for step in (0, 1)]
    return asked.join(label, on="prediction_id", how="left", maintain_order="left").with_columns(
        day=pl.col("predicted_at").dt.date(), middle=(ends[0] + ends[1]) / 2
    )


def expected_auc(cohort, window):
    """Mann-Whitney over the calibrated chances of the window's rows; rows of one cell are tied."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - heavy

    fit = IsotonicRegression(out_of_bounds="clip").fit(cohort["middle"], cohort["label"])
    middle = window["middle"].to_numpy()
    chance = fit.predict(middle)
    wins = (middle[:, None] > middle) + (middle[:, None] == middle) / 2
    return chance @ wins @ (1 - chance) / chance.sum() / (1 - chance).sum()


@pytest.mark.parametrize("region", ["", "north"])
def test_a_day_is_estimated_from_matured_days(stored, raw, region):
    """Rows whose horizon is over at the window's knowledge time calibrate it, and no younger ones."""
    mine = raw.filter(pl.col("model_version") == "a", pl.lit(not region) | (pl.col("region") == region))
    cohort = mine.filter(pl.col("day").is_in(MATURED)).drop_nulls("label")
    window = mine.filter(pl.col("day") == LATEST)
    about = {"metric": "estimated_auc", "window": "1d", "model_version": "a", "segment_value": region}
    (row,) = stored.filter(window_start=LATEST, **about).iter_rows(named=True)
    assert row["value"] == pytest.approx(expected_auc(cohort, window), abs=1e-9)
    assert row["n"] == window.height
    told = row["told"]["calibrated_on"]
    assert (told["rows_of"], told["first_day"], told["last_day"]) == (
        "matured days", str(MATURED[0]), str(MATURED[-1])
    )  # fmt: skip
    assert told["positives"] == cohort["label"].sum()


def test_the_training_set_stands_in(stored, rows, raw):
    """A window before which no day has matured is calibrated on the version's labelled training scores."""
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - heavy

    about = {"metric": "estimated_base_rate", "window": "28d", "model_version": "b", "segment": ""}
    (row,) = stored.filter(window_end=LATEST + timedelta(days=1), **about).iter_rows(named=True)
    mine = raw.filter(pl.col("model_version") == "b")
    fit = IsotonicRegression(out_of_bounds="clip").fit(rows.training["score"], rows.training["label"])
    assert row["value"] == pytest.approx(float(np.mean(fit.predict(mine["score"]))), abs=2e-3)
    assert row["lower"] < row["value"] < row["upper"]


def test_the_record_waits_for_mature_windows(stored):
    """How far an estimate was off is told of mature windows alone."""
    about = stored.filter(pl.col("metric") == "estimated_auc_error")
    assert about.height
    provisional = about.filter(pl.col("maturity") == "provisional")
    assert provisional["value"].null_count() == provisional.height


def test_a_drop_without_enough_record_is_undecided(stored):
    """An estimate far below its limit fails nobody while too few before it could be checked."""
    about = {"metric": "estimated_auc", "window": "7d", "model_version": "a", "segment": ""}
    (row,) = stored.filter(window_end=LATEST + timedelta(days=1), **about).iter_rows(named=True)
    assert row["upper"] < row["threshold"]
    assert row["verdict"] == "undecided"
    assert row["reason"].endswith("only 1 of 6 earlier windows could be checked against labels, it takes 3")
    (before,) = stored.filter(
        metric="estimated_auc_error", window="7d", window_end=date(2024, 2, 27), segment="", model_version="a"
    ).iter_rows(named=True)
    assert row["told"]["track_record"] == {
        "windows": 1, "rms_error": pytest.approx(abs(before["value"]), abs=1e-9)
    }  # fmt: skip
