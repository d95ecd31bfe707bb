"""From stored statistics to what multiclass quality is estimated from: how often such top scores were right.

Which days have matured is `cohorts`; what becomes of the summary is `estimation`.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from mlobs_pipelines.core.metrics.class_estimated import MIN_COHORT
from mlobs_pipelines.core.summaries import ClassEstimatedSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats, Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.scores import RELIABILITY_BINS
from mlobs_pipelines.steps.against import placed
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.windows import Counts, score_edges

Sides = tuple[Amounts, Amounts]  # rows predicted rightly and wrongly: (groups, windows, bins) each
_SIDES = ("reliability_right", "reliability_wrong")


@dataclass(frozen=True, slots=True)
class Estimable:
    """Windows whose quality can be estimated, and on what.

    Attributes
    ----------
    summary
        Of all groups and windows.
    matured : (groups, windows) bool
        Whether they rest on matured days, and not on the training set.
    """

    summary: ClassEstimatedSummary
    matured: Flags


def class_estimable(counts: Counts, days: Cohorts, training: Counts) -> Estimable:
    """Top scores of the windows beside those of their matured days, or of the training set.

    Parameters
    ----------
    days
        Matured days, of the same windows.
    """
    before = _matured(counts, days)
    known = np.sum(before, axis=(0, -1)) >= MIN_COHORT
    fallback = [placed(counts, training, side) for side in _sides(training)]
    right, wrong = (
        np.where(known[..., np.newaxis], mine, other) for mine, other in zip(before, fallback, strict=True)
    )
    layers = (_layer(layer, right + wrong, right) for layer in counts.layers())
    return Estimable(weighted(*layers), known)


def _sides(counts: Counts) -> Sides:
    right, wrong = (counts.counts(SCORE, part, RELIABILITY_BINS) for part in _SIDES)
    return right, wrong


def _matured(counts: Counts, days: Cohorts) -> Sides:
    """Labelled rows of each window's matured days, as many as they are worth where rows have weights."""
    start = days.stretch.start
    spans = [
        Span(Window.DAY, start + timedelta(at), start + timedelta(at + 1)) for at in range(len(days.entries))
    ]
    shape = (len(counts.groups), len(counts.spans), RELIABILITY_BINS)
    if not spans:
        return np.zeros(shape), np.zeros(shape)
    layers = [_chosen(layer, counts, days.chosen) for layer in arranged(days.rows, spans).layers()]
    if len(layers) == 1:
        return layers[0]
    once, twice = (np.sum(layer, axis=(0, -1)) for layer in layers[1:])
    worth = np.divide(once, twice, out=np.ones(once.shape), where=twice > 0)[..., np.newaxis]
    return layers[1][0] * worth, layers[1][1] * worth


def _chosen(days: Counts, counts: Counts, chosen: Flags) -> Sides:
    """Rows of the groups of some windows on the days that each may use."""
    place = {group: index for index, group in enumerate(days.groups)}
    at = np.array([place.get(group, -1) for group in counts.groups], dtype=np.int64)
    found = []
    for side in _sides(days):
        mine = np.where((at >= 0)[:, np.newaxis, np.newaxis], side[at], 0)
        found.append(np.stack([mine[:, some].sum(axis=1) for some in chosen], axis=1))
    return found[0], found[1]


def _layer(counts: Counts, known: Amounts, right: Amounts) -> ClassEstimatedSummary:
    flat, group, day = counts.flat(SCORE, "cells")
    low, high = (_bins(edge) for edge in score_edges(flat.codes))
    scored = counts.windows(group, day, low, RELIABILITY_BINS, flat.counts)
    split = low != high
    unsure = counts.windows(group[split], day[split], low[split], RELIABILITY_BINS, flat.counts[split])
    hits, misses = (side.sum(axis=-1) for side in _sides(counts))
    return ClassEstimatedSummary(scored, unsure, known, right, hits + misses, hits)


def _bins(edge: Floats) -> Ints:
    """Bin of equal width that each edge of a cell lies in."""
    return np.minimum((edge * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)


def told_of(days: Cohorts, found: Estimable) -> np.ndarray:
    """What each window was calibrated on, in words that stand beside a judged value: (groups, windows)."""
    told = np.empty(found.matured.shape, dtype=object)
    rows = np.broadcast_to(found.summary.known.sum(axis=-1), told.shape)
    for group, window in np.ndindex(told.shape):
        about = days.origin(window if found.matured[group, window] else None)
        told[group, window] = {"calibrated_on": {**about, "rows": round(float(rows[group, window]), 6)}}
    return told
