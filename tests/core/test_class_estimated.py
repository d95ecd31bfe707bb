"""Expected accuracy of a multiclass model: honest intervals, and a mean of shares by hand."""

import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import ClassEstimatedSummary

BINS = 15
MIDDLE = (np.arange(BINS) + 0.5) / BINS


def summary(scored, known, right):
    """A window whose own labels are still to come."""
    nothing = np.int64(0)
    return ClassEstimatedSummary(np.asarray(scored), np.zeros(BINS), known, right, nothing, nothing)


def estimate(*sides):
    """The expected accuracy."""
    return METRICS["estimated_accuracy"].function(summary(*sides))


def test_it_is_the_mean_share_of_such_rows():
    """Rows of a bin are as often right as those of the cohort; of an empty one, as those of the nearest."""
    known, right, scored = (np.zeros(BINS, dtype=np.int64) for _ in range(3))
    known[[5, 10]], right[[5, 10]] = (100, 300), (40, 240)
    scored[[5, 7, 10, 14]] = (50, 100, 200, 50)  # of the bins 7 and 14 nothing is known
    found = estimate(scored, known, right)
    assert found.value == pytest.approx((150 * 0.4 + 250 * 0.8) / 400)
    assert found.sufficient
    assert found.n == 400


def test_without_a_cohort_nothing_is_estimated():
    """No matured label, no number; few, no verdict."""
    none, few, rows = np.zeros(BINS, dtype=np.int64), np.full(BINS, 5), np.full(BINS, 50)
    assert np.isnan(estimate(rows, none, none).value)
    found = estimate(rows, few, few // 2)
    assert np.isfinite(found.value)
    assert not found.sufficient


def test_realised_values_fall_into_the_interval():
    """Where top scores keep their meaning, the accuracy that labels bring lies inside in 95 % of windows."""
    rng = np.random.default_rng(6)
    inside, windows = 0, 800
    shape, before = rng.dirichlet(np.ones(BINS)), rng.dirichlet(np.full(BINS, 4.0))
    for _ in range(windows):
        known, scored = rng.multinomial(2_000, before), rng.multinomial(1_200, shape)
        found = estimate(scored, known, rng.binomial(known, MIDDLE**0.7))
        realised = rng.binomial(scored, MIDDLE**0.7).sum() / scored.sum()
        inside += bool(found.lower <= realised <= found.upper)
    assert 0.925 <= inside / windows <= 0.98
