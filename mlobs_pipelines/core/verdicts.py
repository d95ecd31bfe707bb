"""From an estimate and its limit to pass, fail or undecided, each with a sentence that says why.

The minimum-sample and noise rules are facts of the estimate; here they only take effect. What happens after a
verdict (checks, incidents, alerts) is not known here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Verdict

Words = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Rule:
    """The limit of one metric: exactly one of the two sides is given.

    Attributes
    ----------
    fail_above, fail_below
        The value beyond which the verdict is *fail*; the limit itself passes.

    Raises
    ------
    ValueError
        If both sides or neither are given, or the limit is not finite.
    """

    fail_above: float | None = None
    fail_below: float | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that is not one finite limit."""
        given = [limit for limit in (self.fail_above, self.fail_below) if limit is not None]
        if len(given) != 1 or not math.isfinite(given[0]):
            raise ValueError("a rule takes exactly one finite limit: fail_above or fail_below")

    @property
    def limit(self) -> float:
        """The threshold, whichever side it is on."""
        return float(self.fail_above if self.fail_above is not None else self.fail_below)  # type: ignore[arg-type] # one is set

    @property
    def word(self) -> str:
        """On which side of the limit a value fails: above or below."""
        return "above" if self.fail_above is not None else "below"


@dataclass(frozen=True, slots=True)
class _Case:
    """One window's facts as plain numbers, for its sentence."""

    value: float
    n: int
    effective: float
    nearest: float
    lower: float
    upper: float
    noise: float
    sufficient: bool
    withheld: str


def judge(
    estimate: Estimate, rule: Rule, *, unit: str = "1", withheld: str | Words = ""
) -> tuple[Words, NDArray[np.object_]]:
    """Hold every value of an estimate against one rule.

    The first that applies decides: a reason given from outside (`withheld`), an undefined value, too few
    rows, a noise point beyond the limit (all *undecided*); a value within the limit (*pass*); a value beyond
    it whose interval, widened by the approximation bound, still includes it (*undecided*); otherwise *fail*.
    A drift value therefore fails only beyond both the limit and what stable data would show.

    Parameters
    ----------
    estimate
        Values of any shape.
    rule
        The limit.
    unit
        Unit of the metric for the sentences; "1" for plain numbers.
    withheld
        Why a window may not be judged (labels not mature, say), "" where it may; broadcast to the shape.

    Returns
    -------
    verdicts : array of str
        `Verdict` values in the shape of the estimate.
    reasons : array of object
        One sentence each.
    """
    words = np.broadcast_to(np.asarray(withheld), np.shape(estimate.value))
    nearest = _nearest(estimate, rule)
    index = np.select(
        _conditions(estimate, rule, words, nearest), range(len(_OUTCOMES) - 1), len(_OUTCOMES) - 1
    )
    verdicts = np.array([verdict.value for verdict, _ in _OUTCOMES])[index]
    speak = _Speaker(rule, unit, estimate.need)
    return np.asarray(verdicts), _reasons(speak, index, _cases(estimate, nearest, words))


def _nearest(estimate: Estimate, rule: Rule) -> Floats:
    """The interval end (the value, where there is none) nearest to passing, widened by the bound."""
    upper_side = rule.fail_above is not None
    end = estimate.lower if upper_side else estimate.upper
    known = np.where(np.isfinite(end), end, estimate.value)
    return np.asarray(known - estimate.bound if upper_side else known + estimate.bound)


def _conditions(estimate: Estimate, rule: Rule, withheld: Words, nearest: Floats) -> list[Flags]:
    """When each outcome but the last applies; the first true one counts."""
    noisy = np.asarray(estimate.noise > rule.limit) & (rule.fail_above is not None)
    return [
        withheld != "",
        ~np.isfinite(estimate.value),
        ~estimate.sufficient,
        noisy,
        ~_beyond(estimate.value, rule),
        ~_beyond(nearest, rule),
    ]


def _beyond(values: Floats, rule: Rule) -> Flags:
    """Whether values are on the failing side of the limit."""
    beyond = values > rule.limit if rule.fail_above is not None else values < rule.limit
    return np.asarray(beyond)


