"""What was measured of one model version to rows of the metric store: judge it, write it down.

Which windows and days is the metrics step's business; running the metrics is `lineup`, holding them against
objectives `judging`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mlobs_pipelines.contracts.objectives import Objective
from mlobs_pipelines.core.metrics import METRICS, Metric
from mlobs_pipelines.core.summaries import FeatureSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Maturity, Window
from mlobs_pipelines.steps.bins import SCORE
from mlobs_pipelines.steps.judging import Said, judged, taken
from mlobs_pipelines.steps.lineup import Beside, Scope, Version, estimates
from mlobs_pipelines.steps.measured import named
from mlobs_pipelines.store.tables import METRICS as LAYOUT
from mlobs_pipelines.store.tables import as_of_key

CURVE_WINDOWS = (Window.FOUR_WEEKS, Window.MONTH)
NUMBERS = ("value", "lower", "upper", "bound", "noise")


@dataclass(frozen=True, slots=True)
class _Frame:
    """The (segment, window) pairs that rows are written for, and what is the same for every metric.

    Attributes
    ----------
    asked : (G, W) bool
        Wanted windows in which the version got requests.
    columns
        Constant columns, one entry per asked pair in row order.
    windows, whole : (N,)
        Window name, and whether the pair is about all rows.
    inputs : (N,) of dict
        Which statistics a pair was computed from.
    """

    asked: Flags
    columns: Mapping[str, pa.Array]
    windows: np.ndarray
    whole: Flags
    inputs: np.ndarray


def score_version(scope: Scope, version: Version, beside: Beside) -> pa.Table:
    """Run every registered metric on every window of one version, and judge it.

    Parameters
    ----------
    beside
        The same metrics of the baseline and of the champion, where an objective asks for them.

    Returns
    -------
    pyarrow.Table
        Rows of the metric store; none for a window in which the version got no request.
    """
    frame = _frame(scope, version)
    tables = [LAYOUT.empty()]
    for metric, feature, estimate in estimates(scope.spec, version):
        objectives = _concerning(scope, version, metric, feature)
        said = judged(objectives, metric, estimate, version.stage, beside.of(metric.name, feature))
        tables.append(_rows(scope, version, frame, (metric, feature, estimate), said))
    return pa.concat_tables(tables)


def _frame(scope: Scope, version: Version) -> _Frame:
    counts, labels = version.counts, version.labels
    asked = (counts.counts("requests", "status", 2).sum(axis=-1) > 0) & scope.wanted
    group, span = np.nonzero(asked)
    coverage = METRICS["label_coverage"].function(labels).value[asked]
    aged = (labels.seen.mature[..., -1] == labels.seen.predictions)[asked]
    mature = aged & (coverage >= scope.spec.monitor.labels.coverage_target)
    segments, values = (np.array([g[part] for g in counts.groups])[group] for part in (0, 1))
    each = {
        "role": version.stage.roles,
        "window": [str(item.window) for item in scope.spans],
        "window_start": pa.array([item.start for item in scope.spans], pa.date32()),
        "window_end": pa.array([item.end for item in scope.spans], pa.date32()),
        "as_of": pa.array(scope.moments, LAYOUT.schema.field("as_of").type),
        "as_of_key": [as_of_key(moment) for moment in scope.moments],
        "day": [item.last.isoformat() for item in scope.spans],
        "inputs": [_text(inputs) for inputs in scope.inputs],
        "baseline_id": version.baseline_ids,
    }
    columns = {name: pa.array(found).take(pa.array(span)) for name, found in each.items()}
    columns |= {
        "segment": pa.array(segments),
        "segment_value": pa.array(values),
        "maturity": pa.array(np.where(mature, str(Maturity.MATURE), str(Maturity.PROVISIONAL))),
        "label_coverage": _number(coverage),
    }
    windows = np.array(each["window"])[span]
    return _Frame(asked, columns, windows, segments == "", np.array(scope.inputs, dtype=object)[span])


def _text(inputs: Mapping[str, object]) -> str:
    return json.dumps(inputs, separators=(",", ":"), sort_keys=True)


def _rows(
    scope: Scope, version: Version, frame: _Frame, item: tuple[Metric, str, Estimate], said: Said
) -> pa.Table:
    metric, feature, estimate = item
    found = taken(estimate, (frame.asked,))
    columns = dict(frame.columns)
    columns |= {name: _number(getattr(found, name)) for name in NUMBERS}
    columns |= {"n": pa.array(found.n.astype(np.int64)), **_told(version, frame, metric, said, found.facts)}
    constants = {
        "model": scope.spec.monitor.model,
        "model_version": version.name,
        "feature": feature,
        "metric": metric.name,
        "unit": metric.unit,
        "run_id": scope.run_id,
    }
    columns |= {name: pa.repeat(pa.scalar(value), found.n.size) for name, value in constants.items()}
    table = pa.table({name: columns[name] for name in LAYOUT.schema.names}).cast(LAYOUT.schema)
    keep = _kept(scope, frame, metric, found)
    return table if keep.all() else table.filter(pa.array(keep))


def _kept(scope: Scope, frame: _Frame, metric: Metric, found: Estimate) -> Flags:
    """Which values become rows: by the window and segment alone, never by those scored beside it."""
    keep: Flags = np.ones(frame.windows.size, dtype=bool)
    long = np.isin(frame.windows, CURVE_WINDOWS)
    if metric.detail and not named(scope.spec, metric):
        keep &= long & frame.whole
    if metric.labels:
        keep &= long & np.isfinite(found.value)
    return keep


def _number(values: np.ndarray) -> pa.Array:
    """Floats with null where there is no number."""
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


def _told(
    version: Version, frame: _Frame, metric: Metric, said: Said, facts: np.ndarray
) -> dict[str, pa.Array]:
    """Columns of the verdicts; what a judged value was computed from says how it was judged too."""
    evidence = said.evidence[frame.asked]
    columns = {
        "verdict": pa.array(said.verdicts[frame.asked], pa.string()),
        "threshold": _number(said.thresholds[frame.asked]),
        "reason": pa.array(said.reasons[frame.asked], pa.string()),
        "severity": pa.array(said.severities[frame.asked], pa.string()),
    }
    if not any(evidence):
        return columns
    edges = {"edges": version.reference.baseline.baseline_id} if FeatureSummary in metric.functions else {}
    texts = [
        _text({**inputs, **edges, **(fact or {}), "rule": rule} if rule else inputs)
        for inputs, rule, fact in zip(frame.inputs, evidence, facts, strict=True)
    ]
    return {**columns, "inputs": pa.array(texts, pa.string())}


def _concerning(scope: Scope, version: Version, metric: Metric, feature: str) -> list[Objective]:
    """Objectives that judge a metric of a feature."""
    return [
        objective
        for objective in scope.spec.monitor.objectives
        if objective.metric == metric.name and _concerns(version, objective, feature)
    ]


def _concerns(version: Version, objective: Objective, feature: str) -> bool:
    if objective.features is not None and feature not in objective.features:
        return False
    if objective.min_importance is None:
        return True
    binned = version.reference.baseline.features.get(feature)
    # An unknown importance may be any: the feature is judged. The score is no feature.
    return binned is not None and feature != SCORE and not binned.importance < objective.min_importance
