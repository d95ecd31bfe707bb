from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.attribution import psi_by_segment, psi_carriers, psi_parts
from mlobs_pipelines.core.metrics.distances import chi_square, hellinger, js_divergence
from mlobs_pipelines.core.metrics.drift import psi
from mlobs_pipelines.core.summaries import FeatureSummary
from tests.core.cases import BASELINE, CASES, summarise_feature

REFERENCE, CURRENT = np.array([16, 18, 16, 14, 12, 12]), np.array([16, 16, 16, 16, 16, 8])


def binned(window, baseline):
    """A feature of which only the drift bins are known."""
    window, baseline = np.asarray(window), np.asarray(baseline)
    none = np.zeros(0, np.int64)
    n = np.int64(window.sum())
    zero = np.int64(0)
    return FeatureSummary(
        n, zero, zero, window, none, np.zeros(0, bool), True,  # noqa: FBT003 - ordered
        int(baseline.sum()), 0, baseline, none,
    )  # fmt: skip


def valued(window, baseline):
    """A feature in which every distinct value has a cell of its own."""
    values = np.unique(np.concatenate([window, baseline]))
    cells, before = ((one[:, None] == values).sum(axis=0) for one in (window, baseline))
    zero = np.int64(0)
    return FeatureSummary(
        np.int64(window.size), zero, zero, cells, cells, np.ones(values.size, bool), True,  # noqa: FBT003
        baseline.size, 0, before, before, values, values,
    )  # fmt: skip


def of(name, summary):
    """The estimate of one metric."""
    return METRICS[name].function(summary)


def test_published_distances():
    """TFDV's divergence and L∞, Evidently's Hellinger and the table's JS distance come out."""
    assert js_divergence(np.array([2, 2, 0, 0]), np.array([0, 1, 1, 2])) == pytest.approx(0.65563906222)
    assert of("linf", binned([10, 90], [30, 70])).value == pytest.approx(0.2)
    summary = binned(CURRENT, REFERENCE)
    expected = {"js_distance": 0.081734, "hellinger": 0.06812, "linf": 0.045455}
    for name, value in expected.items():
        assert of(name, summary).value == pytest.approx(value, abs=1e-5), name


def test_published_chi_square():
    """The contingency table's statistic is 1.62241 with p 0.89853."""
    assert chi_square(CURRENT, REFERENCE)[0] == pytest.approx(1.62241, abs=1e-5)
    assert of("chi_square_p", binned(CURRENT, REFERENCE)).value == pytest.approx(0.89853, abs=1e-5)


def test_published_cramers_v():
    """[200, 800] against [400, 600] gives 0.21603, the continuity correction of a 2 x 2 table included."""
    assert of("cramers_v", binned([200, 800], [400, 600])).value == pytest.approx(0.21603, abs=5e-6)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=12))
def test_distances_agree_with_scipy(pairs):
    """JS distance and Pearson's χ² are scipy's to 1e-9, empty bins and all."""
    window, baseline = np.array(pairs).T
    if not (window.sum() and baseline.sum()):
        assert np.isnan(of("js_distance", binned(window, baseline)).value)
        return
    found = of("js_distance", binned(window, baseline)).value
    assert found == pytest.approx(jensenshannon(window, baseline, base=2), abs=1e-7)
    used = np.array([window, baseline])[:, (window + baseline) > 0]
    if used.shape[1] < 2:
        assert of("chi_square_p", binned(window, baseline)).value == 1
        assert of("cramers_v", binned(window, baseline)).value == 0
        return
    oracle = stats.chi2_contingency(used)
    assert of("chi_square_p", binned(window, baseline)).value == pytest.approx(oracle.pvalue, abs=1e-9)
    assert bool(of("chi_square_p", binned(window, baseline)).sufficient) == (oracle.expected_freq >= 5).all()


@given(pairs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=12))
def test_distances_are_symmetric_and_zero_on_equal_shares(pairs):
    """Swapping window and baseline changes nothing, and a multiple of the baseline is at distance 0."""
    window, baseline = np.array(pairs).T
    for distance in (js_divergence, hellinger):
        assert distance(window, baseline) == pytest.approx(distance(baseline, window), nan_ok=True)
        assert baseline.sum() == 0 or distance(3 * baseline, baseline) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", ["js_distance", "hellinger", "linf"])
