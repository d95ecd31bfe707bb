import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.quantiles import cell_quantile
from mlobs_pipelines.core.summaries import FeatureSummary, OperationSummary, QueueSummary, SkewSummary
from tests.core.cases import CASES


def of(name, rows):
    """One metric of raw rows."""
    metric = METRICS[name]
    (kind,) = metric.functions
    return metric.function(CASES[kind].summarise(rows))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 3_000), level=st.sampled_from([50, 95, 99]))
def test_latency_is_within_a_cell_of_the_exact_quantile(seed, n, level):
    """The exact quantile of the same requests is no further away than the printed bound."""
    rows = CASES[OperationSummary].draw(np.random.default_rng(seed), n)
    estimate = of(f"latency_p{level}", rows)
    exact = np.quantile(rows["latency"], level / 100, method="inverted_cdf")
    assert abs(estimate.value - exact) <= estimate.bound


def test_latency_interval_covers_the_truth_about_95_times_in_100():
    """The binomial rank interval of p95 holds the true quantile at its stated rate."""
    rng = np.random.default_rng(2)
    truth = np.exp(3 + norm.ppf(0.95))
    samples = [rng.lognormal(3, 1, 2_000).clip(1.001, 9_999) for _ in range(300)]
    estimates = [of("latency_p95", {"latency": row, "error": row < 0, "timeout": row < 0}) for row in samples]
    covered = np.mean([e.lower - e.bound / 2 <= truth <= e.upper + e.bound / 2 for e in estimates])
    assert covered >= 0.93


def test_an_open_cell_has_no_quantile():
    """Where the quantile falls beyond the last edge there is no number to print."""
    value, bound = cell_quantile(np.array([1, 9]), np.array([0.0, 10]), np.array([10, np.inf]), np.array(0.5))
    assert np.isnan(value)
    assert np.isnan(bound)


def test_a_rank_on_an_edge_stays_in_its_cell():
    """The 95 % point of 20 rows, 19 of them in the first cell, is that cell's upper edge."""
    low, high = np.array([0.0, 10.0]), np.array([10.0, 20.0])
    assert cell_quantile(np.array([19, 1]), low, high, np.array(0.95))[0] == pytest.approx(10, abs=1e-6)


def test_request_counts_and_errors():
    """Requests are counted whole, errors as a share of them."""
    error, timeout = np.array([[True, False, True, False], [True, False, False, False]])
    rows = {"latency": np.array([5.0, 6, 7, 8]), "error": error, "timeout": timeout}
    names = ("request_count", "error_share", "timeout_share", "availability")
    assert [float(of(name, rows).value) for name in names] == [4, 0.5, 0.25, 0.5]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 3_000), level=st.sampled_from([50, 95, 99]))
def test_queue_time_is_within_a_cell_of_the_exact_quantile(seed, n, level):
    """The exact quantile of the same waits is no further away than the printed bound."""
    rows = CASES[QueueSummary].draw(np.random.default_rng(seed), n)
    estimate = of(f"queue_time_p{level}", rows)
    exact = np.quantile(rows["wait"], level / 100, method="inverted_cdf")
    assert abs(estimate.value - exact) <= estimate.bound


def test_skew_shares_and_smape():
    """Each kind of skew is a share of rows with at least one value; SMAPE is over rows with both."""
    nan = np.nan
    rows = {"served": np.array([1, 2, nan, 4, nan]), "again": np.array([1, 6, 3, nan, nan])}
    shares = [float(of(f"skew_{kind}_share", rows).value) for kind in ("mismatch", "missing", "extra")]
    assert shares == [0.25, 0.25, 0.25]
    assert of("skew_smape", rows).value == pytest.approx(4 / 10)
    assert of("skew_smape", rows).n == 2


def test_smape_of_categories_is_undefined():
    """A categorical feature has no distance; its SMAPE is not a made-up zero."""
    zero = np.float64(0)
    summary = SkewSummary(*map(np.int64, (300, 20, 0, 0)), zero, zero, numeric=False)
    assert np.isnan(METRICS["skew_smape"].function(summary).value)


def test_smape_of_equal_zeros_is_zero():
    """A feature that is zero on both sides in every row, like rain on dry days, has no skew."""
    zero = np.float64(0)
    assert METRICS["skew_smape"].function(SkewSummary(*map(np.int64, (300, 0, 0, 0)), zero, zero)).value == 0


def test_missing_values_are_a_share_of_all_rows():
    """Missing values count, infinite ones do not, and every row is in the denominator."""
    rows = {"value": np.array([np.nan, np.inf, 1.0, 0.0])}
    summary = CASES[FeatureSummary].summarise(rows)
    assert METRICS["null_share"].function(summary).value == 0.25
    assert METRICS["row_count"].function(summary).value == 4
