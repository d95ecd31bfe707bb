import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.drift import psi
from mlobs_pipelines.core.summaries import DecisionSummary, GroupSummary, ShiftSummary
from tests.core.cases import score_summary, stack


def of(name, summary):
    """The estimate of one metric."""
    return METRICS[name].function(summary)


def rows(seed, n, rate=0.3):
    """Calibrated scores, or scores that say 0.3 where the rate is another."""
    rng = np.random.default_rng(seed)
    score = rng.beta(3, 7, n)
    return score, (rng.random(n) < score * rate / 0.3).astype(float)


def groups(selected, scored, **outcomes):
    """Groups of one segment."""
    zero = np.zeros_like(scored)
    parts = {"positives": zero, "hits": zero, "negatives": zero, "false_alarms": zero} | outcomes
    segment = np.zeros(np.shape(scored)[-1], np.int64)
    return GroupSummary(np.asarray(scored), np.asarray(selected), **parts, segment=segment, names=("s",))


def test_decisions_are_counted_whether_labelled_or_not():
    """The selection rate is a share of scored rows, its bound the rows of the cell that is cut."""
    summary = DecisionSummary(np.array([700, 300]), np.int64(20), np.array([900, 100]))
    assert of("selection_rate", summary).value == pytest.approx(0.3)
    assert of("selection_rate", summary).bound == pytest.approx(0.02)
    assert of("prediction_psi", summary).value == psi(np.array([700, 300]), np.array([900, 100]))


def test_label_shift_is_told_against_the_baseline():
    """Base rates of 0.6 now and 0.3 before differ by their difference, with Newcombe's interval."""
    now = score_summary(np.full(500, 0.4), np.arange(500) < 300)
    before = score_summary(np.full(1_000, 0.4), np.arange(1_000) < 300)
    found = of("base_rate_change", ShiftSummary(now, before))
    assert found.value == pytest.approx(0.3)
    ends = [METRICS["base_rate"].function(one) for one in (now, before)]
    assert found.lower == pytest.approx(0.3 - np.hypot(0.6 - ends[0].lower, ends[1].upper - 0.3))
    assert found.upper == pytest.approx(0.3 + np.hypot(ends[0].upper - 0.6, 0.3 - ends[1].lower))
    assert of("label_psi", ShiftSummary(now, before)).value == psi(np.array([200, 300]), np.array([700, 300]))


def test_newcombes_published_interval():
    """56 of 70 against 48 of 80 gives 0.0524 to 0.3339 (Newcombe 1998, method 10, example a)."""
    now, before = (score_summary(np.full(n, 0.5), np.arange(n) < hits) for hits, n in ((56, 70), (48, 80)))
    found = of("base_rate_change", ShiftSummary(now, before))
    assert (found.lower, found.upper) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_interval_of_a_change_covers_the_truth():
    """Of windows like the baseline the change of the base rate holds 0 at about its stated rate."""
    pairs = [
        ShiftSummary(score_summary(*rows(i, 800)), score_summary(*rows(9_000 + i, 800))) for i in range(300)
    ]
    found = [of("base_rate_change", pair) for pair in pairs]
    assert 0.92 <= np.mean([one.lower <= 0 <= one.upper for one in found]) <= 0.98


def test_calibration_drift_is_ece_less_that_of_the_baseline():
    """A model that is not calibrated any more shows the gap that it has now; one that is shows none."""
    before = score_summary(*rows(1, 20_000))
    worse, same = (ShiftSummary(score_summary(*rows(2, 20_000, rate)), before) for rate in (0.6, 0.3))
    assert of("ece_change", worse).lower > 0.2
    found = of("ece_change", same)
    assert found.lower <= 0 <= found.upper


def test_parity_is_the_largest_difference_between_groups():
    """Selection rates of 0.5, 0.3 and 0.4 differ by 0.2; a group under 200 rows does not count."""
    found = of("demographic_parity_difference", groups([500, 300, 400, 90], [1_000, 1_000, 1_000, 100]))
    assert found.value == pytest.approx([0.2])
    assert found.sufficient.all()
    assert np.isnan(of("demographic_parity_difference", groups([500, 90], [1_000, 100])).value).all()


def test_two_groups_have_newcombes_interval():
    """With two groups there is one pair, and the interval is that of the difference of two shares."""
    found = of("demographic_parity_difference", groups([560, 480], [700, 800]))
    now, before = (
        score_summary(np.full(n, 0.5), np.arange(n) < hits) for hits, n in ((560, 700), (480, 800))
    )
    plain = of("base_rate_change", ShiftSummary(now, before))
    assert [*found.lower, *found.upper] == pytest.approx([float(plain.lower), float(plain.upper)])


def test_groups_treated_alike_are_rarely_said_to_differ():
    """Of six groups with one rate, the interval of the largest gap leaves 0 out one time in twenty."""
    rng = np.random.default_rng(2)
    scored = np.full((2_000, 6), 500)
    found = of("demographic_parity_difference", groups(rng.binomial(scored, 0.3), scored))
    assert (found.lower > 0).mean() <= 0.05


def test_odds_take_the_larger_of_both_gaps():
    """True positive rates 0.9 and 0.8, false positive rates 0.1 and 0.4: the odds differ by 0.3."""
    many = np.array([1_000, 1_000])
    summary = groups(
        many,
        many,
        positives=many,
        hits=np.array([900, 800]),
        negatives=many,
        false_alarms=np.array([100, 400]),
    )
    found = of("equalised_odds_difference", summary)
    assert found.value == pytest.approx([0.3])
    assert 0 < found.lower[0] < 0.3 < found.upper[0]


def test_fairness_of_many_windows_names_its_segments():
    """A curve over segments has an entry per segment in every window."""
    one = groups(np.array([500, 300]), np.array([1_000, 1_000]))
    assert of("demographic_parity_difference", stack([one, one])).value.shape == (2, 1)
    assert METRICS["demographic_parity_difference"].labels(one) == ["s"]
