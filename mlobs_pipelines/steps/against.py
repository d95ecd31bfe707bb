"""Windows of a feature, or of the score, laid beside the baseline of their version and segment.

The cells of both are brought into one order here; what drift is, is `core.metrics.drift`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import ATOM_BASE, Grid, SharedCells, bucket_edges
from mlobs_pipelines.core.distinct import Registers
from mlobs_pipelines.core.summaries import (
    DecisionSummary,
    FeatureSummary,
    PanelSummary,
    ScoreSummary,
    ShiftSummary,
    weighted,
)
from mlobs_pipelines.core.tally import run_starts
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats, Ints
from mlobs_pipelines.engine.arrow import flags_in, numbers_in, of_texts, sorted_texts
from mlobs_pipelines.engine.moments import MOMENTS
from mlobs_pipelines.steps.binning import SCORE, FeatureBaseline
from mlobs_pipelines.steps.folded import registers
from mlobs_pipelines.steps.unnested import Located
from mlobs_pipelines.steps.windows import (
    SCORE_PARTS,
    Counts,
    decisions,
    score_edges,
    score_summary,
)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Windows and baseline over the same cells, and the drift bin of each cell."""

    windows: Amounts
    baseline: Ints
    atom: Flags
    bins: Ints
    width: int
    ordered: bool
    low: Floats | None = None
    high: Floats | None = None
    registers: Registers | None = None


def feature_summary(counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline) -> FeatureSummary:
    """One feature's windows beside the baseline of each group: (G, W, …) beside (G, 1, …) or (G, W, …)."""
    return weighted(*(_feature(layer, baseline, name, binned) for layer in counts.layers()))


def _feature(counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline) -> FeatureSummary:
    cells = (
        _numeric(counts, baseline, name, binned) if binned.grid else _named(counts, baseline, name, binned)
    )
    found = _beside(counts, baseline, cells, counts.counts(name, "rows", 3), baseline.counts(name, "rows", 3))
    if cells.registers is not None:
        found = replace(found, registers=cells.registers)
    if binned.grid is None or (name, MOMENTS) not in counts.parts:
        return found
    first, second = (array[..., 0] for array in counts.sums(name, MOMENTS, 1))
    least, greatest = counts.extremes(name)
    return replace(
        found,
        distance=first,
        distance_sq=second,
        least=least,
        greatest=greatest,
        location=binned.grid.location,
    )


def score_drift_summary(counts: Counts, baseline: Counts, binned: FeatureBaseline) -> FeatureSummary:
    """Windows of the score, the largest one or the predicted number, labelled or not, beside the baseline."""
    if binned.grid is not None:  # a predicted number
        return feature_summary(counts, baseline, SCORE, binned)
    return weighted(*(_score_drift(layer, baseline, binned) for layer in counts.layers()))


def _score_drift(counts: Counts, baseline: Counts, binned: FeatureBaseline) -> FeatureSummary:
    parts = [[owner.flat(SCORE, part) for part in score_parts(owner)] for owner in (counts, baseline)]
    codes = np.unique(np.concatenate([flat.codes for some in parts for flat, _, _ in some]))
    windows, base = (
        sum(
            owner.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)
            for flat, group, day in some
        )
        for owner, some in zip((counts, baseline), parts, strict=True)
    )
    atom, bins = np.zeros(codes.size, dtype=bool), np.searchsorted(binned.edges, codes, side="right")
    cells = _Cells(windows, base, atom, bins, binned.edges.size + 1, True, *score_edges(codes))  # type: ignore[arg-type] # noqa: FBT003 - sums of arrays; ordered
    return _beside(
        counts, baseline, cells, *(_all_present(array) for array in (cells.windows, cells.baseline))
    )


def score_parts(owner: Counts) -> tuple[str, ...]:
    """Parts that hold every scored row once: a training set keeps them by themselves, days by label."""
    return ("cells",) if (SCORE, "cells") in owner.parts else SCORE_PARTS


def placed(counts: Counts, baseline: Counts, array: np.ndarray) -> np.ndarray:
    """A baseline's entries in the order of the windows' groups; nothing for a group it never saw."""
    if counts.groups == baseline.groups:
        return array
    position = {group: index for index, group in enumerate(baseline.groups)}
    at = [position.get(group, -1) for group in counts.groups]
    return np.concatenate([array, np.zeros_like(array[:1])])[at]


def decision_summary(counts: Counts, baseline: Counts, threshold: float) -> DecisionSummary:
    """Predicted classes of every window, beside those of the baseline of each group."""
    classes, unsure = decisions(counts, SCORE_PARTS, threshold)
    before, _ = decisions(baseline, score_parts(baseline), threshold)
    return DecisionSummary(classes, unsure, placed(counts, baseline, before))


def shift_summary(scores: ScoreSummary, counts: Counts, baseline: Counts) -> ShiftSummary:
    """Scores by label beside those of the baseline, whose labels have to be known."""
    before = score_summary(baseline).select(partial(placed, counts, baseline))
    layers = [scores] if scores.twice is None else [scores.seen, scores, scores.squared]
    return weighted(*(ShiftSummary(replace(layer, once=None, twice=None), before) for layer in layers))


