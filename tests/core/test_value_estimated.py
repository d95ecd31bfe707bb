"""Expected errors of a regression model: right where errors depend on what was predicted, and honest."""

import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.tasks import TASKS, has
from tests.core.cases import regression_summary
from tests.core.value_cases import value_estimated

NONE = regression_summary(np.empty(0), np.empty(0))


def drawn(rng, centre, n):
    """Predictions about a centre, and labels that are further off the larger the prediction is."""
    predicted = np.clip(rng.normal(centre, 6, n), -15, 75)
    return predicted, predicted + rng.normal(0, 1 + np.abs(predicted) / 8, n)


def estimate(name, *sides):
    """An estimated metric."""
    return METRICS[f"estimated_{name}"].function(value_estimated(*sides, NONE))


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_a_shift_of_what_is_predicted_is_seen(name):
    """After a shift the realised error lies in 92 to 99 of 100 intervals; that of the reference in none."""
    rng = np.random.default_rng(4)
    inside, naive, windows = 0, 0, 300
    for _ in range(windows):
        before, (predicted, label) = drawn(rng, 20, 4_000), drawn(rng, 25, 1_000)
        found = estimate(name, predicted, before)
        power = {"mae": 1, "rmse": 2}[name]
        realised, old = (
            (np.abs(p - y) ** power).mean() ** (1 / power) for p, y in ((predicted, label), before)
        )
        inside += bool(found.lower <= realised <= found.upper)
        naive += bool(found.lower <= old <= found.upper)
    assert 0.92 <= inside / windows <= 0.99
    assert naive / windows <= 0.02


def test_rows_like_the_cohort_have_its_error():
    """Estimated on the cohort's own predictions, the errors are those that were seen."""
    predicted, label = drawn(np.random.default_rng(2), 20, 20_000)
    found = estimate("mae", predicted, (predicted, label))
    assert found.value == pytest.approx(np.abs(predicted - label).mean(), rel=2e-3)
    assert found.sufficient
    assert found.n == 20_000


def test_rows_beyond_the_cohort_say_so():
    """Of predictions larger than any that was seen the error is that of the largest, and the bound tells."""
    rng = np.random.default_rng(3)
    before = drawn(rng, 10, 5_000)
    inside, beyond = (estimate("mae", drawn(rng, centre, 2_000)[0], before) for centre in (10, 60))
    assert inside.bound < 0.05
    assert beyond.bound > 1
    assert beyond.value + beyond.bound == pytest.approx(0.8 * (1 + 60 / 8), rel=0.25)


def test_without_a_cohort_nothing_is_estimated():
    """No matured label, no number; few, no verdict."""
    rng = np.random.default_rng(1)
    rows, nothing = drawn(rng, 20, 500)[0], (np.empty(0), np.empty(0))
    assert np.isnan(estimate("rmse", rows, nothing).value)
    found = estimate("rmse", rows, drawn(rng, 20, 150))
    assert np.isfinite(found.value)
    assert not found.sufficient


def test_only_regression_models_have_them():
    """An objective on an estimate that a model's task does not have is refused by its declaration."""
    assert [task for task in TASKS if has(task, METRICS["estimated_mae"])] == ["regression"]
