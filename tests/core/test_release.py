"""Differences held against margins: three answers, and Holm's correction against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mlobs_pipelines.core.release import ALPHA, against_margin, excused, holm, together
from mlobs_pipelines.core.vocabulary import Estimate

P = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def estimate(value, half, sufficient=(True,)):
    """Differences with symmetric intervals."""
    value, half = np.asarray(value, float), np.asarray(half, float)
    count = np.full(value.shape, 1000)
    return Estimate(
        value, count, value - half, value + half, sufficient=np.broadcast_to(sufficient, value.shape)
    )


@settings(max_examples=50)
@given(P)
def test_holm_rejects_what_stepping_down_rejects(values):
    """The adjusted p-value rejects a hypothesis exactly when stepping down does, in any order."""
    p = np.array(values)
    rejected = np.zeros(p.size, bool)
    for step, index in enumerate(np.argsort(p, kind="stable")):
        if p[index] * (p.size - step) >= 0.05:
            break
        rejected[index] = True
    assert np.array_equal(holm(p) < 0.05, rejected)
    assert np.array_equal(holm(p[::-1]), holm(p)[::-1])
    assert np.all(holm(p) >= p)


def test_holm_golden():
    """The worked example of Holm's procedure: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("direction", [1, -1])
def test_three_answers(direction):
    """Within the margin passes, beyond it fails, an interval across it is undecided, whichever is better."""
    value = direction * np.array([0.0, -0.2, -0.015])
    said = against_margin(estimate(value, [0.005, 0.02, 0.02]), np.full(3, 0.02), direction, shown=True)
    assert said.verdicts.tolist() == ["pass", "fail", "undecided"]
    assert (
        against_margin(
            estimate(value, [0.005, 0.02, 0.02]), np.full(3, 0.02), direction, shown=False
        ).verdicts[2]
        == "pass"
    )


def test_p_is_the_normal_tail_from_the_margin():
    """A single group's p-value is that of a normal difference at the margin, with the interval's error."""
    said = against_margin(estimate([-0.05], [0.0196]), np.array([0.02]), 1, shown=True)
    assert said.p[0] == pytest.approx(norm.cdf((-0.05 + 0.02) / (0.0196 / norm.ppf(0.975))), rel=1e-6)
    assert said.p[0] < ALPHA


def test_many_groups_take_more_evidence():
    """What fails alone does not fail among forty groups, and a flagrant one still does."""
    alone = against_margin(estimate([-0.042], [0.02]), np.array([0.02]), 1, shown=True)
    assert alone.verdicts.tolist() == ["fail"]
    many = np.concatenate([[-0.042, -0.2], np.zeros(38)])
    said = against_margin(estimate(many, np.full(40, 0.02)), np.full(40, 0.02), 1, shown=True)
    assert said.verdicts[:2].tolist() == ["undecided", "fail"]


def test_too_few_rows_say_nothing():
    """Without enough rows, a value or a margin the answer is undecided and no test is counted."""
    value = estimate([-0.5, np.nan, -0.5], [0.01, 0.01, 0.01], sufficient=[False, True, True])
    said = against_margin(value, np.array([0.02, 0.02, np.nan]), 1, shown=True)
    assert said.verdicts.tolist() == ["undecided"] * 3
    assert np.isnan(said.p).all()


def test_the_bound_of_an_approximation_counts_against_both_answers():
    """What binning may hide is given neither to the candidate nor against it."""
    sure = estimate([-0.02, 0.0], [0.001, 0.015])
    widened = Estimate(sure.value, sure.n, sure.lower, sure.upper, np.full(2, 0.01))
    margin = np.array([0.015, 0.02])
    assert against_margin(sure, margin, 1, shown=True).verdicts.tolist() == ["fail", "pass"]
    assert against_margin(widened, margin, 1, shown=True).verdicts.tolist() == ["undecided", "undecided"]


def test_small_groups_count_together():
    """Groups too small to judge are excused while they hold at most the share, all of them or none."""
    found = Estimate(np.zeros(3), np.array([900, 30, 20]), sufficient=np.array([True, False, False]))
    assert excused(found, 950, 0.06).tolist() == [False, True, True]
    assert not excused(found, 950, 0.05).any()


def test_the_worst_verdict_is_that_of_all():
    """One failure fails all, one undecided leaves all undecided, and nothing at all is undecided."""
    assert [
        together(words) for words in (["pass", "fail", "undecided"], ["pass", "undecided"], ["pass"], [])
    ] == [
        "fail",
        "undecided",
        "pass",
        "undecided",
    ]
