"""Every registered metric on the windows of one model version: which summary each gets, for which feature.

What becomes of the estimates is `scoring`; the summaries are built in `windows` and `against`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.monitor import Feature
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.metrics.attribution import psi_by_segment, psi_carriers
from mlobs_pipelines.core.summaries import (
    Additive,
    FeatureSummary,
    GroupSummary,
    LabelSummary,
    MulticlassSummary,
    RegressionSummary,
    SampleSummary,
    ScoreSummary,
    Summary,
    weighted,
)
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Ints, Window
from mlobs_pipelines.engine.requests import QUEUE_COLUMN
from mlobs_pipelines.steps.accounts import accounted
from mlobs_pipelines.steps.against import (
    decision_summary,
    feature_summary,
    panel_summary,
    score_drift_summary,
    shift_summary,
)
from mlobs_pipelines.steps.attributed import attribution_panel, attribution_summaries, explained
from mlobs_pipelines.steps.binning import LABELLED, SCORE, Baseline
from mlobs_pipelines.steps.class_lags import class_lag_summary, class_names
from mlobs_pipelines.steps.corrected import corrected_estimates
from mlobs_pipelines.steps.estimation import Calibration, estimated
from mlobs_pipelines.steps.label_sources import label_sources
from mlobs_pipelines.steps.outcomes import (
    class_outcomes,
    multiclass_summary,
    predicted_summary,
    regression_summary,
    value_outcomes,
)
from mlobs_pipelines.steps.pairing import KINDS, has_pairs, pair_summaries, stacked
from mlobs_pipelines.steps.samples import sample_estimates
from mlobs_pipelines.steps.windows import (
    Counts,
    Group,
    group_summary,
    operation_summary,
    queue_summary,
    score_summary,
    skew_summary,
)

ROW_COUNT = "row_count"  # of scored predictions, said once and not per feature
PSI = "psi"
LONG = (Window.FOUR_WEEKS, Window.MONTH)  # windows that curves and details are kept for
DIGITS, MOST = 6, 3
PIECE = 2**18  # cells of a feature that metrics work on at once
Labelled = ScoreSummary | MulticlassSummary | RegressionSummary
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
    spec: ModelSpec,
    version: str,
    baseline: Baseline,
    counts: Counts,
    base: Counts,
    labels: LabelSummary,
    calibration: Calibration,
) -> Iterator[Measured]:
    """Run every registered metric on every group and window of one version.

    Parameters
    ----------
    counts, base
        Statistics of the version's windows, and of its baseline.
    labels
        How far the labels of the same windows have come.
    calibration
        What quality is estimated with while they are late.

    Yields
    ------
    metric, feature, estimate
        The feature is "" where the metric is about none; estimates have the shape (groups, windows).
    """
    case = _Case(spec, spec.monitor.versions[version].threshold, baseline, counts, base, labels)
    panel: dict[str, FeatureSummary] = {}
    for feature in spec.monitor.features:
        binned = baseline.features[feature.name]
        panel[feature.name] = feature_summary(counts, base, feature.name, binned)
        yield from _feature(case, feature, panel[feature.name])
    yield from _score(case)
    if spec.monitor.attributions is not None:
        yield from _attributed(case)
    for summary in _summaries(case, panel):
        found = _run(case, "", summary)
        yield from _of_all_rows(found, len(counts.groups)) if isinstance(summary, GroupSummary) else found
    yield from _pairs(case)
    yield from sample_estimates(spec, _metrics_of(spec, SampleSummary), counts, base)
    for metric, estimate in estimated(spec, case.threshold, counts, labels, calibration):
        yield metric, "", estimate
    yield from corrected_estimates(spec, case.threshold, counts, calibration)


def _summaries(case: _Case, panel: Mapping[str, FeatureSummary]) -> Iterator[Summary]:
    """Summaries about no single feature, each given to every metric of its class."""
    yield case.labels
    yield layered(case.counts, operation_summary)
    if QUEUE_COLUMN in case.spec.table("predictions").names:
        yield layered(case.counts, queue_summary)
    yield panel_summary(panel, {name: one.importance for name, one in case.baseline.features.items()})
    task = case.spec.monitor.task
    if task != "regression":
        yield layered(case.counts, partial(class_lag_summary, monitor=case.spec.monitor))
        yield from label_sources(case.counts, class_names(case.spec.monitor))
    yield from {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[task](case)


def _labels_before(case: _Case) -> bool:
    """Whether the baseline knows labels, or might."""
    return (SCORE, LABELLED[case.spec.monitor.task]) in case.base.parts


def _binary(case: _Case) -> Iterator[Summary]:
    counts, base = case.counts, case.base
    scores = layered(counts, score_summary)
    yield scores
    yield layered(counts, partial(decision_summary, baseline=base, threshold=case.threshold))
    if _labels_before(case):
        yield shift_summary(scores, counts, base)
    if any(segment for segment, _ in counts.groups):
        yield layered(counts, partial(group_summary, threshold=case.threshold))


def _multiclass(case: _Case) -> Iterator[Summary]:
    counts, classes = case.counts, tuple(case.spec.monitor.classes)
    yield layered(counts, partial(multiclass_summary, classes=classes))
    yield layered(counts, partial(predicted_summary, baseline=case.base, size=len(classes)))
    if _labels_before(case):
        yield layered(counts, partial(class_outcomes, baseline=case.base, size=len(classes)))


def _regression(case: _Case) -> Iterator[Summary]:
    binned = case.baseline.features[SCORE]
    yield layered(case.counts, partial(regression_summary, values=binned.grid or Grid()))
    if _labels_before(case):
        yield layered(case.counts, partial(value_outcomes, baseline=case.base, binned=binned))


def _pairs(case: _Case) -> Iterator[Measured]:
    """The version against the champion, if it was ever beside it or an objective is about that."""
    task = case.spec.monitor.task
    metrics = _metrics_of(case.spec, KINDS[task])
    if not (has_pairs(case.counts) or any(named(case.spec, metric) for metric in metrics)):
        return
    # One group at a time: its summary is large, and what metrics share of it is kept for the latest alone.
    found = [
        [accounted(metric.function(pairs), pairs, _told(case, metric)) for metric in metrics]
        for pairs in pair_summaries(case.counts, task)
    ]
    for metric, *estimates in zip(metrics, *found, strict=True):
        yield metric, "", stacked(estimates)


def _feature(case: _Case, feature: Feature, summary: FeatureSummary) -> Iterator[Measured]:
    """Metrics of one feature: beside its baseline, and as served against as recomputed."""
    name, numeric = feature.name, feature.kind == "numeric"
    found = list(_grouped(case, name, summary, numeric=numeric))
    if feature.view is not None:
        skew = partial(skew_summary, name=name, numeric=case.baseline.features[name].grid is not None)
        found += _run(case, name, layered(case.counts, skew))
    yield from (item for item in found if item[0].name != ROW_COUNT and item[0].suits(numeric=numeric))


def _score(case: _Case) -> Iterator[Measured]:
    """Drift of the score, and the number of scored rows."""
    drift = score_drift_summary(case.counts, case.base, case.baseline.features[SCORE])
    for metric, _, estimate in _grouped(case, SCORE, drift, numeric=True):
        if metric.family == "drift" or metric.name == ROW_COUNT:
            yield metric, "" if metric.name == ROW_COUNT else SCORE, estimate


def _attributed(case: _Case) -> Iterator[Measured]:
    """What each feature did to the scores, and whether the features rank as in the baseline."""
    importance = {f.name: case.baseline.features[f.name].importance for f in case.spec.monitor.features}
    panel = attribution_panel(case.counts, case.base, importance)
    for name, summary in attribution_summaries(case.counts, panel):
        yield from _run(case, name, summary)
    for metric, name, found in _run(case, "", panel):
        yield metric, name, explained(found, panel) if named(case.spec, metric) else found


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


def _run(case: _Case, feature: str, summary: Summary) -> Iterator[Measured]:
    for metric, estimate in _estimates(case, _metrics_of(case.spec, type(summary)), summary):
        if metric.labels is None:
            yield metric, feature, accounted(estimate, summary, _told(case, metric))
            continue
        for index, name in enumerate(metric.labels(summary)):
            yield metric, name, _cut(estimate, (..., index))


def _estimates(case: _Case, metrics: Sequence[Metric], summary: Summary) -> Iterator[tuple[Metric, Estimate]]:
    """Metrics of all groups; a detail that nothing judges is computed for what is written of it alone."""
    if not isinstance(summary, FeatureSummary | Labelled):
        yield from ((metric, metric.function(summary)) for metric in metrics)
        return
    alone = [metric for metric in metrics if metric.detail and not named(case.spec, metric)]
    wide = [metric for metric in metrics if metric not in alone]
    pieces = [[metric.function(piece) for metric in wide] for piece in _pieces(summary)]
    found = {metric.name: _joined(parts) for metric, *parts in zip(wide, *pieces, strict=True)}
    # What is in no long window is not written: one window is there all the same, for the shape.
    windows = np.flatnonzero([span.window in LONG for span in case.counts.spans])
    windows = windows if windows.size else np.arange(1)
    some, shape = _first(summary, windows), (len(case.counts.groups), len(case.counts.spans))
    for metric in metrics:
        known = found.get(metric.name)
        yield metric, _spread(metric.function(some), windows, shape) if known is None else known


def _first(summary: FeatureSummary | Labelled, windows: Ints) -> Summary:
    """Some windows of all rows."""
    if isinstance(summary, FeatureSummary):
        return summary.part(slice(1), windows)
    return summary.select(lambda array: array[:1, windows])


def _pieces(summary: FeatureSummary | Labelled) -> Sequence[Summary]:
    """A feature's groups, so many at once that what a metric works with stays small."""
    if not isinstance(summary, FeatureSummary):
        return [summary]
    groups = summary.cells.shape[0]
    size = max(1, PIECE // max(1, summary.cells[:1].size))
    if size >= groups:
        return [summary]
    return [summary.part(slice(start, start + size)) for start in range(0, groups, size)]


def _grouped(case: _Case, feature: str, summary: FeatureSummary, *, numeric: bool) -> Iterator[Measured]:
    """Every metric of a feature that has a meaning for it."""
    metrics = [metric for metric in _metrics_of(case.spec, FeatureSummary) if metric.suits(numeric=numeric)]
    for metric, plain in _estimates(case, metrics, summary):
        told = _told(case, metric)
        found = _carried(case, plain, summary, told) if metric.name == PSI and told else plain
        yield metric, feature, accounted(found, summary, told)


def _told(case: _Case, metric: Metric) -> list[int]:
    """Windows in which an objective is about the metric."""
    about = {
        objective.window for objective in case.spec.monitor.objectives if objective.metric == metric.name
    }
    return [index for index, span in enumerate(case.counts.spans) if span.window in about]


def _carried(case: _Case, found: Estimate, summary: FeatureSummary, windows: Sequence[int]) -> Estimate:
    """PSI with the bins that carry most of it and, for all rows, the values of each segment that do."""
    facts = np.full(found.value.shape, None, dtype=object)
    bins, before = summary.bins[:, windows], summary.baseline_bins
    before = before if before.shape[1] == 1 else before[:, windows]
    index, parts = psi_carriers(bins, before)
    carried = np.stack([index.astype(object), parts.round(DIGITS).astype(object)], axis=-1)
    segments = _segments(case.counts.groups, bins, before)
    for group, at in zip(
        *(part.tolist() for part in np.nonzero(np.isfinite(found.value[:, windows]))), strict=True
    ):
        facts[group, windows[at]] = {"bins": carried[group, at].tolist()}
        if group == 0 and segments:
            facts[0, windows[at]]["segments"] = segments[at]
    return replace(found, facts=facts)


def _segments(groups: Sequence[Group], bins: Amounts, before: Amounts) -> list[list[list[str | float]]]:
    """Of each window, the values of each segment that carry most of PSI; nothing without segments."""
    told: list[list[list[str | float]]] = []
    for segment in dict.fromkeys(name for name, _ in groups if name):
        mine = [at for at, (name, _) in enumerate(groups) if name == segment]
        parts = psi_by_segment(bins[mine], before[mine])
        told = told or [[] for _ in range(parts.shape[1])]
        for window, order in enumerate(np.argsort(-parts, axis=0, kind="stable")[:MOST].T.tolist()):
            told[window] += [[segment, groups[mine[at]][1], round(parts[at, window], DIGITS)] for at in order]
    return told


def _metrics_of(spec: ModelSpec, kind: type[Summary]) -> list[Metric]:
    return [metric for metric in spec.metrics.values() if kind in metric.functions]


def _spread(estimate: Estimate, windows: Ints, shape: tuple[int, int]) -> Estimate:
    """An estimate of some windows of one group in the shape of all: there is no number for the others."""
    arrays = {}
    for name, array in _arrays(estimate):
        nothing = {"f": np.nan, "O": None}.get(array.dtype.kind, 0)
        whole = np.full((1, shape[1], *array.shape[2:]), nothing, dtype=array.dtype)
        whole[:, windows] = array
        arrays[name] = np.broadcast_to(whole, (*shape, *array.shape[2:]))
    return Estimate(**arrays, need=estimate.need)


def _joined(parts: Sequence[Estimate]) -> Estimate:
    """Estimates of some groups each as one."""
    if len(parts) == 1:
        return parts[0]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name, _ in _arrays(parts[0])}
    return Estimate(**arrays, need=parts[0].need)


def _cut(estimate: Estimate, at: Any) -> Estimate:  # noqa: ANN401 - whatever indexes an array
    return Estimate(**{name: array[at] for name, array in _arrays(estimate)}, need=estimate.need)


def _arrays(estimate: Estimate) -> list[tuple[str, np.ndarray]]:
    return [(item.name, getattr(estimate, item.name)) for item in fields(Estimate) if item.name != "need"]
