"""Estimated quality of the windows of one version, calibrated on its matured days or on its training set.

Which days have matured is `cohorts`; how quality is estimated is `core.metrics.estimated`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.metrics import METRICS, Metric
from mlobs_pipelines.core.metrics.quality import MIN_CLASS
from mlobs_pipelines.core.summaries import (
    ClassExpectedSummary,
    EstimatedSummary,
    LabelSummary,
    Summary,
    ValueEstimatedSummary,
    weighted,
)
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.steps.against import score_parts
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.class_estimation import class_estimable
from mlobs_pipelines.steps.class_expectation import class_expectable
from mlobs_pipelines.steps.cohorts import KINDS, SIDES, Cohorts, estimated_windows
from mlobs_pipelines.steps.judging import stride_of
from mlobs_pipelines.steps.matured_counts import Estimable
from mlobs_pipelines.steps.pairing import split_by_group, stacked
from mlobs_pipelines.steps.track_record import FACT, record_of, records
from mlobs_pipelines.steps.value_estimation import value_estimable
from mlobs_pipelines.steps.windows import Counts, Group, score_edges, score_summary, threshold_cell

RECORDS = frozenset(record_of(name) for name in METRICS) - {""}
Sides = tuple[Amounts, Amounts]  # labelled rows per cell, positive and negative


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the windows of one version are calibrated on.

    Attributes
    ----------
    days
        Its matured days; of no window where only the training set is asked for.
    training
        Statistics of its training set, by weight where rows have weights.
    grid
        Cells of the numbers that a regression model predicts.
    windows
        Kinds of window that are estimated.
    """

    days: Cohorts
    training: Counts
    grid: Grid = field(default_factory=Grid)
    windows: frozenset[Window] = field(default_factory=lambda: frozenset(Window))

    @staticmethod
    def of(spec: ModelSpec, days: Cohorts, training: Counts, grid: Grid | None) -> "Calibration":
        """Of a version's windows, some of which are not estimated."""
        return Calibration(days, training, grid or Grid(), estimated_windows(spec))

    def untimed(self, windows: int) -> "Calibration":
        """The training set alone, for windows that have no days before them."""
        return Calibration(Cohorts.nothing(windows), self.training, self.grid)


def matured(labels: LabelSummary, target: float) -> tuple[Flags, Floats]:
    """Windows whose predictions are all old enough and labelled often enough, and their label coverage."""
    coverage = METRICS["label_coverage"].function(labels).value
    aged = labels.seen.mature[..., -1] == labels.seen.predictions
    return np.asarray(aged & (coverage >= target)), coverage


def estimated(
    spec: ModelSpec, threshold: float, counts: Counts, labels: LabelSummary, given: Calibration
) -> Iterator[tuple[Metric, Estimate]]:
    """Every estimated metric, and how far the estimates of matured windows were off.

    Yields
    ------
    metric, estimate
        In the shape (groups, windows); NaN in windows that nothing is estimated for.
    """
    at = [index for index, span in enumerate(counts.spans) if span.window in given.windows]
    if not at:
        return
    some, mine = replace(counts, spans=[counts.spans[i] for i in at]), replace(given, days=given.days.at(at))
    mature, _ = matured(labels, spec.monitor.labels.coverage_target)
    for kind in KINDS[spec.monitor.task]:
        metrics = [metric for metric in spec.metrics.values() if kind in metric.functions]
        if kind is EstimatedSummary:
            found, told = _by_cells(metrics, some, mine, threshold)
        else:
            summary = _estimable(spec, kind, some, mine)
            found, told = [one.function(summary.summary) for one in metrics], summary.told(mine.days)
        facts = np.full((len(counts.groups), len(counts.spans)), None, dtype=object)
        facts[:, at] = told
        named = zip(metrics, (in_all_windows(one, at, len(counts.spans)) for one in found), strict=True)
        whole = {metric.name: replace(estimate, facts=facts) for metric, estimate in named}
        yield from _with_records(spec, metrics, counts.spans, whole, mature)


