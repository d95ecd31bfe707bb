from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.recalibration import fit
from mlobs_pipelines.core.summaries import ScoreSummary
from tests.core.cases import CASES, score_summary, stack, summarise_weighted


def drawn(seed, n=800, slope=1.0, intercept=0.0):
    """Scores and labels whose log-odds are a line in the logit of the score."""
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n).round(3).clip(0.002, 0.998)
    logit = np.log(score / (1 - score))
    return score, (rng.random(n) < 1 / (1 + np.exp(-intercept - slope * logit))).astype(float)


def line(summary):
    """Intercept and slope."""
    return [METRICS[f"calibration_{part}"].function(summary) for part in ("intercept", "slope")]


@pytest.mark.parametrize("seed", range(4))
def test_slope_and_intercept_equal_a_logistic_regression(seed):
    """On scores in cells of their own the line is scikit-learn's, and solves its equations to 1e-9."""
    score, label = drawn(seed, slope=0.7, intercept=-0.4)
    logit = np.log(score / (1 - score))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500).fit(logit[:, None], label)
    intercept, slope = line(score_summary(score, label, cells=None))
    assert intercept.value == pytest.approx(model.intercept_[0], abs=1e-6)
    assert slope.value == pytest.approx(model.coef_[0, 0], abs=1e-6)
    rest = label - 1 / (1 + np.exp(-intercept.value - slope.value * logit))
    assert [rest.mean(), (rest * logit).mean()] == pytest.approx([0, 0], abs=1e-9)
    assert intercept.bound == slope.bound == 0


def test_intervals_hold_a_perfect_line_95_times_in_100():
    """Of a calibrated model the interval holds slope 1 and intercept 0 at about the stated rate."""
    found = [line(score_summary(*drawn(seed, 1_500), cells=None)) for seed in range(300)]
    for part, truth in ((0, 0.0), (1, 1.0)):
        covered = np.mean([one[part].lower <= truth <= one[part].upper for one in found])
        assert 0.92 <= covered <= 0.98


def test_a_model_that_is_too_extreme_has_a_slope_below_one():
    """Scores pushed to the ends by a factor of two on the logit scale show a slope of a half."""
    score, label = drawn(1, 40_000)
    pushed = score**2 / (score**2 + (1 - score) ** 2)
    assert line(score_summary(pushed, label, cells=None))[1].value == pytest.approx(0.5, abs=0.03)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_line_of_cells_is_within_its_first_order_bound(seed):
    """Narrow cells move the line by no more than the bound, and a hundredth of it that is second order."""
    score, label = drawn(seed, 400, slope=0.8)
    exact, binned = (line(score_summary(score, label, cells=cells)) for cells in (None, 2_000))
    for one, other in zip(exact, binned, strict=True):
        assert abs(one.value - other.value) <= 1.01 * other.bound


def test_labels_that_are_told_apart_have_no_line():
    """Where one score separates the labels the slope has no finite best value, and none is made up."""
    intercept, slope = line(score_summary([0.1, 0.2, 0.3, 0.7, 0.8], [0, 0, 0, 1, 1], cells=None))
    assert np.isnan([intercept.value, slope.value]).all()
    assert np.isnan(line(score_summary([0.1, 0.2], [1, 1]))[0].value)


def test_a_badly_shifted_model_still_has_a_line():
    """Far from the start, with scores all on one side, the line is found."""
    score, label = drawn(2, 5_000, slope=1.0, intercept=-4.0)
    intercept, slope = line(score_summary(score, label, cells=None))
    assert intercept.value == pytest.approx(-4, abs=0.4)
    assert slope.value == pytest.approx(1, abs=0.4)


def test_windows_do_not_wait_for_each_other():
    """A window that converges at once and one that never does give what they give alone."""
    easy, hard = score_summary(*drawn(3)), score_summary([0.1, 0.9], [0, 1])
    both = fit(stack([easy, hard]))
    np.testing.assert_array_equal(both.line[0], fit(easy).line)
    assert np.isnan(both.line[1]).all()


def test_weighted_errors_are_those_of_the_rows_seen():
    """With every row of weight nine, the error stays that of the rows, not of nine times as many."""
    case = CASES[ScoreSummary]
    rows = case.draw(np.random.default_rng(4), 900)
    plain = fit(case.summarise(rows))
    heavy = fit(summarise_weighted(case, rows, np.full(900, 9)))
    assert heavy.error == pytest.approx(plain.error, rel=1e-6)


def test_windows_without_any_score_cell_have_no_line():
    """Where no row was ever labelled there is no cell at all, and no number."""
    some = stack([score_summary(*drawn(1)), score_summary(*drawn(2))])
    bare = replace(
        some,
        positives=some.positives[:, :0],
        negatives=some.negatives[:, :0],
        low=some.low[:0],
        high=some.high[:0],
    )
    for part in line(bare):
        assert np.isnan(part.value).all()
        assert part.value.shape == (2,)
