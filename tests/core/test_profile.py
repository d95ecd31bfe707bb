from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import FeatureSummary
from tests.core.cases import BASELINE, CASES, summarise_feature
from tests.core.test_distances import valued

LEVELS = (1, 5, 25, 50, 75, 95, 99)


def of(name, summary):
    """The estimate of one metric."""
    return METRICS[name].function(summary)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 500))
def test_percentiles_mean_and_deviation_are_within_their_bounds(seed, n):
    """The exact figure of the same rows is no further away than the bound, atoms inside buckets included."""
    values = CASES[FeatureSummary].draw(np.random.default_rng(seed), n)["value"]
    present = values[np.isfinite(values)]
    summary = summarise_feature({"value": values})
    if present.size == 0:
        assert np.isnan(of("value_p50", summary).value)
        return
    exact = {f"value_p{at:02d}": np.quantile(present, at / 100, method="inverted_cdf") for at in LEVELS}
    exact |= {"value_mean": present.mean(), "value_std": present.std()}
    for name, value in exact.items():
        found = of(name, summary)
        assert np.isnan(found.value) or abs(found.value - value) <= found.bound + 1e-12, name


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 300))
def test_values_with_cells_of_their_own_are_exact(seed, n):
    """With a cell per value percentiles, mean and deviation are numpy's, with no bound."""
    values = np.round(np.random.default_rng(seed).normal(5, 3, n), 1)
    summary = valued(values, values)
    summary = replace(summary, atom=np.zeros_like(summary.atom))  # cells without width, each in its place
    for level in LEVELS:
        found = of(f"value_p{level:02d}", summary)
        assert (found.value, found.bound) == (np.quantile(values, level / 100, method="inverted_cdf"), 0)
    assert of("value_mean", summary).value == pytest.approx(values.mean(), rel=1e-9)
    assert of("value_std", summary).value == pytest.approx(values.std(), rel=1e-9, abs=1e-12)


def test_percentile_and_mean_intervals_cover_the_truth_about_95_times_in_100():
    """Over repeated samples the interval of a median, a tail and a mean holds the true one."""
    rng = np.random.default_rng(3)
    truth = {"value_p50": 0.0, "value_p95": 1.6448536269514722, "value_mean": 0.0}
    summaries = [summarise_feature({"value": rng.normal(size=1_000)}) for _ in range(300)]
    for name, value in truth.items():
        found = [of(name, summary) for summary in summaries]
        covered = np.mean([one.lower - one.bound <= value <= one.upper + one.bound for one in found])
        assert covered >= 0.93, name


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300))
def test_share_out_of_range_is_within_its_bound(seed, n):
    """The exact share of rows beyond the baseline's range is no further away than the bound."""
    rng = np.random.default_rng(seed)
    values, before = rng.normal(0, 2, n), rng.normal(size=int(rng.integers(1, 60)))
    base = summarise_feature({"value": before})
    summary = replace(summarise_feature({"value": values}), baseline_cells=base.cells)
    exact = ((values < before.min()) | (values > before.max())).mean()
    found = of("out_of_range_share", summary)
    assert found.value <= exact + 1e-12
    assert exact <= found.value + found.bound + 1e-12


def test_share_out_of_range_of_values_with_cells_is_exact():
    """With a cell per value, the rows below the least and above the greatest baseline value are counted."""
    found = of("out_of_range_share", valued(np.array([0.0, 1, 2, 3, 9]), np.array([1.0, 3.0])))
    assert (found.value, found.bound) == (0.4, 0)


def test_unseen_categories_and_cardinality():
    """Rows of a category that the baseline lacks are a share of rows; categories present are counted."""
    summary = replace(
        summarise_feature({"value": BASELINE}),
        cells=np.array([[5, 3, 2, 0], [0, 0, 4, 4]]),
        baseline_cells=np.array([7, 1, 0, 0]),
    )
    assert of("unseen_share", summary).value.tolist() == [0.2, 1.0]
    assert of("cardinality", summary).value.tolist() == [3, 2]


def test_without_a_baseline_nothing_is_new():
    """A segment that training never had gives no share of unseen or out-of-range rows, rather than all."""
    base = np.zeros(2, np.int64)
    summary = replace(valued(np.array([1.0, 2.0]), np.array([1.0])), baseline_cells=base, baseline_bins=base)
    assert np.isnan(of("unseen_share", summary).value)
    assert np.isnan(of("out_of_range_share", summary).value)


def test_a_feature_of_nulls_alone_has_no_profile():
    """Without a single cell there is no percentile, mean or distance, and no error either."""
    nothing = np.zeros(0)
    summary = replace(valued(np.zeros(1), np.zeros(1)), cells=np.zeros((2, 0), int), baseline_cells=nothing,
                      atom=nothing.astype(bool), low=nothing, high=nothing)  # fmt: skip
    for name in ("value_p50", "value_mean", "value_std", "wasserstein", "out_of_range_share", "cardinality"):
        assert np.isnan(of(name, summary).value).all()
