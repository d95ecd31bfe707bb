import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.attribution_drift import dcg
from mlobs_pipelines.core.summaries import AttributionPanel, AttributionSummary
from tests.core.cases import CASES, summarise_weighted


def panel(means, gains, *, n=1_000, error=0.0):
    """Windows of so many rows whose mean attributions have these values and standard errors."""
    means = np.asarray(means, float)
    rows = np.full(means.shape, n)
    squares = n * (means**2 + error**2 * (n - 1))
    names = tuple(f"x{i}" for i in range(means.shape[-1]))
    return AttributionPanel(rows, n * means, squares, np.asarray(gains, float), names)


def ndcg(*arguments, **more):
    """The metric of such windows."""
    return METRICS["attribution_ndcg"].function(panel(*arguments, **more))


def test_the_published_example():
    """Training SAT .7, GPA .5, Rank .05; live Rank before GPA before SAT (SageMaker Clarify): 0.68764."""
    found = ndcg([0.1, 0.2, 0.3], [0.7, 0.5, 0.05])
    assert found.value == pytest.approx(0.68764, abs=5e-6)
    assert found.value < 0.9
    assert ndcg([0.7, 0.5, 0.05], [0.7, 0.5, 0.05]).value == 1


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), features=st.integers(2, 30), steps=st.sampled_from([3, 10**6]))
def test_it_is_that_of_scikit_learn(seed, features, steps):
    """With and without equal means, the value is `sklearn.metrics.ndcg_score` of gains and means."""
    rng = np.random.default_rng(seed)
    means, gains = rng.integers(1, steps + 1, (2, 4, features)) / steps
    expected = [ndcg_score([gain], [mean]) for gain, mean in zip(gains, means, strict=True)]
    np.testing.assert_allclose(ndcg(means, gains).value, expected, rtol=1e-9)


def test_equal_means_share_their_discounts():
    """The order of features that weigh the same does not decide."""
    gains = np.array([0.7, 0.5, 0.05])
    means = np.array([0.2, 0.2, 0.1])
    assert dcg(gains, means) == pytest.approx(dcg(gains[[1, 0, 2]], means))


def test_a_feature_of_unknown_weight_is_left_out():
    """It takes no rank from the others, however large its attributions are."""
    with_it = ndcg([0.1, 9.0, 0.2, 0.3], [0.7, np.nan, 0.5, 0.05], error=1e-9)
    without = ndcg([0.1, 0.2, 0.3], [0.7, 0.5, 0.05], error=1e-9)
    assert with_it.value == pytest.approx(without.value, rel=1e-12)
    assert np.isnan(ndcg([0.1, 0.2], [np.nan, np.nan]).value)


def test_a_feature_without_attributions_leaves_no_order():
    """Where the log lost a feature's attributions there is no number, and no verdict."""
    found = panel([0.1, 0.2, 0.3], [0.7, 0.5, 0.05])
    n = found.n * np.array([1, 0, 1])
    lost = AttributionPanel(n, found.size * n / 1000, found.size_sq, found.baseline, found.names)
    estimate = METRICS["attribution_ndcg"].function(lost)
    assert np.isnan(estimate.value)
    assert not estimate.sufficient


def test_the_interval_holds_what_other_samples_would_have_given():
    """Of samples of one stable population, at least 93 in 100 intervals hold the population's value."""
    rng = np.random.default_rng(3)
    truth, gains = np.array([0.50, 0.48, 0.2, 0.1]), np.array([0.4, 0.5, 0.3, 0.05])
    sample = truth * rng.exponential(1, (400, 500, 4))
    windows = AttributionPanel(
        np.full((400, 4), 500), sample.sum(axis=1), (sample**2).sum(axis=1), gains, ("a", "b", "c", "d")
    )
    found = METRICS["attribution_ndcg"].function(windows)
    value = ndcg_score([gains], [truth])
    assert np.mean((found.lower <= value + 1e-12) & (value <= found.upper + 1e-12)) >= 0.93
    assert np.mean(found.upper - found.lower > 0) > 0.5


def test_means_and_shares_are_those_of_the_rows():
    """Mean, share and 95 % point of |attribution| are those of plain arithmetic on the rows."""
    case = CASES[AttributionSummary]
    rows = case.draw(np.random.default_rng(1), 3_000)
    summary = case.summarise(rows)
    mine = np.abs(rows["x1"][~np.isnan(rows["x1"])])
    whole = sum(np.nansum(np.abs(values)) for values in rows.values())
    mean, share, p95 = (METRICS[f"attribution_{name}"].function(summary) for name in ("mean", "share", "p95"))
    assert mean.value == pytest.approx(mine.mean(), rel=1e-12)
    half = 1.959963984540054 * mine.std(ddof=1) / np.sqrt(mine.size)
    assert mean.upper - mean.value == pytest.approx(half, rel=1e-9)
    assert share.value == pytest.approx(mine.sum() / whole, rel=1e-12)
    assert abs(p95.value - np.quantile(mine, 0.95, method="inverted_cdf")) <= p95.bound


@pytest.mark.parametrize("kind", [AttributionSummary, AttributionPanel])
def test_weighted_rows_count_as_often_as_their_weight(kind):
    """Values are those of the rows as often as their weight says; n is what was seen."""
    case, rng = CASES[kind], np.random.default_rng(2)
    rows, weights = case.draw(rng, 800), rng.integers(1, 4, 800)
    summary = summarise_weighted(case, rows, weights)
    repeated = case.summarise({name: np.repeat(values, weights) for name, values in rows.items()})
    for name in ("mean", "share", "p95") if kind is AttributionSummary else ("ndcg",):
        function = METRICS[f"attribution_{name}"].function
        found, plain, seen = function(summary), function(repeated), function(case.summarise(rows))
        assert found.value == pytest.approx(plain.value, rel=1e-9)
        assert found.n == seen.n
