"""Windows of a feature, or of the score, laid beside the baseline of their version and segment.

The cells of both are brought into one order here; what drift is, is `core.metrics.drift`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.buckets import Grid, bucket_of, cell_order
from mlobs_pipelines.core.summaries import FeatureSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Ints
from mlobs_pipelines.steps.bins import SCORE, FeatureBaseline
from mlobs_pipelines.steps.windows import Counts, Located

SCORE_PARTS = ("positive", "negative", "unlabelled")


@dataclass(frozen=True, slots=True)
class _Cells:
    """Windows and baseline over the same cells, and the drift bin of each cell."""

    windows: Amounts
    baseline: Ints
    atom: Flags
    bins: Ints
    width: int
    ordered: bool


def feature_summaries(
    counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline
) -> Iterator[FeatureSummary]:
    """One feature's windows beside the baseline of each group, in the order of the groups."""
    found = (_feature(layer, baseline, name, binned) for layer in counts.layers())
    return (weighted(*layers) for layers in zip(*found, strict=True))


def _feature(
    counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline
) -> Iterator[FeatureSummary]:
    cells = (
        _numeric(counts, baseline, name, binned) if binned.grid else _named(counts, baseline, name, binned)
    )
    return _by_group(
        counts, baseline, cells, counts.counts(name, "rows", 3), baseline.counts(name, "rows", 3)
    )


def score_drift_summaries(
    counts: Counts, baseline: Counts, binned: FeatureBaseline
) -> Iterator[FeatureSummary]:
    """The score's windows, labelled or not, beside the baseline of each group."""
    found = (_score_drift(layer, baseline, binned) for layer in counts.layers())
    return (weighted(*layers) for layers in zip(*found, strict=True))


def _score_drift(counts: Counts, baseline: Counts, binned: FeatureBaseline) -> Iterator[FeatureSummary]:
    parts = [[counts.flat(SCORE, part) for part in SCORE_PARTS], [baseline.flat(SCORE, "cells")]]
    codes = np.unique(np.concatenate([flat.codes for some in parts for flat, _, _ in some]))
    windows, base = (
        sum(
            owner.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)
            for flat, group, day in some
        )
        for owner, some in zip((counts, baseline), parts, strict=True)
    )
    atom, bins = np.zeros(codes.size, dtype=bool), np.searchsorted(binned.edges, codes, side="right")
    cells = _Cells(windows, base, atom, bins, binned.edges.size + 1, ordered=True)  # type: ignore[arg-type] # sums of arrays
    return _by_group(
        counts, baseline, cells, *(_all_present(array) for array in (cells.windows, cells.baseline))
    )


def _all_present(cells: Amounts) -> Amounts:
    total = cells.sum(axis=-1)
    return np.stack([total, np.zeros_like(total), np.zeros_like(total)], axis=-1)


def _by_group(
    counts: Counts, baseline: Counts, cells: _Cells, seen: Amounts, seen_before: Ints
) -> Iterator[FeatureSummary]:
    position = {group: index for index, group in enumerate(baseline.groups)}
    bins = np.concatenate([_add_bins(cells.windows, cells), seen[..., 1:2]], axis=-1)
    base_bins = np.concatenate([_add_bins(cells.baseline, cells), seen_before[..., 1:2]], axis=-1)
    for index, group in enumerate(counts.groups):
        # A group that the training set never saw has an empty baseline: drift cannot be decided.
        at = position.get(group)
        base, base_cells, base_seen = (
            (array[at, 0] if at is not None else np.zeros_like(array[0, 0]))
            for array in (base_bins, cells.baseline, seen_before)
        )
        yield FeatureSummary(
            n=seen[index].sum(axis=-1),
            nulls=seen[index, :, 1],
            nonfinite=seen[index, :, 2],
            bins=bins[index],
            cells=cells.windows[index],
            atom=cells.atom,
            ordered=cells.ordered,
            baseline_n=int(base_seen.sum()),
            baseline_nulls=int(base_seen[1]),
            baseline_bins=base,
            baseline_cells=base_cells,
        )


def _add_bins(array: Amounts, cells: _Cells) -> Amounts:
    # Bins without a cell still count: PSI's zero rule and noise point depend on how many there are.
    result = np.zeros((*array.shape[:-1], cells.width), dtype=array.dtype)
    for index in range(cells.width):
        result[..., index] = array[..., cells.bins == index].sum(axis=-1)
    return result


def _numeric(counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline) -> _Cells:
    grid = binned.grid or Grid()
    parts = [counts.flat(name, "cells"), baseline.flat(name, "cells")]
    present = np.concatenate([flat.codes for flat, _, _ in parts]).astype(np.int32)
    # An atom's bucket stands before it even where empty: KS must not blame a lower bucket for its order.
    codes = np.unique(np.concatenate([present, bucket_of(present, grid)]))
    order, atom = cell_order(codes, grid)
    position = np.empty(codes.size, dtype=np.int64)
    position[order] = np.arange(codes.size)
    located = [position[np.searchsorted(codes, flat.codes)] for flat, _, _ in parts]
    windows, base = _dense((counts, baseline), parts, located, codes.size)
    bins = np.searchsorted(binned.edges, bucket_of(codes[order], grid), side="right")
    return _Cells(windows, base, atom, bins, binned.edges.size + 1, ordered=True)


def _named(counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline) -> _Cells:
    parts = [counts.flat(name, "categories"), baseline.flat(name, "categories")]
    texts = [[] if flat.names is None else flat.names.to_pylist() for flat, _, _ in parts]
    names = sorted({text for some in texts for text in some})
    index = {text: position for position, text in enumerate(names)}
    located = [np.array([index[text] for text in some], dtype=np.int64) for some in texts]
    windows, base = _dense((counts, baseline), parts, located, len(names))
    own = {text: position for position, text in enumerate(binned.categories)}
    bins = np.array([own.get(text, len(own)) for text in names], dtype=np.int64)
    return _Cells(windows, base, np.ones(len(names), dtype=bool), bins, len(own) + 1, ordered=False)


def _dense(
    owners: Sequence[Counts], parts: Sequence[Located], codes: Sequence[Ints], width: int
) -> list[Ints]:
    return [
        owner.windows(group, day, code, width, flat.counts)
        for owner, (flat, group, day), code in zip(owners, parts, codes, strict=True)
    ]
