import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.metrics import METRICS
from tests.core.cases import score_summary, stack

OUTCOME = [0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1]
MODEL_A = [0, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 1]
MODEL_B = [0, 0.25, 0.25, 0.25, 0.75, 0.5, 0.5, 0.25, 0.75, 0.75, 0.75, 1]


def value(name, score, label, **shape):
    """The value of one metric of labelled scores."""
    return METRICS[name].function(score_summary(score, label, **shape)).value


def test_published_ece_and_mce():
    """The example of torchmetrics gives 0.29, its largest bin error 0.3167."""
    score, label = [0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1]
    assert value("ece", score, label, bins=2) == pytest.approx(0.29)
    assert value("mce", score, label, bins=2) == pytest.approx(0.3167, abs=5e-5)


def test_published_reliability_curve():
    """scikit-learn's calibration_curve example comes out bin by bin."""
    score, label = [0.1, 0.2, 0.3, 0.4, 0.65, 0.7, 0.8, 0.9, 1.0], [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert value("reliability_observed", score, label, bins=3) == pytest.approx([0, 0.5, 1])
    assert value("reliability_score", score, label, bins=3) == pytest.approx([0.2, 0.525, 0.85])


@pytest.mark.parametrize(("score", "brier", "reliability"), [(MODEL_A, 1 / 6, 0), (MODEL_B, 1 / 12, 1 / 24)])
def test_the_better_brier_score_may_be_the_worse_calibrated(score, brier, reliability):
    """The published pair: model B has the better Brier score and the worse reliability."""
    assert value("brier_score", score, OUTCOME) == pytest.approx(brier)
    assert value("brier_reliability", score, OUTCOME) == pytest.approx(reliability, abs=1e-12)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 2_000))
def test_murphys_parts_add_up_to_the_brier_score(seed, n):
    """Brier score = reliability - resolution + uncertainty + residual, to 1e-12, on any rows."""
    rng = np.random.default_rng(seed)
    score = rng.beta(*rng.uniform(0.2, 3, 2), n)
    summary = score_summary(score, rng.random(n) < 0.4)
    parts = {part: float(METRICS[f"brier_{part}"].function(summary).value) for part in
             ("reliability", "resolution", "uncertainty", "residual", "score")}  # fmt: skip
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["residual"]
    assert total == pytest.approx(parts["score"], abs=1e-12)


def samples(truth, n, windows):
    """Summaries of windows whose label follows `truth(score)`."""
    rng = np.random.default_rng(n)
    drawn = []
    for _ in range(windows):
        score = rng.beta(1.5, 3, n)
        drawn.append(score_summary(score, rng.random(n) < truth(score), cells=4))
    return stack(drawn)


@pytest.mark.parametrize("n", [200, 1_000, 5_000])
def test_a_calibrated_model_is_rarely_said_to_be_off(n):
    """Whatever the sample size, a calibrated model's interval leaves 0 out in about 2.5 % of windows."""
    estimate = METRICS["ece"].function(samples(lambda score: score, n, 600))
    assert (estimate.lower > 0).mean() < 0.05


@pytest.mark.parametrize("n", [1_000, 5_000])
def test_a_model_that_is_off_is_found(n):
    """A model 0.1 too low everywhere: the interval holds the true 0.1 and leaves 0.05 below."""
    estimate = METRICS["ece"].function(samples(lambda score: np.minimum(score + 0.1, 1), n, 300))
    assert ((estimate.lower <= 0.1) & (estimate.upper >= 0.1)).mean() > 0.93
    assert (estimate.lower > 0.05).mean() > 0.9


def plain_ace(score, label, bins=15):
    """ECE over equally many rows per bin, one row after the other."""
    order = np.argsort(score, kind="stable")
    parts = np.array_split(order, bins)
    return sum(abs((score - label)[part].mean()) * part.size for part in parts) / score.size


@pytest.mark.parametrize("seed", range(4))
def test_ace_equals_binning_row_by_row(seed):
    """Of distinct scores in cells of their own, ACE is the plain one over fifteen bins of equal mass."""
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 3, 600)
    label = (rng.random(600) < score**1.2).astype(float)
    assert value("ace", score, label, cells=None) == pytest.approx(plain_ace(score, label), abs=1e-12)


def test_ace_is_within_its_bound_of_exact_means():
    """Rows that stand at the middle of their cell move ACE by no more than the bound."""
    rng = np.random.default_rng(5)
    score = rng.beta(1, 3, 3_000)
    label = (rng.random(3_000) < score).astype(float)
    place = np.minimum((score * 64).astype(int), 63)
    n = np.bincount(place, minlength=64)
    bins = np.minimum(15 * (np.cumsum(n) - n / 2) / 3_000, 14).astype(int)[place]
    exact = sum(abs((score - label)[bins == b].sum()) for b in range(15)) / 3_000
    found = METRICS["ace"].function(score_summary(score, label))
    assert abs(found.value - exact) <= found.bound
    assert found.lower <= found.value <= found.upper


def test_calibration_needs_ten_rows_per_bin():
    """149 rows over 15 bins are too few for a verdict, 150 suffice."""
    enough = [
        bool(METRICS["ece"].function(score_summary(np.linspace(0, 1, n), np.arange(n) % 2)).sufficient)
        for n in (149, 150)
    ]
    assert enough == [False, True]


def test_curve_labels_name_the_bins():
    """Reliability curves name their bins bin00 to bin14."""
    labels = METRICS["reliability_observed"].labels(score_summary([0.5], [1]))
    assert (labels[0], labels[-1], len(labels)) == ("bin00", "bin14", 15)