def _cases(estimate: Estimate, nearest: Floats, withheld: Words) -> list[_Case]:
    """Every window of an estimate in flat order, as plain numbers."""
    interval = (estimate.lower, estimate.upper, estimate.noise, estimate.sufficient)
    columns = (estimate.value, estimate.n, estimate.effective, nearest, *interval, withheld)
    return [_Case(*row) for row in zip(*(np.ravel(column).tolist() for column in columns), strict=True)]


def _reasons(speak: "_Speaker", index: NDArray[Any], cases: list[_Case]) -> NDArray[np.object_]:
    """One sentence per window, in the shape of `index`."""
    reasons = np.empty(len(cases), dtype=object)
    for position, (outcome, case) in enumerate(zip(np.ravel(index).tolist(), cases, strict=True)):
        reasons[position] = _OUTCOMES[outcome][1](speak, case)
    return reasons.reshape(np.shape(index))


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Says one outcome in a sentence; every number in it is an aggregate, never a row value."""

    rule: Rule
    unit: str
    need: str

    def withheld(self, case: _Case) -> str:
        return case.withheld

    def undefined(self, case: _Case) -> str:
        if case.n == 0:
            return "not defined: there are no rows to measure"
        takes = f"; it takes {self.need}" if self.need and not case.sufficient else ""
        return f"not defined on {self._rows(case)}{takes}"

    def too_few(self, case: _Case) -> str:
        return f"{self._rows(case)} are too few for a verdict: it takes {self.need or 'more'}"

    def too_noisy(self, case: _Case) -> str:
        noise, limit = self._pair(case.noise, self.rule.limit)
        return (
            f"too few rows to tell: a stable window of {self._rows(case)} may reach {noise}, beyond {limit}"
        )

    def within(self, case: _Case) -> str:
        value, limit = self._pair(case.value, self.rule.limit)
        return f"{value} is not {self.rule.word} {limit}"

    def unsure(self, case: _Case) -> str:
        value, limit = self._pair(case.value, self.rule.limit)
        size = "low" if self.rule.word == "above" else "high"
        nearest = self._one(case.nearest)
        return f"{value} is {self.rule.word} {limit} but, given its error, may be as {size} as {nearest}"

    def beyond(self, case: _Case) -> str:
        value, limit = self._pair(case.value, self.rule.limit)
        return f"{value} is {self.rule.word} {limit}; {self._evidence(case)}"

    def _evidence(self, case: _Case) -> str:
        if math.isfinite(case.noise):
            return f"a stable window of {self._rows(case)} stays under {self._one(case.noise)}"
        if math.isfinite(case.lower) and math.isfinite(case.upper):
            return f"95 % interval {self._one(case.lower)} to {self._one(case.upper)} on {self._rows(case)}"
        return f"measured on {self._rows(case)}"

    def _rows(self, case: _Case) -> str:
        """The rows seen and, where weights make them say less, how many of equal weight would say as much."""
        rows = f"{case.n:,} rows"
        return f"{rows} (worth {case.effective:,.0f} unweighted)" if case.effective < case.n - 0.5 else rows

    def _one(self, value: float) -> str:
        return _digits(value, 4) + self._suffix

    def _pair(self, value: float, limit: float) -> tuple[str, str]:
        """Both numbers, with as many digits as it takes to tell them apart."""
        digits = next((d for d in range(4, 16) if _digits(value, d) != _digits(limit, d)), 4)
        return _digits(value, digits) + self._suffix, _digits(limit, digits) + self._suffix

    @property
    def _suffix(self) -> str:
        return "" if self.unit in ("", "1") else f" {self.unit}"


def _digits(value: float, digits: int) -> str:
    """A number with `digits` significant digits and no exponent for large ones."""
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.{max(digits - 4, 0)}f}"
    return f"{value:.{digits}g}"


_OUTCOMES: tuple[tuple[Verdict, Callable[[_Speaker, _Case], str]], ...] = (
    (Verdict.UNDECIDED, _Speaker.withheld),
    (Verdict.UNDECIDED, _Speaker.undefined),
    (Verdict.UNDECIDED, _Speaker.too_few),
    (Verdict.UNDECIDED, _Speaker.too_noisy),
    (Verdict.PASS, _Speaker.within),
    (Verdict.UNDECIDED, _Speaker.unsure),
    (Verdict.FAIL, _Speaker.beyond),
)
