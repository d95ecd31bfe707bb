"""What was measured of one model version to rows of the metric store: judge it, write it down.

Which windows and days is the metrics step's business; running the metrics is `lineup`, holding them against
objectives `judging`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.objectives import Objective
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.summaries import PAIRS, FeatureSummary, SampleSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Ints, Maturity, Verdict
from mlobs_pipelines.steps.accounts import binned_by
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.cohorts import estimated_windows, rests_on_others
from mlobs_pipelines.steps.estimation import matured
from mlobs_pipelines.steps.judging import judged, taken
from mlobs_pipelines.steps.lineup import Beside, Scope, Version, estimates
from mlobs_pipelines.steps.maturities import developed
from mlobs_pipelines.steps.measured import LONG, named
from mlobs_pipelines.steps.samples import windows_of
from mlobs_pipelines.steps.windows import requests_of
from mlobs_pipelines.store.tables import METRICS as LAYOUT
from mlobs_pipelines.store.tables import as_of_key

NUMBERS = ("value", "lower", "upper", "bound", "noise")
TOLD = {"verdict": "verdicts", "threshold": "thresholds", "reason": "reasons", "severity": "severities"}
UNTOLD = {"verdict": str(Verdict.NONE), "reason": "", "severity": ""}


@dataclass(frozen=True, slots=True)
class _Frame:
    """The (segment, window) pairs that rows are written for, and what is the same for every metric.

    Attributes
    ----------
    group, span : (N,)
        The pairs: wanted windows in which the version got requests.
    columns
        Columns that are the same for every metric, one entry per pair.
    long, whole, beside, estimated : (N,) bool
        Whether the pair is of a window that curves are kept for, whether it is about all rows, whether
        another version is the champion, and whether quality is estimated.
    inputs : (N,) of dict
        Which statistics a pair was computed from.
    """

    group: Ints
    span: Ints
    columns: Mapping[str, pa.Array]
    long: Flags
    whole: Flags
    beside: Flags
    estimated: Flags
    inputs: np.ndarray


@dataclass(frozen=True, slots=True)
class _Item:
    """The rows of one metric about one feature.

    Attributes
    ----------
    at : (m,)
        The frame's pairs that it has a row for.
    values : (m,)
        What was measured of each.
    said, inputs
        What was judged of each, by column, and the text of the inputs; None where no objective is about it.
    """

    metric: Metric
    feature: str
    at: Ints
    values: Estimate
    said: Mapping[str, np.ndarray] | None
    inputs: list[str] | None


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
    items = [_item(scope, version, frame, beside, item) for item in estimates(scope.spec, version)]
    tables = [_table(scope, version, frame, items)] if items else []
    return pa.concat_tables([LAYOUT.empty(), *tables, *_developed(scope, version, frame)])


def _frame(scope: Scope, version: Version) -> _Frame:
    counts, labels = version.counts, version.labels
    asked = (requests_of(counts) > 0) & scope.wanted
    group, span = np.nonzero(asked)
    mature, coverage = (part[asked] for part in matured(labels, scope.spec.monitor.labels.coverage_target))
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
        "segment": pa.array(segments, pa.string()),
        "segment_value": pa.array(values, pa.string()),
        "maturity": pa.array(np.where(mature, str(Maturity.MATURE), str(Maturity.PROVISIONAL)), pa.string()),
        "label_coverage": _number(coverage),
    }
    long = np.isin(np.array(each["window"])[span], LONG)
    beside = version.stage.roles[span] != "champion"
    estimating = np.isin(np.array(each["window"])[span], list(estimated_windows(scope.spec)))
    inputs = np.array(scope.inputs, dtype=object)[span]
    return _Frame(group, span, columns, long, segments == "", beside, estimating, inputs)


_text = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def _item(
    scope: Scope, version: Version, frame: _Frame, beside: Beside, found: tuple[Metric, str, Estimate]
) -> _Item:
    metric, feature, estimate = found
    at = _kept(scope, frame, metric, estimate)
    place = (frame.group[at], frame.span[at])
    values, objectives = taken(estimate, place), _concerning(scope, version, metric, feature)
    if not objectives:
        return _Item(metric, feature, at, values, None, None)
    told = judged(objectives, metric, estimate, version.stage, beside.of(metric.name, feature))
    said = {name: getattr(told, kept)[place] for name, kept in TOLD.items()}
    edges = binned_by(version.reference.baseline, feature) if FeatureSummary in metric.functions else {}
    inputs = _evidence(frame.inputs[at], edges, told.evidence[place], values.facts)
    return _Item(metric, feature, at, values, said, inputs)


def _kept(scope: Scope, frame: _Frame, metric: Metric, found: Estimate) -> Ints:
    """Which values become rows: by the window and segment alone, never by those scored beside it."""
    keep: Flags = np.ones(frame.span.size, dtype=bool)
    if metric.detail and not named(scope.spec, metric):
        keep &= frame.long & frame.whole
    if SampleSummary in metric.functions:
        asked = windows_of(scope.spec, metric)
        keep &= frame.whole & np.array([span.window in asked for span in scope.spans])[frame.span]
    if metric.labels:
        known = np.isfinite(found.value[frame.group, frame.span])
        keep &= known & (frame.long | named(scope.spec, metric))
    if not metric.functions.keys().isdisjoint(PAIRS):
        # Most windows have no pairs: that is worth a row only where an objective waits for them.
        keep &= (found.n[frame.group, frame.span] > 0) | (frame.beside & named(scope.spec, metric))
    if rests_on_others(scope.spec, metric):
        keep &= frame.estimated
    return np.flatnonzero(keep)


def _evidence(
    inputs: np.ndarray, edges: Mapping[str, object], rules: np.ndarray, facts: np.ndarray
) -> list[str]:
    """What a judged value was computed from says how it was judged too."""
    known: dict[tuple[int, int], str] = {}  # one rule of one window is written down once

    def one(source: Mapping[str, object], rule: Mapping[str, object] | None, fact: Any) -> str:  # noqa: ANN401 - of JSON
        if fact:
            return _text({**source, **edges, **fact, "rule": rule} if rule else source)
        key = (id(source), id(rule))
        if key not in known:
            known[key] = _text({**source, **edges, "rule": rule} if rule else source)
        return known[key]

    return list(map(one, inputs.tolist(), rules.tolist(), facts.tolist()))


def _developed(scope: Scope, version: Version, frame: _Frame) -> Iterator[pa.Table]:
    """Rows of windows of all rows at fixed maturities, which no objective judges."""
    place = np.full(len(scope.spans), -1)
    place[frame.span[frame.whole]] = np.flatnonzero(frame.whole)
    baseline = version.reference.baseline
    asked = scope.wanted & (place >= 0)
    for one in developed(scope.spec, baseline, version.counts, version.labels, asked):
        at, coverage = place[one.spans], np.full(frame.span.size, np.nan)
        coverage[at] = one.coverage
        named = pa.repeat(pa.scalar(one.maturity), coverage.size)
        columns = {**frame.columns, "maturity": named, "label_coverage": _number(coverage)}
        items = [_Item(metric, "", at, values, None, None) for metric, values in one.found]
        yield _table(scope, version, replace(frame, columns=columns), items)


def _table(scope: Scope, version: Version, frame: _Frame, items: Sequence[_Item]) -> pa.Table:
    """The rows of every metric one after the other."""
    at = pa.array(np.concatenate([item.at for item in items]))
    of = pa.array(np.repeat(np.arange(len(items)), [item.at.size for item in items]))
    columns = {name: column.take(at) for name, column in frame.columns.items()}
    columns |= {
        name: _number(np.concatenate([getattr(item.values, name) for item in items])) for name in NUMBERS
    }
    columns["n"] = pa.array(np.concatenate([item.values.n for item in items]).astype(np.int64))
    columns |= _told(items, columns["inputs"])
    each = {
        "feature": [item.feature for item in items],
        "metric": [item.metric.name for item in items],
        "unit": [item.metric.unit for item in items],
    }
    columns |= {name: pa.array(texts, pa.string()).take(of) for name, texts in each.items()}
    whole = {"model": scope.spec.monitor.model, "model_version": version.name, "run_id": scope.run_id}
    columns |= {name: pa.repeat(pa.scalar(text), len(of)) for name, text in whole.items()}
    return pa.table({name: columns[name] for name in LAYOUT.schema.names}).cast(LAYOUT.schema)


def _told(items: Sequence[_Item], inputs: pa.Array) -> dict[str, pa.Array]:
    """Columns of the verdicts, and the inputs with what judged values say of themselves."""
    ends = np.cumsum([item.at.size for item in items])
    total = int(ends[-1])
    found = {name: np.full(total, UNTOLD[name], dtype=object) for name in TOLD if name != "threshold"}
    found["threshold"], mine = np.full(total, np.nan), np.zeros(total, dtype=bool)
    for item, end in zip(items, ends.tolist(), strict=True):
        if item.said is not None:
            here = slice(end - item.at.size, end)
            mine[here] = True
            for name, said in item.said.items():
                found[name][here] = said
    texts = [text for item in items for text in item.inputs or ()]
    columns = {name: pa.array(values, pa.string()) for name, values in found.items() if name != "threshold"}
    columns["threshold"] = _number(found["threshold"])
    columns["inputs"] = pc.replace_with_mask(inputs, pa.array(mine), pa.array(texts, pa.string()))
    return columns


def _number(values: np.ndarray) -> pa.Array:
    """Floats with null where there is no number."""
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


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
