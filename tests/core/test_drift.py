from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, ks_2samp

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.drift import ks, psi, psi_noise
from mlobs_pipelines.core.summaries import FeatureSummary
from tests.core.cases import BASELINE, CASES, summarise_feature


def test_psi_counts_an_unseen_bin_by_jeffreys_rule():
    """A bin that the baseline never saw weighs as half a row, which gives the documented 0.2333."""
    assert psi(np.array([850, 100, 50]), np.array([900, 100, 0])) == pytest.approx(0.2333, abs=5e-5)


@pytest.mark.parametrize(
    ("baseline", "window", "expected"),
    [
        ([16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8], 0.037218),
        ([40, 30, 30], [35, 25, 40], 0.044561),
    ],
)
def test_psi_tends_to_the_unsmoothed_textbook_value(baseline, window, expected):
    """With many rows the smoothing vanishes and published values come out."""
    scale = 10**7
    assert psi(np.array(window) * scale, np.array(baseline) * scale) == pytest.approx(expected, abs=1e-6)


def test_psi_of_equal_shares_is_zero():
    """A window with the baseline's own counts has no drift."""
    bins = np.array([5, 10, 0, 85])
    assert psi(bins, bins) == 0


def test_psi_noise_matches_documented_points():
    """The noise point is the chi-square 99 % point times (1/n + 1/m)."""
    assert psi_noise(np.array(200), 50_000, 10) == pytest.approx(chi2.ppf(0.99, 9) * (1 / 200 + 1 / 50_000))
    assert np.isnan(psi_noise(np.array(0), 50_000, 10))
    assert psi_noise(np.array(10), 10, 1) == 0


@pytest.mark.parametrize("n", [200, 1_000, 5_000])
def test_stable_windows_stay_under_the_noise_point(n):
    """On stable data PSI passes its noise point about once in a hundred windows, never three times."""
    rng = np.random.default_rng(n)
    baseline = rng.multinomial(50_000, np.full(10, 0.1))
    windows = rng.multinomial(n, np.full(10, 0.1), size=4_000)
    exceed = (psi(windows, baseline) > psi_noise(np.array(n), 50_000, 10)).mean()
    assert exceed < 0.03


def test_ks_of_shifted_uniforms():
    """Uniform 0..99 against 50..149 has a distance of a half, exact when every value is an atom."""
    window, baseline = np.zeros((2, 150), np.int64)
    window[:100], baseline[50:] = 1, 1
    assert ks(window, baseline, np.ones(150, bool)) == (0.5, 0)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300))
def test_ks_is_within_its_bound_of_the_exact_distance(seed, n):
    """The exact two-sample distance of the same rows is never further away than the bound says."""
    values = CASES[FeatureSummary].draw(np.random.default_rng(seed), n)["value"]
    present, reference = values[np.isfinite(values)], BASELINE[np.isfinite(BASELINE)]
    estimate = METRICS["ks"].function(summarise_feature({"value": values}))
    if present.size == 0:
        assert np.isnan(estimate.value)
        return
    assert abs(estimate.value - ks_2samp(present, reference).statistic) <= estimate.bound + 1e-12


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_ks_allows_for_an_atom_among_the_rows_of_its_bucket(seed):
    """Atoms listed after their bucket may lie anywhere inside it: the bound covers that too."""
    rng = np.random.default_rng(seed)
    atoms = np.array([0.3, 0.5, 1.5, 2.25])

    def draw(size):
        values = rng.uniform(0, 3, size) ** rng.uniform(0.5, 2)
        return np.where(rng.random(size) < 0.4, rng.choice(atoms, size), values)

    def cells(values):
        rest = ~np.isin(values, atoms)
        buckets = [int(((values >= b) & (values < b + 1) & rest).sum()) for b in range(9)]
        masses = [int((values == atom).sum()) for atom in atoms]
        return np.array([buckets[0], *masses[:2], buckets[1], masses[2], buckets[2], masses[3], *buckets[3:]])

    window, baseline = draw(int(rng.integers(1, 80))), draw(200)
    atom = np.isin(np.arange(13), [1, 2, 4, 6])
    distance, bound = ks(cells(window), cells(baseline), atom)
    assert abs(distance - ks_2samp(window, baseline).statistic) <= bound + 1e-12


def test_ks_noise_is_the_one_percent_critical_value():
    """The noise point is c(0.01) sqrt((n + m) / (n m)) with c = 1.628."""
    summary = summarise_feature({"value": np.random.default_rng(3).normal(size=400)})
    n, m = summary.cells.sum(), summary.baseline_cells.sum()
    noise = METRICS["ks"].function(summary).noise
    assert noise == pytest.approx(1.6276 * np.sqrt((n + m) / (n * m)), rel=1e-4)


def test_categories_have_no_ks():
    """KS takes an order; a categorical feature gets no number instead of a wrong one."""
    summary = replace(summarise_feature({"value": BASELINE}), ordered=False)
    assert np.isnan(METRICS["ks"].function(summary).value)
