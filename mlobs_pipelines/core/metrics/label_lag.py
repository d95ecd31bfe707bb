"""Label metrics: how many labels have come, how many are overdue, and how long they take.

Lags of labels still awaited are censored, so every lag figure is Kaplan-Meier; medians over the labels that
happen to have arrived are not computed anywhere.
"""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    Z95,
    amount,
    effective,
    enough,
    proportion,
    quantile_need,
    ratio,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import LabelSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats, Ints

CURVE_LAGS_H = (1, 2, 4, 8, 12, 24, 48, 72, 168, 336)


def kaplan_meier(
    arrived: Amounts, pending: Amounts, squared: tuple[Amounts, Amounts] | None = None
) -> tuple[Floats, Floats]:
    """Share of labels that arrive within each whole lag unit, with its standard error.

    Kaplan and Meier (1958); standard error by Greenwood (1926). An arrival with a lag in (i-1, i] units comes
    before a censoring at an age in [i, i+1) units, which in turn is not at risk of a lag in (i, i+1].

    Parameters
    ----------
    arrived, pending : (..., L)
        Arrived labels by lag unit and awaited labels by age unit; see `LabelSummary`.
    squared : pair of (..., L), optional
        Σw² of both where labels are weighted.

    Returns
    -------
    share, error : (..., L) float64
        NaN from the unit on where nothing is left at risk, unless everything has arrived.
    """
    at_risk = _from_here_on(arrived + pending)
    hazard = np.nan_to_num(ratio(arrived, at_risk))
    waiting = np.cumprod(1 - hazard, axis=-1)
    spread = np.cumsum(np.nan_to_num(ratio(hazard, at_risk - arrived)), axis=-1)
    if squared is not None:
        even = at_risk[..., :1] == np.add(*squared).sum(axis=-1, keepdims=True)
        spread = np.where(even, spread, _weighted_spread(hazard, at_risk - arrived, *squared))
    error = waiting * np.sqrt(spread)
    known = (at_risk > 0) | ((waiting == 0) & (arrived.sum(axis=-1, keepdims=True) > 0))
    return np.where(known, 1 - waiting, np.nan), np.where(known, error, np.nan)


def _from_here_on(cells: Amounts) -> Amounts:
    return np.asarray(np.flip(np.cumsum(np.flip(cells, -1), axis=-1), -1))


def _weighted_spread(hazard: Floats, staying: Amounts, arrived: Amounts, pending: Amounts) -> Floats:
    """Variance of the logarithm of the waiting share: squared influence of the weighted rows (Williams 1995).

    A row that arrives in unit i moves it by -w (a_i - H_i), any other by w H: a is 1 ÷ what stays at risk
    after a unit, and H is Σ hazard x a up to the row's own unit or the curve's, whichever comes first.
    """
    step = np.nan_to_num(ratio(1, staying))
    drift = np.cumsum(hazard * step, axis=-1)
    gone = np.cumsum(arrived * (step - drift) ** 2 + pending * drift**2, axis=-1)
    waiting = _from_here_on(arrived + pending) - (arrived + pending)
    return np.asarray(gone + drift**2 * waiting)


@shared
def _curve(summary: LabelSummary) -> tuple[Floats, Floats, Floats]:
    """Arrival share by whole unit with its 95 % ends, without the last unit, which holds all lags beyond."""
    twice = summary.twice
    squared = None if twice is None else (twice.arrived, twice.pending)
    share, error = kaplan_meier(summary.arrived, summary.pending, squared)
    ends = np.clip(share - Z95 * error, 0, 1), np.clip(share + Z95 * error, 0, 1)
    lower, upper = np.fmin(ends[0], share), np.fmax(ends[1], share)
    return share[..., :-1], lower[..., :-1], upper[..., :-1]


def crossing(share: Floats, level: float) -> Floats:
    """Lag, in units, at which a rising curve reaches `level`; NaN where it does not.

    Parameters
    ----------
    share : (..., L)
        Share at whole lags 0 … L-1; between two of them the curve is taken as straight.
    """
    reached = share >= level - 1e-12
    index = np.argmax(reached, axis=-1)
    right, left = (_entry(share, at) for at in (index, np.maximum(index - 1, 0)))
    part = np.clip(np.nan_to_num(ratio(level - left, right - left), nan=1), 0, 1)
    value = np.where(index > 0, index - 1 + part, 0.0)
    return np.where(reached.any(axis=-1), value, np.nan)


