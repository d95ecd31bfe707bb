"""Change-points of daily series, held against brute force and against chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlobs_pipelines.core.changepoint import LEAST_BEFORE, changes
from mlobs_pipelines.core.metrics.attribution import mean_change


def searched(days, begins):
    """The stretch with the least squared residuals about two levels, by trying every one."""
    found = []
    for a in range(begins[0], begins[1] + 1):
        for b in range(a + 1, len(days) + 1):
            inside, outside = days[a:b], np.delete(days, range(a, b))
            near = outside.size and abs(days[a] - inside.mean()) <= abs(days[a] - outside.mean())
            if a >= LEAST_BEFORE and near:
                rest = ((inside - inside.mean()) ** 2).sum() + ((outside - outside.mean()) ** 2).sum()
                found.append((rest, a, b))
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(12, 24), st.floats(0, 5))
def test_the_stretch_is_that_of_least_squares(seed, size, jump):
    """Of all stretches it names the one that leaves the smallest squared residuals, with their two means."""
    days = np.random.default_rng(seed).normal(size=size)
    days[9:11] += jump
    found = changes(days[np.newaxis], (7, size - 1))
    rest, a, b = min(searched(days, (7, size - 1)))
    assert (found.first[0], found.end[0]) == (a, b)
    assert found.during[0] == pytest.approx(days[a:b].mean())
    assert found.before[0] == pytest.approx(np.delete(days, range(a, b)).mean())
    assert rest <= ((days - days.mean()) ** 2).sum()


def test_the_bound_is_the_two_sample_t_test_times_what_was_looked_at():
    """Without autocorrelation, one possible stretch gives scipy's p of two samples of equal variance."""
    days = np.array([1.0, 3, 1, 3, 1, 3, 1, 3, 7])
    found = changes(days[np.newaxis], (8, 8))
    rest = days - np.where(np.arange(9) == 8, 7, days[:8].mean())
    assert (rest[1:] * rest[:-1]).sum() < -2 / 9 * (rest**2).sum()
    told = stats.ttest_ind(days[8:], days[:8])
    assert found.p[0] == pytest.approx(told.pvalue)
    assert changes(days[np.newaxis], (8, 8), side=1).p[0] == pytest.approx(told.pvalue / 2)
    assert changes(days[np.newaxis], (8, 8), side=-1).first[0] == -1


@pytest.mark.parametrize("alike", [0.0, 0.3])
def test_stable_series_seldom_seem_to_change(alike):
    """Of 2,000 stable series, noise that resembles the day before included, under 5 % have p under 0.05."""
    noise = np.random.default_rng(7).normal(size=(2_000, 40))
    for day in range(1, 40):
        noise[:, day] += alike * noise[:, day - 1]
    assert (changes(noise, (20, 39)).p < 0.05).mean() < 0.05


def test_a_constant_that_jumps_is_certain_and_days_without_value_do_not_count():
    """A share that was always 0 and is 1 today has p 0; missing days change nothing; too few say nothing."""
    days = np.zeros((3, 20))
    days[:, 15:] = 1
    days[1, 3:6] = np.nan
    days[2, :14] = np.nan
    found = changes(days, (10, 19))
    assert found.first.tolist() == [15, 15, -1]
    assert found.end.tolist() == [20, 20, -1]
    assert (found.p < [1e-99, 1e-99, 2]).all()
    assert found.p[2] == 1
    assert changes(np.ones((1, 20)), (10, 19)).p[0] == 1
    assert changes(days, (10, 19), spread=np.full(3, 2.0)).p[0] > 0.5


def test_a_window_outside_the_series_says_nothing():
    """Where no stretch may begin, nothing is found."""
    assert changes(np.zeros((2, 9)), (12, 20)).first.tolist() == [-1, -1]


rows = st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any)
means = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


@settings(max_examples=50, deadline=None)
@given(rows, means, rows, means)
def test_mix_and_within_add_up_to_the_change(before, old, after, new):
    """The parts of a mean's change sum to it to rounding, whatever part has no rows."""
    before, old, after, new = map(np.array, (before, old, after, new))
    mix, within = mean_change(before, old, after, new)
    change = (after * new).sum() / after.sum() - (before * old).sum() / before.sum()
    assert mix.sum() + within.sum() == pytest.approx(change, abs=1e-12)
    still, _ = mean_change(before, old, before, new)
    assert np.abs(still).max() < 1e-12
