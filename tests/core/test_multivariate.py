"""Drift of all features together: what scikit-learn says of the same rows, and what stable rows say."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.drift import psi_noise
from mlobs_pipelines.core.metrics.multivariate import MIN_ROWS, _components
from mlobs_pipelines.core.summaries import SampleSummary

BOTH = ("reconstruction_error", "domain_auc")
both = pytest.mark.parametrize("name", BOTH)


def draw(rng, shape, together=0.9, features=6):
    """Numbers with nulls of which two pairs go together, the second one as much as `together` says."""
    x = rng.normal(size=(*shape, features))
    x[..., 1] = 0.8 * x[..., 0] + 0.6 * x[..., 1]
    x[..., 3] = together * x[..., 2] + np.sqrt(1 - together**2) * x[..., 3]
    x[..., -1] = np.floor(x[..., -1] * 2)
    x[rng.random(x.shape) < 0.02] = np.nan
    return x


def summary(rng, windows, rows, before, together=0.9, features=6):
    """Windows that have each a baseline of their own; the last feature is a category."""

    def hashes(n):
        return np.sort(rng.integers(0, 1 << 62, (windows, n)), axis=-1)

    return SampleSummary(
        hashes=hashes(rows), weights=np.ones((windows, rows)),
        values=draw(rng, (windows, rows), together, features),
        baseline_hashes=hashes(before), baseline_weights=np.ones((windows, before)),
        baseline_values=draw(rng, (windows, before), 0.9, features),
        categorical=np.arange(features) == features - 1, names=tuple(f"x{i}" for i in range(features)),
    )  # fmt: skip


def test_reconstruction_error_is_that_of_sklearn():
    """Imputed, encoded and standardised by hand, scikit-learn's PCA gives the same error and interval."""
    found = summary(np.random.default_rng(1), 1, 700, 900, together=-0.9)
    window, base = found.values[0].copy(), found.baseline_values[0].copy()
    codes = [np.where(np.isnan(side[:, -1]), 99, side[:, -1]) for side in (window, base)]
    for side, mine in zip((window, base), codes, strict=True):
        side[:, -1] = [np.mean(codes[1] == code) for code in mine]
    for side in (window, base):
        side[:] = np.where(np.isnan(side), np.nanmean(found.baseline_values[0], axis=0), side)
    mean, spread = base.mean(axis=0), base.std(axis=0)
    window, base = (window - mean) / spread, (base - mean) / spread
    pca = PCA(n_components=0.65).fit(base)
    error = np.linalg.norm(window - pca.inverse_transform(pca.transform(window)), axis=1)
    estimate = METRICS["reconstruction_error"].function(found)
    assert estimate.value[0] == pytest.approx(error.mean(), rel=1e-12)
    half = 1.959963984540054 * error.std() / np.sqrt(700)
    assert (estimate.upper - estimate.value)[0] == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize("features", [2, 3, 5, 12])
def test_as_many_components_are_kept_as_sklearn_keeps(features):
    """The first components with over 65 % of the variance, but never all of them."""
    rows = draw(np.random.default_rng(features), (400,), 0.5, features + 2)[:, :features]
    rows = np.nan_to_num(rows - np.nanmean(rows, axis=0))
    kept, axes = _components(rows, np.ones(400))
    expected = PCA(n_components=0.65).fit(rows)
    assert kept == min(expected.n_components_, features - 1)
    along = np.abs(np.sum(axes[:, :kept].T * expected.components_[:kept], axis=1))
    np.testing.assert_allclose(along, 1, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_domain_auc_is_that_of_sklearn_on_the_held_out_half(weighted):
    """Trees fitted on rows with an even hash, scored on the others; weights count on both sides."""
    rng = np.random.default_rng(2)
    found = summary(rng, 1, 600, 800, together=-0.9)
    if weighted:
        found = replace(found, weights=rng.choice([1.0, 2.0, 7.0], (1, 600)))
    values = np.concatenate([found.values[0], found.baseline_values[0]])
    late = np.arange(1400) < 600
    weights = np.concatenate([found.weights[0] / found.weights[0].sum(), np.full(800, 1 / 800)]) * 700
    _, codes, rows = np.unique(np.nan_to_num(values[:, -1], nan=99), return_inverse=True, return_counts=True)
    values[:, -1] = np.argsort(np.argsort(-rows, kind="stable"), kind="stable")[codes]
    held = np.concatenate([found.hashes[0], found.baseline_hashes[0]]) % 2 == 1
    trees = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=8, max_bins=63, early_stopping=False, random_state=0,
        categorical_features=np.arange(6) == 5,
    ).fit(values[~held], late[~held], weights[~held])  # fmt: skip
    expected = roc_auc_score(late[held], trees.decision_function(values[held]), sample_weight=weights[held])
    assert METRICS["domain_auc"].function(found).value[0] == pytest.approx(expected, abs=1e-12)


