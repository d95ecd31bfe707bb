"""Every registered metric on the windows of one model version: which summary each gets, for which feature.

What becomes of the estimates is `scoring`; the summaries are built in `windows` and `against`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TypeVar

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.monitor import Feature
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.metrics.attribution import psi_by_segment, psi_carriers
from mlobs_pipelines.core.summaries import (
    Additive,
    FeatureSummary,
    GroupSummary,
    LabelSummary,
    ScoreSummary,
    Summary,
    weighted,
)
from mlobs_pipelines.core.vocabulary import Estimate
from mlobs_pipelines.steps.against import (
    decision_summary,
    feature_summaries,
    panel_summary,
    score_drift_summaries,
    shift_summary,
)
from mlobs_pipelines.steps.bins import SCORE, Baseline
from mlobs_pipelines.steps.windows import (
    Counts,
    Group,
    group_summary,
    operation_summary,
    score_summary,
    skew_summary,
)

ROW_COUNT = "row_count"  # of scored predictions, said once and not per feature
PSI = "psi"
DIGITS, MOST = 6, 3
Measured = tuple[Metric, str, Estimate]
Layer = TypeVar("Layer", bound=Additive)


@dataclass(frozen=True, slots=True)
class _Case:
    """One version's windows and all that they are measured with."""

    spec: ModelSpec
    threshold: float
    baseline: Baseline
    counts: Counts
    base: Counts
    labels: LabelSummary


def measured(
    spec: ModelSpec, version: str, baseline: Baseline, counts: Counts, base: Counts, labels: LabelSummary
) -> Iterator[Measured]:
    """Run every registered metric on every group and window of one version.

    Parameters
    ----------
    counts, base
        Statistics of the version's windows, and of its baseline.
    labels
        How far the labels of the same windows have come.

    Yields
    ------
    metric, feature, estimate
        The feature is "" where the metric is about none; estimates have the shape (groups, windows).
    """
    case = _Case(spec, spec.monitor.versions[version].threshold, baseline, counts, base, labels)
    panel: dict[str, list[FeatureSummary]] = {}
    for feature in spec.monitor.features:
        binned = baseline.features[feature.name]
        panel[feature.name] = list(feature_summaries(counts, base, feature.name, binned))
        yield from _feature(case, feature, panel[feature.name])
    yield from _score(case)
    for summary in _summaries(case, panel):
        found = _run(spec, "", summary)
        yield from _of_all_rows(found, len(counts.groups)) if isinstance(summary, GroupSummary) else found


def _summaries(case: _Case, panel: Mapping[str, Sequence[FeatureSummary]]) -> Iterator[Summary]:
    """Summaries about no single feature, each given to every metric of its class."""
    counts, base = case.counts, case.base
    scores = layered(counts, score_summary)
    yield scores
    yield case.labels
    yield layered(counts, operation_summary)
    yield panel_summary(panel, {name: one.importance for name, one in case.baseline.features.items()})
    yield layered(counts, partial(decision_summary, baseline=base, threshold=case.threshold))
    if (SCORE, "positive") in base.parts:
        yield shift_summary(scores, counts, base)
    if any(segment for segment, _ in counts.groups):
        yield layered(counts, partial(group_summary, threshold=case.threshold))


def _feature(case: _Case, feature: Feature, summaries: list[FeatureSummary]) -> Iterator[Measured]:
    """Metrics of one feature: beside its baseline, and as served against as recomputed."""
    name, numeric = feature.name, feature.kind == "numeric"
    found = list(_grouped(case.spec, name, summaries, case.counts.groups, numeric=numeric))
    if feature.view is not None:
        skew = partial(skew_summary, name=name, numeric=case.baseline.features[name].grid is not None)
        found += _run(case.spec, name, layered(case.counts, skew))
    yield from (item for item in found if item[0].name != ROW_COUNT and item[0].suits(numeric=numeric))


def _score(case: _Case) -> Iterator[Measured]:
    """Drift of the score, and the number of scored rows."""
    drift = list(score_drift_summaries(case.counts, case.base, case.baseline.features[SCORE]))
    for metric, _, estimate in _grouped(case.spec, SCORE, drift, case.counts.groups, numeric=True):
        if metric.family == "drift" or metric.name == ROW_COUNT:
            yield metric, "" if metric.name == ROW_COUNT else SCORE, estimate


def layered(counts: Counts, build: Callable[[Counts], Layer]) -> Layer:
    """Build a summary from the statistics by rows seen and, where rows have weights, by w and by w²."""
    return weighted(*(build(layer) for layer in counts.layers()))


