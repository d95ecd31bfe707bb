"""Metrics of each of two versions by group, and the differences between them, paired where both answered.

All from stored statistics of one window. Holding them against margins and limits is `rivals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.release_rules import OPERATIONS
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.estimates import change
from mlobs_pipelines.core.summaries import Summary
from mlobs_pipelines.core.vocabulary import Estimate
from mlobs_pipelines.steps.binning import SCORE, Baseline
from mlobs_pipelines.steps.measured import layered
from mlobs_pipelines.steps.outcomes import multiclass_summary, regression_summary
from mlobs_pipelines.steps.paired_calibration import ece_difference
from mlobs_pipelines.steps.pairing import has_pairs, pair_summaries, stacked
from mlobs_pipelines.steps.traffic import Side, Traffic
from mlobs_pipelines.steps.windows import Counts, Group, operation_summary, score_summary

_NAMES = ("auc", "accuracy", "brier_score", "log_loss", "ece", "mae", "rmse", "bias")
# Difference, name of the test, and its p-value that both versions are alike where it has a metric.
_PAIRED = {
    "auc": ("auc_difference", "DeLong", "delong_p"),
    "accuracy": ("accuracy_difference", "McNemar", "mcnemar_p"),
    "brier_score": ("brier_difference", "paired means", ""),
    "log_loss": ("log_loss_difference", "paired means", ""),
    "mae": ("mae_difference", "paired means", ""),
    "mse": ("mse_difference", "paired means", ""),
}
Found = Mapping[str, Estimate]  # by metric, one entry per group
Differences = dict[str, tuple[Estimate, list[str]]]  # with how each came about


@dataclass(frozen=True, slots=True)
class Readings:
    """What two versions were measured at, by group.

    Attributes
    ----------
    groups
        All rows first.
    candidate, champion
        Metrics of each, in the order of the groups.
    differences
        Candidate minus champion by metric, with how the interval came about.
    pairs
        Predictions that both scored, labelled or not, and those of them with a label; of all rows.
    """

    groups: Sequence[Group]
    candidate: Found
    champion: Found
    differences: Differences
    pairs: tuple[int, int]


def read_both(
    spec: ModelSpec, traffic: Traffic, baselines: Mapping[str, Baseline], segments: Sequence[str]
) -> Readings:
    """Measure both versions on the days they ran beside each other.

    Parameters
    ----------
    segments
        Segments whose values are groups.

    Raises
    ------
    ValueError
        If there is no such day.
    """
    if traffic.sides is None:
        raise ValueError("there is no day on which both versions ran")
    own, other = traffic.sides
    groups = [group for group in own.counts.groups if group[0] in {"", *segments}]
    mine, theirs = (_measured(spec, side, baselines[side.name], groups) for side in (own, other))
    paired, pairs = _paired(spec, own.counts, groups)
    return Readings(groups, mine, theirs, _unpaired(mine, theirs) | paired, pairs)


def _measured(
    spec: ModelSpec, side: Side, baseline: Baseline, groups: Sequence[Group]
) -> dict[str, Estimate]:
    """Metrics of one version in every group; NaN for a group that it never saw."""
    summaries = [_scores(spec, side.counts, baseline), layered(side.counts, operation_summary)]
    found = {}
    for summary in summaries:
        for name in (*_NAMES, *OPERATIONS):
            if type(summary) in METRICS[name].functions:
                found[name] = placed_at(METRICS[name].function(summary), side.counts.groups, groups)
    if "rmse" in found:
        found["mse"] = _squared(found["rmse"])
    return found


def _scores(spec: ModelSpec, counts: Counts, baseline: Baseline) -> Summary:
    if spec.monitor.task == "binary":
        return layered(counts, score_summary)
    if spec.monitor.task == "multiclass":
        return layered(counts, partial(multiclass_summary, classes=tuple(spec.monitor.classes)))
    return layered(counts, partial(regression_summary, values=baseline.features[SCORE].grid or Grid()))


def _squared(found: Estimate) -> Estimate:
    ends = {name: getattr(found, name) ** 2 for name in ("value", "lower", "upper")}
    return replace(found, **ends)


def placed_at(found: Estimate, known: Sequence[Group], groups: Sequence[Group]) -> Estimate:
    """An estimate of one window and its own groups as one entry for each of other groups."""
    position = {group: index for index, group in enumerate(known)}
    at = np.array([position.get(group, -1) for group in groups], dtype=np.int64)
    arrays = {item.name: getattr(found, item.name)[at, 0] for item in fields(Estimate) if item.name != "need"}
    arrays["value"] = np.where(at >= 0, arrays["value"], np.nan)
    arrays["n"] = np.where(at >= 0, arrays["n"], 0)
    return Estimate(**arrays, need=found.need)


def _paired(spec: ModelSpec, counts: Counts, groups: Sequence[Group]) -> tuple[Differences, tuple[int, int]]:
    """Differences on the same predictions; nothing where none was scored by both."""
    if not has_pairs(counts):
        return {}, (0, 0)
    pairs = list(pair_summaries(counts, spec.monitor.task))
    labelled, waiting = int(pairs[0].seen.labelled.sum()), int(pairs[0].seen.unlabelled.sum())
    if not labelled + waiting:
        return {}, (0, 0)

    def of(metric: str) -> Estimate:
        each = stacked([METRICS[metric].function(one) for one in pairs])
        return placed_at(each, counts.groups, groups)

    found: Differences = {}
    for name, (metric, test, alike) in _PAIRED.items():
        if type(pairs[0]) in METRICS[metric].functions:
            p = of(alike).value.tolist() if alike else [np.nan] * len(groups)
            found[name] = of(metric), [f"{test}, p = {one:.2g}" if not np.isnan(one) else test for one in p]
    if spec.monitor.task == "binary":
        errors = placed_at(ece_difference(counts), counts.groups, groups)
        found["ece"] = errors, ["paired bootstrap"] * len(groups)
    return found, (labelled + waiting, labelled)


def _unpaired(own: Found, other: Found) -> Differences:
    """Differences of two samples, for what is not counted in pairs."""
    found = {name: _between(own[name], other[name]) for name in own}
    if "bias" in own:
        found["bias"] = _between(_size(own["bias"]), _size(other["bias"]))
    return {name: (one, ["two samples"] * one.value.size) for name, one in found.items()}


def _between(own: Estimate, other: Estimate) -> Estimate:
    """The difference of two samples."""
    return replace(change(own, other), need=f"{own.need} of either version" if own.need else "")


def _size(found: Estimate) -> Estimate:
    """How far from zero, whichever way."""
    ends = np.stack([np.abs(found.lower), np.abs(found.upper)])
    lower = np.where((found.lower < 0) & (found.upper > 0), 0.0, ends.min(axis=0))
    return replace(found, value=np.abs(found.value), lower=lower, upper=ends.max(axis=0))
