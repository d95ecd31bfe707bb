"""Attributions of windows beside those of the baseline, read off stored statistics.

How they are counted is `engine.attributions`; what is made of them is `core.metrics.attribution_drift`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from mlobs_pipelines.core.metrics.estimates import ratio
from mlobs_pipelines.core.summaries import AttributionPanel, AttributionSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats
from mlobs_pipelines.engine.attributions import CELLS, SIZES
from mlobs_pipelines.steps.against import placed
from mlobs_pipelines.steps.windows import Counts, sized

DIGITS = 6


def attribution_panel(counts: Counts, base: Counts, importance: Mapping[str, float]) -> AttributionPanel:
    """Attributions of all features in every window, beside the baseline of each group.

    Parameters
    ----------
    importance
        Of each feature in the baseline, for one that holds no attributions.
    """
    names = tuple(importance)
    gains = np.array(list(importance.values()))
    if any((name, SIZES) in base.parts for name in names):
        n, size = (placed(counts, base, array) for array in _sums(base, names)[:2])
        gains = ratio(size, n)
    return weighted(
        *(AttributionPanel(*_sums(layer, names), baseline=gains, names=names) for layer in counts.layers())
    )


def _sums(counts: Counts, names: tuple[str, ...]) -> tuple[Amounts, Floats, Floats]:
    """Rows, Σ and Σ² of the size of each feature's attribution, features on the last axis."""
    rows = [counts.counts(name, SIZES, 1) for name in names]
    sums = [counts.sums(name, SIZES, 1) for name in names]
    first, second = (np.concatenate(arrays, axis=-1) for arrays in zip(*sums, strict=True))
    return np.concatenate(rows, axis=-1), first, second


def attribution_summaries(
    counts: Counts, panel: AttributionPanel
) -> Iterator[tuple[str, AttributionSummary]]:
    """Attributions of each feature in every window."""
    pieces = [panel] if panel.twice is None else [panel.seen, panel, panel.squared]
    for place, name in enumerate(panel.names):
        found = [_one(piece, place, layer) for piece, layer in zip(pieces, counts.layers(), strict=True)]
        yield name, weighted(*found)


def _one(panel: AttributionPanel, place: int, counts: Counts) -> AttributionSummary:
    n, size, size_sq = (array[..., place] for array in (panel.n, panel.size, panel.size_sq))
    whole = panel.size.sum(axis=-1)
    return AttributionSummary(n, size, size_sq, whole, *sized(counts, panel.names[place], CELLS))


def explained(found: Estimate, panel: AttributionPanel) -> Estimate:
    """An estimate with what it was computed from: each feature, its mean size, its weight in the baseline."""
    means = ratio(panel.size, panel.n)
    before = np.broadcast_to(panel.baseline, means.shape)
    facts = np.full(found.value.shape, None, dtype=object)
    for at in zip(*np.nonzero(np.isfinite(found.value)), strict=True):
        pairs = zip(panel.names, means[at].tolist(), before[at].tolist(), strict=True)
        facts[at] = {"attributions": [[name, _short(now), _short(then)] for name, now, then in pairs]}
    return replace(found, facts=facts)


def _short(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
