"""Expected macro F1, macro AUC and log loss of a multiclass model: right under a shift of features."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.tasks import TASKS, has
from tests.core.cases import multiclass_summary
from tests.core.expected_cases import class_expected

NAMES = ("f1_macro", "auc_macro", "log_loss")
CENTRES = np.array([[0.0, 0.0], [1.6, 0.0], [0.4, 1.5]])
NOTHING = multiclass_summary(np.empty((0, 3)), np.empty(0, dtype=int))
CELLS = 256


def drawn(rng, shares, n, away=1.0):
    """Posteriors of three overlapping classes, asked about more or less often, and what came true."""
    x = away * CENTRES[rng.choice(3, n, p=shares)] + rng.normal(0, 1, (n, 2))
    odds = np.exp(-0.5 * ((x[:, np.newaxis] - CENTRES) ** 2).sum(axis=-1))
    scores = odds / odds.sum(axis=1, keepdims=True)
    return scores, (rng.random((n, 1)) > scores.cumsum(axis=1)).sum(axis=1).clip(0, 2)


def realised(scores, label):
    """What scikit-learn says once labels are there."""
    return {
        "f1_macro": f1_score(label, scores.argmax(axis=1), average="macro"),
        "auc_macro": roc_auc_score(label, scores, multi_class="ovr"),
        "log_loss": log_loss(label, scores, labels=[0, 1, 2]),
    }


def estimates(scores, cohort):
    """Every expected metric."""
    summary = class_expected(scores, cohort, NOTHING, CELLS)
    return {name: METRICS[f"estimated_{name}"].function(summary) for name in NAMES}


def test_realised_values_fall_into_the_intervals():
    """Where easier rows are asked about, 93 of 100 intervals hold realised values, and none the old ones."""
    rng = np.random.default_rng(7)
    inside, naive, windows = dict.fromkeys(NAMES, 0), dict.fromkeys(NAMES, 0), 60
    for _ in range(windows):
        before = drawn(rng, [0.5, 0.4, 0.1], 4_000)
        window = drawn(rng, [0.2, 0.3, 0.5], 1_000, 1.5)
        found, now, old = estimates(window[0], before), realised(*window), realised(*before)
        for name, one in found.items():
            inside[name] += bool(one.lower <= now[name] <= one.upper)
            naive[name] += bool(one.lower <= old[name] <= one.upper)
    assert all(count / windows >= 0.93 for count in inside.values()), inside
    assert not any(naive.values()), naive


def test_scores_are_calibrated_first():
    """Scores that are too sure are taken for what such scores meant before, not for what they say."""
    rng = np.random.default_rng(9)
    shares, sure = [0.4, 0.3, 0.3], lambda s: s**2 / (s**2).sum(axis=1, keepdims=True)
    (before, label), (scores, truth) = drawn(rng, shares, 40_000), drawn(rng, shares, 40_000)
    found = estimates(sure(scores), (sure(before), label))
    for name, value in realised(sure(scores), truth).items():
        assert found[name].value == pytest.approx(value, abs=0.01), name
        assert found[name].sufficient
        assert found[name].n == 40_000


def test_the_rows_of_a_class_add_up():
    """Two rows of which one is expected to be of each class, by hand."""
    known = np.repeat([[0.7, 0.3], [0.3, 0.7]], 100, axis=0)
    label = np.r_[np.zeros(60), np.ones(40), np.zeros(40), np.ones(60)].astype(int)
    nothing = multiclass_summary(np.empty((0, 2)), np.empty(0, dtype=int))
    summary = class_expected(known[[0, 0, 150]], (known, label), nothing)
    # Expected: of two rows predicted as the first 1.2 are right, of one as the second 0.6.
    first, second = 2 * 1.2 / (2 + 1.6), 2 * 0.6 / (1 + 1.4)
    assert METRICS["estimated_f1_macro"].function(summary).value == pytest.approx((first + second) / 2)
    expected = -(0.6 * np.log(0.7) + 0.4 * np.log(0.3))
    assert METRICS["estimated_log_loss"].function(summary).value == pytest.approx(expected)


def test_without_a_cohort_nothing_is_estimated():
    """No matured label, no number; few, no verdict."""
    rng = np.random.default_rng(2)
    scores, few = drawn(rng, [0.4, 0.3, 0.3], 500)[0], drawn(rng, [0.4, 0.3, 0.3], 60)
    nothing = np.empty((0, 3)), np.empty(0, dtype=int)
    assert all(np.isnan(one.value) for one in estimates(scores, nothing).values())
    assert not any(one.sufficient for one in estimates(scores, few).values())


def test_only_multiclass_models_have_them():
    """An objective on an estimate that a model's task does not have is refused by its declaration."""
    assert [task for task in TASKS if has(task, METRICS["estimated_f1_macro"])] == ["multiclass"]
    assert [task for task in TASKS if has(task, METRICS["estimated_log_loss"])] == ["multiclass"]
