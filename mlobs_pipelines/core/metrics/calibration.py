"""Calibration metrics over reliability bins: how often a score of 0.3 comes true.

Every number comes from sums per bin, so nothing here depends on the order or the split of rows.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.estimates import dot, effective, enough, layers, proportion, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import MulticlassSummary, ScoreSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

Binned = ScoreSummary | MulticlassSummary
MIN_PER_BIN = 10
_RESAMPLES = 1000
_BLOCK = 32
_SEED = 20130301


def bin_names(summary: Binned) -> list[str]:
    """The reliability bins, for a metric with a value for each."""
    return [f"bin{index:02d}" for index in range(summary.bin_n.shape[-1])]


@metric("ece", ScoreSummary, family="calibration", direction=-1)
def ece(summary: Binned) -> Estimate:
    """Expected calibration error Σ (n_b / n) |mean score - mean label| (Naeini et al. 2015).

    The 95 % interval is a bootstrap over the bins. Chance on average adds to a sum of absolute values, so
    the lower end is the basic bootstrap's, which takes chance off, and the upper end the percentile's
    (Davison and Hinkley 1997, chapter 5). The lower end is 0 wherever a perfectly calibrated model with the
    same scores would show as much by chance (its 97.5 % point).
    """
    n = summary.bin_n.sum(axis=-1, keepdims=True)
    return _gap_estimate(summary, np.broadcast_to(n, summary.bin_n.shape), np.add)


@metric("ace", ScoreSummary, family="calibration", direction=-1, detail=True)
def ace(summary: ScoreSummary) -> Estimate:
    """Adaptive calibration error: as `ece`, over 15 bins of equally many rows (Nixon et al. 2019).

    Rows of one score cell stay together, in the bin of their middle rank, and stand at the cell's middle: the
    bound is how far that may move the mean scores.
    """
    bins = summary.bin_n.shape[-1]
    cells = summary.positives + summary.negatives
    n = cells.sum(axis=-1, keepdims=True)
    place = np.minimum(
        np.floor(np.nan_to_num(ratio(bins * (np.cumsum(cells, axis=-1) - cells / 2), n))), bins - 1
    )
    found = ece(_equal_mass(summary, place, bins))
    bound = ratio(dot(cells, (summary.high - summary.low) / 2), n[..., 0])
    return replace(found, n=_seen(summary), bound=bound)


def _equal_mass(summary: ScoreSummary, place: Floats, bins: int) -> ScoreSummary:
    """The same scores with other bins: sums over the score cells that `place` puts into each."""
    plain = _rebinned(summary.seen, place, bins)
    if summary.twice is None:
        return plain
    return weighted(plain, _rebinned(summary, place, bins), _rebinned(summary.twice, place, bins))


def _rebinned(summary: ScoreSummary, place: Floats, bins: int) -> ScoreSummary:
    middle = (summary.low + summary.high) / 2
    both = summary.positives + summary.negatives
    mine = [place == index for index in range(bins)]

    def sums(counts: Amounts, power: int) -> Amounts:
        return np.stack([dot(np.where(at, counts, 0), middle**power) for at in mine], axis=-1)

    return replace(
        summary,
        once=None,
        twice=None,
        bin_n=sums(both, 0),
        bin_positives=sums(summary.positives, 0),
        bin_score=sums(both, 1),
        bin_score_sq=sums(both, 2),
        bin_score_positives=sums(summary.positives, 1),
    )


@metric("mce", ScoreSummary, family="calibration", direction=-1)
def mce(summary: Binned) -> Estimate:
    """Maximum calibration error: the largest |mean score - mean label| of a bin; interval as for `ece`."""
    return _gap_estimate(summary, summary.bin_n, np.maximum)


def _gap_estimate(summary: Binned, scale: Amounts, combine: np.ufunc) -> Estimate:
    """Combine the bins' |Σ score - Σ label| / scale into one estimate; empty bins add nothing."""
    gap = np.nan_to_num(ratio(summary.bin_score - summary.bin_positives, scale))
    spread = np.nan_to_num(ratio(_gap_deviation(summary), scale))
    n = np.asarray(summary.bin_n.sum(axis=-1))
    value = np.where(n > 0, combine.reduce(np.abs(gap), axis=-1), np.nan)
    high = _upper_point(gap, spread, combine)
    chance = np.nan_to_num(ratio(_chance_deviation(summary.squared), scale))
    by_chance = value <= _upper_point(np.zeros_like(gap), chance, combine)
    lower = np.where(by_chance, 0 * value, np.clip(2 * value - high, 0, value))
    return Estimate(value, _seen(summary), lower, np.clip(high, value, 1), **_enough(summary))


def _seen(summary: Binned) -> Ints:
    return np.asarray(summary.seen.bin_n.sum(axis=-1))


def _enough(summary: Binned) -> dict[str, Any]:
    """The minimum-sample rule of calibration."""
    n, squares, _ = layers(summary, lambda s: s.bin_n.sum(axis=-1))
    return enough(effective(n, squares), MIN_PER_BIN * summary.bin_n.shape[-1])