def panel_summary(features: Mapping[str, FeatureSummary], importance: Mapping[str, float]) -> PanelSummary:
    """The drift bins of all features side by side."""
    found, names = list(features.values()), tuple(features)
    width = np.array([summary.bins.shape[-1] for summary in found])
    before = _side_by_side([summary.baseline_bins for summary in found])
    known = np.array([importance[name] for name in names])

    def layer(pick: Callable[[FeatureSummary], FeatureSummary]) -> PanelSummary:
        bins = _side_by_side([pick(summary).bins for summary in found])
        return PanelSummary(bins, before, width, known, names)

    if found[0].twice is None:
        return layer(lambda summary: summary)
    return weighted(
        *(layer(pick) for pick in (lambda s: s.seen, lambda summary: summary, lambda s: s.squared))
    )


def _side_by_side(features: Sequence[Amounts]) -> Amounts:
    """Bins (G, W, B) of every feature as one array (G, W, F, B), filled up with zeros."""
    most = max(bins.shape[-1] for bins in features)
    wide = [np.pad(bins, [(0, 0), (0, 0), (0, most - bins.shape[-1])]) for bins in features]
    return np.stack(wide, axis=-2)


def _all_present(cells: Amounts) -> Amounts:
    total = cells.sum(axis=-1)
    return np.stack([total, np.zeros_like(total), np.zeros_like(total)], axis=-1)


def _beside(
    counts: Counts, baseline: Counts, cells: _Cells, seen: Amounts, seen_before: Ints
) -> FeatureSummary:
    # A group that the training set never saw has an empty baseline: drift cannot be decided.
    before, before_seen = (placed(counts, baseline, array) for array in (cells.baseline, seen_before))
    return FeatureSummary(
        n=seen.sum(axis=-1),
        nulls=seen[..., 1],
        nonfinite=seen[..., 2],
        bins=np.concatenate([_add_bins(cells.windows, cells), seen[..., 1:2]], axis=-1),
        cells=cells.windows,
        atom=cells.atom,
        ordered=cells.ordered,
        baseline_n=before_seen.sum(axis=-1),
        baseline_nulls=before_seen[..., 1],
        baseline_bins=np.concatenate([_add_bins(before, cells), before_seen[..., 1:2]], axis=-1),
        baseline_cells=before,
        low=cells.low,
        high=cells.high,
    )


def _add_bins(array: Amounts, cells: _Cells) -> Amounts:
    # Bins without a cell still count: PSI's zero rule and noise point depend on how many there are.
    result = np.zeros((*array.shape[:-1], cells.width), dtype=array.dtype)
    bins = cells.bins
    if not cells.ordered:
        order = np.argsort(bins, kind="stable")
        bins, array = bins.take(order), array.take(order, axis=-1)
    starts = run_starts(bins)
    if starts.size:
        result[..., bins.take(starts)] = np.add.reduceat(array, starts, axis=-1)
    return result


def _numeric(counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline) -> _Cells:
    grid = binned.grid or Grid()
    parts = [counts.flat(name, "cells"), baseline.flat(name, "cells")]
    # An atom's bucket stands before it even where empty: KS must not blame a lower bucket for its order.
    shared = SharedCells.of([flat.codes for flat, _, _ in parts], grid)
    located = [shared.place.take(flat.codes) for flat, _, _ in parts]
    windows, base = _dense((counts, baseline), parts, located, shared.codes.size)
    bins = np.searchsorted(binned.edges, shared.buckets, side="right")
    low, high = bucket_edges(shared.buckets, grid.location, grid.scale)
    atom = shared.atom
    if atom.any():
        low[atom] = high[atom] = grid.atoms[shared.codes[atom] - ATOM_BASE]
    return _Cells(windows, base, atom, bins, binned.edges.size + 1, True, low, high)  # noqa: FBT003 - ordered


def _named(counts: Counts, baseline: Counts, name: str, binned: FeatureBaseline) -> _Cells:
    parts = [counts.flat(name, "categories"), baseline.flat(name, "categories")]
    texts = [flat.names for flat, _, _ in parts if flat.names is not None]
    names, place = sorted_texts(pa.concat_arrays([of_texts([]), *texts]))
    located = np.split(place, [parts[0][1].size])
    windows, base = _dense((counts, baseline), parts, located, len(names))
    own = pc.index_in(names, of_texts(binned.categories))
    bins = np.where(flags_in(own.is_valid()), numbers_in(own).astype(np.int64), len(binned.categories))
    width = len(binned.categories) + 1
    return _Cells(
        windows,
        base,
        np.ones(len(names), dtype=bool),
        bins,
        width,
        ordered=False,
        registers=registers(counts, name, names, windows),
    )


def _dense(
    owners: Sequence[Counts], parts: Sequence[Located], codes: Sequence[Ints], width: int
) -> list[Ints]:
    return [
        owner.windows(group, day, code, width, flat.counts)
        for owner, (flat, group, day), code in zip(owners, parts, codes, strict=True)
    ]
