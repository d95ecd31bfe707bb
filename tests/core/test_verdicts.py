import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlobs_pipelines.core.verdicts import Rule, judge
from mlobs_pipelines.core.vocabulary import Estimate, Verdict


def one(rule, value, n=1_240, withheld="", unit="1", **facts):
    """Verdict and reason of a single value."""
    arrays = {name: np.array(fact) if name != "need" else fact for name, fact in facts.items()}
    verdicts, reasons = judge(
        Estimate(np.array(value), np.array(n), **arrays), rule, unit=unit, withheld=withheld
    )
    return str(verdicts[()]), reasons[()]


ABOVE, BELOW = Rule(fail_above=0.25), Rule(fail_below=0.65)
OUTCOMES = {
    "drift beyond limit and noise": (
        (ABOVE, 0.412, {"noise": 0.031}),
        ("fail", "0.412 is above 0.25; a stable window of 1,240 rows stays under 0.031"),
    ),
    "noise beyond the limit": (
        (ABOVE, 0.9, {"n": 50, "noise": 0.31}),
        ("undecided", "too few rows to tell: a stable window of 50 rows may reach 0.31, beyond 0.25"),
    ),
    "noise beyond the limit of a value within": (
        (ABOVE, 0.1, {"n": 50, "noise": 0.31}),
        ("undecided", "too few rows to tell: a stable window of 50 rows may reach 0.31, beyond 0.25"),
    ),
    "within": ((ABOVE, 0.1, {"noise": 0.03}), ("pass", "0.1 is not above 0.25")),
    "the limit itself": ((ABOVE, 0.25, {}), ("pass", "0.25 is not above 0.25")),
    "interval includes the limit": (
        (BELOW, 0.64, {"lower": 0.60, "upper": 0.68}),
        ("undecided", "0.64 is below 0.65 but, given its error, may be as high as 0.68"),
    ),
    "interval beyond the limit": (
        (BELOW, 0.55, {"lower": 0.51, "upper": 0.59}),
        ("fail", "0.55 is below 0.65; 95 % interval 0.51 to 0.59 on 1,240 rows"),
    ),
    "within, though the interval reaches out": (
        (BELOW, 0.66, {"lower": 0.62, "upper": 0.70}),
        ("pass", "0.66 is not below 0.65"),
    ),
    "bound includes the limit": (
        (Rule(fail_above=250), 252.0, {"bound": 8.0, "unit": "ms"}),
        ("undecided", "252 ms is above 250 ms but, given its error, may be as low as 244 ms"),
    ),
    "too few rows": (
        (ABOVE, 0.4, {"n": 12, "sufficient": False, "need": "at least 200 rows"}),
        ("undecided", "12 rows are too few for a verdict: it takes at least 200 rows"),
    ),
    "no rows": ((ABOVE, np.nan, {"n": 0}), ("undecided", "not defined: there are no rows to measure")),
    "undefined": (
        (BELOW, np.nan, {"n": 40, "sufficient": False, "need": "at least 30 positives and 30 negatives"}),
        ("undecided", "not defined on 40 rows; it takes at least 30 positives and 30 negatives"),
    ),
    "infinite": ((ABOVE, np.inf, {}), ("undecided", "not defined on 1,240 rows")),
    "withheld": (
        (BELOW, 0.1, {"withheld": "labels are provisional: 40 % of 95 %"}),
        ("undecided", "labels are provisional: 40 % of 95 %"),
    ),
    "hardly beyond": ((ABOVE, 0.250001, {}), ("fail", "0.250001 is above 0.25; measured on 1,240 rows")),
}


@pytest.mark.parametrize("case", sorted(OUTCOMES))
def test_every_outcome_says_why(case):
    """Each way a value can turn out has its verdict and a sentence with the numbers behind it."""
    (rule, value, facts), expected = OUTCOMES[case]
    assert one(rule, value, **facts) == expected


@pytest.mark.parametrize("limits", [{}, {"fail_above": 1.0, "fail_below": 0.0}, {"fail_above": float("nan")}])
def test_a_rule_is_one_finite_limit(limits):
    """A rule with no side, both sides or no finite limit is refused."""
    with pytest.raises(ValueError, match="exactly one finite limit"):
        Rule(**limits)


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    value=hnp.arrays(np.float64, (4, 3), elements=numbers),
    noise=hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1) | st.just(np.nan)),
    sufficient=hnp.arrays(np.bool_, (4, 3)),
    above=st.booleans(),
)
def test_a_verdict_is_never_made_up(value, noise, sufficient, above):
    """In any shape a pass or a fail rests on a finite value, enough rows, and the right side of the limit."""
    rule = Rule(fail_above=0.5) if above else Rule(fail_below=0.5)
    estimate = Estimate(value, np.full((4, 3), 9), noise=noise, sufficient=sufficient)
    verdicts, reasons = judge(estimate, rule)
    decided = verdicts != Verdict.UNDECIDED
    beyond = value > 0.5 if above else value < 0.5
    assert np.all(np.isfinite(value[decided]) & sufficient[decided])
    assert np.all(beyond[verdicts == Verdict.FAIL])
    assert not np.any(beyond[verdicts == Verdict.PASS])
    assert not np.any(decided & (noise > 0.5) & above)
    assert reasons.shape == (4, 3)
    assert all(isinstance(reason, str) and reason for reason in reasons.ravel())


def test_windows_are_withheld_one_by_one():
    """A reason given from outside holds back its own window only."""
    estimate = Estimate(np.array([0.9, 0.9]), np.array([500, 500]))
    verdicts, _ = judge(estimate, ABOVE, withheld=np.array(["labels are provisional", ""]))
    assert verdicts.tolist() == ["undecided", "fail"]


def test_no_windows_give_no_verdicts():
    """An empty estimate is judged without complaint."""
    verdicts, reasons = judge(Estimate(np.empty(0), np.empty(0, int)), ABOVE)
    assert (verdicts.size, reasons.size) == (0, 0)
