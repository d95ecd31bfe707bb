"""The release guard of models that are not binary, against the same pairs joined by hand."""

import numpy as np
import pytest

from mlobs_pipelines.core.vocabulary import Verdict
from mlobs_pipelines.steps.guard import Asked, judge_release
from tests.tasks import models


def paired(rows, column):
    """What candidate and champion said of each labelled prediction, of days whose labels are due."""
    due = models.pl.col("predicted_at").dt.date() < models.DAYS[-1]
    known = rows.filter(models.pl.col("status") == "ok", due).drop_nulls("label")
    own, other = (known.filter(models.pl.col("model_version") == name) for name in ("b", "a"))
    keys = ["prediction_id", "label", *column]
    return own.select(keys).join(other.select("prediction_id", *column), on="prediction_id", suffix="_a")


def test_a_noisier_regression_model_fails(wine):
    """A candidate whose errors are larger fails by mean absolute error, by what the raw pairs say it is."""
    judgement = judge_release(wine.walk, Asked("b", days=40))
    one = next(found for found in judgement.findings if found.what == "mae" and not found.segment)
    rows = paired(wine.raw, ["score"])
    label = rows["label"].to_numpy()
    moved = np.abs(rows["score"].to_numpy() - label) - np.abs(rows["score_a"].to_numpy() - label)
    assert judgement.verdict is Verdict.FAIL
    assert (one.verdict, one.n) == ("fail", moved.size)
    assert one.difference == pytest.approx(moved.mean())
    assert one.limit == pytest.approx(0.02 * one.champion)


def test_a_noisier_multiclass_model_fails_by_accuracy(iris):
    """A candidate that is right less often fails, and McNemar's test is told beside it."""
    judgement = judge_release(iris.walk, Asked("b", days=40))
    one = next(found for found in judgement.findings if found.what == "accuracy" and not found.segment)
    rows, names = paired(iris.raw, list(models.CLASS_COLUMNS)), np.array(models.CLASSES)
    right = [
        names[rows.select(list(columns)).to_numpy().argmax(axis=1)] == rows["label"].to_numpy()
        for columns in (models.CLASS_COLUMNS, [f"{name}_a" for name in models.CLASS_COLUMNS])
    ]
    assert judgement.verdict is Verdict.FAIL
    assert one.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert one.test.startswith("McNemar, p = ")
