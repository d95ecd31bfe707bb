"""From stored statistics to windows whose known labels stand for those still to come.

What a label stands for is `standing`, by how long labels took on the matured days of `cohorts`. The windows
of a multiclass model are `class_corrected`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.metrics.estimates import dot, ratio
from mlobs_pipelines.core.summaries import (
    ClassCorrectedSummary,
    CorrectedSummary,
    ScoreSummary,
    Summary,
    weighted,
)
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints
from mlobs_pipelines.engine.class_lags import AGES, STRATA
from mlobs_pipelines.engine.scores import CONFUSION_CODES, RELIABILITY_BINS
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.class_corrected import class_corrected_summaries
from mlobs_pipelines.steps.class_lags import lag_units
from mlobs_pipelines.steps.cohorts import CORRECTED, Cohorts
from mlobs_pipelines.steps.estimation import Calibration, in_all_windows
from mlobs_pipelines.steps.pairing import stacked
from mlobs_pipelines.steps.standing import Standings, by_age, by_day, by_stratum, of_groups
from mlobs_pipelines.steps.windows import Counts, score_edges, threshold_cell

_SIDES = {"negative": ("tn", "fp"), "positive": ("fn", "tp")}  # by label, then by decision, as strata are
_ROWS = ("positives", "negatives", "tp", "fp", "tn", "fn", "bin_n", "bin_positives")
_GRAIN = 2.0**26  # as in `core.arrival`
_UNADDED = {*ScoreSummary.FIXED, "once", "twice"}
Weights = Sequence[tuple[Ints, Amounts]]  # of every window: some of its days, and of each a weight by stratum


def corrected_estimates(
    spec: ModelSpec, threshold: float, counts: Counts, given: Calibration
) -> Iterator[tuple[Metric, str, Estimate]]:
    """Every metric of labels that stand for those still to come.

    Yields
    ------
    metric, name, estimate
        In the shape (groups, windows); NaN in windows that nothing is estimated for.
    """
    at = [index for index, span in enumerate(counts.spans) if span.window in given.windows]
    kind = CORRECTED.get(spec.monitor.task)
    if not at or kind is None:
        return
    metrics = [metric for metric in spec.metrics.values() if kind in metric.functions]
    facts = np.full((len(counts.groups), len(counts.spans)), None, dtype=object)
    found: dict[tuple[str, str], list[Estimate]] = {}
    for group, (summary, told) in enumerate(_summaries(spec, threshold, counts, given, at)):
        facts[group, at] = np.array(told, dtype=object)
        for metric in metrics:
            for name, estimate in named(metric, summary):
                found.setdefault((metric.name, name), []).append(estimate)
    for (metric_name, name), estimates in found.items():
        whole = in_all_windows(stacked(estimates), at, len(counts.spans))
        yield spec.metrics[metric_name], name, replace(whole, facts=facts)


def _summaries(
    spec: ModelSpec, threshold: float, counts: Counts, given: Calibration, at: Sequence[int]
) -> Iterator[tuple[CorrectedSummary | ClassCorrectedSummary, list[Any]]]:
    """Summaries of some windows, group by group."""
    wanted = replace(counts, spans=[counts.spans[index] for index in at])
    days, units = given.days.at(at), lag_units(spec.monitor)
    if spec.monitor.task == "binary":
        yield from corrected_summaries(wanted, days, units, threshold)
    else:
        yield from class_corrected_summaries(wanted, days, units, tuple(spec.monitor.classes))


def named(metric: Metric, summary: Summary) -> Iterator[tuple[str, Estimate]]:
    """A metric's value, or each of the values of a curve under its name."""
    found = metric.function(summary)
    if metric.labels is None:
        yield "", found
        return
    for index, name in enumerate(metric.labels(summary)):
        arrays = {item.name: getattr(found, item.name) for item in fields(Estimate) if item.name != "need"}
        yield name, Estimate(**{key: array[..., index] for key, array in arrays.items()}, need=found.need)


