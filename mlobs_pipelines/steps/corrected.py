"""From stored statistics to windows whose known labels stand for those still to come.

What a label stands for is `core.arrival`; it goes by how long labels took on the matured days of `cohorts`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.arrival import Standing, arrived_share, standing
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.metrics.estimates import dot, ratio
from mlobs_pipelines.core.summaries import CorrectedSummary, ScoreSummary, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Flags, Floats, Ints, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.class_lags import AGES, LAGS, STRATA, codes_of
from mlobs_pipelines.engine.scores import CONFUSION_CODES, RELIABILITY_BINS
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.class_lags import LABEL, lag_units
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.estimation import Calibration, in_all_windows
from mlobs_pipelines.steps.pairing import stacked
from mlobs_pipelines.steps.windows import Counts, score_edges, threshold_cell

_SIDES = {"negative": ("tn", "fp"), "positive": ("fn", "tp")}  # by label, then by decision, as strata are
_ROWS = ("positives", "negatives", "tp", "fp", "tn", "fn", "bin_n", "bin_positives")
_GRAIN = 2.0**26  # as in `core.arrival`
_UNADDED = {*ScoreSummary.FIXED, "once", "twice"}
Weights = Sequence[tuple[Ints, Amounts]]  # of every window: some of its days, and of each a weight by stratum


def corrected_estimates(
    spec: ModelSpec, threshold: float, counts: Counts, given: Calibration
) -> Iterator[tuple[Metric, Estimate]]:
    """Every metric of labels that stand for those still to come.

    Yields
    ------
    metric, estimate
        In the shape (groups, windows); NaN in windows that nothing is estimated for.
    """
    metrics = [metric for metric in spec.metrics.values() if CorrectedSummary in metric.functions]
    at = [index for index, span in enumerate(counts.spans) if span.window in given.windows]
    if not (at and metrics and spec.monitor.task == "binary"):
        return
    found, facts = [], np.full((len(counts.groups), len(counts.spans)), None, dtype=object)
    wanted = replace(counts, spans=[counts.spans[index] for index in at])
    days = replace(given.days, chosen=given.days.chosen[at])
    summaries = corrected_summaries(wanted, days, lag_units(spec.monitor), threshold)
    for group, (summary, told) in enumerate(summaries):
        found.append([metric.function(summary) for metric in metrics])
        facts[group, at] = np.array(told, dtype=object)
    for metric, *estimates in zip(metrics, *found, strict=True):
        yield metric, replace(in_all_windows(stacked(estimates), at, len(counts.spans)), facts=facts)


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
    before, width = arranged(matured.rows, [matured.stretch]), units + 1
    earlier = [_by_stratum(layer, LAGS, width) for layer in _daily(before).layers()]
    layers = [_Days.of(layer, width, threshold) for layer in _daily(counts).layers()]
    places = [_within(counts, span) for span in counts.spans]
    for position, group in enumerate(counts.groups):
        known = before.groups.index(group) if group in before.groups else None
        lags = [layer[known] if known is not None else np.zeros_like(layer[0]) for layer in earlier]
        days, cohort = [layer.of_group(position) for layer in layers], _cohort(lags, matured.chosen)
        found = [_standing(days, cohort, window, place) for window, place in enumerate(places)]
        yield weighted(*(_summary(layer, found) for layer in days)), _told(matured, cohort, found)


def _daily(counts: Counts) -> Counts:
    """The same with every day as a window."""
    return replace(counts, spans=[Span(Window.DAY, day, day + timedelta(days=1)) for day in counts.days])


def _within(counts: Counts, span: Span) -> Ints:
    first = counts.days[0]
    return np.arange((span.start - first).days, (span.end - first).days)


@dataclass(frozen=True, slots=True)
class _Cohort:
    """How fast labels came before each window.

    Attributes
    ----------
    share : (W, S, L)
        Probability that a label has arrived, by stratum and age.
    labels : (W, S)
        What the probabilities rest on, as labels of equal weight.
    """

    share: Floats
    labels: Floats


def _cohort(layers: Sequence[Amounts], chosen: Flags) -> _Cohort:
    """From the lags (E, S, L) of one group's matured days, at each power of weights."""
    both, found = (layers[0].shape[1] // 2, 2, layers[0].shape[2]), []
    for mine in chosen:
        lags = [layer[: mine.size][mine].sum(axis=0).reshape(both) for layer in layers]
        found.append(arrived_share(lags[min(1, len(lags) - 1)], lags[-1]))
    share = np.array([one for one, _ in found]).reshape(-1, *layers[0].shape[1:])
    return _Cohort(share, np.array([labels for _, labels in found]).reshape(-1, layers[0].shape[1]))


def _by_stratum(daily: Counts, part: str, width: int) -> Amounts:
    """Labels by group, day, stratum and unit: (G, D, S, L)."""
    flat, group, day = daily.flat(LABEL, part)
    unit, stratum = codes_of(flat.codes, STRATA)
    found = daily.windows(group, day, stratum * width + unit, STRATA * width, flat.counts)
    return np.asarray(found.reshape(*found.shape[:2], STRATA, width))


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
        known = _by_stratum(daily, AGES, width).copy()
        labelled = [side.kept[..., codes.size : codes.size + 2] for side in (negative, positive)]
        ageless = known.sum(axis=(-2, -1)) == 0
        known[ageless, :, -1] = np.concatenate(labelled, axis=-1)[ageless]
        flat, group, day = daily.flat(LABEL, "pending")
        units = np.minimum(flat.codes, width - 1).astype(np.int64)
        waiting = daily.windows(group, day, units, width, flat.counts)
        return _Days((negative, positive), *score_edges(codes), known, waiting)

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


def _standing(days: Sequence[_Days], cohort: _Cohort, window: int, within: Ints) -> tuple[Ints, Standing]:
    """What the labels of a window's days stand for."""
    known, squared = (days[min(power, len(days) - 1)].known[within] for power in (1, 2))
    waiting = days[0].waiting[within]
    return within, standing(known, squared, waiting, cohort.share[window], cohort.labels[window])


def _summary(days: _Days, found: Sequence[tuple[Ints, Standing]]) -> CorrectedSummary:
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


def _told(matured: Cohorts, cohort: _Cohort, found: Sequence[tuple[Ints, Standing]]) -> list[Any]:
    """What each window was corrected with, in words that stand beside a judged value."""
    told: list[Any] = []
    for (_, stands), chosen, labels in zip(found, matured.chosen, cohort.labels, strict=True):
        days = [day for (day, _), used in zip(matured.entries, chosen, strict=True) if used]
        between = {"first_day": days[0], "last_day": days[-1]} if days else {}
        rows = [round(float(n), 6) for n in labels]
        told.append({"corrected_with": {**between, "labels": rows}, "days_used": int(stands.used.sum())})
    return told
