import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as oracle

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.quality import delong
from tests.core.cases import score_summary


def labelled(seed, n=400, digits=2):
    """Scores rounded so that ties occur, and labels that follow them."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(1.2, 2, n), digits).clip(0.001, 0.999)
    return score, (rng.random(n) < score).astype(float)


def evaluate(name, score, label, **shape):
    """One metric of labelled scores."""
    return METRICS[name].function(score_summary(score, label, **shape))


ORACLES = {
    "auc": oracle.roc_auc_score,
    "brier_score": oracle.brier_score_loss,
    "log_loss": oracle.log_loss,
    "accuracy": lambda y, s: oracle.accuracy_score(y, s >= 0.5),
    "precision": lambda y, s: oracle.precision_score(y, s >= 0.5),
    "recall": lambda y, s: oracle.recall_score(y, s >= 0.5),
    "specificity": lambda y, s: oracle.recall_score(1 - y, s < 0.5),
    "average_precision": oracle.average_precision_score,
    "f1": lambda y, s: oracle.f1_score(y, s >= 0.5),
    "base_rate": lambda y, _: y.mean(),
    "mean_score": lambda _, s: s.mean(),
}


@pytest.mark.parametrize("name", sorted(ORACLES))
@pytest.mark.parametrize("seed", range(5))
def test_quality_agrees_with_scikit_learn(name, seed):
    """On the same rows every quality metric equals scikit-learn's to 1e-12."""
    score, label = labelled(seed)
    estimate = evaluate(name, score, label, cells=None)
    assert estimate.value == pytest.approx(ORACLES[name](label, score), abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 400), cells=st.sampled_from([4, 16, 256]))
def test_binned_auc_is_within_its_bound(seed, n, cells):
    """Whatever the score cells hide, the exact AUC is no further away than the bound."""
    score, label = labelled(seed, n, digits=9)
    estimate = evaluate("auc", score, label, cells=cells)
    if not 0 < label.sum() < n:
        assert np.isnan(estimate.value)
        return
    assert abs(estimate.value - oracle.roc_auc_score(label, score)) <= estimate.bound + 1e-12


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 400), cells=st.sampled_from([1, 4, 16, 256]))
def test_binned_average_precision_is_within_its_bound(seed, n, cells):
    """Whatever the score cells hide, ties included, the exact average precision is within the bound."""
    score, label = labelled(seed, n, digits=9 if seed % 2 else 2)
    estimate = evaluate("average_precision", score, label, cells=cells)
    if not 0 < label.sum() < n:
        assert np.isnan(estimate.value)
        return
    assert abs(estimate.value - oracle.average_precision_score(label, score)) <= estimate.bound + 1e-12


def test_average_precision_interval_covers_the_truth():
    """The binomial interval on the positives holds the average precision of very many rows."""
    rng = np.random.default_rng(6)

    def draw(n):
        label = (rng.random(n) < 0.3).astype(float)
        return norm.cdf(rng.normal(label, 1)), label

    score, label = draw(400_000)
    truth = oracle.average_precision_score(label, score)
    found = [evaluate("average_precision", *draw(1_000), cells=None) for _ in range(300)]
    assert np.mean([one.lower <= truth <= one.upper for one in found]) > 0.9


def naive_delong(score, label):
    """DeLong's variance from the full matrix of pairs."""
    positives, negatives = score[label == 1], score[label == 0]
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    return wins.mean(1).var(ddof=1) / positives.size + wins.mean(0).var(ddof=1) / negatives.size


@pytest.mark.parametrize("seed", range(8))
def test_delong_equals_the_matrix_of_pairs(seed):
    """The variance from counts per cell is DeLong's variance from all pairs of rows."""
    score, label = labelled(seed, 150)
    summary = score_summary(score, label, cells=None)
    _, variance, _ = delong(summary.positives, summary.negatives)
    assert variance == pytest.approx(naive_delong(score, label), rel=1e-12)


def test_delong_is_near_hanley_and_mcneil():
    """For their example (area .893, 51 and 58 cases) the standard error is near the published 0.0325."""
    distance = np.sqrt(2) * norm.ppf(0.893)
    positives = norm.ppf((np.arange(51) + 0.5) / 51) + distance
    negatives = norm.ppf((np.arange(58) + 0.5) / 58)
    score = norm.cdf(np.concatenate([positives, negatives]))
    summary = score_summary(score, np.repeat([1, 0], [51, 58]), cells=None)
    area, variance, _ = delong(summary.positives, summary.negatives)
    assert area == pytest.approx(0.893, abs=0.005)
    assert np.sqrt(variance) == pytest.approx(0.0325, abs=0.004)


def test_auc_interval_covers_the_truth_about_95_times_in_100():
    """Over repeated samples DeLong's interval holds the true AUC at its stated rate."""
    rng = np.random.default_rng(5)
    label = np.repeat([1.0, 0.0], 200)
    truth = norm.cdf(1 / np.sqrt(2))
    estimates = [evaluate("auc", norm.cdf(rng.normal(label, 1)), label, cells=None) for _ in range(400)]
    covered = np.mean([e.lower <= truth <= e.upper for e in estimates])
    assert 0.92 <= covered <= 0.98


def test_auc_needs_thirty_of_each_label():
    """29 positives are too few for a verdict on AUC, 30 suffice."""
    verdicts = []
    for positives in (29, 30):
        label = np.repeat([1.0, 0.0], [positives, 200])
        verdicts.append(bool(evaluate("auc", np.linspace(0.01, 0.99, label.size), label).sufficient))
    assert verdicts == [False, True]


def test_one_label_alone_has_no_auc():
    """With no negatives there is no ranking to measure, nor recall with no positives."""
    assert np.isnan(evaluate("auc", [0.2, 0.7], [1, 1]).value)
    assert np.isnan(evaluate("recall", [0.2, 0.7], [0, 0]).value)
    assert np.isnan(evaluate("precision", [0.2, 0.3], [1, 0]).value)


def test_published_brier_score():
    """Labels 0 1 1 0 against .1 .9 .8 .3 scores 0.0375."""
    assert evaluate("brier_score", [0.1, 0.9, 0.8, 0.3], [0, 1, 1, 0]).value == pytest.approx(0.0375)


def test_f1_interval_covers_the_truth_about_95_times_in_100():
    """The interval carried over from Wilson's holds the true F1 at about its stated rate."""
    rng = np.random.default_rng(9)
    truth = 2 * 0.3 / (2 * 0.3 + 0.15 + 0.1)
    covered = []
    for _ in range(400):
        tp, fp, fn, tn = rng.multinomial(600, [0.3, 0.15, 0.1, 0.45])
        score = np.repeat([0.9, 0.9, 0.1, 0.1], [tp, fp, fn, tn])
        estimate = evaluate("f1", score, np.repeat([1, 0, 1, 0], [tp, fp, fn, tn]))
        covered.append(estimate.lower <= truth <= estimate.upper)
    assert 0.92 <= np.mean(covered) <= 0.98
