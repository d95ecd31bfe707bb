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

Words = NDArray[Any]  # of text


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
class Limits:
    """The limit of each value, where it differs from value to value; arrays broadcast to the estimate.

    Attributes
    ----------
    limit
        The threshold; NaN where there is none, which `missing` explains.
    above
        True where a value above the limit fails, False where one below does.
    basis
        How the limit came about, for the sentence; "" for one that was declared as it is.
    missing
        Why there is no limit; "" where there is one.
    """

    limit: Floats
    above: Flags
    basis: str | Words = ""
    missing: str | Words = ""

    @classmethod
    def of(cls, rule: Rule) -> "Limits":
        """The one limit of a rule for every value."""
        return cls(np.asarray(rule.limit), np.asarray(rule.fail_above is not None))

    def spread(self, shape: tuple[int, ...]) -> "Limits":
        """The same with every array in the shape of the values."""
        arrays = (self.limit, self.above, self.basis, self.missing)
        return Limits(*(np.broadcast_to(np.asarray(array), shape) for array in arrays))


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
    limit: float
    word: str
    basis: str
    missing: str


def judge(
    estimate: Estimate,
    rule: Rule | Limits,
    *,
    unit: str = "1",
    withheld: str | Words = "",
    min_n: int = 0,
) -> tuple[Words, NDArray[np.object_]]:
    """Hold every value of an estimate against its limit.

    The first that applies decides: a reason given from outside (`withheld`), an undefined value, too few
    rows, a limit that is missing, a noise point beyond the limit (all *undecided*); a value within the limit
    (*pass*); a value beyond it whose interval, widened by the approximation bound, still includes it
    (*undecided*); otherwise *fail*. A drift value therefore fails only beyond both the limit and what stable
    data would show.

    Parameters
    ----------
    estimate
        Values of any shape.
    rule
        The limit, one for all values or one of each.
    unit
        Unit of the metric for the sentences; "1" for plain numbers.
    withheld
        Why a window may not be judged (labels not mature, say), "" where it may; broadcast to the shape.
    min_n
        Rows under which there is no verdict, beside the metric's own minimum. Weighted rows are counted as
        the rows of equal weight that would say as much.

    Returns
    -------
    verdicts : array of str
        `Verdict` values in the shape of the estimate.
    reasons : array of object
        One sentence each.
    """
    shape = np.shape(estimate.value)
    words = np.broadcast_to(np.asarray(withheld), shape)
    limits = (Limits.of(rule) if isinstance(rule, Rule) else rule).spread(shape)
    nearest = _nearest(estimate, limits)
    index = np.select(
        _conditions(estimate, limits, words, nearest, min_n), range(len(_OUTCOMES) - 1), len(_OUTCOMES) - 1
    )
    verdicts = np.array([verdict.value for verdict, _ in _OUTCOMES])[index]
    speak = _Speaker(unit, estimate.need, min_n)
    return np.asarray(verdicts), _reasons(speak, index, _cases(estimate, limits, nearest, words))


def _nearest(estimate: Estimate, limits: Limits) -> Floats:
    """The interval end (the value, where there is none) nearest to passing, widened by the bound."""
    end = np.where(limits.above, estimate.lower, estimate.upper)
    known = np.where(np.isfinite(end), end, estimate.value)
    return np.asarray(np.where(limits.above, known - estimate.bound, known + estimate.bound))


def _conditions(
    estimate: Estimate, limits: Limits, withheld: Words, nearest: Floats, min_n: int
) -> list[Flags]:
    """When each outcome but the last applies; the first true one counts."""
    size = np.where(np.isfinite(estimate.effective), estimate.effective, estimate.n)
    return [
        withheld != "",
        ~np.isfinite(estimate.value),
        ~estimate.sufficient | (size < min_n),
        ~np.isfinite(limits.limit),
        limits.above & (estimate.noise > limits.limit),
        ~_beyond(estimate.value, limits),
        ~_beyond(nearest, limits),
    ]


def _beyond(values: Floats, limits: Limits) -> Flags:
    """Whether values are on the failing side of the limit."""
    return np.asarray(np.where(limits.above, values > limits.limit, values < limits.limit))


def _cases(estimate: Estimate, limits: Limits, nearest: Floats, withheld: Words) -> list[_Case]:
    """Every window of an estimate in flat order, as plain numbers."""
    interval = (estimate.lower, estimate.upper, estimate.noise, estimate.sufficient)
    word = np.where(limits.above, "above", "below")
    held = (limits.limit, word, limits.basis, limits.missing)
    columns = (estimate.value, estimate.n, estimate.effective, nearest, *interval, withheld, *held)
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

    unit: str
    need: str
    min_n: int

    def withheld(self, case: _Case) -> str:
        return case.withheld

    def undefined(self, case: _Case) -> str:
        if case.n == 0:
            return "not defined: there are no rows to measure"
        takes = f"; it takes {self.need}" if self.need and not case.sufficient else ""
        return f"not defined on {self._rows(case)}{takes}"

    def too_few(self, case: _Case) -> str:
        need = self.need or "more"
        if case.sufficient:
            need = f"at least {self.min_n:,} rows"
        return f"{self._rows(case)} are too few for a verdict: it takes {need}"

    def unlimited(self, case: _Case) -> str:
        return case.missing or "there is no limit to hold it against"

    def too_noisy(self, case: _Case) -> str:
        noise, limit = self._pair(case.noise, case)
        return (
            f"too few rows to tell: a stable window of {self._rows(case)} may reach {noise}, beyond {limit}"
        )

    def within(self, case: _Case) -> str:
        value, limit = self._pair(case.value, case)
        return f"{value} is not {case.word} {limit}"

    def unsure(self, case: _Case) -> str:
        value, limit = self._pair(case.value, case)
        size = "low" if case.word == "above" else "high"
        nearest = self._one(case.nearest)
        return f"{value} is {case.word} {limit} but, given its error, may be as {size} as {nearest}"

    def beyond(self, case: _Case) -> str:
        value, limit = self._pair(case.value, case)
        return f"{value} is {case.word} {limit}; {self._evidence(case)}"

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
        return in_digits(value, 4) + self._suffix

    def _pair(self, value: float, case: _Case) -> tuple[str, str]:
        """A number and the limit, with as many digits as it takes to tell them apart."""
        limit = case.limit
        digits = next((d for d in range(4, 16) if in_digits(value, d) != in_digits(limit, d)), 4)
        basis = f" ({case.basis})" if case.basis else ""
        return in_digits(value, digits) + self._suffix, in_digits(limit, digits) + self._suffix + basis

    @property
    def _suffix(self) -> str:
        return "" if self.unit in ("", "1") else f" {self.unit}"


def in_digits(value: float, digits: int) -> str:
    """A number with `digits` significant digits and no exponent for large ones."""
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.{max(digits - 4, 0)}f}"
    return f"{value:.{digits}g}"


_OUTCOMES: tuple[tuple[Verdict, Callable[[_Speaker, _Case], str]], ...] = (
    (Verdict.UNDECIDED, _Speaker.withheld),
    (Verdict.UNDECIDED, _Speaker.undefined),
    (Verdict.UNDECIDED, _Speaker.too_few),
    (Verdict.UNDECIDED, _Speaker.unlimited),
    (Verdict.UNDECIDED, _Speaker.too_noisy),
    (Verdict.PASS, _Speaker.within),
    (Verdict.UNDECIDED, _Speaker.unsure),
    (Verdict.FAIL, _Speaker.beyond),
)
