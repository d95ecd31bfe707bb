import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlobs_pipelines.core.limits import Band, Change, metric_range, moments, settle
from mlobs_pipelines.core.verdicts import judge
from mlobs_pipelines.core.vocabulary import Estimate, Verdict
from tests.core.test_all_metrics import every_metric, limits_of

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


def limit_of(value, references, **band):
    """The limit of one value."""
    return Band(3, **band).limits(np.array(value), np.asarray(references, dtype=float))


def test_three_sigmas_of_the_first_ten_numbers():
    """Mean ± 3 standard deviations of range(10) is what NannyML publishes: (-4.116844, 13.116844)."""
    low, high = limit_of(0.0, range(10)), limit_of(9.0, range(10))
    assert (round(float(low.limit), 6), bool(low.above)) == (-4.116844, False)
    assert (round(float(high.limit), 6), bool(high.above)) == (13.116844, True)
    assert str(high.basis[()]) == ("mean 4.5 + 3 x 2.872, the standard deviation of 10 reference windows")


def test_limits_stay_within_what_a_metric_can_be():
    """A band around shares near 0 does not reach below 0."""
    found = limit_of(0.0, [0.01, 0.0, 0.05, 0.0, 0.0, 0.02, 0.01], span=metric_range("null_share"))
    assert float(found.limit) == 0.0


@every_metric
def test_the_range_of_a_metric_holds_all_its_values(name, kind):
    """No limit is clipped to less than a metric can reach."""
    low, high = metric_range(name)
    assert low <= limits_of(name, kind)[0]
    assert high >= limits_of(name, kind)[1]


@pytest.mark.parametrize(("direction", "value", "verdict"), [
    (1, 99.0, "pass"), (1, -99.0, "fail"), (-1, 99.0, "fail"), (-1, -99.0, "pass"),
    (0, 99.0, "fail"), (0, -99.0, "fail"),
])  # fmt: skip
def test_an_improvement_never_fails(direction, value, verdict):
    """However far from its band, a value on the better side passes."""
    limits = limit_of(value, range(10), direction=direction)
    verdicts, _ = judge(Estimate(np.array(value), np.array(100)), limits)
    assert str(verdicts) == verdict


@given(hnp.arrays(np.float64, (3, 12), elements=finite | st.just(np.nan)))
def test_moments_are_those_of_the_values_that_are_there(values):
    """Mean and standard deviation equal numpy's over the values that are not missing."""
    mean, std, known = moments(values)
    for row in range(3):
        there = values[row][np.isfinite(values[row])]
        assert known[row] == there.size
        if there.size:
            assert mean[row] == pytest.approx(there.mean(), rel=1e-9, abs=1e-6)
            assert std[row] == pytest.approx(there.std(), rel=1e-6, abs=1e-3)


@given(hnp.arrays(np.float64, 12, elements=finite | st.just(np.nan)), finite)
def test_fewer_than_seven_references_give_no_verdict(values, value):
    """A band needs seven values; under that the verdict is undecided and says how many there were."""
    limits = Band(3).limits(np.array(value), values)
    verdicts, reasons = judge(Estimate(np.array(value), np.array(500)), limits)
    known = np.isfinite(values).sum()
    if known < 7:
        assert str(verdicts) == Verdict.UNDECIDED
        assert reasons[()] == f"only {known} of 12 reference windows have a value; it takes 7"
    else:
        assert np.isfinite(limits.limit)


CHANGES = {
    "a fall beyond what is allowed": ((0.05, False, False), 0.60, 0.70, "fail", 0.65),
    "a fall within it": ((0.05, False, False), 0.66, 0.70, "pass", 0.65),
    "a rise where falls are judged": ((0.05, False, False), 0.90, 0.70, "pass", 0.65),
    "a ratio": ((0.2, True, True), 1.3, 1.0, "fail", 1.2),
    "a ratio of a negative value": ((0.5, False, True), -1.6, -1.0, "fail", -1.5),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_judged_by_its_size_and_side(case):
    """The limit lies so far from the reference, on the side that was declared."""
    (size, above, ratio), value, before, verdict, limit = CHANGES[case]
    change = Change(size, above, ratio, "the previous window")
    reference = Estimate(np.array(before), np.array(900))
    limits = change.limits(reference)
    estimate = change.widened(Estimate(np.array(value), np.array(900)), reference)
    verdicts, reasons = judge(estimate, limits)
    assert float(limits.limit) == pytest.approx(limit)
    assert str(verdicts) == verdict
    assert "the previous window" in reasons[()]


def test_the_error_of_the_reference_counts_too():
    """Two proportions whose intervals make a difference uncertain are not told apart: MOVER by hand."""
    change = Change(0.0, above=False, ratio=False, whose="the baseline")
    now = Estimate(np.array(0.60), np.array(400), np.array(0.55), np.array(0.65))
    before = Estimate(np.array(0.66), np.array(400), np.array(0.61), np.array(0.71))
    wide = change.widened(now, before)
    assert float(wide.upper) == pytest.approx(0.60 + np.hypot(0.05, 0.05))
    verdicts, _ = judge(wide, change.limits(before))
    assert str(verdicts) == Verdict.UNDECIDED
    exact = Estimate(np.array(0.66), np.array(400))
    assert str(judge(change.widened(now, exact), change.limits(exact))[0]) == Verdict.FAIL


def test_a_missing_or_poor_reference_leaves_it_undecided():
    """There is no limit where the reference has no value, or too few rows for one."""
    change = Change(0.1, above=True, ratio=False, whose="the champion in the same window")
    for reference in (
        Estimate(np.array(np.nan), np.array(0)),
        Estimate(np.array(0.5), np.array(3), sufficient=np.zeros((), dtype=bool)),
    ):
        verdicts, reasons = judge(Estimate(np.array(9.0), np.array(500)), change.limits(reference))
        assert str(verdicts) == Verdict.UNDECIDED
        assert reasons[()] == "the champion in the same window has no value to compare with"


words = st.sampled_from(["pass", "fail", "undecided", "none"])


@given(st.lists(words, min_size=5, max_size=5), st.integers(1, 5))
def test_windows_that_cannot_be_judged_might_have_failed(verdicts, least):
    """Three outcomes: enough fail; enough might; not enough can, whatever the open ones were."""
    found = str(settle(np.array([verdicts]), least)[0])
    open_ones = [at for at, verdict in enumerate(verdicts) if verdict not in ("pass", "fail")]
    best = verdicts.count("fail")
    worst = best + len(open_ones)
    assert found == ("fail" if best >= least else "undecided" if worst >= least else "pass")
