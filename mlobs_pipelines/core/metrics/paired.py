"""A version against the champion on the same predictions: what changes, and whether that may be chance.

Differences are the version's own value minus the champion's; pairs carry less chance than two separate
windows, because both models saw the same cases.
"""

from math import comb

import numpy as np

from mlobs_pipelines.core.metrics.estimates import (
    MIN_PROPORTION,
    Z95,
    amount,
    average,
    dot,
    effective,
    enough,
    layers,
    ratio,
)
from mlobs_pipelines.core.metrics.quality import MIN_CLASS, delong, placement, spread
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.regression import UNIT
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import ClassPairSummary, PairSummary, ValuePairSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats, Ints

AnyPairs = ClassPairSummary | ValuePairSummary

EXACT_UNDER = 25  # discordant pairs
_TAILS = np.array(
    [
        [min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n) for k in range(EXACT_UNDER)]
        for n in range(EXACT_UNDER)
    ]
)  # P(as uneven as k of n, either way) of a fair coin


@metric("paired_count", PairSummary, family="quality", unit="rows")
@metric("paired_count", ClassPairSummary, family="quality", unit="rows")
@metric("paired_count", ValuePairSummary, family="quality", unit="rows")
def paired_count(summary: AnyPairs) -> Estimate:
    """Predictions that both the version and the champion scored, labelled or not."""

    def pairs(s: AnyPairs) -> Amounts:
        return s.labelled + s.unlabelled

    return amount(summary, pairs, pairs)


@metric("auc_difference", PairSummary, family="quality", direction=1)
def auc_difference(summary: PairSummary) -> Estimate:
    """AUC of the version minus that of the champion on the same labelled predictions.

    The 95 % interval is that of two correlated ROC curves (DeLong, DeLong and Clarke-Pearson 1988): its
    variance is that of the difference of a row's two placements, each taken as the mean of its joint cell.
    The bound is the sum of what ties inside score cells may hide in either area.
    """
    value, variance, bound = _areas(summary)
    half = Z95 * np.sqrt(variance)
    return _ranked(summary, value, np.clip(value - half, -1, 1), np.clip(value + half, -1, 1), bound)


@metric("delong_p", PairSummary, family="quality")
def delong_p(summary: PairSummary) -> Estimate:
    """Two-sided p-value that both AUCs are equal, by the normal test of `auc_difference`.

    1 where the areas are equal; NaN where they differ without any spread that the difference could be held
    against.
    """
    from scipy.special import ndtr  # noqa: PLC0415 - costs more to import than the rest of core

    value, variance, _ = _areas(summary)
    p = 2 * ndtr(-ratio(np.abs(value), np.sqrt(variance)))
    return _ranked(summary, np.where(value == 0, 1.0, p))


def _ranked(
    summary: PairSummary,
    value: Floats,
    lower: Floats | float = np.nan,
    upper: Floats | float = np.nan,
    bound: Floats | float = 0.0,
) -> Estimate:
    """An estimate from the ranks of labelled pairs, with its rows and minimum sample."""
    sides = [
        layers(summary, lambda s, name=name: np.asarray(getattr(s, name).sum(axis=-1)))  # type: ignore[misc] # bound now
        for name in ("own_positives", "own_negatives")
    ]
    sizes = [effective(n, squares) for n, squares, _ in sides]
    return Estimate(
        value,
        np.asarray(sum(seen for *_, seen in sides)),
        np.asarray(lower),
        np.asarray(upper),
        np.asarray(bound),
        sufficient=np.asarray((sizes[0] >= MIN_CLASS) & (sizes[1] >= MIN_CLASS)),
        need=f"at least {MIN_CLASS} positives and {MIN_CLASS} negatives",
        effective=sizes[0] + sizes[1],
    )


@shared
def _areas(summary: PairSummary) -> tuple[Floats, Floats, Floats]:
    """Difference of the areas, its variance, and its binning bound."""
    own, _, own_bound = delong(summary.own_positives, summary.own_negatives)
    champion, _, bound = delong(summary.champion_positives, summary.champion_negatives)
    variance = _spread(summary, "positives", "negatives") + _spread(summary, "negatives", "positives")
    return own - champion, variance, own_bound + bound


def _spread(summary: PairSummary, side: str, other: str) -> Floats:
    """Variance that the rows of one label bring into the difference."""
    moved = _placed(summary, "own", side, other) - _placed(summary, "champion", side, other)
    joint, squared, _ = layers(summary, lambda s: getattr(s, f"joint_{side}"))
    n = joint.sum(axis=-1)
    return spread(squared, moved, ratio(dot(joint, moved), n), n)


def _placed(summary: PairSummary, whose: str, side: str, other: str) -> Floats:
    """Mean placement, among the rows of the other label, of the rows whose score lies where a joint cell is.

    Returns
    -------
    (..., J) float64
        0 where there are none.
    """
    rows, others = getattr(summary, f"{whose}_{side}"), getattr(summary, f"{whose}_{other}")
    below = placement(others, others.sum(axis=-1))
    where = getattr(summary, f"{whose}_range")
    return np.nan_to_num(ratio(_between(rows * below, where), _between(rows, where)))


def _between(cells: Amounts, where: Ints) -> Amounts:
    """Sums over ranges of cells."""
    running = np.cumsum(cells, axis=-1)
    running = np.concatenate([np.zeros_like(running[..., :1]), running], axis=-1)
    return np.asarray(running[..., where[:, 1]] - running[..., where[:, 0]])


