"""Pairs of scores as the product counts them, and DeLong's test as its paper writes it, for tests."""

import numpy as np

from mlobs_pipelines.core.buckets import score_codes
from mlobs_pipelines.core.pairing import pair_codes, pair_ranges
from mlobs_pipelines.core.summaries import PairSummary, weighted

EPS = np.finfo(float).eps


def pair_summary(own, champion, label, weights=None):
    """Summary of pairs by the product's own cells, plain numpy for the rest."""
    if weights is None:
        return _summary(own, champion, label, np.ones(own.size, np.int64))
    return weighted(*(_summary(own, champion, label, weights**power) for power in (0, 1, 2)))


def _summary(own, champion, label, w):
    """Sums of rows times `w`."""
    positive = label == 1
    own_codes, champion_codes = score_codes(own), score_codes(champion)
    joint_codes = pair_codes(own_codes, champion_codes)
    fine, joint = np.unique([own_codes, champion_codes]), np.unique(joint_codes)

    def cells(codes, known, side):
        counts = np.zeros(known.size, w.dtype)
        np.add.at(counts, np.searchsorted(known, codes[side]), w[side])
        return counts

    right = [(score >= 0.5) == positive for score in (own, champion)]
    losses = [-np.log(np.where(positive, s, 1 - s).clip(EPS)) for s in (own, champion)]
    moved = {
        "log_loss": losses[0] - losses[1],
        "squared_error": (own - label) ** 2 - (champion - label) ** 2,
    }
    sums = {name: (w * d).sum() for name, d in moved.items()}
    sums |= {f"{name}_sq": (w * d * d).sum() for name, d in moved.items()}
    ranges = [np.searchsorted(fine, ends) for ends in pair_ranges(joint)]
    return PairSummary(
        unlabelled=w[:0].sum(),
        both=w[right[0] & right[1]].sum(),
        own_only=w[right[0] & ~right[1]].sum(),
        champion_only=w[~right[0] & right[1]].sum(),
        neither=w[~right[0] & ~right[1]].sum(),
        own_positives=cells(own_codes, fine, positive),
        own_negatives=cells(own_codes, fine, ~positive),
        champion_positives=cells(champion_codes, fine, positive),
        champion_negatives=cells(champion_codes, fine, ~positive),
        joint_positives=cells(joint_codes, joint, positive),
        joint_negatives=cells(joint_codes, joint, ~positive),
        own_range=ranges[0],
        champion_range=ranges[1],
        **sums,
    )


def delong_paired(own, champion, label):
    """Difference of two AUCs and its variance, by all pairs of a positive and a negative.

    ψ is 1, ½ or 0; V₁₀ and V₀₁ are its means over negatives and positives; S = S₁₀/m + S₀₁/n (DeLong, DeLong
    and Clarke-Pearson 1988, equations 3 to 6).
    """
    areas, tens, ones = [], [], []
    for score in (own, champion):
        x, y = score[label == 1], score[label == 0]
        psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
        areas.append(psi.mean())
        tens.append(psi.mean(axis=1))
        ones.append(psi.mean(axis=0))
    s = np.cov(tens) / len(tens[0]) + np.cov(ones) / len(ones[0])
    return areas[0] - areas[1], s[0, 0] + s[1, 1] - 2 * s[0, 1]


def draw(rng, n, correlation=0.9, lift=0.0, base=-1.0, spread=1.0):
    """Scores of two models of the same cases: log odds with correlated errors, and the labels.

    `lift` is how much better the first model tells positives from negatives.
    """
    label = (rng.random(n) < 0.25).astype(float)
    first, second = rng.normal(size=(2, n))
    second = correlation * first + np.sqrt(1 - correlation**2) * second
    own, champion = (
        base + spread * (signal * label + noise) for signal, noise in ((1 + lift, first), (1, second))
    )
    return 1 / (1 + np.exp(-own)), 1 / (1 + np.exp(-champion)), label