@pytest.mark.parametrize("n", [300, 3_000])
def test_stable_windows_stay_under_the_noise_point_of_a_distance(name, n):
    """On stable data a distance passes its noise point in about one window of a hundred, never in three."""
    rng = np.random.default_rng(n)
    share = np.array([0.2, 0.2, 0.2, 0.15, 0.1, 0.1, 0.05])
    summary = binned(rng.multinomial(n, share, 3_000), rng.multinomial(20_000, share))
    found = of(name, summary)
    assert (found.value > found.noise).mean() < 0.03


def test_wasserstein_of_shifted_uniforms():
    """Uniform 0..99 against 50..149 are 50 apart; normed, by the baseline's standard deviation."""
    window, baseline = np.arange(100.0), np.arange(50.0, 150.0)
    found = of("wasserstein", valued(window, baseline))
    assert found.value == pytest.approx(50 / baseline.std(), rel=1e-12)
    assert found.bound == 0


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_wasserstein_agrees_with_scipy(seed):
    """With a cell per value it is scipy's distance to 1e-9; a constant baseline counts as 0.001 wide."""
    rng = np.random.default_rng(seed)
    window, baseline = np.round(rng.normal(size=50), 1), np.round(rng.normal(rng.normal(), 2, 80), 1)
    baseline = np.full(80, 3.0) if seed % 5 == 0 else baseline
    expected = stats.wasserstein_distance(window, baseline) / max(baseline.std(), 0.001)
    assert of("wasserstein", valued(window, baseline)).value == pytest.approx(expected, rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 500))
def test_wasserstein_is_within_its_bound(seed, n):
    """The exact normed distance of the same rows is no further away than the bound says."""
    values = CASES[FeatureSummary].draw(np.random.default_rng(seed), n)["value"]
    present, before = values[np.isfinite(values)], BASELINE[np.isfinite(BASELINE)]
    found = of("wasserstein", summarise_feature({"value": values}))
    if present.size:
        exact = stats.wasserstein_distance(present, before) / before.std()
        assert abs(found.value - exact) <= found.bound + 1e-12


def test_wasserstein_noise_is_rarely_passed():
    """Stable windows stay under the noise point, which errs on the quiet side."""
    rng = np.random.default_rng(4)
    baseline = rng.normal(size=4_000)
    found = [of("wasserstein", valued(rng.normal(size=200), baseline)) for _ in range(150)]
    assert np.mean([one.value > one.noise for one in found]) <= 0.02


def test_an_empty_cell_changes_no_bit_of_wasserstein():
    """A cell that only another window fills leaves the distance as it is, to the last bit."""
    summary = summarise_feature({"value": np.random.default_rng(6).normal(size=300)})
    gap = {name: np.insert(getattr(summary, name), 9, 0, axis=-1) for name in ("cells", "baseline_cells")}
    edges = {name: np.insert(getattr(summary, name), 9, -1.875) for name in ("low", "high")}
    wide = replace(summary, **gap, **edges, atom=np.insert(summary.atom, 9, True))
    for name in ("wasserstein", "value_mean", "value_std"):
        assert of(name, wide).value == of(name, summary).value


@given(pairs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=12))
def test_parts_of_psi_sum_to_it(pairs):
    """Bins share PSI without remainder, none takes from it, and the carriers are the largest."""
    window, baseline = np.array(pairs).T
    if not (window.sum() and baseline.sum()):
        return
    parts = psi_parts(window, baseline)
    assert parts.sum() == pytest.approx(psi(window, baseline), abs=1e-12)
    assert (parts >= 0).all()
    index, carried = psi_carriers(window, baseline)
    assert carried.tolist() == sorted(parts.tolist(), reverse=True)[:3]
    assert parts[index].tolist() == carried.tolist()


@given(seed=st.integers(0, 2**32 - 1), values=st.integers(1, 6), width=st.integers(2, 8))
def test_segments_share_psi_without_remainder(seed, values, width):
    """What the values of a segment add to PSI sums to the PSI of all rows, in every window."""
    rng = np.random.default_rng(seed)
    window, baseline = rng.integers(0, 50, (values, 3, width)), rng.integers(1, 50, (values, width))
    window[0] += 1
    parts = psi_by_segment(window, baseline)
    assert parts.sum(axis=0) == pytest.approx(psi(window.sum(axis=0), baseline.sum(axis=0)), abs=1e-12)


def test_the_segment_that_moved_is_found():
    """Where only one of three values of a segment moved, it carries nearly all of PSI."""
    baseline = np.full((3, 4), 250)
    window = baseline[:, np.newaxis].copy()
    window[1, 0] = [700, 100, 100, 100]
    parts = psi_by_segment(window, baseline)[:, 0]
    assert parts[1] == pytest.approx(parts.sum(), rel=0.01)