def corrected_summaries(
    counts: Counts, matured: Cohorts, units: int, threshold: float
) -> Iterator[tuple[CorrectedSummary, list[Any]]]:
    """The windows of each group, whose labels stand for those to come, and what was corrected with what.

    Parameters
    ----------
    matured
        Days that tell how long the labels of each window take.
    units
        Whole lag units up to the label horizon.
    threshold
        From which score on a row is predicted positive.
    """
    layers = [_Days.of(layer, units + 1, threshold) for layer in by_day(counts).layers()]
    for days, found, told in of_groups(counts, matured, units, (2, STRATA // 2), layers):
        yield weighted(*(_summary(layer, found) for layer in days)), told


@dataclass(frozen=True, slots=True)
class _Side:
    """What is kept of rows of one label by day, of which some were predicted positive.

    Attributes
    ----------
    kept : (..., D, P)
        Rows by score cell, by decision and by bin of equal width, then Σ score and Σ score² by bin.
    flagged : (..., D, P)
        Share of each that was predicted positive: all or nothing but in the bin that the threshold cuts.
    """

    kept: Floats
    flagged: Floats

    def added(self, weights: Weights, label: int) -> list[Floats]:
        """Add the days of each window up, each by its weight: leading axes are windows, then shifts."""
        found = []
        for days, by in weights:
            low, high = (by[..., 2 * label + decision, np.newaxis] for decision in (0, 1))
            found.append(((low + self.flagged[days] * (high - low)) * self.kept[days]).sum(axis=-2))
        whole, cells = np.stack(found), self.kept.shape[-1] - 2 - 3 * RELIABILITY_BINS
        return np.split(whole, cells + np.array([0, 2, 2 + RELIABILITY_BINS, 2 + 2 * RELIABILITY_BINS]), -1)


@dataclass(frozen=True, slots=True)
class _Days:
    """Everything that is known of the days of all groups, or of one, at one power of the rows' weights.

    Attributes
    ----------
    sides
        Rows whose label is 0, and 1.
    low, high : (B,)
        Edges of the score cells.
    known : (..., D, S, L)
        Labels by stratum and the age of their prediction. Labels without an age, as a training set has them,
        are of predictions as old as the horizon.
    waiting : (..., D, L)
        Predictions without a label by age.
    """

    sides: tuple[_Side, _Side]
    low: Floats
    high: Floats
    known: Amounts
    waiting: Amounts

    @staticmethod
    def of(daily: Counts, width: int, threshold: float) -> "_Days":
        """Of every day of every group."""
        codes = np.unique(np.concatenate([daily.flat(SCORE, side)[0].codes for side in _SIDES]))
        codes = codes.astype(np.int64)
        negative, positive = (_side(daily, side, codes, threshold) for side in _SIDES)
        labelled = [side.kept[..., codes.size : codes.size + 2] for side in (negative, positive)]
        known = by_stratum(daily, AGES, STRATA, width)
        aged = by_age(daily, known, np.concatenate(labelled, axis=-1))
        return _Days((negative, positive), *score_edges(codes), *aged)

    def of_group(self, group: int) -> "_Days":
        """The days of one group."""
        negative, positive = (_Side(side.kept[group], side.flagged[group]) for side in self.sides)
        return _Days((negative, positive), self.low, self.high, self.known[group], self.waiting[group])

    def added(self, weights: Weights) -> ScoreSummary:
        """Score summary of every window, with days and strata weighted."""
        n, p = (side.added(weights, label) for label, side in enumerate(self.sides))
        middle, unknown = (self.low + self.high) / 2, np.full(p[1].shape[:-1], np.nan)
        return ScoreSummary(
            positives=p[0],
            negatives=n[0],
            unlabelled=np.zeros(unknown.shape),
            tp=p[1][..., 1],
            fp=n[1][..., 1],
            tn=n[1][..., 0],
            fn=p[1][..., 0],
            log_loss=unknown,
            log_loss_sq=unknown,
            squared_error=(np.maximum(p[2] - 2 * p[3] + p[4], 0) + n[4]).sum(axis=-1),
            squared_error_sq=dot(p[0], (1 - middle) ** 4) + dot(n[0], middle**4),
            bin_n=p[2] + n[2],
            bin_positives=p[2],
            bin_score=p[3] + n[3],
            bin_score_sq=p[4] + n[4],
            bin_score_positives=p[3],
            low=self.low,
            high=self.high,
        )


def _side(daily: Counts, side: str, codes: Ints, threshold: float) -> _Side:
    flat, group, day = daily.flat(SCORE, side)
    cells = daily.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)
    confusion = daily.counts(SCORE, "confusion", len(CONFUSION_CODES))
    decided = confusion[..., [CONFUSION_CODES[name] for name in _SIDES[side]]]
    part = f"reliability_{side}"
    bins, sums = daily.counts(SCORE, part, RELIABILITY_BINS), daily.sums(SCORE, part, RELIABILITY_BINS)
    cut, inside = threshold_cell(threshold)
    flagged = (codes > cut) | ((codes == cut) & (inside < 0.5))
    of_cells, of_decisions = (
        np.broadcast_to(some, (*cells.shape[:-1], some.size)) for some in (flagged, np.array([0, 1]))
    )
    by_bin = [_flagged_by_bin(cells, flagged, codes)] * 3
    return _Side(
        np.concatenate([cells, decided, bins, *sums], axis=-1),
        np.concatenate([of_cells, of_decisions, *by_bin], axis=-1),
    )


def _flagged_by_bin(cells: Amounts, flagged: Flags, codes: Ints) -> Floats:
    """Share of each day and bin that was predicted positive."""
    low, high = score_edges(codes)
    place = np.minimum((low + high) / 2 * RELIABILITY_BINS, RELIABILITY_BINS - 1).astype(np.int64)
    of_bin = (place[:, np.newaxis] == np.arange(RELIABILITY_BINS)).astype(np.float64)
    share = np.nan_to_num(ratio((cells * flagged) @ of_bin, cells @ of_bin))
    return np.asarray(np.rint(share * _GRAIN) / _GRAIN)


def _summary(days: _Days, found: Standings) -> CorrectedSummary:
    """Labels as they are, and what those of young days stand for beyond themselves."""
    known = days.added([(at, np.outer(stands.used, np.ones(STRATA))) for at, stands in found])
    seen: dict[str, Any] = {name: np.rint(getattr(known, name)).astype(np.int64) for name in _ROWS}
    young = [np.flatnonzero(stands.used & (stands.weight != 1).any(axis=-1)) for _, stands in found]
    pairs = list(zip(found, young, strict=True))
    if not any(some.size for some in young):
        nothing = known.select(lambda array: np.zeros((len(found), 0, *array.shape[1:])))
        return CorrectedSummary(replace(known, **seen), known, known, nothing)
    more = days.added([(at[some], stands.weight[some] - 1) for (at, stands), some in pairs])
    twice = days.added([(at[some], stands.squared[some] - 1) for (at, stands), some in pairs])
    shifts = days.added([(at[some], stands.shifts[:, some]) for (at, stands), some in pairs])
    return CorrectedSummary(replace(known, **seen), _sum(known, more), _sum(known, twice), shifts)


def _sum(one: ScoreSummary, other: ScoreSummary) -> ScoreSummary:
    names = [item.name for item in fields(ScoreSummary) if item.name not in _UNADDED]
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in names})