def _gap_deviation(summary: Binned) -> Floats:
    """Bootstrap standard deviation of each bin's Σ (score - label) when n rows are drawn again from n.

    It is the square root of the diagonal of the multinomial bootstrap's covariance: Σ d² - (Σ d)² / n.
    Weighted rows add w² (d - m)², m the mean of d over all rows and d = 0 outside the bin.
    """
    twice = summary.squared
    squares = twice.bin_score_sq - 2 * twice.bin_score_positives + twice.bin_positives
    n, rows, _ = layers(summary, lambda s: s.bin_n.sum(axis=-1, keepdims=True))
    mean = np.nan_to_num(ratio(summary.bin_score - summary.bin_positives, n))
    total = twice.bin_score - twice.bin_positives
    skewed = 0 if rows is n else np.where(n == rows, 0, mean * (total - mean * rows))
    return np.asarray(np.sqrt(np.maximum(squares - mean * total - skewed, 0)))


def _chance_deviation(summary: Binned) -> Floats:
    """Standard deviation of each bin's Σ (score - label) where every score is right: Σ s (1 - s)."""
    return np.asarray(np.sqrt(np.maximum(summary.bin_score - summary.bin_score_sq, 0)))


@cache
def _draws(bins: int) -> Floats:
    """Fixed standard normal draws: a window's interval depends on its sums alone."""
    return np.random.default_rng(_SEED).standard_normal((bins, _RESAMPLES))


def _upper_point(gap: Floats, spread: Floats, combine: np.ufunc) -> Floats:
    """97.5 % point of the combined |gap| over resamples of every bin: (..., K) bins become (...,)."""
    bins = gap.shape[-1]
    gaps, spreads = (np.broadcast_to(array, gap.shape).reshape(-1, bins) for array in (gap, spread))
    found = np.zeros(len(gaps))
    # A block of windows at a time: what is worked on stays close to the processor.
    for start in range(0, len(gaps), _BLOCK):
        block = slice(start, start + _BLOCK)
        found[block] = _upper_points(gaps[block], spreads[block], combine)
    return found.reshape(gap.shape[:-1])


def _upper_points(gaps: Floats, spreads: Floats, combine: np.ufunc) -> Floats:
    total = np.zeros((len(gaps), _RESAMPLES))
    again = np.empty_like(total)
    for index, draw in enumerate(_draws(gaps.shape[-1])):
        np.multiply(spreads[:, index, np.newaxis], draw, out=again)
        again += gaps[:, index, np.newaxis]
        combine(total, np.abs(again, out=again), out=total)
    return np.asarray(np.quantile(total, 0.975, axis=-1, overwrite_input=True))


@metric("brier_reliability", ScoreSummary, family="calibration", direction=-1)
def brier_reliability(summary: ScoreSummary) -> Estimate:
    """Murphy's reliability Σ n_b (mean score - mean label)² ÷ n; 0 is perfect.

    Murphy (1973): Brier score = reliability - resolution + uncertainty (+ `brier_residual`).
    """
    gap = ratio(summary.bin_score - summary.bin_positives, summary.bin_n)
    return _part(summary, _weighted(summary, gap**2))


@metric("brier_resolution", ScoreSummary, family="calibration", direction=1)
def brier_resolution(summary: ScoreSummary) -> Estimate:
    """Murphy's resolution Σ n_b (mean label of the bin - base rate)² ÷ n; more is better."""
    rate = ratio(summary.bin_positives, summary.bin_n)
    return _part(summary, _weighted(summary, (rate - _base_rate(summary)[..., np.newaxis]) ** 2))


@metric("brier_uncertainty", ScoreSummary, family="calibration")
def brier_uncertainty(summary: ScoreSummary) -> Estimate:
    """Murphy's uncertainty: base rate x (1 - base rate), which no model can change."""
    rate = _base_rate(summary)
    return _part(summary, rate * (1 - rate))


@metric("brier_residual", ScoreSummary, family="calibration")
def brier_residual(summary: ScoreSummary) -> Estimate:
    """What bins hide from Murphy's parts: variance of the scores inside bins - 2 x covariance with the label.

    Stephenson, Coelho and Jolliffe (2008). It closes the identity with the exact Brier score.
    """
    mean = np.nan_to_num(ratio(summary.bin_score, summary.bin_n))
    variance = summary.bin_score_sq - mean * summary.bin_score
    covariance = summary.bin_score_positives - mean * summary.bin_positives
    inside = np.sum(variance - 2 * covariance, axis=-1)
    return _part(summary, ratio(inside, summary.bin_n.sum(axis=-1)))


def _base_rate(summary: ScoreSummary) -> Floats:
    return ratio(summary.bin_positives.sum(axis=-1), summary.bin_n.sum(axis=-1))


def _weighted(summary: ScoreSummary, values: Floats) -> Floats:
    """Mean of a bin quantity over the rows; empty bins have no weight."""
    used: Flags = summary.bin_n > 0
    total = np.sum(summary.bin_n * np.where(used, values, 0), axis=-1)
    return ratio(total, summary.bin_n.sum(axis=-1))


def _part(summary: ScoreSummary, value: Floats) -> Estimate:
    """A part of the Brier score under the minimum-sample rule of calibration."""
    return Estimate(value, _seen(summary), **_enough(summary))


@metric("reliability_score", ScoreSummary, family="calibration", labels=bin_names)
def reliability_score(summary: Binned) -> Estimate:
    """Mean score per reliability bin; NaN for an empty bin. The x axis of the reliability curve."""
    return Estimate(ratio(summary.bin_score, summary.bin_n), summary.seen.bin_n)


@metric("reliability_observed", ScoreSummary, family="calibration", labels=bin_names)
def reliability_observed(summary: Binned) -> Estimate:
    """Positives ÷ labelled rows per reliability bin, with Wilson's interval: the y axis of the curve."""
    return proportion(summary, lambda s: (s.bin_positives, s.bin_n))