@both
def test_a_correlation_that_turned_is_found(name):
    """No feature has moved by itself, yet the window is above its noise point, its interval too."""
    found = summary(np.random.default_rng(3), 3, 2_000, 2_000, together=-0.9)
    for feature in range(5):
        edges = np.nanquantile(found.baseline_values[0, :, feature], np.arange(1, 10) / 10)
        shares = [
            np.bincount(np.searchsorted(edges, side[:, feature][~np.isnan(side[:, feature])]), minlength=10)
            + 0.5
            for side in (found.values[0], found.baseline_values[0])
        ]
        a, e = (share / share.sum() for share in shares)
        assert ((a - e) * np.log(a / e)).sum() < psi_noise(np.int64(2_000), 2_000, 10)
    estimate = METRICS[name].function(found)
    assert (estimate.value > estimate.noise).all()
    assert (estimate.lower > (0.5 if name == "domain_auc" else 0)).all()
    assert estimate.sufficient.all()


def test_the_facts_name_what_moved():
    """The classifier's facts begin with the two features whose correlation turned."""
    found = METRICS["domain_auc"].function(summary(np.random.default_rng(4), 1, 2_000, 2_000, together=-0.9))
    told = found.facts[0]["features"]
    assert {name for name, _ in told[:2]} == {"x2", "x3"}
    assert all(fall > 0.05 for _, fall in told[:2])


@pytest.mark.parametrize(("name", "windows", "most"), [(BOTH[0], 300, 9), (BOTH[1], 120, 6)])
def test_one_stable_window_in_a_hundred_is_above_its_noise(name, windows, most):
    """From the baseline's own distribution, no more windows than a binomial of 1 % has but once in 1,000."""
    found = METRICS[name].function(summary(np.random.default_rng(10), windows, 150, 300, features=4))
    assert (found.value > found.noise).sum() <= most
    if name == "domain_auc":
        assert 0.89 <= ((found.lower <= 0.5) & (found.upper >= 0.5)).mean() <= 0.99


@both
def test_weights_count_as_rows(name):
    """A window of which every row weighs the same says the same; heavy rows make it less sure."""
    plain = summary(np.random.default_rng(5), 1, 500, 500, together=0.0)
    heavy = replace(plain, weights=np.full((1, 500), 8.0))
    one, other = METRICS[name].function(plain), METRICS[name].function(heavy)
    np.testing.assert_allclose(other.value, one.value, rtol=1e-9)
    np.testing.assert_allclose(other.noise, one.noise, rtol=1e-9)
    uneven = replace(plain, weights=np.where(np.arange(500) % 2, 1.0, 20.0)[np.newaxis])
    assert METRICS[name].function(uneven).noise > one.noise


@both
def test_too_few_rows_are_too_few(name):
    """Under a hundred rows on either side there is no verdict; without a baseline there is no number."""
    found = METRICS[name].function(summary(np.random.default_rng(6), 1, MIN_ROWS - 1, 500))
    assert not found.sufficient.any()
    assert (
        not METRICS[name].function(summary(np.random.default_rng(6), 1, 500, MIN_ROWS - 1)).sufficient.any()
    )
    empty = summary(np.random.default_rng(6), 1, 200, 200)
    empty = replace(empty, baseline_weights=np.zeros((1, 200)))
    assert np.isnan(METRICS[name].function(empty).value).all()


@both
def test_only_which_categories_are_alike_matters(name):
    """Categories may be numbered in any way that keeps their order."""
    found = summary(np.random.default_rng(7), 1, 400, 400, together=0.0)
    moved = [array.copy() for array in (found.values, found.baseline_values)]
    for array in moved:
        array[..., -1] = array[..., -1] * 5 + 1_000
    other = replace(found, values=moved[0], baseline_values=moved[1])
    np.testing.assert_array_equal(METRICS[name].function(other).value, METRICS[name].function(found).value)


def test_constant_features_say_nothing():
    """Where no row differs from another there is no component, and no number."""
    flat = summary(np.random.default_rng(8), 1, 200, 200)
    flat = replace(flat, values=np.full((1, 200, 6), 3.3), baseline_values=np.full((1, 200, 6), 3.3))
    assert np.isnan(METRICS["reconstruction_error"].function(flat).value).all()
    assert METRICS["domain_auc"].function(flat).value == 0.5
