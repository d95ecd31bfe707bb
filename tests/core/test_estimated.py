"""Quality estimated from scores alone: NannyML's published series, brute force, and honest intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from sklearn.isotonic import IsotonicRegression

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.estimated import calibrated
from mlobs_pipelines.core.summaries import EstimatedSummary
from mlobs_pipelines.core.tasks import TASKS, has
from tests.core.cases import draw_score, summarise_score

CELLS = 100
LOW, HIGH = np.arange(CELLS) / CELLS, np.arange(1, CELLS + 1) / CELLS
MIDDLE = (LOW + HIGH) / 2
NOTHING_YET = summarise_score(draw_score(np.random.default_rng(0), 0))


def counted(score, chosen=slice(None)):
    """Rows per cell of equal width."""
    cell = np.minimum((score * CELLS).astype(int), CELLS - 1)
    return np.bincount(cell[chosen], minlength=CELLS)


def summary(scored, positives, negatives, cells=slice(None)):
    """Windows over hundred cells or some of them, cut at 0.5, whose own labels are still to come."""
    scored, low, high = np.asarray(scored)[..., cells], LOW[cells], HIGH[cells]
    unsure = np.zeros(scored.shape[:-1], dtype=np.int64)
    sides = positives[..., cells], negatives[..., cells]
    return EstimatedSummary(scored, unsure, *sides, low >= 0.5, low, high, NOTHING_YET)


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=CELLS, max_size=CELLS))
def test_calibration_is_isotonic_regression(rows):
    """Probabilities rise with the score and are scikit-learn's."""
    positives, negatives = np.array(rows).T
    n = positives + negatives
    if not n.sum():
        return
    found = calibrated(positives, negatives, MIDDLE).share
    held = n > 0
    oracle = IsotonicRegression(out_of_bounds="clip").fit(
        MIDDLE[held], positives[held] / n[held], sample_weight=n[held]
    )
    np.testing.assert_allclose(found, oracle.predict(MIDDLE), atol=1e-9)
    assert (np.diff(found) >= -1e-12).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), empty=st.lists(st.integers(0, CELLS - 1), max_size=10))
def test_empty_cells_change_nothing(seed, empty):
    """Cells in which neither window nor cohort has a row change no bit of an estimate."""
    rng = np.random.default_rng(seed)
    scored, positives, negatives = (rng.integers(0, 5, CELLS) for _ in range(3))
    for rows in (scored, positives, negatives):
        rows[empty] = 0
    kept = np.setdiff1d(np.arange(CELLS), empty)
    whole = summary(scored, positives, negatives)
    part = summary(scored, positives, negatives, kept)
    for name in ("estimated_auc", "estimated_f1", "estimated_accuracy"):
        for field in ("value", "lower", "upper"):
            one, other = (getattr(METRICS[name].function(s), field) for s in (whole, part))
            assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("name", ["auc", "accuracy", "precision", "recall", "f1", "base_rate"])
def test_realised_values_fall_into_the_interval(name):
    """Where the scores keep their meaning, the value that the labels bring lies inside in 95 % of windows."""
    rng = np.random.default_rng(5)
    inside, windows, rows = 0, 600, 1_500
    for _ in range(windows):
        cohort = rng.beta(2, 3, 3_000)
        truth = rng.random(3_000) < cohort**1.4
        score = rng.beta(2, 2.5, rows)
        label = rng.random(rows) < score**1.4
        found = METRICS[f"estimated_{name}"].function(
            summary(counted(score), counted(cohort, truth), counted(cohort, ~truth))
        )
        inside += bool(found.lower <= _realised(name, score, label) <= found.upper)
    assert 0.92 <= inside / windows <= 0.985


def _realised(name, score, label):
    cell = np.minimum((score * CELLS).astype(int), CELLS - 1)
    said = cell >= CELLS // 2
    hits = (said & label).sum()
    if name == "auc":
        pos, neg = np.bincount(cell[label], minlength=CELLS), np.bincount(cell[~label], minlength=CELLS)
        return (pos * (np.cumsum(neg) - neg / 2)).sum() / pos.sum() / neg.sum()
    return {
        "accuracy": (said == label).mean(),
        "precision": hits / said.sum(),
        "recall": hits / label.sum(),
        "f1": 2 * hits / (said.sum() + label.sum()),
        "base_rate": label.mean(),
    }[name]


def test_without_a_cohort_nothing_is_estimated():
    """No matured label, no number; few, no verdict."""
    none = np.zeros(CELLS, dtype=np.int64)
    few = none.copy()
    few[[20, 80]] = 5
    rows = np.full(CELLS, 50)
    assert np.isnan(METRICS["estimated_auc"].function(summary(rows, none, none)).value)
    found = METRICS["estimated_auc"].function(summary(rows, few, few))
    assert np.isfinite(found.value)
    assert not found.sufficient


def test_scipy_still_names_its_blocks():
    """The edges of pooled cells are the result's `blocks`, on which the calibration's error rests."""
    assert isotonic_regression([1.0, 0.0, 2.0]).blocks.tolist() == [0, 2, 3]


def test_only_models_that_can_have_estimates_have_them():
    """An objective on an estimate that a model's task does not have is refused by its declaration."""
    assert [task for task in TASKS if has(task, METRICS["estimated_auc"])] == ["binary"]
    assert [task for task in TASKS if has(task, METRICS["corrected_auc"])] == ["binary"]
