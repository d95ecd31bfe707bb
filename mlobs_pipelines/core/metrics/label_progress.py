"""Label metrics of what is still to come: completeness, silence, the oldest overdue, the time left.

How long labels take is `label_lag`, what arrived ones are like `label_states`.
"""

import numpy as np

from mlobs_pipelines.core.metrics.estimates import MIN_PROPORTION, Z95, effective, enough, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import LabelSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints


@metric("label_completeness", LabelSummary, family="label_lag", direction=1)
def label_completeness(summary: LabelSummary) -> Estimate:
    """Labelled within the label horizon ÷ Σ F(age): what has arrived of what should have arrived by now.

    F is the share that arrived within a lag among the window's predictions that have reached the horizon; NaN
    while there is none. 1 where younger predictions get their labels as these did; less where the feed lags.
    The 95 % interval is normal: each young label binomial, F with the error of its own predictions.
    """
    settled, base = summary.settled, summary.mature[..., -1]
    share = ratio(np.cumsum(settled, axis=-1), base[..., np.newaxis])
    due = (share[..., :-1] + share[..., 1:]) / 2  # ages of one unit lie evenly in it
    waiting, squares = _young(summary), _young(summary.squared)
    expected = (waiting * due).sum(axis=-1)
    size = effective(base, summary.squared.mature[..., -1])
    spread = (squares * due * (1 - due)).sum(axis=-1) + _error_of_share(settled, base, waiting, size)
    whole = np.where(base > 0, expected + settled.sum(axis=-1), 0.0)
    value, half = ratio(summary.young.sum(axis=-1) + settled.sum(axis=-1), whole), Z95 * np.sqrt(spread)
    return Estimate(
        value,
        np.asarray(summary.seen.predictions),
        np.maximum(value - ratio(half, whole), 0.0),
        value + ratio(half, whole),
        **enough(size, MIN_PROPORTION),
    )


def _young(summary: LabelSummary) -> Amounts:
    """Predictions under the label horizon by age unit, labelled or not."""
    return np.asarray(summary.young + summary.pending[..., : summary.young.shape[-1]])


def _error_of_share(settled: Amounts, base: Amounts, waiting: Amounts, size: Floats) -> Floats:
    """Variance of the labels expected, Σ waiting x F, that the settled predictions' own sampling causes.

    It is a mean over these of G(lag), the young predictions that are older than a lag.
    """
    older = np.flip(np.cumsum(np.flip(waiting, -1), axis=-1), -1)
    none = np.zeros_like(older[..., :1])
    late = np.concatenate([older, none], axis=-1) + np.concatenate([older[..., :1], older], axis=-1)
    reach = late / 2
    mean = ratio((settled * reach).sum(axis=-1), base)
    spread = ratio((settled * reach * reach).sum(axis=-1), base) - mean**2
    return np.nan_to_num(ratio(np.maximum(np.nan_to_num(spread), 0.0), size))


@metric("label_silence", LabelSummary, family="label_lag", unit="h", direction=-1)
def label_silence(summary: LabelSummary) -> Estimate:
    """Whole hours since the last label arrived, while predictions under the label horizon wait; else 0.

    Where none has arrived within the last label horizon: the age of the oldest prediction under it. Days
    whose labels were joined earlier speak of that moment: judge windows that are joined anew as a whole.
    """
    waiting = summary.pending[..., : summary.young.shape[-1]] > 0
    since = np.where(_any(summary.fresh > 0), _first(summary.fresh > 0), _last(waiting))
    return _hours(summary, np.where(_any(waiting), since, 0), _any(waiting))


@metric("oldest_overdue_age", LabelSummary, family="label_lag", unit="h", direction=-1)
def oldest_overdue_age(summary: LabelSummary) -> Estimate:
    """Whole hours since the oldest prediction over the label horizon that has no label; 0 where none has.

    Ages beyond four label horizons are not told apart and count as that.
    """
    overdue = np.asarray(summary.overdue > 0)
    return _hours(summary, np.where(overdue, _last(summary.pending > 0), 0), overdue)


@metric("hours_to_maturity", LabelSummary, family="label_lag", unit="h")
def hours_to_maturity(summary: LabelSummary) -> Estimate:
    """Hours until every prediction of the window has reached the label horizon; 0 where all have.

    Then it is mature if its labels have reached the coverage target: `expected_coverage` says how many will.
    """
    young = _young(summary) > 0
    left = young.shape[-1] - _first(young)
    return _hours(summary, np.where(_any(young), left, 0), _any(young))


def _hours(summary: LabelSummary, units: Ints, rough: Flags) -> Estimate:
    """Units as hours; those that come from whole ages are off by up to one."""
    n = np.asarray(summary.seen.predictions)
    known = np.where(n > 0, units * summary.unit_h, np.nan)
    return Estimate(known, n, bound=np.where(rough, summary.unit_h, 0.0))


def _any(flags: Flags) -> Flags:
    return np.asarray(flags.any(axis=-1))


def _first(flags: Flags) -> Ints:
    return np.asarray(np.argmax(flags, axis=-1))


def _last(flags: Flags) -> Ints:
    return np.asarray(flags.shape[-1] - 1 - np.argmax(np.flip(flags, -1), axis=-1))
