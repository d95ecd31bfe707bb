import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import MulticlassSummary
from tests.core.cases import CLASSES, Case, multiclass_summary, summarise_weighted

CLASS_METRICS = {
    "precision": oracle.precision_score,
    "recall": oracle.recall_score,
    "f1": oracle.f1_score,
}


def drawn(seed, n=500, classes=4, digits=2):
    """Scores rounded so that ties occur, labels that follow them, and whole weights."""
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.linspace(1.5, 0.5, classes), n)
    label = (rng.random((n, 1)) > scores.cumsum(axis=1)[:, :-1]).sum(axis=1)
    scores = np.round(scores, digits).clip(0.01)
    return scores / scores.sum(axis=1, keepdims=True), label, rng.choice([1, 1, 2, 9], n)


def of(name, scores, label, weights=None):
    """One metric with exact score cells, of rows that count once or by their weight."""
    if weights is None:
        return METRICS[name].function(multiclass_summary(scores, label, cells=None))
    low, cell = np.unique(scores, return_inverse=True)
    shape = {"cells": low.size}

    def summarise(rows):
        kept = rows["row"]
        # Cells of equal width over the ranks of the scores: every distinct score has its own.
        ranks = (cell.reshape(scores.shape)[kept] + 0.5) / low.size
        binned = multiclass_summary(ranks, label[kept], **shape)
        exact = multiclass_summary(scores[kept], label[kept], cells=4)
        taken = {name: getattr(exact, name) for name in EXACT}
        return MulticlassSummary(positives=binned.positives, negatives=binned.negatives, low=low, high=low,
                                 classes=exact.classes, **taken)  # fmt: skip

    rows = {"row": np.arange(label.size)}
    return METRICS[name].function(summarise_weighted(Case(None, summarise), rows, weights))


EXACT = (
    "confusion", "unlabelled", "log_loss", "log_loss_sq", "squared_error", "squared_error_sq", "bin_n",
    "bin_correct", "bin_score", "bin_score_sq", "bin_score_correct",
)  # fmt: skip


def area(average):
    """One-vs-rest AUC by scikit-learn."""

    def found(label, scores, weights):
        pairs = [
            (oracle.roc_auc_score(label == k, scores[:, k], sample_weight=weights), weights[label == k].sum())
            for k in range(scores.shape[1])
        ]
        areas, rows = np.array(pairs).T
        return np.average(areas, weights=rows if average == "weighted" else None)

    return found


def top_bins(label, scores, weights):
    """Gap and weight of each of 15 bins of the top score."""
    top, right = scores.max(axis=1), scores.argmax(axis=1) == label
    place = np.minimum((top * 15).astype(int), 14)
    rows = np.bincount(place, weights, minlength=15)
    gap = np.bincount(place, weights * (top - right), minlength=15)
    return np.abs(gap[rows > 0] / rows[rows > 0]), rows[rows > 0] / rows.sum()


def by_class(function, average):
    """A class metric by scikit-learn."""
    return lambda label, scores, weights: function(
        label, scores.argmax(axis=1), average=average, sample_weight=weights, zero_division=0
    )


ORACLES = {
    "accuracy": lambda y, s, w: oracle.accuracy_score(y, s.argmax(axis=1), sample_weight=w),
    "log_loss": lambda y, s, w: oracle.log_loss(y, s, sample_weight=w),
    "brier_score": lambda y, s, w: oracle.brier_score_loss(y, s, sample_weight=w),
    "ece": lambda y, s, w: np.prod(top_bins(y, s, w), axis=0).sum(),
    "mce": lambda y, s, w: top_bins(y, s, w)[0].max(),
    "auc_macro": area("macro"),
    "auc_weighted": area("weighted"),
    "class_auc": lambda y, s, w: [
        oracle.roc_auc_score(y == k, s[:, k], sample_weight=w) for k in range(s.shape[1])
    ],
    "class_share": lambda y, s, w: [np.average(y == k, weights=w) for k in range(s.shape[1])],
    "class_predicted_share": lambda _, s, w: [
        np.average(s.argmax(axis=1) == k, weights=w) for k in range(s.shape[1])
    ],
    "confusion_share": lambda y, s, w: oracle.confusion_matrix(
        y, s.argmax(axis=1), sample_weight=w, normalize="all"
    ).ravel(),
    **{
        f"{name}_{average}": by_class(function, average)
        for name, function in CLASS_METRICS.items()
        for average in ("macro", "weighted")
    },
    **{f"class_{name}": by_class(function, None) for name, function in CLASS_METRICS.items()},
}


