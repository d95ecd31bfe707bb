import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, false_discovery_control

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.drift import psi, psi_noise, psi_p
from mlobs_pipelines.core.metrics.panel import false_discovery
from mlobs_pipelines.core.summaries import PanelSummary

BEFORE = np.full((4, 5), 2_000)
WIDTH = np.full(4, 5)
NAMES = ("a", "b", "c", "d")


def panel(bins, importance=(0.5, 0.3, 0.2, np.nan)):
    """Four features of five bins."""
    return PanelSummary(np.asarray(bins), BEFORE, WIDTH, np.array(importance), NAMES)


def of(name, summary):
    """The estimate of one metric."""
    return METRICS[name].function(summary)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_values_are_those_of_benjamini_and_hochberg(p):
    """The adjusted p-values are scipy's to 1e-9."""
    assert false_discovery(np.array(p)) == pytest.approx(false_discovery_control(p), abs=1e-9)


@given(p=st.lists(st.floats(0, 1), min_size=2, max_size=30), at=st.integers(0, 1))
def test_a_feature_without_a_test_does_not_count(p, at):
    """A feature that has no p-value gets no q-value and leaves those of the others alone."""
    rest = np.delete(p, at)
    p[at] = np.nan
    found = false_discovery(np.array(p))
    assert np.isnan(found[at])
    assert np.delete(found, at) == pytest.approx(false_discovery_control(rest), abs=1e-9)


def test_p_value_and_noise_point_are_two_views_of_one_chi_square():
    """A window at its 99 % noise point has p = 0.01, and any other that of χ² with bins - 1 degrees."""
    bins, before = np.array([300, 200, 180, 170, 150]), np.full(5, 400)
    n, m = bins.sum(), before.sum()
    expected = chi2.sf(psi(bins, before) / (1 / n + 1 / m), 4)
    assert psi_p(bins, bins, before) == pytest.approx(expected, rel=1e-9)
    at_noise = psi_noise(n, m, 5) / (1 / n + 1 / m)
    assert chi2.sf(at_noise, 4) == pytest.approx(0.01, rel=1e-9)


def test_drifted_features_are_counted_and_weighed():
    """Of four features the one that moved far is a quarter of them, and half of the known importance."""
    still = [1_000] * 5
    summary = panel([[3_000, 500, 500, 500, 500], still, [1_060, 940, 1_000, 1_000, 1_000], still])
    assert of("drifted_share", summary).value == 0.25
    assert of("drifted_importance", summary).value == pytest.approx(0.5)
    q = of("drift_q", summary).value
    assert q[0] < 1e-9
    assert (q[1:] > 0.05).all()


def test_a_real_but_small_move_is_significant_and_no_drift():
    """With many rows a PSI of 0.02 is surely there (q small), yet under the band it is no drift."""
    moved = [120_000, 90_000, 90_000, 100_000, 100_000]
    summary = panel([moved, *[[100_000] * 5] * 3])
    assert of("drift_q", summary).value[0] < 0.05
    assert of("drifted_share", summary).value == 0


def test_too_few_rows_are_no_verdict_on_drift():
    """Where stable features may reach the band by chance, the share of drifted ones does not suffice."""
    assert not of("drifted_share", panel([[10] * 5] * 4)).sufficient
    assert of("drifted_share", panel([[1_000] * 5] * 4)).sufficient


def test_no_known_importance_gives_no_share():
    """Without importances the weighted share is undefined, the plain one is not."""
    summary = panel([[1_000] * 5] * 4, [np.nan] * 4)
    assert np.isnan(of("drifted_importance", summary).value)
    assert of("drifted_share", summary).value == 0


def test_stable_features_are_rarely_significant():
    """Over stable windows of four features a q-value under 0.05 turns up in about one window of twenty."""
    bins = np.random.default_rng(8).multinomial(3_000, np.full(5, 0.2), size=(1_000, 4))
    q = of("drift_q", panel(bins)).value
    assert (q.min(axis=-1) <= 0.05).mean() < 0.08
