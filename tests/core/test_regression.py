from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import RegressionSummary
from tests.core.cases import Case, regression_summary, summarise_weighted

FINE = np.concatenate([[0.0], np.geomspace(1e-4, 1e3, 1_000)])


def drawn(seed, n=500):
    """Labels of which some are 0, predictions, and whole weights."""
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(n) < 0.1, 0.0, rng.normal(20, 6, n))
    return 0.9 * label + rng.normal(2, 3, n), label, rng.choice([1, 1, 2, 9], n)


def of(name, predicted, label, weights=None, **shape):
    """One metric of rows that count once or by their weight."""
    if weights is None:
        return METRICS[name].function(regression_summary(predicted, label, **shape))
    case = Case(None, lambda rows: regression_summary(rows["predicted"], rows["label"], **shape))
    rows = {"predicted": predicted, "label": label}
    return METRICS[name].function(summarise_weighted(case, rows, weights))


ORACLES = {
    "mae": oracle.mean_absolute_error,
    "rmse": oracle.root_mean_squared_error,
    "r2": oracle.r2_score,
    "bias": lambda y, p, sample_weight: np.average(p - y, weights=sample_weight),
    "mape_undefined_share": lambda y, _, sample_weight: np.average(y == 0, weights=sample_weight),
    "mape": lambda y, p, sample_weight: oracle.mean_absolute_percentage_error(
        y[y != 0], p[y != 0], sample_weight=sample_weight[y != 0]
    ),
}
LEVELS = {"absolute_error_p50": 0.5, "absolute_error_p90": 0.9, "absolute_error_p95": 0.95}


@pytest.mark.parametrize("name", sorted(ORACLES))
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
def test_it_agrees_with_scikit_learn(name, seed, weighted):
    """On the same rows, with and without sample weights, every metric equals scikit-learn's to 1e-9."""
    predicted, label, weights = drawn(seed)
    found = of(name, predicted, label, weights if weighted else None)
    taken = weights if weighted else np.ones(label.size)
    assert found.value == pytest.approx(ORACLES[name](label, predicted, sample_weight=taken), rel=1e-9)


def test_no_metric_goes_without_an_oracle():
    """Each metric of a regression model is compared with another computation."""
    mine = {name for name, metric in METRICS.items() if RegressionSummary in metric.functions}
    assert mine == set(ORACLES) | set(LEVELS)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), name=st.sampled_from(sorted(LEVELS)))
def test_percentiles_are_within_their_bound(seed, n, name):
    """The exact percentile of |error| is no further away than the bound."""
    predicted, label, _ = drawn(seed, n)
    found = of(name, predicted, label, edges=FINE)
    exact = np.quantile(np.abs(predicted - label), LEVELS[name], method="inverted_cdf")
    assert abs(found.value - exact) <= found.bound * (1 + 1e-9)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_the_centre_does_not_matter(name):
    """Whichever fixed number the labels are held against, the metric is the same."""
    predicted, label, _ = drawn(4)
    ends = [of(name, predicted, label, centre=centre) for centre in (0.0, 20.0, 300.0)]
    for field in ("value", "lower", "upper"):
        values = [getattr(one, field) for one in ends]
        np.testing.assert_allclose(values, values[0], rtol=1e-7)


def test_a_label_of_zero_is_counted_and_not_hidden():
    """MAPE is that of the other rows, and the share of rows it leaves out stands beside it."""
    predicted, label = np.array([1.0, 5.0, 11.0, 9.0]), np.array([0.0, 4.0, 10.0, 10.0])
    found = of("mape", predicted, label)
    assert (found.value, found.n) == (pytest.approx((0.25 + 0.1 + 0.1) / 3), 3)
    assert of("mape_undefined_share", predicted, label).value == 0.25
    assert np.isnan(of("mape", predicted[:1], label[:1]).value)


def test_equal_labels_have_no_r2():
    """Where labels do not vary there is nothing to explain; the mean as prediction explains nothing."""
    label = np.full(300, 7.1)
    assert np.isnan(of("r2", label + 1, label).value)
    label = drawn(1)[1]
    assert of("r2", np.full(label.size, label.mean()), label).value == pytest.approx(0, abs=1e-9)


def sample(rng, n):
    """Labels and errors that go along with them and are larger for some."""
    label = rng.normal(30, 3, n)
    return label - 0.3 * (label - 30) + 0.4 + rng.normal(0, 1 + (rng.random(n) < 0.1), n), label


@pytest.mark.parametrize("name", ["mae", "rmse", "bias", "mape", "r2", "absolute_error_p90"])
def test_intervals_cover_the_truth_about_95_times_in_100(name):
    """Over repeated samples an interval holds the value of very many rows at its stated rate."""
    rng = np.random.default_rng(21)
    truth = of(name, *sample(rng, 2_000_000), edges=FINE).value
    found = [of(name, *sample(rng, 500), edges=FINE) for _ in range(600)]
    assert 0.925 <= np.mean([one.lower <= truth <= one.upper for one in found]) <= 0.975


@pytest.mark.parametrize("name", ["mae", "rmse", "bias", "r2"])
def test_weighted_intervals_cover_the_truth(name):
    """So they do where rows were kept by chance and weigh what they stand for."""
    rng = np.random.default_rng(22)
    truth = of(name, *sample(rng, 2_000_000)).value
    covered = []
    for _ in range(400):
        predicted, label = sample(rng, 2_000)
        weights = np.where(rng.random(2_000) < 0.5, 7, 2)
        kept = rng.random(2_000) < 1 / weights
        found = of(name, predicted[kept], label[kept], weights[kept])
        covered.append(found.lower <= truth <= found.upper)
    assert 0.92 <= np.mean(covered) <= 0.98


def skewed(rng, n):
    """Labels with a long tail, and errors that do not depend on them."""
    label = rng.gamma(1, 10, n)
    return label + rng.normal(0, 5, n), label


def shrunk(rng, n):
    """Labels without tails, and predictions that stay near their middle."""
    label = rng.uniform(0, 10, n)
    return 5 + 0.3 * (label - 5) + rng.normal(0, 1, n), label


@pytest.mark.parametrize("draw", [skewed, shrunk])
def test_the_interval_of_r2_knows_the_tails_of_the_labels(draw):
    """It covers the truth for labels that are far from normal, whatever they are held against."""
    rng = np.random.default_rng(23)
    truth = of("r2", *draw(rng, 2_000_000)).value
    found = [of("r2", *draw(rng, 800), centre=30.0) for _ in range(500)]
    assert 0.92 <= np.mean([one.lower <= truth <= one.upper for one in found]) <= 0.98


def test_without_fourth_moments_r2_has_no_interval():
    """Where the labels' fourth moments were not counted the value stands alone."""
    whole = regression_summary(*drawn(2)[:2])
    some = replace(whole, label_3=None, label_4=None, cross_sq=None, error_sq_label=None)
    found = METRICS["r2"].function(some)
    assert found.value == METRICS["r2"].function(whole).value
    assert np.isnan(found.lower)
    assert np.isnan(found.upper)


def test_minimum_samples():
    """Every metric takes 200 labelled rows; MAPE takes them with a label that is not 0."""
    predicted, label, _ = drawn(3, 2_000)
    for name in ORACLES:
        assert not of(name, predicted[:199], label[:199]).sufficient
        assert of(name, predicted, label).sufficient
    some = np.where(np.arange(300) < 150, 0.0, label[:300])
    assert not of("mape", predicted[:300], some).sufficient