def _with_records(
    spec: ModelSpec,
    metrics: Sequence[Metric],
    spans: Sequence[Span],
    found: Mapping[str, Estimate],
    mature: Flags,
) -> Iterator[tuple[Metric, Estimate]]:
    """Estimates with how far those before were off, which only windows can tell whose labels are mature."""
    whole = {
        name: replace(one, value=np.where(mature, one.value, np.nan)) if name in RECORDS else one
        for name, one in found.items()
    }
    for metric in metrics:
        errors, estimate = whole.get(record_of(metric.name)), whole[metric.name]
        yield metric, estimate if errors is None else _recorded(spec, metric, spans, estimate, errors)


def _estimable(spec: ModelSpec, kind: type[Summary], counts: Counts, given: Calibration) -> Estimable:
    """What a model that is not binary is estimated from, of all groups."""
    if kind is ValueEstimatedSummary:
        return value_estimable(counts, given.days, given.training, given.grid)
    if kind is ClassExpectedSummary:
        return class_expectable(counts, given.days, given.training, tuple(spec.monitor.classes))
    return class_estimable(counts, given.days, given.training)


def _by_cells(
    metrics: Sequence[Metric], counts: Counts, given: Calibration, threshold: float
) -> tuple[list[Estimate], np.ndarray]:
    """Metrics of a binary model, one group after the other, and what each window was calibrated on."""
    found, origins = [], []
    for summary, origin in _summaries(counts, given, threshold):
        found.append([metric.function(summary) for metric in metrics])
        origins.append(origin)
    return [stacked(estimates) for estimates in zip(*found, strict=True)], np.array(origins, dtype=object)


def _recorded(
    spec: ModelSpec, metric: Metric, spans: Sequence[Span], found: Estimate, errors: Estimate
) -> Estimate:
    """An estimate with the record of those before, in the windows in which an objective is about it."""
    about = [one for one in spec.monitor.objectives if one.metric == metric.name]
    facts = found.facts.copy()
    for objective in about:
        at = [index for index, span in enumerate(spans) if span.window is objective.window]
        told = records(spans, spec.monitor.labels.horizon, stride_of(objective), errors)
        for group, window in ((group, window) for group in range(facts.shape[0]) for window in at):
            facts[group, window] = {**(facts[group, window] or {}), FACT: told[group, window]}
    return replace(found, facts=facts)


def in_all_windows(found: Estimate, at: Sequence[int], windows: int) -> Estimate:
    """An estimate of some windows as one of all, undefined in the others."""
    shape = (found.value.shape[0], windows)
    empty = Estimate(np.full(shape, np.nan), np.zeros(shape, dtype=np.int64))
    arrays = {}
    for name in ("value", "n", "lower", "upper", "bound", "noise", "sufficient", "effective"):
        arrays[name] = np.array(getattr(empty, name), dtype=getattr(found, name).dtype)
        arrays[name][:, at] = getattr(found, name)
    return Estimate(**arrays, need=found.need)


def _summaries(
    counts: Counts, given: Calibration, threshold: float
) -> Iterator[tuple[EstimatedSummary, list[Any]]]:
    """Windows of every group, each over the cells that it has, and what each window was calibrated on."""
    days = arranged(given.days.rows, [given.days.stretch])
    split = [_by_group(owner) for owner in (counts, days)]
    training = _Training.of(given.training)
    for group in counts.groups:
        mine, before = (
            owner.of_group(group, parts.get(group, {}))
            for owner, parts in zip((counts, days), split, strict=True)
        )
        codes = _codes([*_flats(mine, score_parts(counts)), *_flats(before, SIDES)], training.codes)
        cohort = _cohort(before, codes, given.days.chosen if given.days.entries else None, len(counts.spans))
        sides, known = _filled(cohort, training.over(group, codes))
        layers = (_layer(layer, codes, sides, threshold, score_parts(counts)) for layer in mine.layers())
        yield weighted(*layers), _origins(given.days, known, sides)


def _by_group(counts: Counts) -> Mapping[Group, dict[tuple[str, str], Any]]:
    found: dict[Group, dict[tuple[str, str], Any]] = {}
    for name in counts.parts:
        if name[0] == SCORE:
            for group, some in split_by_group(counts.parts[name]).items():
                found.setdefault(group, {})[name] = some
    return found


def _flats(counts: Counts, parts: Sequence[str]) -> list[Ints]:
    return [counts.flat(SCORE, part)[0].codes for part in parts]


