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
    shape = np.shape(found.value)
    shown = {name: getattr(summary, name) for name in summary.SHOWN}
    columns = {name: _spread(counts, shape) for name, counts in shown.items() if counts is not None}
    facts = np.array(found.facts, dtype=object)
    for at in product(*(range(size) for size in shape[:-1]), windows):
        counts = {name: _plain(column[at]) for name, column in columns.items()}
        facts[at] = {**(facts[at] or {}), "counts": counts}
    return replace(found, facts=facts)


def _spread(values: Any, shape: tuple[int, ...]) -> np.ndarray:  # noqa: ANN401 - an array or a number
    """Counts with the leading axes of the values, of which a baseline may have fewer windows."""
    array = np.asarray(values)
    return np.broadcast_to(array, (*shape, *array.shape[len(shape) :]))


def _plain(counts: np.ndarray) -> Any:  # noqa: ANN401 - a number, or lists of numbers
    """Numbers as JSON has them: whole ones, as counts mostly are, without a fraction."""
    whole = np.all(counts == np.rint(counts)) and np.all(np.abs(counts) < 2**53)
    return counts.astype(np.int64).tolist() if whole else counts.tolist()


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
