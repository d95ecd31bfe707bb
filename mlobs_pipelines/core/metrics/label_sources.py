"""Whether labels say something else by where they come from: a live feed, a nightly file, a reconciliation.

Sources that disagree may cover other predictions, or judge the same ones differently; either way what share
of labels each brings moves the base rate. Labels that say one thing later than another are `class_lags`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics.estimates import MIN_PROPORTION, effective, ratio, share_size, wilson
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.summaries import LabelSourceSummary
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints

NEED = f"at least {MIN_PROPORTION} labels of one source, and of all others together"


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Classes of each source's labels against those of all other sources together.

    Attributes
    ----------
    distance, noise : (..., S)
        Half the sum of the differences of class shares, and what it stays under in 99 of 100 windows whose
        sources do not differ.
    fit : (..., S) bool
        Whether both sides have enough labels.
    compared : (...,)
        How many sources are compared: two are one comparison.
    """

    distance: Floats
    noise: Floats
    fit: Flags
    compared: Ints

    @property
    def worst(self) -> Ints:
        """The source that differs most from the others, of those that have enough labels if any has."""
        usable = self.fit | ~self.fit.any(axis=-1, keepdims=True)
        distance = np.where(usable & np.isfinite(self.distance), self.distance, -1.0)
        return np.asarray(np.argmax(distance, axis=-1)[..., np.newaxis])

    def at_worst(self, values: np.ndarray) -> np.ndarray:
        """Of every window, what is said of that source."""
        if not values.shape[-1]:
            return np.full(values.shape[:-1], np.nan)
        return np.asarray(np.take_along_axis(values, self.worst, axis=-1)[..., 0])


@shared
def _gaps(summary: LabelSourceSummary) -> _Gaps:
    own, squared = (np.asarray(s.labels, np.float64) for s in (summary, summary.squared))
    rest, rest_squared = (rows.sum(axis=-2, keepdims=True) - rows for rows in (own, squared))
    shares = [ratio(side, side.sum(axis=-1, keepdims=True)) for side in (own, rest)]
    sizes = [_size(*sides) for sides in ((own, squared), (rest, rest_squared))]
    pooled = ratio((own + rest), (own + rest).sum(axis=-1, keepdims=True))
    both = ratio(1, sizes[0]) + ratio(1, sizes[1])
    compared = (summary.seen.labels.sum(axis=-1) > 0).sum(axis=-1)
    tries = np.where(compared > 2, compared, 1)  # two sources are each other's rest
    spread = np.sqrt(pooled * (1 - pooled) * both[..., np.newaxis]).sum(axis=-1) / 2
    return _Gaps(
        np.abs(shares[0] - shares[1]).sum(axis=-1) / 2,
        _normal_point(0.01 / tries)[..., np.newaxis] * spread,
        np.asarray((sizes[0] >= MIN_PROPORTION) & (sizes[1] >= MIN_PROPORTION)),
        compared,
    )


def _size(rows: Amounts, squared: Amounts) -> Floats:
    """How many labels of equal weight they are worth."""
    return effective(rows.sum(axis=-1), squared.sum(axis=-1))


def _normal_point(p: Floats) -> Floats:
    """What the size of a normal deviate stays under but with probability p."""
    from scipy.special import ndtri  # noqa: PLC0415 - costs more to import than the rest of core

    return np.asarray(ndtri(1 - np.asarray(p) / 2))


@metric("label_source_gap", LabelSourceSummary, family="label_lag", direction=-1)
def label_source_gap(summary: LabelSourceSummary) -> Estimate:
    """Largest difference between what the labels of a source say and what those of all others say.

    Half the sum of the differences of class shares (total variation): with two classes the difference of the
    base rates. Of several sources the one that differs most; none where all labels are of one source. The
    noise point is passed by one in a hundred windows, at most, in which sources do not differ.
    """
    gaps = _gaps(summary)
    value, noise = gaps.at_worst(gaps.distance), gaps.at_worst(gaps.noise)
    return Estimate(value, noise=np.where(np.isfinite(value), noise, np.nan), **_rule(summary, gaps))


def _rule(summary: LabelSourceSummary, gaps: _Gaps) -> dict[str, Any]:
    rows, squared, seen = (s.labels.sum(axis=(-2, -1)) for s in (summary, summary.squared, summary.seen))
    sufficient = np.asarray(gaps.fit.any(axis=-1))
    worth = effective(rows, squared)
    return {"n": np.asarray(seen), "sufficient": sufficient, "need": NEED, "effective": worth}


@metric("label_source_gap_p", LabelSourceSummary, family="label_lag")
def label_source_gap_p(summary: LabelSourceSummary) -> Estimate:
    """Probability of sources at least this different where what a label says does not depend on its source.

    Pearson's χ² of sources by classes; where rows have weights, of as many labels of equal weight as they are
    worth (Rao and Scott 1981).
    """
    from scipy.special import chdtrc  # noqa: PLC0415 - costs more to import than the rest of core

    worth = _size(_flat(summary.labels), _flat(summary.squared.labels))
    table = summary.labels * np.nan_to_num(ratio(worth, summary.labels.sum(axis=(-2, -1))))[..., None, None]
    rows, columns = table.sum(axis=-1, keepdims=True), table.sum(axis=-2, keepdims=True)
    expected = np.nan_to_num(ratio(rows * columns, table.sum(axis=(-2, -1), keepdims=True)))
    away = np.nan_to_num(ratio((table - expected) ** 2, expected)).sum(axis=(-2, -1))
    sizes = [(side > 0).sum(axis=(-2, -1)) for side in (rows, columns)]
    freedom = np.maximum(sizes[0] - 1, 0) * np.maximum(sizes[1] - 1, 0)
    value = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), away), np.where(sizes[0] > 1, 1.0, np.nan))
    return Estimate(np.asarray(value), **_rule(summary, _gaps(summary)))


def _flat(table: Amounts) -> Amounts:
    return table.reshape(*table.shape[:-2], -1)


def _pair_names(summary: LabelSourceSummary) -> list[str]:
    return [f"{source}: {name}" for source in summary.sources for name in summary.classes]


@metric("label_source_class_share", LabelSourceSummary, family="label_lag", labels=_pair_names, detail=True)
def label_source_class_share(summary: LabelSourceSummary) -> Estimate:
    """Labels of each source and class ÷ labels of the source, with Wilson's interval; n counts the latter."""
    (rows, total), (squared, squares), (_, seen) = (
        (s.labels, s.labels.sum(axis=-1, keepdims=True)) for s in (summary, summary.squared, summary.seen)
    )
    share = ratio(rows, total)
    size = share_size(share, total, squared, squares)
    lower, upper = wilson(rows, total, size)
    worth = np.broadcast_to(effective(total, squares), share.shape)
    return Estimate(
        _flat(share),
        _flat(np.broadcast_to(seen, share.shape)),
        _flat(lower),
        _flat(upper),
        sufficient=_flat(worth >= MIN_PROPORTION),
        need=NEED,
        effective=_flat(worth),
    )
