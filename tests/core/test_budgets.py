"""Error budgets against the published burn rates and a count of every day's events by hand."""

from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.budgets import Objective, alerts, burn_limit, kept, spend

HOUR = 1 / 24
DAILY = st.lists(
    st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=40
)


@pytest.mark.parametrize(
    ("share", "days", "rate"), [(0.02, HOUR, 14.4), (0.05, 6 * HOUR, 6), (0.1, 1, 3), (0.1, 3, 1)]
)
def test_burn_rates_are_those_of_the_workbook(share, days, rate):
    """Over 30 days, 2 % in an hour, 5 % in six, 10 % in one day and in three burn 14.4, 6, 3 and 1 times."""
    assert isclose(burn_limit(share, 30, days), rate)


@settings(max_examples=30, deadline=None)
@given(DAILY, st.integers(7, 12), st.sampled_from([0.5, 0.9, 0.99]))
def test_budgets_are_what_counting_by_hand_gives(daily, period, target):
    """Events, budget, what is left and both burn rates equal sums over the days they name."""
    objective = Objective(target, period)
    bad, events = (np.array(column, dtype=float) for column in zip(*daily, strict=True))
    found = spend(bad, events, objective)
    for day in range(len(daily)):
        last = {days: daily[max(0, day + 1 - days) : day + 1] for days in (1, 7, period)}
        sums = {days: [sum(pair[i] for pair in some) for i in (0, 1)] for days, some in last.items()}
        lost, seen = sums[period]
        assert (found.bad[day], found.events[day]) == (lost, seen)
        assert isclose(found.budget[day], (1 - target) * seen)
        if seen:
            assert isclose(found.left[day], 1 - lost / ((1 - target) * seen), abs_tol=1e-9)
        for days, burn in ((1, found.day_burn[day]), (7, found.week_burn[day])):
            share = sums[days][0] / sums[days][1] if sums[days][1] else np.nan
            assert isclose(burn, share / (1 - target)) or np.isnan([burn, share]).all()


def told(bad, events, **rules):
    """The last day's alert and verdict of daily events."""
    objective = Objective(**{"target": 0.99, "period_days": 28, "min_events": 100} | rules)
    spent = spend(np.array(bad, dtype=float), np.array(events, dtype=float), objective)
    return str(alerts(spent, objective)[-1]), str(kept(spent, objective)[-1])


@pytest.mark.parametrize(
    ("bad", "events", "said"),
    [
        ([0] * 28, [1000] * 28, ("none", "pass")),
        ([0] * 27 + [28], [1000] * 28, ("none", "pass")),  # 10 % of the budget, not more
        ([0] * 27 + [29], [1000] * 28, ("page", "pass")),
        ([0] * 21 + [11] * 7, [1000] * 28, ("ticket", "pass")),
        ([0] * 21 + [12] * 6 + [1], [1000] * 28, ("none", "pass")),  # over by the last day
        ([11] * 28, [1000] * 28, ("ticket", "fail")),
        ([20] * 20 + [0] * 8, [1000] * 28, ("none", "fail")),  # spent, and nothing burns
        ([9], [10], ("undecided", "undecided")),  # too few to tell
        ([0] * 27 + [9], [1000] * 27 + [10], ("none", "pass")),  # a handful on the last day wakes nobody
        ([5] * 27 + [0], [100] * 27 + [0], ("undecided", "fail")),  # nothing was counted today
        ([0] * 28, [0] * 28, ("undecided", "undecided")),
    ],
)
def test_alerts_are_raised_while_it_burns(bad, events, said):
    """A page takes a tenth of the budget in a day; a ticket a week and its last day beyond the even pace."""
    assert told(bad, events) == said


def test_what_moves_slowly_never_pages():
    """Where pages are off, what would be one is a ticket."""
    assert told([0] * 27 + [500], [1000] * 28, pages=False)[0] == "ticket"


def test_versions_and_segments_are_counted_side_by_side():
    """Many series at once give what each gives alone."""
    rng = np.random.default_rng(3)
    events = rng.integers(0, 50, (3, 2, 20)).astype(float)
    bad = np.floor(events * rng.random(events.shape))
    objective = Objective(0.9, 7)
    together, alone = spend(bad, events, objective), spend(bad[1, 1], events[1, 1], objective)
    np.testing.assert_array_equal(together.left[1, 1], alone.left)
    np.testing.assert_array_equal(alerts(together, objective)[1, 1], alerts(alone, objective))
