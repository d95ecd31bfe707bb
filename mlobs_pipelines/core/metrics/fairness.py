"""Fairness over the declared segments: how far apart the groups of one segment are treated.

The rates of each group themselves are metrics of `quality`, computed per segment value like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    effective,
    layers,
    ratio,
    share_size,
    wilson,
)
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import GroupSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

Rate = Callable[[GroupSummary], tuple[Amounts, Amounts]]
_NEED = f"at least {MIN_PROPORTION:,} rows in each of two groups"


@dataclass(frozen=True, slots=True)
class _Gap:
    """Largest difference of one rate between two groups of a segment, with its ends."""

    value: Floats
    lower: Floats
    upper: Floats


def _names(summary: GroupSummary) -> list[str]:
    return list(summary.names)


def _selected(summary: GroupSummary) -> tuple[Amounts, Amounts]:
    return summary.selected, summary.scored


def _true_positive(summary: GroupSummary) -> tuple[Amounts, Amounts]:
    return summary.hits, summary.positives


def _false_positive(summary: GroupSummary) -> tuple[Amounts, Amounts]:
    return summary.false_alarms, summary.negatives


@metric(
    "demographic_parity_difference", GroupSummary, family="quality", direction=-1, labels=_names, detail=True
)
def demographic_parity_difference(summary: GroupSummary) -> Estimate:
    """Largest - smallest selection rate of a segment's groups that have at least 200 rows.

    The 95 % interval holds for every pair of groups at once: Newcombe's (1998) of the two, at 5 % ÷ pairs
    (Bonferroni).
    """
    gaps = [_gap(summary, _selected, index, rates=1) for index in range(len(summary.names))]
    return _estimate(summary, gaps, lambda s: s.scored)


@metric("equalised_odds_difference", GroupSummary, family="quality", direction=-1, labels=_names, detail=True)
def equalised_odds_difference(summary: GroupSummary) -> Estimate:
    """The larger of the differences in true and in false positive rate between a segment's groups.

    As `demographic_parity_difference`, over groups with at least 200 positives (for the first) and 200
    negatives (for the second); the interval holds for both rates at once.
    """
    gaps = []
    for index in range(len(summary.names)):
        true, false = (_gap(summary, rate, index, rates=2) for rate in (_true_positive, _false_positive))
        larger = true.value >= false.value
        known = np.isfinite(true.value) & np.isfinite(false.value)
        pairs = zip(
            (true.value, true.lower, true.upper), (false.value, false.lower, false.upper), strict=True
        )
        gaps.append(_Gap(*(np.where(known, np.where(larger, one, other), np.nan) for one, other in pairs)))
    return _estimate(summary, gaps, lambda s: s.positives + s.negatives)


def _gap(summary: GroupSummary, rate: Rate, segment: int, *, rates: int) -> _Gap:
    """Largest difference of a rate between groups of one segment that have enough rows."""
    mine = np.flatnonzero(summary.segment == segment)

    def of(some: GroupSummary) -> tuple[Amounts, Amounts]:
        hits, n = rate(some)
        return hits[..., mine], n[..., mine]

    (hits, n), (hits_squared, squares), _ = layers(summary, of)
    if mine.size == 0:
        nothing = np.full(n.shape[:-1], np.nan)
        return _Gap(nothing, nothing, nothing)
    share, fit = ratio(hits, n), effective(n, squares) >= MIN_PROPORTION
    size = n if squares is n else share_size(share, n, hits_squared, squares)
    lower, upper = wilson(hits, n, size, _quantile(fit, rates))
    most, least = (
        np.argmax(np.where(fit, side * share, -np.inf), axis=-1)[..., np.newaxis] for side in (1, -1)
    )
    top, top_low, top_high = (_at(array, most) for array in (share, lower, upper))
    low, low_low, low_high = (_at(array, least) for array in (share, lower, upper))
    value = np.where(fit.sum(axis=-1) > 1, top - low, np.nan)
    ends = value - np.hypot(top - top_low, low_high - low), value + np.hypot(top_high - top, low - low_low)
    return _Gap(value, np.maximum(ends[0], 0 * value), np.minimum(ends[1], np.where(value >= 0, 1, np.nan)))


def _quantile(fit: Flags, rates: int) -> Floats:
    """Normal quantile at which the intervals of all pairs of groups, and of all rates, hold together."""
    from scipy.special import ndtri  # noqa: PLC0415 - costs more to import than the rest of core

    groups = np.maximum(fit.sum(axis=-1, keepdims=True), 2)
    return np.asarray(-ndtri(0.025 / (groups * (groups - 1) / 2 * rates)))


def _at(array: Floats, index: Ints) -> Floats:
    return np.asarray(np.take_along_axis(array, index, axis=-1)[..., 0])


def _estimate(summary: GroupSummary, gaps: list[_Gap], rows: Callable[[Any], Amounts]) -> Estimate:
    n, squares, seen = layers(summary, lambda s: _per_segment(s, rows(s)))
    value, lower, upper = (
        np.stack([getattr(gap, name) for gap in gaps], axis=-1) for name in ("value", "lower", "upper")
    )
    size = effective(n, squares)
    return Estimate(value, seen, lower, upper, sufficient=np.isfinite(value), need=_NEED, effective=size)


def _per_segment(summary: GroupSummary, rows: Amounts) -> Amounts:
    parts = [rows[..., summary.segment == index].sum(axis=-1) for index in range(len(summary.names))]
    return np.stack(parts, axis=-1)