@pytest.mark.parametrize("name", sorted(ORACLES))
@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_scikit_learn(name, seed):
    """On the same rows every metric equals scikit-learn's, or its definition by hand, to 1e-9."""
    scores, label, _ = drawn(seed)
    found = of(name, scores, label)
    np.testing.assert_allclose(found.value, ORACLES[name](label, scores, np.ones(label.size)), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_it_agrees_with_scikit_learn_on_weighted_rows(name):
    """So it does where rows have sample weights."""
    scores, label, weights = drawn(7)
    found = of(name, scores, label, weights)
    np.testing.assert_allclose(found.value, ORACLES[name](label, scores, weights), rtol=1e-9)


def test_areas_are_those_of_one_call():
    """The mean of the one-vs-rest areas is what `roc_auc_score` calls macro, and weighted."""
    scores, label, _ = drawn(3)
    for average in ("macro", "weighted"):
        whole = oracle.roc_auc_score(label, scores, multi_class="ovr", average=average)
        assert of(f"auc_{average}", scores, label).value == pytest.approx(whole, rel=1e-9)


def test_no_metric_goes_without_an_oracle():
    """Each metric of a multiclass model is compared with another computation."""
    mine = {name for name, metric in METRICS.items() if MulticlassSummary in metric.functions}
    assert mine == set(ORACLES) | {"reliability_score", "reliability_observed"}


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(8, 300), cells=st.sampled_from([2, 8, 64]))
def test_binned_areas_are_within_their_bound(seed, n, cells):
    """Whatever the score cells hide, no exact area is further away than its bound."""
    scores, label, _ = drawn(seed, n)
    summary = multiclass_summary(scores, label, cells=cells)
    for name in ("class_auc", "auc_macro", "auc_weighted"):
        found, exact = METRICS[name].function(summary), of(name, scores, label)
        known = np.isfinite(exact.value)
        assert np.all(np.abs(found.value - exact.value)[known] <= found.bound[known] + 1e-12)


def test_a_class_that_does_not_occur_is_left_out_of_a_mean():
    """As in scikit-learn: a class that is neither label nor prediction does not count, one without is 0."""
    said, label = np.array([0, 0, 1, 1, 2, 1]), np.array([0, 0, 1, 0, 1, 1])
    scores = np.eye(4)[said]
    for name, function in CLASS_METRICS.items():
        expected = function(label, said, average="macro", zero_division=0)
        assert of(f"{name}_macro", scores, label).value == pytest.approx(expected)
    assert np.isnan(of("class_recall", scores, label).value[2:]).all()
    assert np.isnan(of("class_f1", scores, label).value[3])


def test_a_class_without_rows_leaves_the_area_undecided():
    """The mean is over the classes that have an area, and is no ground for a verdict."""
    scores, label, _ = drawn(5, 2_000)
    label = np.where(label == 3, 0, label)
    for average in ("macro", "weighted"):
        found = of(f"auc_{average}", scores, label)
        areas = [oracle.roc_auc_score(label == k, scores[:, k]) for k in range(3)]
        rows = [(label == k).sum() for k in range(3)]
        expected = np.average(areas, weights=rows if average == "weighted" else None)
        assert found.value == pytest.approx(expected)
        assert not found.sufficient


def test_two_classes_have_the_interval_of_the_binary_area():
    """With two classes both areas are the binary one and move together, and so does the interval."""
    from tests.core.cases import score_summary  # noqa: PLC0415 - only here

    scores, label, _ = drawn(2, classes=2)
    one = METRICS["auc"].function(score_summary(scores[:, 1], label, cells=None))
    both = of("auc_macro", scores, label)
    for field in ("value", "lower", "upper"):
        assert getattr(both, field) == pytest.approx(getattr(one, field), rel=1e-9)


