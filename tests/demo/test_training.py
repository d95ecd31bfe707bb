from datetime import UTC, datetime

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score


def month_auc(history, model, month):
    """Score all flights of a month and compare with what happened."""
    flights = history.flights.filter(
        pl.col("predicted_at").dt.month() == month, pl.col("label").is_not_null()
    )
    return roc_auc_score(flights["label"], model.score(flights))


def test_training_rows_were_known_at_the_cut(history):
    """No training row was predicted, and no label had arrived, at or after the version's cut."""
    for model in history.models:
        used = history.labels.join(model.rows.select("prediction_id"), on="prediction_id")
        assert model.rows["predicted_at"].max() < model.version.cut_at
        assert used["arrived_at"].max() < model.version.cut_at
        assert used.height == model.rows.height
        assert model.rows["label"].null_count() == 0


def test_the_second_version_is_better_in_summer_and_both_decay(history):
    """Quality by month is that of the documented demo, within what hyper-parameters explain."""
    v1, v2 = history.models
    assert month_auc(history, v1, 3) == pytest.approx(0.723, abs=0.015)
    assert month_auc(history, v2, 5) == pytest.approx(0.762, abs=0.015)
    assert month_auc(history, v2, 7) == pytest.approx(0.746, abs=0.015)
    assert month_auc(history, v2, 11) < 0.70 < month_auc(history, v2, 6)
    assert month_auc(history, v1, 6) < month_auc(history, v2, 6)


def test_importance_is_led_by_the_delay_at_the_origin(history):
    """Held-out importance of v2 rests on the airport's delay, and a memorised day counts for nothing."""
    importance = history.models[1].importance
    assert max(importance, key=importance.get) == "origin_delay_2h"
    assert importance["origin_delay_2h"] > 0.08
    assert importance["day_of_year"] < 0.005
    assert len(importance) == 20
    assert min(importance.values()) >= 0


def test_facts_describe_the_training_set(history):
    """The version's facts count its rows and name its cut in UTC."""
    facts = history.models[0].facts()
    assert facts["rows"] == history.models[0].rows.height
    assert datetime.fromisoformat(facts["cut_at"]) == datetime(2013, 3, 1, tzinfo=UTC)
    assert facts["training_dataset_id"] == "flights-2013-jan-feb"
    assert facts["threshold"] == 0.5


def test_baseline_scores_are_what_the_model_gives_its_own_rows(history):
    """The score in the training set is the version's score of that row."""
    model = history.models[1]
    rows = model.rows.head(500)
    assert model.score(rows.drop("score")).equals(rows["score"])


def test_unseen_categories_are_missing_not_an_error(history):
    """A destination that a version never saw still gets a score."""
    strange = history.flights.head(3).with_columns(dest=pl.lit("???"))
    for model in history.models:
        assert model.score(strange).is_between(0, 1).all()
