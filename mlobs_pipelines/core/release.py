"""May a candidate take the champion's place: differences held against the margin by which they may be worse.

Three answers from one interval, and Holm's correction where many groups are asked at once. Where differences
come from, and what a margin is worth, is not known here.
"""

from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from mlobs_pipelines.core.metrics.estimates import Z95
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Verdict

ALPHA = 0.025  # one-sided: the share beyond one end of a 95 % interval


@dataclass(frozen=True, slots=True)
class Tested:
    """What the differences of some groups say, one entry per group.

    Attributes
    ----------
    verdicts : (G,) of str
        Pass where the candidate is no worse than the margin, fail where it is worse, undecided between.
    p : (G,) float64
        Of the hypothesis that the candidate is no worse than the margin, corrected for the other groups; NaN
        where there is too little to test.
    """

    verdicts: np.ndarray
    p: Floats


def against_margin(found: Estimate, margin: Floats, direction: int, *, shown: bool) -> Tested:
    """Ask each group whether the candidate is worse than the champion by more than a margin.

    It is worse where the p-value, corrected over the groups (Holm 1979), is under 0.025. It is no worse where
    the 95 % interval says so in each group by itself, which takes no correction: the claim about all is made
    only where each holds (intersection-union test, Berger 1982).

    Parameters
    ----------
    found : (G,)
        The candidate's metric minus the champion's.
    margin : (G,)
        By how much it may be worse; NaN where nothing can be said.
    direction
        1 where more is better, -1 where less is.
    shown
        Whether passing takes an interval within the margin (non-inferiority shown); otherwise a value within.

    Examples
    --------
    >>> value, lower, upper = np.array([[0.0, -0.2], [-0.01, -0.3], [0.01, -0.1]])
    >>> found = Estimate(value, np.array([900, 900]), lower, upper)
    >>> against_margin(found, np.full(2, 0.02), 1, shown=True).verdicts.tolist()
    ['pass', 'fail']
    """
    value, low, high = _upright(found, direction)
    room = value + margin
    known = np.isfinite(value) & np.isfinite(margin) & found.sufficient
    p = holm(np.where(known, _tail(room + found.bound, high - value), np.nan))
    holds = (low - found.bound >= -margin) if shown else room >= 0
    beyond = known & (p < ALPHA)
    words = np.where(known & holds & ~beyond, str(Verdict.PASS), str(Verdict.UNDECIDED))
    return Tested(np.where(beyond, str(Verdict.FAIL), words), p)


def _upright(found: Estimate, direction: int) -> tuple[Floats, Floats, Floats]:
    """Value and ends with more being better; without an interval the value is taken as it is."""
    ends = np.stack([found.lower, found.upper]) * direction
    value = np.asarray(found.value * direction)
    low, high = (np.where(np.isfinite(end), end, value) for end in (ends.min(axis=0), ends.max(axis=0)))
    return value, np.minimum(low, value), np.maximum(high, value)


def _tail(room: Floats, half: Floats) -> Floats:
    """P(a value as low or lower) if the true one lay at the margin: normal, with the interval's own error."""
    error = half / Z95
    steps = np.where(error > 0, room / np.where(error > 0, error, 1), np.where(room >= 0, np.inf, -np.inf))
    return np.array([0.5 * erfc(-step / sqrt(2)) for step in steps.ravel()]).reshape(room.shape)


def holm(p: Floats) -> Floats:
    """Holm's adjusted p-values (1979): max over i ≤ k of (m - i + 1) p₍ᵢ₎, at most 1.

    Parameters
    ----------
    p : (G,)
        NaN where there is no test; those do not count.

    Examples
    --------
    >>> holm(np.array([0.01, np.nan, 0.04, 0.03])).round(4).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    order = np.argsort(p)  # NaN last
    tests = int(np.count_nonzero(~np.isnan(p)))
    steps = p[order][:tests] * (tests - np.arange(tests))
    adjusted = np.full(p.shape, np.nan)
    adjusted[order[:tests]] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def together(verdicts: list[str]) -> Verdict:
    """What several verdicts say together: the worst of them, and undecided where there is none."""
    for word in (Verdict.FAIL, Verdict.UNDECIDED, Verdict.PASS):
        if word in verdicts:
            return word
    return Verdict.UNDECIDED


def excused(found: Estimate, whole: float, most: float) -> Flags:
    """Groups that are too small to judge and, taken together, too small to matter.

    Parameters
    ----------
    found : (G,)
        Values of the groups of one segment.
    whole
        Rows of all groups.
    most
        Share of the rows that such groups may have.
    """
    few = ~found.sufficient | ~np.isfinite(found.value)
    return np.asarray(few & (found.n[few].sum() <= most * whole))
