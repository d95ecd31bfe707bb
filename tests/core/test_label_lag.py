from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.label_lag import CURVE_LAGS_H, crossing, kaplan_meier
from tests.core.cases import count, summarise_label


def test_published_survival_curve():
    """The example of scipy (five deaths, five censored) gives its published survival steps."""
    arrived = count(np.array([77, 47, 81, 56, 80]), 82)
    pending = count(np.array([62, 60, 43, 71, 37]), 82)
    share, _ = kaplan_meier(arrived, pending)
    at = np.array([37, 43, 47, 56, 60, 62, 71, 77, 80, 81])
    assert 1 - share[at] == pytest.approx([1, 1, 0.875, 0.75, 0.75, 0.75, 0.75, 0.5, 0.25, 0])


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
@settings(deadline=None)
@given(
    arrived=st.lists(st.integers(0, 20), min_size=1, max_size=60),
    pending=st.lists(st.integers(0, 20), max_size=60),
)
def test_kaplan_meier_agrees_with_scipy(arrived, pending):
    """Curve and Greenwood's interval equal scipy's for whole lags and ages."""
    share, error = kaplan_meier(count(np.array(arrived), 22), count(np.array(pending, int), 22))
    expected = ecdf(CensoredData(uncensored=arrived, right=pending))
    last = max(arrived + pending)
    units = np.arange(last + 1)
    assert share[: last + 1] == pytest.approx(expected.cdf.evaluate(units), abs=1e-12)
    upper = expected.cdf.confidence_interval(method="linear").high
    known = ~np.isnan(upper.probabilities)
    ours = np.clip(share + 1.959963984540054 * error, 0, 1)
    assert ours[upper.quantiles[known].astype(int)] == pytest.approx(upper.probabilities[known], abs=1e-9)


def test_the_curve_ends_where_nothing_is_left_to_see():
    """Beyond the oldest age the share is undefined, unless every label has arrived."""
    share, _ = kaplan_meier(np.array([[0, 1, 0, 0], [0, 2, 0, 0]]), np.array([[0, 1, 0, 0], [0, 0, 0, 0]]))
    assert share[0].tolist()[:2] == [0, 0.5]
    assert np.isnan(share[0, 2:]).all()
    assert share[1].tolist() == [0, 1, 1, 1]


def test_awaited_labels_are_not_forgotten():
    """Lag ~ Exp(10 d) seen over 14 days: the median is near 6.93 d where arrived labels alone say 2.95 d."""
    rng = np.random.default_rng(4)
    lag, age = rng.exponential(240, 40_000), rng.uniform(0, 14 * 24, 40_000)
    summary = summarise_label({"lag": lag, "age": age, "void": np.zeros(lag.size, bool)})
    estimate = METRICS["label_lag_p50"].function(summary)
    assert np.median(lag[lag <= age]) / 24 == pytest.approx(2.95, abs=0.1)
    assert estimate.value / 24 == pytest.approx(240 * np.log(2) / 24, abs=0.2)
    assert estimate.lower < 240 * np.log(2) < estimate.upper


@pytest.mark.parametrize("level", [50, 90, 95, 99])
def test_complete_lags_give_plain_quantiles(level):
    """Once every label is there, a lag quantile is that of the lags, to one unit."""
    lag = np.random.default_rng(level).lognormal(2, 1, 5_000)
    summary = summarise_label({"lag": lag, "age": np.full(lag.size, 340.0), "void": lag < 0})
    estimate = METRICS[f"label_lag_p{level}"].function(summary)
    exact = np.quantile(lag, level / 100, method="inverted_cdf")
    assert abs(estimate.value - exact) <= estimate.bound


def test_a_quantile_not_reached_is_no_number():
    """While under half of the labels are there, the median lag has no value."""
    summary = summarise_label(
        {"lag": np.array([1.0, 50, 50]), "age": np.full(3, 10.0), "void": np.zeros(3, bool)}
    )
    assert np.isnan(METRICS["label_lag_p50"].function(summary).value)


def test_crossing_is_straight_between_units():
    """A curve from 0.2 at 1 h to 0.6 at 2 h reaches a half at 1.75 h; lag 0 stays 0."""
    assert crossing(np.array([0, 0.2, 0.6]), 0.5) == pytest.approx(1.75)
    assert crossing(np.array([0.7, 0.8]), 0.5) == 0


def test_the_lag_curve_is_read_at_its_named_lags():
    """label_lag_cdf gives the share at 1 h … 336 h under names such as 24h."""
    lag = np.random.default_rng(8).lognormal(2.2, 1, 3_000)
    summary = summarise_label({"lag": lag, "age": np.full(lag.size, 350.0), "void": lag < 0})
    estimate = METRICS["label_lag_cdf"].function(summary)
    assert METRICS["label_lag_cdf"].labels(summary)[5] == "24h"
    assert estimate.value == pytest.approx([(lag <= h).mean() for h in CURVE_LAGS_H])


def test_lags_finer_than_the_unit_are_undefined():
    """With a unit of a day the curve says nothing about hours."""
    summary = summarise_label(
        {"lag": np.full(50, 30.0), "age": np.full(50, 300.0), "void": np.zeros(50, bool)}
    )
    estimate = METRICS["label_lag_cdf"].function(replace(summary, unit_h=24.0))
    assert np.isnan(estimate.value[:5]).all()
    assert estimate.value[5] == 0


def test_backlog_counts_what_is_overdue():
    """The backlog is the predictions beyond the horizon without a label; its share is over all that old."""
    rows = {
        "lag": np.array([5, np.inf, np.inf, 2]),
        "age": np.array([200, 200, 20, 10.0]),
        "void": np.zeros(4, bool),
    }
    summary = summarise_label(rows)
    assert METRICS["label_backlog"].function(summary).value == 1
    assert METRICS["overdue_share"].function(summary).value == 0.5
    assert METRICS["label_coverage"].function(summary).value == 0.5


def test_coverage_is_undefined_while_everything_is_young():
    """Before any prediction reaches the horizon there is no coverage to state."""
    summary = summarise_label({"lag": np.ones(9), "age": np.full(9, 30.0), "void": np.zeros(9, bool)})
    assert np.isnan(METRICS["label_coverage"].function(summary).value)
    assert np.isnan(METRICS["overdue_share"].function(summary).value)