def _entry(curve: Floats, index: Ints) -> Floats:
    return np.asarray(np.take_along_axis(curve, index[..., np.newaxis], axis=-1)[..., 0])


def _quantile(name: str, level: float) -> Callable[[LabelSummary], Estimate]:
    """Register one lag quantile; its interval: where the curve's ends cross (Brookmeyer, Crowley 1982)."""
    need = quantile_need(level)

    @metric(name, LabelSummary, family="label_lag", unit="h", direction=-1)
    def label_lag(summary: LabelSummary) -> Estimate:
        """Lag within which the share of labels in the name arrives, by Kaplan and Meier (1958).

        The interval: where the curve's ends cross (Brookmeyer and Crowley 1982).
        """
        share, below, above = _curve(summary)
        size = effective(summary.predictions, summary.squared.predictions)
        value, lower, upper = (crossing(curve, level) * summary.unit_h for curve in (share, above, below))
        lower = np.where(np.isfinite(value), lower, np.nan)
        bound = np.where(value > 0, summary.unit_h, 0.0)
        seen = np.asarray(summary.seen.predictions)
        return Estimate(value, seen, lower, upper, bound, **enough(size, need))

    return label_lag


label_lag_p50 = _quantile("label_lag_p50", 0.50)
label_lag_p90 = _quantile("label_lag_p90", 0.90)
label_lag_p95 = _quantile("label_lag_p95", 0.95)
label_lag_p99 = _quantile("label_lag_p99", 0.99)


@metric("label_coverage", LabelSummary, family="label_lag", direction=1)
def label_coverage(summary: LabelSummary) -> Estimate:
    """Labelled within the label horizon ÷ predictions at least that old; NaN while none is."""
    return proportion(summary, lambda s: (s.mature_labelled[..., -1], s.mature[..., -1]))


@metric("expected_coverage", LabelSummary, family="label_lag", direction=1)
def expected_coverage(summary: LabelSummary) -> Estimate:
    """Share expected to be labelled within the label horizon: what `label_coverage` is heading for.

    Kaplan-Meier at the horizon, with Greenwood's interval; an awaited label counts by its chance to come
    after having been awaited so long (Efron 1967). NaN while nothing is as old as the horizon.
    """
    at = int(np.rint(summary.horizons_h[-1] / summary.unit_h))
    value, lower, upper = (curve[..., at] for curve in _curve(summary))
    size = effective(summary.predictions, summary.squared.predictions)
    n = np.asarray(summary.seen.predictions)
    return Estimate(value, n, lower, upper, **enough(size, MIN_PROPORTION))


@metric("label_backlog", LabelSummary, family="label_lag", unit="rows", direction=-1)
def label_backlog(summary: LabelSummary) -> Estimate:
    """Predictions older than the label horizon that still have no label."""
    return amount(summary, lambda s: s.overdue, lambda s: s.predictions)


@metric("overdue_share", LabelSummary, family="label_lag", direction=-1)
def overdue_share(summary: LabelSummary) -> Estimate:
    """Label backlog ÷ predictions older than the label horizon; NaN while none is."""
    return proportion(summary, lambda s: (s.overdue, s.aged))


def _lag_names(_summary: LabelSummary) -> list[str]:
    return [f"{lag}h" for lag in CURVE_LAGS_H]


@metric("label_lag_cdf", LabelSummary, family="label_lag", labels=_lag_names)
def label_lag_cdf(summary: LabelSummary) -> Estimate:
    """Share of labels that arrive within each lag of `CURVE_LAGS_H`, Kaplan-Meier with Greenwood's interval.

    NaN beyond the oldest age seen, and at lags that are not whole units of the summary.
    """
    curves = _curve(summary)
    units = np.asarray(CURVE_LAGS_H) / summary.unit_h
    index = np.minimum(np.rint(units).astype(np.int64), curves[0].shape[-1] - 1)
    known = np.isclose(units, index, rtol=0, atol=1e-9)
    value, lower, upper = (np.where(known, curve[..., index], np.nan) for curve in curves)
    n = np.broadcast_to(np.asarray(summary.seen.predictions)[..., np.newaxis], value.shape)
    return Estimate(value, n, lower, upper)