def test_pairs_are_named_by_label_then_prediction():
    """The share of rows of class a that were called b stands under a→b."""
    scores = np.eye(3)[[1, 1, 2, 0]]
    summary = multiclass_summary(scores, np.array([0, 0, 2, 0]))
    metric = METRICS["confusion_share"]
    found = dict(zip(metric.labels(summary), metric.function(summary).value, strict=True))
    assert (found["a→b"], found["a→a"], found["c→c"], found["b→a"]) == (0.5, 0.25, 0.25, 0.0)
    assert METRICS["class_recall"].labels(summary) == list(CLASSES[:3])


TABLE = np.array([[0.36, 0.03, 0.01], [0.05, 0.28, 0.07], [0.02, 0.04, 0.14]])


def tabled(counts):
    """Rows with this confusion matrix."""
    true, said = np.indices(counts.shape)
    return np.eye(len(counts))[np.repeat(said.ravel(), counts.ravel())], np.repeat(
        true.ravel(), counts.ravel()
    )


@pytest.mark.parametrize("name", [f"{m}_{a}" for m in CLASS_METRICS for a in ("macro", "weighted")])
@pytest.mark.parametrize(("n", "rare"), [(300, False), (400, True)])
def test_intervals_cover_the_truth_about_95_times_in_100(name, n, rare):
    """Over repeated samples the interval of an average holds its true value, also with a rare class."""
    rng = np.random.default_rng(11)
    shares = TABLE.copy()
    if rare:
        shares[2] *= 0.2
        shares /= shares.sum()
    truth = METRICS[name].function(multiclass_summary(*tabled((shares * 10**6).round().astype(int)), cells=1))
    drawn = [
        METRICS[name].function(multiclass_summary(*tabled(rng.multinomial(n, shares.ravel()).reshape(3, 3))))
        for _ in range(600)
    ]
    covered = np.mean([one.lower <= truth.value <= one.upper for one in drawn])
    assert 0.925 <= covered <= 0.985


@pytest.mark.parametrize("name", ["precision_macro", "recall_weighted", "f1_macro", "f1_weighted"])
def test_weighted_intervals_cover_the_truth(name):
    """So it does where rows were kept by chance and weigh what they stand for."""
    rng = np.random.default_rng(12)
    truth = METRICS[name].function(multiclass_summary(*tabled((TABLE * 10**6).round().astype(int)), cells=1))
    covered = []
    for _ in range(400):
        counts = rng.multinomial(3_000, TABLE.ravel()).reshape(3, 3)
        scores, label = tabled(counts)
        weights = np.where(label == 0, 9, np.where(scores[:, 1] == 1, 4, 1))
        kept = rng.random(label.size) < 1 / weights
        rows = {"row": np.flatnonzero(kept)}
        case = Case(None, lambda r, s=scores, y=label: multiclass_summary(s[r["row"]], y[r["row"]], cells=2))
        found = METRICS[name].function(summarise_weighted(case, rows, weights[kept]))
        covered.append(found.lower <= truth.value <= found.upper)
    assert 0.92 <= np.mean(covered) <= 0.985


def test_no_error_is_not_certainty():
    """With a rare class of five rows, all right, the interval of the mean recall reaches well below 1."""
    found = of("recall_macro", *tabled(np.diag([300, 300, 5])))
    assert found.value == 1
    assert 0.8 < found.lower < 0.95
    assert found.upper == 1


def test_areas_cover_the_truth_at_least_95_times_in_100():
    """The interval of the mean area holds the area of very many rows at least at its stated rate."""
    truth = of("auc_macro", *drawn(1, 60_000, classes=3)[:2]).value
    found = [of("auc_macro", *drawn(seed, 500, classes=3)[:2]) for seed in range(10, 210)]
    assert np.mean([one.lower <= truth <= one.upper for one in found]) > 0.92


def test_minimum_samples():
    """Averages take 200 rows; areas take 30 rows of every class."""
    scores, label = tabled(np.diag([100, 69, 30]))
    assert not of("f1_macro", scores, label).sufficient
    scores, label = tabled(np.diag([100, 70, 30]))
    assert of("f1_macro", scores, label).sufficient
    assert of("auc_macro", scores, label).sufficient
    scores, label = tabled(np.diag([100, 71, 29]))
    assert not of("auc_weighted", scores, label).sufficient
    assert "30 rows of each class" in of("auc_weighted", scores, label).need
