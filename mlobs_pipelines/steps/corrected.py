"""From stored statistics to windows whose known labels stand for those still to come.

What a label stands for is `core.arrival`; it goes by how long labels took on the matured days of `cohorts`.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from mlobs_pipelines.steps.pairing import split_by_group, stacked
from mlobs_pipelines.steps.windows import Counts, Group, score_edges, threshold_cell

_SIDES = {"negative": ("tn", "fp"), "positive": ("fn", "tp")}  # by label, then by decision, as strata are
_ASKED = {
    *((SCORE, part) for side in _SIDES for part in (side, f"reliability_{side}")),
    *((LABEL, part) for part in (LAGS, AGES, "pending")),
    (SCORE, "confusion"),
}
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
    split = [_by_group(owner) for owner in (counts, before)]
    for group in counts.groups:
        mine, earlier = (
            owner.of_group(group, parts.get(group, {}))
            for owner, parts in zip((counts, before), split, strict=True)
        )
        cohort = _cohort(_daily(earlier), matured.chosen, width)
        days = [_Days.of(layer, width, threshold) for layer in _daily(mine).layers()]
        places = [_within(mine, span) for span in mine.spans]
        found = [_standing(days, cohort, window, place) for window, place in enumerate(places)]
        yield weighted(*(_summary(layer, found) for layer in days)), _told(matured, cohort, found)


def _by_group(counts: Counts) -> Mapping[Group, dict[tuple[str, str], Any]]:
    found: dict[Group, dict[tuple[str, str], Any]] = {}
    for subject, part in counts.parts:
        if (subject, part.split(":")[0]) in _ASKED:
            for group, some in split_by_group(counts.parts[subject, part]).items():
                found.setdefault(group, {})[subject, part] = some
    return found


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


def _cohort(daily: Counts, chosen: Flags, width: int) -> _Cohort:
    layers = [_by_stratum(layer, LAGS, width) for layer in daily.layers()]
    both = layers[0].shape[1] // 2, 2, width
    found = []
    for mine in chosen:
        lags = [layer[: mine.size][mine].sum(axis=0).reshape(both) for layer in layers]
        found.append(arrived_share(lags[min(1, len(lags) - 1)], lags[-1]))
    share = np.array([one for one, _ in found]).reshape(-1, STRATA, width)
    return _Cohort(share, np.array([labels for _, labels in found]).reshape(-1, STRATA))


def _by_stratum(daily: Counts, part: str, width: int) -> Amounts:
    """Labels by day, stratum and unit: (D, S, L)."""
    flat, group, day = daily.flat(LABEL, part)
    unit, stratum = codes_of(flat.codes, STRATA)
    found = daily.windows(group, day, stratum * width + unit, STRATA * width, flat.counts)
    return np.asarray(found[0].reshape(-1, STRATA, width))


@dataclass(frozen=True, slots=True)
class _Kept:
    """One thing that is kept of a label's rows by day, and which share of it was predicted positive."""

    values: Amounts
    flagged: Floats

    def added(self, weights: Weights, label: int) -> Floats:
        """Add the days of each window up, each by its weight: leading axes are windows, then shifts."""
        found = []
        for days, by in weights:
            low, high = (by[..., 2 * label + decision, np.newaxis] for decision in (0, 1))
            flagged = self.flagged if self.flagged.ndim == 1 else self.flagged[days]
            found.append(((low + flagged * (high - low)) * self.values[days]).sum(axis=-2))
        return np.stack(found)


Side = Mapping[str, _Kept]


