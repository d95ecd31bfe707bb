"""Two versions on the same predictions, against the papers' formulas on the rows and against simulation."""

from dataclasses import fields

import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.paired import _areas
from mlobs_pipelines.core.summaries import ClassPairSummary, PairSummary
from mlobs_pipelines.core.verdicts import Rule, judge
from tests.core.pair_cases import draw_value_pair, summarise_value_pair
from tests.core.pairs import delong_paired, draw, pair_summary

AREAS = ("auc_difference", "delong_p")
NAMES = [name for name, one in METRICS.items() if PairSummary in one.functions]
TABLES = [
    (30, 6, 2, 10),
    (500, 12, 12, 90),
    (300, 3, 20, 77),
    (250, 40, 25, 90),
    (100, 0, 0, 100),
    (80, 9, 0, 1),
]
KINDS = {
    "alike": {"correlation": 0.999},
    "close": {"correlation": 0.95, "lift": 0.1},
    "apart": {"correlation": 0.3, "lift": 0.3},
    "no relation": {"correlation": 0.0},
    "narrow": {"correlation": 0.9, "spread": 0.3},
    "wide": {"correlation": 0.9, "spread": 3.0},
}


def found(summary, name):
    """One metric of a summary."""
    return METRICS[name].function(summary)


def table(both, own_only, champion_only, neither):
    """A summary of decisions alone."""
    none, empty = np.float64(0), np.zeros(0, np.int64)
    outcomes = (np.int64(one) for one in (both, own_only, champion_only, neither))
    ranges = np.zeros((0, 2), np.int64)
    return PairSummary(np.int64(0), *outcomes, *[none] * 4, *[empty] * 6, ranges, ranges)


@pytest.mark.parametrize("kind", KINDS)
def test_areas_are_those_of_all_pairs_of_rows(kind):
    """The difference is within its bound of DeLong's on the rows, and its error within a twelfth of it."""
    own, champion, label = draw(np.random.default_rng(3), 3_000, **KINDS[kind])
    exact, variance = delong_paired(own, champion, label)
    summary = pair_summary(own, champion, label)
    difference = found(summary, "auc_difference")
    assert abs(difference.value - exact) <= difference.bound
    assert abs(difference.value - exact) < 2e-4
    assert _areas(summary)[1] == pytest.approx(variance, rel=0.08)
    assert difference.upper - difference.lower == pytest.approx(2 * 1.959964 * np.sqrt(variance), rel=0.04)


@pytest.mark.parametrize("steps", [(20, 12), (5, 5), (2, 40)])
def test_scores_that_take_few_values_lose_nothing(steps):
    """Models that say a handful of numbers, as trees do, have the variance of the rows to a hundredth."""
    rng = np.random.default_rng(4)
    own, champion, label = draw(rng, 2_500, lift=0.2)
    own, champion = (np.ceil(score * k) / (k + 1) for score, k in zip((own, champion), steps, strict=True))
    exact, variance = delong_paired(own, champion, label)
    value, binned, _ = _areas(pair_summary(own, champion, label))
    assert value == pytest.approx(exact, abs=1e-12)
    assert binned == pytest.approx(variance, rel=0.01)


def test_a_model_beside_itself_differs_in_nothing():
    """Every difference is 0 without any error, and nothing speaks against equality."""
    own, _, label = draw(np.random.default_rng(5), 1_000)
    summary = pair_summary(own, own, label)
    for name in NAMES:
        value = found(summary, name).value
        assert value == {"paired_count": 1_000}.get(name, float(name.endswith("_p")))
    assert found(summary, "auc_difference").lower == found(summary, "auc_difference").upper == 0


def test_exchanging_the_two_changes_the_sign_alone():
    """What one model gains the other loses, with mirrored intervals and equal p-values."""
    own, champion, label = draw(np.random.default_rng(6), 2_000, lift=0.3)
    one, other = pair_summary(own, champion, label), pair_summary(champion, own, label)
    for name in NAMES:
        here, there = found(one, name), found(other, name)
        sign = -1 if name.endswith("difference") else 1
        away = 0.04 if name in ("auc_difference", "delong_p") else 1e-9  # cells are those of the own score
        assert here.value == pytest.approx(sign * there.value, rel=away)
        if sign == -1:
            assert here.lower == pytest.approx(-there.upper, rel=away)


@pytest.mark.parametrize("outcomes", TABLES)
def test_mcnemar_is_scipys(outcomes):
    """Under 25 discordant pairs the binomial test of scipy, else χ² with Edwards' correction."""
    from scipy.stats import binomtest, chi2  # noqa: PLC0415 - heavy

    _, own, champion, _ = outcomes
    if own + champion == 0:
        expected = 1.0
    elif own + champion < 25:
        expected = binomtest(own, own + champion).pvalue
    else:
        expected = chi2.sf((abs(own - champion) - 1) ** 2 / (own + champion), 1)
    assert found(table(*outcomes), "mcnemar_p").value == pytest.approx(expected, rel=1e-12)


def test_accuracy_has_the_interval_of_agresti_and_min():
    """Half a pair more in each of the four outcomes, then the normal interval of matched shares."""
    estimate = found(table(794, 150, 86, 570), "accuracy_difference")
    assert estimate.value == pytest.approx(64 / 1600)
    total, up, down = 1602, 150.5, 86.5
    error = np.sqrt((up + down) - (up - down) ** 2 / total) / total
    ends = (up - down) / total + 1.959964 * error * np.array([-1, 1])
    np.testing.assert_allclose([estimate.lower, estimate.upper], ends, rtol=1e-6)


