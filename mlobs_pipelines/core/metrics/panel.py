"""Drift over many features at once: which of them really moved, and which share of the model that is.

Significance is controlled over all features of a window; how far one has moved stays PSI's business.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.drift import psi_p, shift
from mlobs_pipelines.core.metrics.estimates import effective, layers, ratio
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import PanelSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

BAND = 0.1
Q = 0.05


def false_discovery(p: Floats) -> Floats:
    """Benjamini and Hochberg's q-values along the last axis (1995): min over j ≥ i of p₍ⱼ₎ m ÷ j.

    Parameters
    ----------
    p : (..., F)
        NaN where there is no test; those do not count.

    Examples
    --------
    >>> false_discovery(np.array([0.01, np.nan, 0.04, 0.03]))
    array([0.03,  nan, 0.04, 0.04])
    """
    order = np.argsort(p, axis=-1)  # NaN last
    tests = np.count_nonzero(~np.isnan(p), axis=-1, keepdims=True)
    steps = np.take_along_axis(p, order, axis=-1) * tests / np.arange(1, p.shape[-1] + 1)
    steps = np.where(np.isnan(steps), np.inf, steps)
    least = np.minimum.accumulate(np.flip(steps, -1), axis=-1)
    q = np.empty_like(p)
    np.put_along_axis(q, order, np.minimum(np.flip(least, -1), 1), axis=-1)
    return np.where(np.isnan(p), np.nan, q)


def _names(summary: PanelSummary) -> list[str]:
    return list(summary.names)


@metric("drift_q", PanelSummary, family="drift", direction=1, labels=_names)
def drift_q(summary: PanelSummary) -> Estimate:
    """Benjamini-Hochberg q-value of each feature's PSI among all features of the window.

    The p-value is that of PSI's χ²; of the features with q ≤ 0.05 at most 5 % are expected not to have moved.
    """
    return Estimate(_q(summary), _rows(summary))


@metric("drifted_share", PanelSummary, family="drift", direction=-1)
def drifted_share(summary: PanelSummary) -> Estimate:
    """Drifted features ÷ features: those with PSI > 0.1 and q ≤ 0.05."""
    known, drifted, quiet = _drifted(summary)
    value = ratio(drifted.sum(axis=-1), known.sum(axis=-1))
    return Estimate(value, _rows(summary).max(axis=-1), **_enough(summary, quiet))


@metric("drifted_importance", PanelSummary, family="drift", direction=-1)
def drifted_importance(summary: PanelSummary) -> Estimate:
    """Importance of the drifted features ÷ importance of all; NaN where no importance is known.

    An importance below zero counts as none.
    """
    known, drifted, quiet = _drifted(summary)
    weight = np.nan_to_num(np.maximum(summary.importance, 0))
    value = ratio((drifted * weight).sum(axis=-1), (known * weight).sum(axis=-1))
    return Estimate(value, _rows(summary).max(axis=-1), **_enough(summary, quiet))


def _drifted(summary: PanelSummary) -> tuple[Flags, Flags, Flags]:
    """Features with a PSI, those that drifted, and whether PSI's noise of every one stays within the band."""
    found = [shift(summary, _bins(i, w), _before(summary, i, w)) for i, w in enumerate(summary.width)]
    value, noise = (np.stack([getattr(one, name) for one in found], axis=-1) for name in ("value", "noise"))
    known = ~np.isnan(value)
    quiet = np.all(~known | (noise <= BAND), axis=-1) & known.any(axis=-1)
    return known, known & (value > BAND) & (_q(summary) <= Q), quiet


def _q(summary: PanelSummary) -> Floats:
    found = []
    for index, width in enumerate(summary.width):
        bins, squared, _ = layers(summary, _bins(index, width))
        found.append(psi_p(bins, squared, _before(summary, index, width)))
    return false_discovery(np.stack(found, axis=-1))


def _bins(index: int, width: int) -> Callable[[PanelSummary], Amounts]:
    return lambda summary: summary.bins[..., index, :width]


def _before(summary: PanelSummary, index: int, width: int) -> Amounts:
    return np.asarray(summary.baseline_bins[..., index, :width])


def _rows(summary: PanelSummary) -> Ints:
    """Rows seen of each feature."""
    return np.asarray(summary.seen.bins.sum(axis=-1))


def _enough(summary: PanelSummary, quiet: Flags) -> dict[str, Any]:
    n, squares, _ = layers(summary, lambda s: np.asarray(s.bins.sum(axis=-1).max(axis=-1)))
    need = f"rows enough for the PSI of every stable feature to stay under {BAND}"
    return {"sufficient": quiet, "need": need, "effective": effective(n, squares)}
