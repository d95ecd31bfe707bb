"""Lags by class against scipy, and a gap that is there only where the lag depends on the label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwobign

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import ClassLagSummary
from mlobs_pipelines.core.verdicts import Rule, judge
from tests.core.cases import count

UNITS = 60
lags = st.lists(st.integers(0, UNITS - 1), min_size=1, max_size=80)


def summary(*lags_of_classes):
    """Whole lags of each class, in units of two hours."""
    arrived = np.stack([count(np.asarray(some, int), UNITS) for some in lags_of_classes])
    return ClassLagSummary(arrived, tuple("abc"[: len(arrived)]), 2.0)


@pytest.mark.filterwarnings("ignore:divide by zero")
@settings(deadline=None, max_examples=40)
@given(first=lags, second=lags)
def test_the_gap_of_two_classes_is_that_of_scipy(first, second):
    """Distance and p-value are those of the two-sample Kolmogorov-Smirnov test."""
    expected = ks_2samp(first, second, method="asymp").statistic
    found = METRICS["label_lag_gap"].function(summary(first, second))
    assert found.value == pytest.approx(expected)
    size = len(first) * len(second) / (len(first) + len(second))
    p = METRICS["label_lag_gap_p"].function(summary(first, second)).value
    assert p == pytest.approx(kstwobign.sf(np.sqrt(size) * expected), abs=1e-12)
    assert kstwobign.sf(found.noise * np.sqrt(size)) == pytest.approx(0.01, rel=1e-3)


def test_of_several_classes_the_one_that_differs_most_counts():
    """Three classes: each against the others together, and three comparisons make the p-value three times."""
    rng = np.random.default_rng(1)
    some = [rng.integers(0, 30, 300), rng.integers(0, 30, 200), rng.integers(4, 34, 100)]
    rest = [np.concatenate(some[:i] + some[i + 1 :]) for i in range(3)]
    gaps = [ks_2samp(own, others, method="asymp").statistic for own, others in zip(some, rest, strict=True)]
    found = METRICS["label_lag_gap"].function(summary(*some))
    assert found.value == pytest.approx(max(gaps))
    size = len(some[2]) * len(rest[2]) / 600
    p = METRICS["label_lag_gap_p"].function(summary(*some)).value
    assert p == pytest.approx(min(1, 3 * kstwobign.sf(np.sqrt(size) * gaps[2])))


def test_medians_are_those_of_the_lags():
    """Half of a class's lags lie under its median lag, to one unit; a class without labels has none."""
    rng = np.random.default_rng(2)
    first, second = rng.integers(1, 40, 999), rng.integers(10, 60, 999)
    found = METRICS["class_label_lag_p50"].function(summary(first, second, []))
    for index, lag in enumerate((first, second)):
        assert abs(found.value[index] - 2 * np.median(lag)) <= found.bound[index]
        assert found.lower[index] < found.value[index] < found.upper[index]
    assert np.isnan(found.value[2])
    assert not found.sufficient[2]


def test_a_gap_fails_only_beyond_what_chance_shows():
    """A gap over the limit in 40 labels each is undecided, in 4,000 it fails; equal lags pass."""
    rng = np.random.default_rng(3)
    rule = Rule(fail_above=0.15)

    def verdict(n, later):
        lags = rng.integers(0, 30, n), rng.integers(later, 30 + later, n)
        return str(judge(METRICS["label_lag_gap"].function(summary(*lags)), rule)[0])

    assert [verdict(40, 9), verdict(4_000, 9), verdict(4_000, 0)] == ["undecided", "fail", "pass"]
    assert verdict(20, 9) == "undecided"