def named(spec: ModelSpec, metric: Metric) -> bool:
    """Whether an objective of the model is about the metric."""
    return any(objective.metric == metric.name for objective in spec.monitor.objectives)


def _of_all_rows(found: Iterable[Measured], groups: int) -> Iterator[Measured]:
    """Estimates that compare groups belong to the windows of all rows: there is no number for a group."""
    for metric, name, estimate in found:
        whole = np.arange(groups)[:, np.newaxis] == 0
        yield metric, name, replace(estimate, value=np.where(whole, estimate.value, np.nan))


def _run(spec: ModelSpec, feature: str, summary: Summary) -> Iterator[Measured]:
    for metric in _metrics_of(spec, type(summary)):
        estimate = _estimate(spec, metric, summary)
        if metric.labels is None:
            yield metric, feature, estimate
            continue
        for index, name in enumerate(metric.labels(summary)):
            yield metric, name, _slice(estimate, index)


def _estimate(spec: ModelSpec, metric: Metric, summary: Summary) -> Estimate:
    """One metric of all groups; a detail that nothing judges is computed for the first, all rows, alone."""
    if not (metric.detail and isinstance(summary, ScoreSummary)) or named(spec, metric):
        return metric.function(summary)
    groups = summary.unlabelled.shape[0]
    return _stacked([_pick(metric.function(summary.select(lambda array: array[:1])), 0)], groups)


def _pick(estimate: Estimate, index: int) -> Estimate:
    arrays = {f.name: getattr(estimate, f.name)[index] for f in fields(Estimate) if f.name != "need"}
    return Estimate(**arrays, need=estimate.need)


def _grouped(
    spec: ModelSpec,
    feature: str,
    summaries: list[FeatureSummary],
    groups: Sequence[Group],
    *,
    numeric: bool,
) -> Iterator[Measured]:
    for metric in _metrics_of(spec, FeatureSummary):
        if not metric.suits(numeric=numeric):
            continue
        # The first group is all rows; a detail that nothing judges is written for it alone.
        alone = metric.detail and not named(spec, metric)
        estimates = [metric.function(summary) for summary in (summaries[:1] if alone else summaries)]
        found = _stacked(estimates, len(summaries))
        judged = metric.name == PSI and named(spec, metric)
        yield metric, feature, _carried(found, summaries, groups) if judged else found


def _carried(found: Estimate, summaries: Sequence[FeatureSummary], groups: Sequence[Group]) -> Estimate:
    """PSI with the bins that carry most of it and, for all rows, the values of each segment that do."""
    facts = np.full(found.value.shape, None, dtype=object)
    for index, summary in enumerate(summaries):
        bins, parts = psi_carriers(summary.bins, summary.baseline_bins)
        pairs = zip(bins.tolist(), parts.round(DIGITS).tolist(), strict=True)
        known = np.isfinite(found.value[index]).tolist()
        carried = [[list(one) for one in zip(*pair, strict=True)] for pair in pairs]
        facts[index] = [{"bins": one} if yes else None for one, yes in zip(carried, known, strict=True)]
    for segment in dict.fromkeys(name for name, _ in groups if name):
        mine = [at for at, (name, _) in enumerate(groups) if name == segment]
        bins, before = (
            np.stack(np.broadcast_arrays(*(getattr(summaries[at], name) for at in mine)))
            for name in ("bins", "baseline_bins")
        )
        parts = psi_by_segment(bins, before)
        for window, order in enumerate(np.argsort(-parts, axis=0, kind="stable")[:MOST].T.tolist()):
            told = [[segment, groups[mine[at]][1], round(parts[at, window], DIGITS)] for at in order]
            if facts[0, window] is not None:
                facts[0, window].setdefault("segments", []).extend(told)
    return replace(found, facts=facts)


def _metrics_of(spec: ModelSpec, kind: type[Summary]) -> list[Metric]:
    return [metric for metric in spec.metrics.values() if kind in metric.functions]


def _stacked(estimates: list[Estimate], groups: int) -> Estimate:
    def stacked(arrays: Iterable[np.ndarray]) -> np.ndarray:
        array = np.stack(list(arrays))
        return np.broadcast_to(array, (groups, *array.shape[1:]))

    names = [item.name for item in fields(Estimate) if item.name != "need"]
    found = {name: stacked(getattr(estimate, name) for estimate in estimates) for name in names}
    return Estimate(**found, need=estimates[0].need)


def _slice(estimate: Estimate, index: int) -> Estimate:
    arrays = {f.name: getattr(estimate, f.name)[..., index] for f in fields(Estimate) if f.name != "need"}
    return Estimate(**arrays, need=estimate.need)
