"""Unusual durations: median and deviation of runs of the same kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from mlobs_pipelines.core.durations import LEAST, usual_limit_s

TIMES = st.lists(st.floats(1, 10_000), min_size=LEAST, max_size=30)


def test_too_few_runs_say_nothing():
    """Below five runs there is no limit."""
    assert usual_limit_s([60.0] * (LEAST - 1)) is None
    assert usual_limit_s([60.0] * LEAST) == 120.0


@given(TIMES)
def test_the_limit_is_median_and_deviations(history):
    """SciPy's scaled median absolute deviation gives the same limit, never under twice the median."""
    middle = sorted(history)[len(history) // 2]
    spread = median_abs_deviation(history, scale=1 / 1.4826)
    if len(history) % 2:
        assert usual_limit_s(history) == pytest.approx(max(2 * middle, middle + 6 * spread))
    assert usual_limit_s(history) == usual_limit_s(history[::-1])


def test_one_slow_run_does_not_hide_the_next():
    """A single outlier of the past leaves the limit where it was."""
    usual = [60.0, 62.0, 58.0, 61.0, 60.0, 59.0]
    assert usual_limit_s([*usual, 36_000.0]) < 130
