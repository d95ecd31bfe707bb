"""Scores of all classes from rows to what they are expected to come to, as by hand, with weights too."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import WEIGHT
from mlobs_pipelines.engine.scan import ScanPlan, scan_labels
from mlobs_pipelines.steps.arranged import arranged, single
from mlobs_pipelines.steps.class_expectation import class_expectable
from mlobs_pipelines.steps.cohorts import Cohorts

CLASSES = ("a", "b", "c")
COLUMNS = {name: f"p_{name}" for name in CLASSES}
PLAN = ScanPlan((), ("site",), {}, classes=COLUMNS)
FIRST = date(1970, 1, 1)  # as matured days are numbered
SPANS = [Span(Window.DAY, FIRST, FIRST + timedelta(days=1))]


def drawn(seed, n=600):
    """Scores and classes of one day, at two sites."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.dirichlet([1.0, 1.0, 0.7], n), 2)
    label = [CLASSES[np.argmax(row + rng.gumbel(0, 0.2, 3))] for row in scores]
    same = {"day": FIRST.isoformat(), "model_version": "v", "role": "champion", "state": "labelled"}
    return pa.table(
        {
            **{name: [text] * n for name, text in same.items()},
            **{column: scores[:, k] for k, column in enumerate(COLUMNS.values())},
            "site": rng.choice(["north", "south"], n),
            "lag_s": np.zeros(n),
            "age_s": np.full(n, 9_000.0),
            "label": pa.array(label, mask=rng.random(n) < 0.1),
        }
    )


def expectable(window, cohort):
    """A window of one day beside one matured day and a training set."""
    days = Cohorts(scan_labels(cohort, PLAN), (("1970-01-01", "k"),), np.ones((1, 1), dtype=bool))
    training = single(scan_labels(drawn(9, 300), PLAN))
    return class_expectable(arranged(scan_labels(window, PLAN), SPANS), days, training, CLASSES)


@pytest.mark.parametrize("site", [None, "north", "south"])
def test_rows_and_losses_are_counted_as_by_hand(site):
    """Every row, labelled or not, is in one cell per class, under what it was predicted as."""
    window, at = drawn(1), [None, "north", "south"].index(site)
    found = expectable(window, drawn(2)).summary.select(lambda array: array[at, 0])
    rows = window.to_pylist()
    scores = np.array([[row[c] for c in COLUMNS.values()] for row in rows if site in (None, row["site"])])
    said = np.bincount(scores.argmax(axis=1), minlength=3)
    np.testing.assert_array_equal(found.scored.sum(axis=-1), np.tile(said, (3, 1)))
    loss = -np.log(np.clip(scores, np.finfo(float).eps, 1 - np.finfo(float).eps))
    np.testing.assert_allclose(found.losses.sum(axis=-1), loss.sum(axis=0))
    np.testing.assert_allclose(found.losses_sq.sum(axis=-1), (loss**2).sum(axis=0))
    middle = found.losses.sum(axis=-1) / found.scored.sum(axis=(-2, -1))
    np.testing.assert_allclose(middle, loss.mean(axis=0))


def test_the_cohort_is_its_labelled_rows():
    """Rows of each class and of the others, once per class; the training set where they are too few."""
    cohort = drawn(2)
    found = expectable(drawn(1), cohort)
    counted = dict.fromkeys(CLASSES, 0) | {row["values"]: row["counts"] for row in _counted(cohort)}
    own = found.summary.positives[0, 0].sum(axis=-1)
    assert own.tolist() == [counted[name] for name in CLASSES]
    assert found.rows[0, 0] == own.sum() == found.summary.negatives[0, 0].sum() / 2
    assert found.matured[0, 0]
    few = expectable(drawn(1), drawn(2, 100))
    assert not few.matured.any()
    assert few.rows[0, 0] == pytest.approx(270, abs=20)


def _counted(table):
    return table["label"].drop_null().value_counts().to_pylist()


@pytest.mark.parametrize("name", ["f1_macro", "auc_macro", "log_loss"])
def test_weighted_rows_count_as_those_repeated(name):
    """An estimate of weighted rows is that of the rows repeated, and less certain."""
    weights = np.random.default_rng(8).choice([1, 2, 5], 600)
    window = drawn(1)
    heavy = expectable(window.append_column(WEIGHT, pa.array(weights.astype(float))), drawn(2))
    again = expectable(window.take(pa.array(np.repeat(np.arange(600), weights))), drawn(2))
    mine, other = (METRICS[f"estimated_{name}"].function(one.summary) for one in (heavy, again))
    np.testing.assert_allclose(mine.value, other.value, rtol=1e-9)
    assert np.all(mine.n[0] == 600)
    assert np.all(mine.upper - mine.lower > other.upper - other.lower)