def _codes(some: Sequence[Ints], more: Ints) -> Ints:
    return np.unique(np.concatenate([*some, more])).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Training:
    """Labelled rows of a training set per group and score cell."""

    groups: Sequence[Group]
    codes: Ints
    sides: Sides

    @staticmethod
    def of(counts: Counts) -> "_Training":
        flats = [counts.flat(SCORE, side) for side in SIDES]
        codes = _codes([flat.codes for flat, _, _ in flats], np.empty(0, np.int64))
        dense = [
            counts.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)[:, 0]
            for flat, group, day in flats
        ]
        return _Training(counts.groups, codes, (dense[0], dense[1]))

    def over(self, group: Group, codes: Ints) -> Sides:
        """One group's rows over more cells; none for a group that the training set never saw."""
        found = tuple(np.zeros(codes.size, dtype=side.dtype) for side in self.sides)
        if group in self.groups:
            for mine, side in zip(found, self.sides, strict=True):
                mine[np.searchsorted(codes, self.codes)] = side[self.groups.index(group)]
        return found[0], found[1]


def _cohort(counts: Counts, codes: Ints, chosen: Flags | None, windows: int) -> Sides:
    """Labelled rows of each window's matured days, as many as they are worth where rows have weights."""
    if chosen is None:
        return np.zeros((windows, codes.size)), np.zeros((windows, codes.size))
    layers = [_chosen(layer, codes, chosen) for layer in counts.layers()]
    if len(layers) == 1:
        return layers[0]
    once, twice = (sum(side.sum(axis=-1, keepdims=True) for side in layer) for layer in layers[1:])
    worth = np.divide(once, twice, out=np.ones(np.shape(once)), where=np.asarray(twice) > 0)
    return layers[1][0] * worth, layers[1][1] * worth


def _chosen(counts: Counts, codes: Ints, chosen: Flags) -> Sides:
    found = []
    for side in SIDES:
        flat, _, day = counts.flat(SCORE, side)
        code = np.searchsorted(codes, flat.codes)
        rows = [
            np.bincount(code[mine], weights=flat.counts[mine], minlength=codes.size)
            for mine in (window[day] for window in chosen)
        ]
        found.append(np.array(rows, dtype=np.float64).reshape(chosen.shape[0], codes.size))
    return found[0], found[1]


def _filled(cohort: Sides, training: Sides) -> tuple[Sides, Flags]:
    """Cohorts, and the training set where one has too few labels of a class; which windows have a cohort."""
    known = np.all([side.sum(axis=-1) >= MIN_CLASS for side in cohort], axis=0)
    sides = [
        np.where(known[:, np.newaxis], mine, before) for mine, before in zip(cohort, training, strict=True)
    ]
    return (sides[0], sides[1]), known


def _layer(
    counts: Counts, codes: Ints, sides: Sides, threshold: float, parts: Sequence[str]
) -> EstimatedSummary:
    scored = sum(_dense(counts, part, codes) for part in parts)
    cut, inside = threshold_cell(threshold)
    selected = (codes > cut) | ((codes == cut) & (inside < 0.5))
    unsure = np.asarray(scored)[:, (codes == cut) & (inside > 0)].sum(axis=-1)
    realised = score_summary(counts).select(partial(np.take, indices=0, axis=0))
    low, high = score_edges(codes)
    return EstimatedSummary(np.asarray(scored), unsure, *sides, selected, low, high, realised)


def _dense(counts: Counts, part: str, codes: Ints) -> Amounts:
    flat, group, day = counts.flat(SCORE, part)
    found = counts.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)
    return np.asarray(found[0])


def _origins(days: Cohorts, known: Flags, sides: Sides) -> list[Any]:
    """What each window was calibrated on, in words that stand beside a judged value."""
    labelled = [side.sum(axis=-1) for side in sides]
    told: list[Any] = []
    for window, matured_enough in enumerate(known.tolist()):
        rows = {
            name: round(float(side[window]), 6)
            for name, side in zip(("positives", "negatives"), labelled, strict=True)
        }
        told.append({"calibrated_on": {**days.origin(window if matured_enough else None), **rows}})
    return told
