"""Windows at fixed maturities: a few metrics with the labels that were known at each declared age.

A value is there once all predictions of its window have reached the age; from then on it stays what it is, so
that windows compare like with like. What is counted is `engine.development`; rows are made in `scoring`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from mlobs_pipelines.contracts.durations import format_duration
from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.metrics import METRICS, Metric
from mlobs_pipelines.core.summaries import LabelSummary, Summary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints
from mlobs_pipelines.engine.development import stretch_holds, stretch_of
from mlobs_pipelines.steps.arranged import EVERYONE
from mlobs_pipelines.steps.binning import SCORE, Baseline
from mlobs_pipelines.steps.judging import taken
from mlobs_pipelines.steps.measured import layered
from mlobs_pipelines.steps.outcomes import multiclass_summary, regression_summary
from mlobs_pipelines.steps.windows import Counts, score_summary

COVERAGE = "label_coverage"
DEVELOPED = {
    "binary": ("base_rate", "auc", "accuracy", "brier_score", "log_loss", "ece"),
    "multiclass": ("auc_macro", "accuracy", "f1_macro", "brier_score", "log_loss", "ece"),
    "regression": ("mae", "rmse", "bias"),
}


@dataclass(frozen=True, slots=True)
class Developed:
    """Some windows of all rows at one maturity.

    Attributes
    ----------
    maturity
        The age, as the monitor writes it.
    spans : (m,)
        Positions of the windows.
    coverage : (m,)
        Share of their predictions that was labelled within the age.
    found
        Metrics, with estimates of shape (m,).
    """

    maturity: str
    spans: Ints
    coverage: Floats
    found: Sequence[tuple[Metric, Estimate]]


def developed(
    spec: ModelSpec, baseline: Baseline, counts: Counts, labels: LabelSummary, wanted: Flags
) -> Iterator[Developed]:
    """The wanted windows at every maturity that they have reached.

    Parameters
    ----------
    baseline
        Of the version.
    counts, labels
        Statistics of its windows, and how far their labels have come.
    wanted : (W,) bool
        Windows that are asked for.
    """
    coverage = METRICS["label_coverage_at"].function(labels)
    predictions = labels.seen.predictions[0]
    for index, horizon in enumerate(spec.monitor.labels.horizons):
        whole = wanted & (predictions > 0) & (labels.seen.mature[0, :, index] == predictions)
        spans = np.flatnonzero(whole)
        if not spans.size:
            continue
        some = replace(counts, spans=[counts.spans[at] for at in spans.tolist()])
        known = at_maturity(some, horizon.total_seconds())
        covered = taken(coverage, (0, spans, index))
        found = [(METRICS[COVERAGE], covered), *_measured(spec, baseline, known)]
        yield Developed(format_duration(horizon), spans, covered.value, found)


def at_maturity(counts: Counts, horizon_s: float) -> Counts:
    """Statistics of scores with the labels known at an age, of all rows together."""
    parts: dict[tuple[str, str], list[pa.Table]] = defaultdict(list)
    for subject, part in counts.parts:
        about, stretch = stretch_of(subject)
        if stretch and stretch_holds(stretch, horizon_s):
            parts[about, part].append(counts.parts[subject, part])
    merged = {key: pa.concat_tables(tables) for key, tables in parts.items()}
    return counts.of_group(EVERYONE, merged)


def _measured(spec: ModelSpec, baseline: Baseline, counts: Counts) -> Iterator[tuple[Metric, Estimate]]:
    summary = _summary(spec, baseline, counts)
    for name in DEVELOPED[spec.monitor.task]:
        yield METRICS[name], taken(METRICS[name].function(summary), (0,))


def _summary(spec: ModelSpec, baseline: Baseline, counts: Counts) -> Summary:
    task = spec.monitor.task
    if task == "binary":
        return layered(counts, score_summary)
    if task == "multiclass":
        return layered(counts, partial(multiclass_summary, classes=tuple(spec.monitor.classes)))
    return layered(counts, partial(regression_summary, values=baseline.features[SCORE].grid or Grid()))