def test_the_table_of_rs_manual_gives_rs_value():
    """Approval in two surveys (Agresti 1990, p. 350): `mcnemar.test` of R 4.3.1 says p = 4.115e-05."""
    assert found(table(794, 150, 86, 570), "mcnemar_p").value == pytest.approx(4.115e-05, rel=2e-4)


def test_losses_have_the_interval_of_paired_differences():
    """Mean and standard error are those of the differences of the rows."""
    own, champion, label = draw(np.random.default_rng(8), 800, lift=0.2)
    summary = pair_summary(own, champion, label)
    losses = [-np.log(np.where(label == 1, s, 1 - s)) for s in (own, champion)]
    errors = [(s - label) ** 2 for s in (own, champion)]
    for name, (mine, theirs) in {"log_loss_difference": losses, "brier_difference": errors}.items():
        moved = mine - theirs
        half = 1.959964 * moved.std(ddof=1) / np.sqrt(moved.size)
        estimate = found(summary, name)
        assert (estimate.value, estimate.n) == (pytest.approx(moved.mean()), 800)
        assert (estimate.upper - estimate.lower) / 2 == pytest.approx(half, rel=1e-6)


def test_tests_are_wrong_as_often_as_they_say():
    """Of 1,000 pairs of equally good models about 5 % are told apart, and 95 % of intervals hold 0."""
    rng = np.random.default_rng(9)
    summaries = [pair_summary(*draw(rng, 600, correlation=0.8)) for _ in range(1_000)]
    for name in ("delong_p", "mcnemar_p"):
        rejected = np.mean([found(summary, name).value < 0.05 for summary in summaries])
        assert rejected < 0.065
        assert rejected > (0.035 if name == "delong_p" else 0.02)  # the correction makes McNemar careful
    for name in ("auc_difference", "accuracy_difference", "brier_difference", "log_loss_difference"):
        estimates = [found(summary, name) for summary in summaries]
        assert np.mean([one.lower <= 0 <= one.upper for one in estimates]) > 0.93


def test_intervals_hold_a_true_difference():
    """About 95 % of the intervals hold the difference that so many cases tend to."""
    rng = np.random.default_rng(10)
    truth = pair_summary(*draw(rng, 1_000_000, lift=0.3))
    summaries = [pair_summary(*draw(rng, 500, lift=0.3)) for _ in range(600)]
    for name in NAMES:
        if name.endswith("_difference"):
            true = found(truth, name).value
            held = np.mean([one.lower <= true <= one.upper for one in (found(s, name) for s in summaries)])
            assert 0.92 < held < 0.98


def test_weighted_samples_are_right_on_average_and_as_sure_as_they_claim():
    """Keeping every positive and a tenth of the rest gives the differences of all cases, honestly."""
    rng = np.random.default_rng(11)
    truth = pair_summary(*draw(rng, 1_000_000, lift=0.3, correlation=0.8))
    summaries = []
    for _ in range(400):
        own, champion, label = draw(rng, 2_500, lift=0.3, correlation=0.8)
        kept = (label == 1) | (rng.random(label.size) < 0.1)
        weights = np.where(label == 1, 1, 10)[kept]
        summaries.append(pair_summary(own[kept], champion[kept], label[kept], weights))
    for name in NAMES:
        if name.endswith("_difference"):
            estimates, true = [found(summary, name) for summary in summaries], found(truth, name).value
            values = np.array([one.value for one in estimates])
            assert abs(values.mean() - true) < 0.2 * values.std()
            assert np.mean([one.lower <= true <= one.upper for one in estimates]) > 0.92


def test_few_pairs_are_undecided_in_words():
    """Twenty positives are no basis for a verdict on ranks, nor 150 pairs for one on decisions."""
    own, champion, label = draw(np.random.default_rng(12), 150)
    label[np.flatnonzero(label == 1)[20:]] = 0
    summary = pair_summary(own, champion, label)
    said = judge(found(summary, "auc_difference"), Rule(fail_below=0.5))
    assert [str(word) for word in said] == [
        "undecided",
        "150 rows are too few for a verdict: it takes at least 30 positives and 30 negatives",
    ]
    assert not found(summary, "accuracy_difference").sufficient
    assert not found(summary, "mcnemar_p").sufficient


def test_more_classes_have_the_same_decisions_and_losses():
    """A multiclass model's comparison is that of the same decisions and losses, without the areas."""
    summary = pair_summary(*draw(np.random.default_rng(13), 700, lift=0.2))
    same = ClassPairSummary(**{item.name: getattr(summary, item.name) for item in fields(ClassPairSummary)})
    assert {name for name, one in METRICS.items() if ClassPairSummary in one.functions} == {*NAMES} - {*AREAS}
    for name in sorted({*NAMES} - {*AREAS}):
        one, other = found(summary, name), found(same, name)
        for field in ("value", "lower", "upper", "n"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_errors_have_the_interval_of_paired_differences():
    """Of a regression model the differences of absolute and squared errors, as of the rows."""
    rows = draw_value_pair(np.random.default_rng(14), 900)
    known = ~np.isnan(rows["label"])
    own, champion = (np.abs(rows[name] - rows["label"])[known] for name in ("own", "champion"))
    summary = summarise_value_pair(rows)
    for name, moved in {"mae_difference": own - champion, "mse_difference": own**2 - champion**2}.items():
        half = 1.959964 * moved.std(ddof=1) / np.sqrt(moved.size)
        estimate = found(summary, name)
        assert (estimate.value, estimate.n) == (pytest.approx(moved.mean()), known.sum())
        assert (estimate.upper - estimate.lower) / 2 == pytest.approx(half, rel=1e-6)
