"""Whether labels take longer when they say one thing than another, in which case young labels mislead.

Where positives are reported late, the base rate among labels that came early is too low, and quality is that
of other rows than it seems. Quality corrected for it is `corrected`; lags of all labels are `label_lag`.
"""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from mlobs_pipelines.core.metrics.drift import widest_spread
from mlobs_pipelines.core.metrics.estimates import Z95, effective, ratio
from mlobs_pipelines.core.metrics.label_lag import crossing
from mlobs_pipelines.core.metrics.quality import MIN_CLASS
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ClassLagSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

NEED = f"at least {MIN_CLASS} labels of each class whose predictions have reached the label horizon"


def class_curves(arrived: Amounts) -> Floats:
    """Share of each class's labels that arrive within each whole unit; NaN for a class without any.

    Parameters
    ----------
    arrived : (..., L)
        Labels by lag unit, all of predictions as old as the horizon: nothing is censored.
    """
    return ratio(np.cumsum(arrived, axis=-1), arrived.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Each class's lags against those of all other classes together.

    Attributes
    ----------
    distance, spread : (..., K)
        Largest difference of the two curves, and 1 ÷ n + 1 ÷ m of as many rows of equal weight.
    sufficient : (...,) bool
        Whether every class has enough labels.
    seen, effective : (...,)
        Labels, and what they are worth.
    """

    distance: Floats
    spread: Floats
    sufficient: Flags
    seen: Ints
    effective: Floats

    @property
    def worst(self) -> Ints:
        """The class that differs most from the others."""
        return np.asarray(np.argmax(np.nan_to_num(self.distance, nan=-1), axis=-1)[..., np.newaxis])

    def at_worst(self, values: Floats) -> Floats:
        """Of every window, what is said of that class."""
        return np.asarray(np.take_along_axis(values, self.worst, axis=-1)[..., 0])


@shared
def _gaps(summary: ClassLagSummary) -> _Gaps:
    own, squared = (np.asarray(s.arrived) for s in (summary, summary.squared))
    rest, rest_squared = (rows.sum(axis=-2, keepdims=True) - rows for rows in (own, squared))
    away = np.abs(class_curves(own) - class_curves(rest)).max(axis=-1, initial=0)
    sides = [
        effective(one.sum(axis=-1), two.sum(axis=-1)) for one, two in ((own, squared), (rest, rest_squared))
    ]
    there = (sides[0] > 0) & (sides[1] > 0)
    spread = widest_spread(own, squared) + widest_spread(rest, rest_squared)
    return _Gaps(
        np.where(there, away, np.nan),
        np.where(there, spread, np.nan),
        np.asarray((sides[0] >= MIN_CLASS).all(axis=-1)),
        np.asarray(summary.seen.arrived.sum(axis=(-2, -1))),
        np.asarray(sides[0].sum(axis=-1)),
    )


@metric("label_lag_gap", ClassLagSummary, family="label_lag", direction=-1)
def label_lag_gap(summary: ClassLagSummary) -> Estimate:
    """Largest difference between the lag curves of a class and of the others (Kolmogorov-Smirnov distance).

    Over labels within the label horizon of predictions at least that old; of several classes the one that
    differs most. 0.3 says that at some age 30 % more of one class's labels are known. The noise point is the
    99 % critical value, of as many comparisons as there are where classes are more than two.
    """
    gaps = _gaps(summary)
    noise = sqrt(-log(0.01 / _comparisons(summary) / 2) / 2) * np.sqrt(gaps.at_worst(gaps.spread))
    return Estimate(
        gaps.at_worst(gaps.distance),
        gaps.seen,
        noise=noise,
        sufficient=gaps.sufficient,
        need=NEED,
        effective=gaps.effective,
    )


@metric("label_lag_gap_p", ClassLagSummary, family="label_lag")
def label_lag_gap_p(summary: ClassLagSummary) -> Estimate:
    """Probability of at least this `label_lag_gap` where the lag does not depend on the label.

    Kolmogorov's limit (Smirnov 1948), which whole lag units make conservative; times the number of classes
    where these are more than two (Bonferroni).
    """
    from scipy.special import kolmogorov  # noqa: PLC0415 - costs more to import than the rest of core

    gaps = _gaps(summary)
    size = ratio(1, gaps.at_worst(gaps.spread))
    value = np.minimum(1, _comparisons(summary) * kolmogorov(np.sqrt(size) * gaps.at_worst(gaps.distance)))
    return Estimate(value, gaps.seen, sufficient=gaps.sufficient, need=NEED, effective=gaps.effective)


def _comparisons(summary: ClassLagSummary) -> int:
    """Two classes are one comparison: each is the other's rest."""
    return len(summary.classes) if len(summary.classes) > 2 else 1


def _class_names(summary: ClassLagSummary) -> list[str]:
    return list(summary.classes)


@metric("class_label_lag_p50", ClassLagSummary, family="label_lag", unit="h", labels=_class_names)
def class_label_lag_p50(summary: ClassLagSummary) -> Estimate:
    """Lag within which half of a class's labels arrive, of those that arrive within the label horizon.

    The interval: where the ends of the curve's own normal interval cross a half.
    """
    share = class_curves(summary.arrived)
    n, squares = (s.arrived.sum(axis=-1) for s in (summary, summary.squared))
    size = effective(n, squares)
    half = Z95 * np.sqrt(ratio(share * (1 - share), size[..., np.newaxis]))
    curves = (share, np.fmin(share + half, 1), np.fmax(share - half, 0))
    value, lower, upper = (crossing(np.nan_to_num(curve), 0.5) * summary.unit_h for curve in curves)
    lower, upper = (np.where(np.isfinite(value), end, np.nan) for end in (lower, upper))
    bound = np.where(value > 0, summary.unit_h, 0.0)
    sufficient, seen = size >= MIN_CLASS, np.asarray(summary.seen.arrived.sum(axis=-1))
    return Estimate(value, seen, lower, upper, bound, sufficient=sufficient, need=NEED, effective=size)
