"""The counts that a judged value was computed from, as they stand beside it in the metric store.

Which counts these are is said by the summary (``SHOWN``). Counts of cells, which are hundreds, stay in
the statistics that the value names by their hash.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from mlobs_pipelines.core.buckets import bucket_edges
from mlobs_pipelines.core.summaries import Additive
from mlobs_pipelines.core.vocabulary import Estimate
from mlobs_pipelines.steps.binning import SCORE, Baseline
from mlobs_pipelines.steps.windows import score_edges


def accounted(found: Estimate, summary: Additive, windows: Sequence[int]) -> Estimate:
    """Add the summary's few counts to the facts of the values of some windows.

    Parameters
    ----------
    found : (..., windows)
        A metric of the summary.
    windows
        Positions of those that are judged.
    """
    if not (windows and summary.SHOWN):
        return found
    shape, some = np.shape(found.value), list(windows)
    shown = {name: getattr(summary, name) for name in summary.SHOWN}
    columns = {
        name: _plain(_spread(counts, shape), some) for name, counts in shown.items() if counts is not None
    }
    facts = np.array(found.facts, dtype=object)
    places = product(*(range(size) for size in shape[:-1]), some)
    for at, *counts in zip(places, *columns.values(), strict=True):
        facts[at] = {**(facts[at] or {}), "counts": dict(zip(columns, counts, strict=True))}
    return replace(found, facts=facts)


def _spread(values: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:  # noqa: ANN401 - array or number
    """Counts with the leading axes of the values, and their number; a baseline may have fewer windows."""
    array = np.asarray(values)
    return np.broadcast_to(array, (*shape, *array.shape[len(shape) :])), len(shape)


def _plain(spread: tuple[np.ndarray, int], windows: list[int]) -> list[Any]:
    """Counts of every place as JSON has them: whole ones, as they mostly are, without a fraction."""
    array, axes = spread
    chosen = np.take(array, windows, axis=axes - 1)
    flat = chosen.reshape(-1, *array.shape[axes:])
    whole = (flat == np.rint(flat)) & (np.abs(flat) < 2**53)
    whole = whole.all(axis=tuple(range(1, flat.ndim)))
    cut = np.where(whole.reshape(-1, *(1,) * (flat.ndim - 1)), flat, 0).astype(np.int64).tolist()
    if whole.all():
        return list(cut)
    return [
        one if is_whole else other for one, other, is_whole in zip(cut, flat.tolist(), whole, strict=True)
    ]


def binned_by(baseline: Baseline, feature: str) -> dict[str, object]:
    """Where the drift bins of a feature begin, in its unit, or which categories have one; then OTHER, nulls.

    The first bin lies below the first edge; a bin holds its edge.
    """
    binned = baseline.features.get(feature)
    if binned is None:
        return {}
    told: dict[str, object] = {"baseline": baseline.baseline_id}
    if feature == SCORE and binned.grid is None:
        told["at"] = score_edges(binned.edges.astype(np.int64))[0].tolist()
    elif binned.grid is None:
        told["categories"] = list(binned.categories)
    else:
        told["at"] = bucket_edges(binned.edges, binned.grid.location, binned.grid.scale)[0].tolist()
    return {"edges": told}