@dataclass(frozen=True, slots=True)
class _Days:
    """Everything that is known of a group's days, at one power of the rows' weights.

    Attributes
    ----------
    sides
        Rows whose label is 0, and 1: by score cell, by decision, and per bin of equal width their number,
        Σ score and Σ score².
    low, high : (B,)
        Edges of the score cells.
    known : (D, S, L)
        Labels by stratum and the age of their prediction. Labels without an age, as a training set has them,
        are of predictions as old as the horizon.
    waiting : (D, L)
        Predictions without a label by age.
    """

    sides: tuple[Side, Side]
    low: Floats
    high: Floats
    known: Amounts
    waiting: Amounts

    @staticmethod
    def of(daily: Counts, width: int, threshold: float) -> "_Days":
        """Of every day of one group."""
        codes = np.unique(np.concatenate([daily.flat(SCORE, side)[0].codes for side in _SIDES]))
        codes = codes.astype(np.int64)
        negative, positive = (_side(daily, side, codes, threshold) for side in _SIDES)
        known = _by_stratum(daily, AGES, width).copy()
        labelled = np.concatenate([side["decisions"].values for side in (negative, positive)], axis=-1)
        ageless = known.sum(axis=(1, 2)) == 0
        known[ageless, :, -1] = labelled[ageless]
        flat, group, day = daily.flat(LABEL, "pending")
        units = np.minimum(flat.codes, width - 1).astype(np.int64)
        waiting = daily.windows(group, day, units, width, flat.counts)[0]
        return _Days((negative, positive), *score_edges(codes), known, waiting)

    def added(self, weights: Weights) -> ScoreSummary:
        """Score summary of every window, with days and strata weighted."""
        n, p = (
            {name: kept.added(weights, label) for name, kept in side.items()}
            for label, side in enumerate(self.sides)
        )
        middle, unknown = (self.low + self.high) / 2, np.full(p["decisions"].shape[:-1], np.nan)
        return ScoreSummary(
            positives=p["cells"],
            negatives=n["cells"],
            unlabelled=np.zeros(unknown.shape),
            tp=p["decisions"][..., 1],
            fp=n["decisions"][..., 1],
            tn=n["decisions"][..., 0],
            fn=p["decisions"][..., 0],
            log_loss=unknown,
            log_loss_sq=unknown,
            squared_error=np.maximum(p["bins"] - 2 * p["score"] + p["square"], 0).sum(-1)
            + n["square"].sum(-1),
            squared_error_sq=dot(p["cells"], (1 - middle) ** 4) + dot(n["cells"], middle**4),
            bin_n=p["bins"] + n["bins"],
            bin_positives=p["bins"],
            bin_score=p["score"] + n["score"],
            bin_score_sq=p["square"] + n["square"],
            bin_score_positives=p["score"],
            low=self.low,
            high=self.high,
        )


def _side(daily: Counts, side: str, codes: Ints, threshold: float) -> Side:
    flat, group, day = daily.flat(SCORE, side)
    cells = daily.windows(group, day, np.searchsorted(codes, flat.codes), codes.size, flat.counts)[0]
    confusion = daily.counts(SCORE, "confusion", len(CONFUSION_CODES))[0]
    decided = confusion[:, [CONFUSION_CODES[name] for name in _SIDES[side]]]
    part = f"reliability_{side}"
    score, square = (sums[0] for sums in daily.sums(SCORE, part, RELIABILITY_BINS))
    cut, inside = threshold_cell(threshold)
    flagged = ((codes > cut) | ((codes == cut) & (inside < 0.5))).astype(np.float64)
    by_bin = _flagged_by_bin(cells, flagged, codes)
    return {
        "cells": _Kept(cells, flagged),
        "decisions": _Kept(decided, np.array([0.0, 1.0])),
        "bins": _Kept(daily.counts(SCORE, part, RELIABILITY_BINS)[0], by_bin),
        "score": _Kept(score, by_bin),
        "square": _Kept(square, by_bin),
    }


def _flagged_by_bin(cells: Amounts, flagged: Floats, codes: Ints) -> Floats:
    """Share of each day and bin that was predicted positive: all or nothing but in the bin that is cut."""
    low, high = score_edges(codes)
    place = np.minimum((low + high) / 2 * RELIABILITY_BINS, RELIABILITY_BINS - 1).astype(np.int64)
    rows, said = (np.zeros((cells.shape[0], RELIABILITY_BINS)) for _ in range(2))
    for index in range(RELIABILITY_BINS):
        mine = cells[:, place == index]
        rows[:, index], said[:, index] = mine.sum(axis=-1), (mine * flagged[place == index]).sum(axis=-1)
    return np.nan_to_num(ratio(said, rows))


def _standing(days: Sequence[_Days], cohort: _Cohort, window: int, within: Ints) -> tuple[Ints, Standing]:
    """What the labels of a window's days stand for."""
    known, squared = (days[min(power, len(days) - 1)].known[within] for power in (1, 2))
    waiting = days[0].waiting[within]
    return within, standing(known, squared, waiting, cohort.share[window], cohort.labels[window])


def _summary(days: _Days, found: Sequence[tuple[Ints, Standing]]) -> CorrectedSummary:
    """Labels as they are, and what those of young days stand for beyond themselves."""
    once = [(at, np.stack([stands.used] * STRATA, axis=-1).astype(np.int64)) for at, stands in found]
    young = [np.flatnonzero(stands.used & (stands.weight != 1).any(axis=-1)) for _, stands in found]
    pairs = list(zip(found, young, strict=True))
    known = days.added(once)
    more = days.added([(at[some], stands.weight[some] - 1) for (at, stands), some in pairs])
    twice = days.added([(at[some], stands.squared[some] - 1) for (at, stands), some in pairs])
    shifts = days.added([(at[some], stands.shifts[:, some]) for (at, stands), some in pairs])
    return CorrectedSummary(known, _sum(known, more), _sum(known, twice), shifts)


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
