"""How likely a label has arrived by the age of its prediction, and what labels that have then stand for.

A label that arrives with probability p by the age of its prediction stands for 1 ÷ p labels of its stratum
(Horvitz and Thompson 1952): those that came and those still to come. A stratum is a label with what was
decided; its probabilities are those of earlier predictions that have reached the label horizon.
"""

from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.metrics.estimates import effective, ratio
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats

LEAST_ARRIVED = 0.1
LEAST_LABELS = 30
DIRECTIONS = 2
_GRAIN = 2.0**26  # weights are whole multiples of 1 ÷ this: in whatever order they add up, no bit changes


def arrived_share(lags: Amounts, squared: Amounts) -> tuple[Floats, Floats]:
    """Probability that a label that comes within the horizon has come, by stratum and age.

    Parameters
    ----------
    lags, squared : (2, 2, L)
        Labels by label, decision and whole lag unit up to the horizon (index i: lag in (i-1, i] units), all
        of predictions that have reached it: how many they stand for, and Σw² where rows have weights.

    Returns
    -------
    share : (2, 2, L) float64
        For ages in [i, i+1) units, in the middle between both ends; 1 for the last, which stands for all ages
        from the horizon on. A decision with too few labels has the share of both together, and where these
        are too few the share is 0 at all younger ages.
    labels : (2, 2) float64
        How many labels of equal weight it rests on.

    Examples
    --------
    >>> lags = np.array([[[0, 60, 40], [50, 0, 50]], [[0, 9, 9], [21, 0, 0]]])
    >>> arrived_share(lags, lags)[0].round(2).tolist()
    [[[0.3, 0.8, 1.0], [0.5, 0.75, 1.0]], [[0.65, 0.88, 1.0], [0.65, 0.88, 1.0]]]
    """
    both = np.broadcast_to(lags.sum(axis=1, keepdims=True), lags.shape)
    both_squared = np.broadcast_to(squared.sum(axis=1, keepdims=True), lags.shape)
    few = effective(lags.sum(axis=-1), squared.sum(axis=-1)) < LEAST_LABELS
    found = np.where(few[..., np.newaxis], both, lags)
    labels = effective(found.sum(axis=-1), np.where(few[..., np.newaxis], both_squared, squared).sum(axis=-1))
    curve = ratio(np.cumsum(found, axis=-1), found.sum(axis=-1, keepdims=True))
    curve = np.where((labels >= LEAST_LABELS).all(), curve, 0.0)
    share = np.append((curve[..., 1:] + curve[..., :-1]) / 2, np.ones_like(curve[..., :1]), axis=-1)
    return np.asarray(share), np.asarray(labels)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the labels of each day and stratum stand for; strata are in the order of their codes.

    Attributes
    ----------
    used : (D,) bool
        Days of which at every age at least a tenth of each stratum's labels has come. Of younger ones too few
        are there to speak for the others, or none at all.
    weight, squared : (D, S) float64
        Mean of 1 ÷ p and of 1 ÷ p² over the known labels; 0 of days that are not used.
    shifts : (S x DIRECTIONS, D, S) float64
        What the weights change by, in independent directions, when the curves are off by a standard error.
    """

    used: Flags
    weight: Floats
    squared: Floats
    shifts: Floats


def standing(
    known: Amounts, known_squared: Amounts, waiting: Amounts, share: Floats, labels: Floats
) -> Standing:
    """Weigh the known labels of days by the probability that they have arrived.

    Parameters
    ----------
    known, known_squared : (D, S, L)
        Known labels by day, stratum and unit of age: how many they stand for, and Σw² where rows have some.
    waiting : (D, L)
        Predictions without a label by day and unit of age.
    share : (S, L)
        See `arrived_share`.
    labels : (S,)
        How many labels the probabilities rest on, as rows of equal weight.
    """
    used = _used(known.sum(axis=1) + waiting, share)
    chance = np.where(share > 0, share, np.inf)
    kept, there = (rows * used[:, np.newaxis, np.newaxis] for rows in (known, known_squared))
    n, n_squared = known.sum(axis=-1), known_squared.sum(axis=-1)
    # A stratum without labels stands for none, whatever its weight.
    weight = np.where(n > 0, ratio((kept / chance).sum(axis=-1), n), used[:, np.newaxis])
    squared = np.where(n > 0, ratio((there / chance**2).sum(axis=-1), n_squared), used[:, np.newaxis])
    shifts = np.zeros((share.shape[0] * DIRECTIONS, *weight.shape))
    young = np.flatnonzero(kept[..., :-1].any(axis=(1, 2)))
    for stratum in range(share.shape[0] if young.size else 0):
        stands = kept[young, stratum] / chance[stratum]
        moved = _directions(stands, chance[stratum], max(float(labels[stratum]), 1.0))
        first = stratum * DIRECTIONS
        shifts[first : first + DIRECTIONS, young, stratum] = np.nan_to_num(ratio(moved, n[young, stratum]))
    return Standing(used, *(np.rint(array * _GRAIN) / _GRAIN for array in (weight, squared, shifts)))


def _used(rows: Amounts, share: Floats) -> Flags:
    """Days whose youngest predictions are old enough."""
    there = rows > 0
    youngest = np.argmax(there, axis=-1)
    return np.asarray(there.any(axis=-1) & (share.min(axis=0)[youngest] >= LEAST_ARRIVED))


def _directions(standing_for: Floats, chance: Floats, labels: float) -> Floats:
    """What a standard error of a stratum's curve moves the number that each day's labels stand for.

    With n labels, Cov(p_i, p_j) = p_i p_j (1 ÷ p_max(i, j) - 1) ÷ n is a sum over ages u of independent parts
    (1 ÷ p_u - 1 ÷ p_u+1) ÷ n, each of which moves all labels that are at most so old. Their effect on days is
    told by its principal directions, made longer by what is lost of the variance.

    Parameters
    ----------
    standing_for : (D, L)
        What the labels of each day and age stand for.
    chance : (L,)
        Ascending; infinite where unknown, at ages that are not used.

    Returns
    -------
    (DIRECTIONS, D) float64
    """
    excess = np.where(np.isfinite(chance), 1 / chance, 0.0)
    parts = np.sqrt(np.maximum(excess[:-1] - excess[1:], 0) / labels)
    moves = np.cumsum(standing_for, axis=-1)[:, :-1] * parts
    values, vectors = np.linalg.eigh(moves @ moves.T)
    order = np.argsort(values)[::-1][:DIRECTIONS]
    kept, whole = np.maximum(values[order], 0), max(float(np.trace(moves @ moves.T)), 0.0)
    longer = np.sqrt(whole / kept.sum()) if kept.sum() > 0 else 0.0
    found = np.zeros((DIRECTIONS, standing_for.shape[0]))
    upwards = np.where(vectors[:, order].sum(axis=0) < 0, -1.0, 1.0)
    found[: order.size] = (vectors[:, order] * upwards * np.sqrt(kept) * longer).T
    return found
