"""Multiclass and regression metrics at a fixed maturity, against counting the labels known by then."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mlobs_pipelines.store.metric_store import MetricStore
from tests.tasks.models import CLASS_COLUMNS, CLASSES


def at_one_day(model):
    """Values of a month of version a, and its scored rows with the label that was known a day later."""
    store = MetricStore(model.walk.lake)
    found = store.query(model.walk.model, versions=["a"], windows=["1mo"], maturities=["1d"]).to_pylist()
    start, end = found[0]["window_start"], found[0]["window_end"]
    asked = model.raw.drop("label", "arrived_at", strict=False).filter(
        pl.col("model_version") == "a", pl.col("status") == "ok"
    )
    day = pl.col("predicted_at").dt.date()
    asked = asked.filter(day >= start, day < end)
    both = asked.select("prediction_id", "predicted_at").join(model.rows.labels, on="prediction_id")
    known = both.filter(pl.col("arrived_at") <= pl.col("predicted_at") + timedelta(days=1))
    last = known.sort("arrived_at", "revision").group_by("prediction_id").agg(pl.col("label").last())
    values = {row["metric"]: row["value"] for row in found if row["window_start"] == start}
    return values, asked.join(last, on="prediction_id", how="inner").drop_nulls("label")


def test_classes_by_the_label_of_that_age(iris):
    """Accuracy and log loss of a month count the class that was known when each prediction was a day old."""
    found, rows = at_one_day(iris)
    scores, label = rows.select(CLASS_COLUMNS).to_numpy(), rows["label"].to_numpy()
    assert found["accuracy"] == pytest.approx((np.array(CLASSES)[scores.argmax(axis=1)] == label).mean())
    truth = scores[label[:, None] == np.array(CLASSES)]
    floor = np.finfo(float).eps
    assert found["log_loss"] == pytest.approx(-np.log(np.clip(truth, floor, 1 - floor)).mean())
    assert 0 < found["label_coverage"] < 1


def test_numbers_by_the_label_of_that_age(wine):
    """Error metrics of a month count the number that was known when each prediction was a day old."""
    found, rows = at_one_day(wine)
    error = (rows["score"] - rows["label"]).to_numpy()
    assert found["mae"] == pytest.approx(np.abs(error).mean())
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["bias"] == pytest.approx(error.mean())