@metric("accuracy_difference", PairSummary, family="quality", direction=1)
@metric("accuracy_difference", ClassPairSummary, family="quality", direction=1)
def accuracy_difference(summary: ClassPairSummary) -> Estimate:
    """Share of pairs only the version decided rightly minus share only the champion did.

    The 95 % interval is Agresti and Min's (2005): the normal one of matched pairs with half a pair added to
    each of the four outcomes.
    """
    (n, own, champion), (squares, own_sq, champion_sq), (seen, *_) = layers(summary, _decided)
    value = ratio(own - champion, n)
    alike = np.maximum(squares - own_sq - champion_sq, 0)
    away = own_sq * (1 - value) ** 2 + champion_sq * (1 + value) ** 2 + alike * value**2
    size = np.where(n == squares, n, _worth(own + champion - value * (own - champion), n, away, squares))
    lower, upper = _matched(ratio(own, n) * size, ratio(champion, n) * size, size)
    ends = np.fmin(np.maximum(lower, -1), value), np.fmax(np.minimum(upper, 1), value)
    return Estimate(value, np.asarray(seen), *ends, **enough(effective(n, squares), MIN_PROPORTION))


def _decided(summary: ClassPairSummary) -> tuple[Amounts, Amounts, Amounts]:
    """Labelled pairs, and those that only the version, or only the champion, decided rightly."""
    return summary.labelled, summary.own_only, summary.champion_only


def _worth(spread_: Floats, n: Amounts, away: Floats, squares: Amounts) -> Floats:
    """How many pairs of equal weight say as much about a mean difference; Kish's where nothing differs."""
    size = ratio(np.asarray(spread_, np.float64) * n, away)
    return np.where(size > 0, size, effective(n, squares))


def _matched(own: Floats, champion: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Agresti and Min's interval from numbers of discordant pairs; NaN where there are no pairs."""
    total, up, down = np.where(n > 0, n, np.nan) + 2, own + 0.5, champion + 0.5
    centre = (up - down) / total
    half = Z95 * np.sqrt(np.maximum((up + down) / total - centre**2, 0) / total)
    return centre - half, centre + half


@metric("mcnemar_p", PairSummary, family="quality")
@metric("mcnemar_p", ClassPairSummary, family="quality")
def mcnemar_p(summary: ClassPairSummary) -> Estimate:
    """Two-sided p-value that both versions are right equally often, from the pairs on which only one is.

    McNemar's (1947) χ² with Edwards' (1948) correction for continuity; under 25 such pairs the exact
    binomial test, unless pairs are weighted. Weights scale the pairs down to what they are worth.
    """
    (n, own, champion), (squares, own_sq, champion_sq), (seen, *_) = layers(summary, _decided)
    split, split_sq = own + champion, own_sq + champion_sq
    p = np.where(
        (split < EXACT_UNDER) & (split == split_sq),
        _exact(own, champion),
        _corrected(own, champion, ratio(split, split_sq)),
    )
    size = enough(effective(n, squares), MIN_PROPORTION)
    return Estimate(np.where(n > 0, p, np.nan), np.asarray(seen), **size)


def _exact(own: Amounts, champion: Amounts) -> Floats:
    split, least = own + champion, np.minimum(own, champion)
    known = split < EXACT_UNDER
    return np.asarray(
        _TAILS[np.where(known, split, 0).astype(np.int64), np.where(known, least, 0).astype(np.int64)]
    )


def _corrected(own: Amounts, champion: Amounts, scale: Floats) -> Floats:
    from scipy.special import chdtrc  # noqa: PLC0415 - costs more to import than the rest of core

    away = np.maximum(np.abs(own - champion) * scale - 1, 0)
    return np.asarray(chdtrc(1, ratio(away * away, (own + champion) * scale)))


@metric("log_loss_difference", PairSummary, family="quality", direction=-1)
@metric("log_loss_difference", ClassPairSummary, family="quality", direction=-1)
def log_loss_difference(summary: ClassPairSummary) -> Estimate:
    """Mean difference of the two log losses, with the normal 95 % interval of paired differences."""
    return average(summary, lambda s: (s.log_loss, s.log_loss_sq, s.labelled), floor=-np.inf)


@metric("brier_difference", PairSummary, family="quality", direction=-1)
def brier_difference(summary: PairSummary) -> Estimate:
    """Mean difference of the two (score - label)², with the normal 95 % interval of paired differences."""
    return _squared(summary, 1.0)


@metric("brier_difference", ClassPairSummary, family="quality", direction=-1)
def multiclass_brier_difference(summary: ClassPairSummary) -> Estimate:
    """Mean difference of the two Σ_k (score of class k - [label is k])², each at most 2."""
    return _squared(summary, 2.0)


def _squared(summary: ClassPairSummary, most: float) -> Estimate:
    return average(
        summary, lambda s: (s.squared_error, s.squared_error_sq, s.labelled), floor=-most, ceiling=most
    )


@metric("mae_difference", ValuePairSummary, family="quality", unit=UNIT, direction=-1)
def mae_difference(summary: ValuePairSummary) -> Estimate:
    """Mean difference of the two absolute errors, with the normal 95 % interval of paired differences."""
    return average(summary, lambda s: (s.absolute_error, s.absolute_error_sq, s.labelled), floor=-np.inf)


@metric("mse_difference", ValuePairSummary, family="quality", unit=f"{UNIT}²", direction=-1)
def mse_difference(summary: ValuePairSummary) -> Estimate:
    """Mean difference of the two squared errors, with the normal 95 % interval of paired differences."""
    return average(summary, lambda s: (s.squared_error, s.squared_error_sq, s.labelled), floor=-np.inf)
