"""One model version's statistics to rows of the metric store: judge what was measured, write it down.

Which windows and days is the metrics step's business; running the metrics is `measured`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.monitor import Objective
from mlobs_pipelines.core.metrics import METRICS, Metric
from mlobs_pipelines.core.summaries import LabelSummary
from mlobs_pipelines.core.verdicts import Rule, judge
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Maturity, Verdict, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.steps.bins import SCORE, Baseline
from mlobs_pipelines.steps.measured import layered, measured, named
from mlobs_pipelines.steps.windows import Counts, Group, label_summary
from mlobs_pipelines.store.tables import METRICS as LAYOUT
from mlobs_pipelines.store.tables import as_of_key

CURVE_WINDOWS = (Window.FOUR_WEEKS, Window.MONTH)
LEAST_PRESENT = 0.5
RANK = {str(v): rank for rank, v in enumerate((Verdict.NONE, Verdict.PASS, Verdict.UNDECIDED, Verdict.FAIL))}
NUMBERS = ("value", "lower", "upper", "bound", "noise")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is scored: one version over some windows, and where the numbers come from."""

    spec: ModelSpec
    version: str
    baseline: Baseline
    spans: tuple[Span, ...]
    moments: tuple[datetime, ...]
    inputs: tuple[str, ...]
    run_id: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """The (segment, window) pairs in which the version was asked, and what is the same for every metric.

    Attributes
    ----------
    asked : (G, W) bool
    columns
        Constant columns, one entry per asked pair in row order.
    windows, roles, whole : (N,)
        Window name, role, and whether the pair is about all rows.
    withheld : (N,)
        Why a pair may not be judged; "" where it may.
    """

    asked: Flags
    columns: Mapping[str, pa.Array]
    windows: np.ndarray
    roles: np.ndarray
    whole: Flags
    withheld: np.ndarray


def score_version(scope: Scope, rows: pa.Table, baseline: pa.Table) -> pa.Table:
    """Run every registered metric on every window of one version.

    Parameters
    ----------
    rows
        The version's statistics of all days of all spans.
    baseline
        The version's baseline statistics.

    Returns
    -------
    pyarrow.Table
        Rows of the metric store; none for a window in which the version got no request.
    """
    counts, base = _counts(scope, rows), _baseline_counts(baseline)
    units = _label_units(scope)
    labels = layered(counts, lambda layer: label_summary(layer, *units))
    frame = _frame(scope, counts, rows, labels)
    found = measured(scope.spec, scope.version, scope.baseline, counts, base, labels)
    tables = [_rows(scope, frame, metric, feature, estimate) for metric, feature, estimate in found]
    return pa.concat_tables(table for some in tables for table in some)


def _counts(scope: Scope, rows: pa.Table) -> Counts:
    first = min(span.start for span in scope.spans)
    last = max(span.end for span in scope.spans)
    days = [first + timedelta(days=offset) for offset in range((last - first).days)]
    return Counts(_parts(rows), _groups(rows), days, scope.spans)


def _baseline_counts(rows: pa.Table) -> Counts:
    """A baseline as counts of one window: its rows carry no calendar day."""
    day = datetime(1970, 1, 1).date()  # noqa: DTZ001 - a placeholder, no clock
    dated = rows.set_column(
        rows.column_names.index("day"), "day", pa.repeat(pa.scalar(day.isoformat()), rows.num_rows)
    )
    span = Span(Window.DAY, day, day + timedelta(days=1))
    return Counts(_parts(dated), _groups(dated), [day], [span])


def _parts(rows: pa.Table) -> dict[tuple[str, str], pa.Table]:
    keys = pc.binary_join_element_wise(rows.column("subject"), rows.column("part"), "\x1f")
    encoded = keys.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    order = np.argsort(encoded.indices.to_numpy(), kind="stable")
    bounds = np.searchsorted(encoded.indices.to_numpy()[order], np.arange(len(encoded.dictionary) + 1))
    arranged = rows.take(pa.array(order))
    result = {}
    for position, name in enumerate(encoded.dictionary.to_pylist()):
        subject, part = name.split("\x1f")
        start, end = int(bounds[position]), int(bounds[position + 1])
        result[(subject, part)] = arranged.slice(start, end - start)
    return result


def _groups(rows: pa.Table) -> list[Group]:
    found = rows.group_by(["segment", "segment_value"]).aggregate([])
    return sorted(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))


def _label_units(scope: Scope) -> tuple[float, np.ndarray]:
    labels = scope.spec.monitor.labels
    horizons = np.array([horizon / timedelta(hours=1) for horizon in labels.horizons])
    return labels.unit / timedelta(hours=1), horizons


def _frame(scope: Scope, counts: Counts, rows: pa.Table, labels: LabelSummary) -> _Frame:
    asked = counts.counts("requests", "status", 2).sum(axis=-1) > 0
    group, span = np.nonzero(asked)
    coverage = METRICS["label_coverage"].function(labels).value[asked]
    aged = (labels.seen.mature[..., -1] == labels.seen.predictions)[asked]
    mature = aged & (coverage >= scope.spec.monitor.labels.coverage_target)
    seen = _roles_by_day(rows)
    roles = np.array([_role(seen, item) for item in scope.spans])[span]
    withheld = np.array([_withheld(seen, item) for item in scope.spans], dtype=object)[span]
    windows = np.array([str(item.window) for item in scope.spans])[span]
    segments, values = (np.array([g[part] for g in counts.groups])[group] for part in (0, 1))
    columns = {
        "role": pa.array(roles),
        "segment": pa.array(segments),
        "segment_value": pa.array(values),
        "window": pa.array(windows),
        "window_start": pa.array([item.start for item in scope.spans], pa.date32()).take(pa.array(span)),
        "window_end": pa.array([item.end for item in scope.spans], pa.date32()).take(pa.array(span)),
        "as_of": pa.array(scope.moments, LAYOUT.schema.field("as_of").type).take(pa.array(span)),
        "as_of_key": pa.array([as_of_key(moment) for moment in scope.moments]).take(pa.array(span)),
        "day": pa.array([item.last.isoformat() for item in scope.spans]).take(pa.array(span)),
        "inputs": pa.array(scope.inputs).take(pa.array(span)),
        "maturity": pa.array(np.where(mature, str(Maturity.MATURE), str(Maturity.PROVISIONAL))),
        "label_coverage": _number(coverage),
    }
    return _Frame(asked, columns, windows, roles, segments == "", withheld)


def _roles_by_day(rows: pa.Table) -> dict[str, str]:
    """The role that most of the version's requests came under, by day with requests."""
    status = rows.filter(
        pc.and_(pc.equal(rows.column("part"), "status"), pc.equal(rows.column("segment"), ""))
    )
    most: dict[str, tuple[int, str]] = {}
    columns = (status.column(name).to_pylist() for name in ("day", "role", "counts"))
    for day, role, counted in zip(*columns, strict=True):
        most[day] = max(most.get(day, (0, "")), (sum(counted), role))
    return {day: role for day, (_, role) in most.items()}


def _role(seen: Mapping[str, str], span: Span) -> str:
    """The version's role on the last day of a window that has requests."""
    present = [day.isoformat() for day in span.days if day.isoformat() in seen]
    return seen[present[-1]] if present else ""


def _withheld(seen: Mapping[str, str], span: Span) -> str:
    """Why a window may not be judged: most of its days are missing, so it says little about the window."""
    present = sum(day.isoformat() in seen for day in span.days)
    if present >= LEAST_PRESENT * span.needed:
        return ""
    return f"partial window: only {present} of its {span.needed} days have predictions, half are needed"


def _rows(scope: Scope, frame: _Frame, metric: Metric, feature: str, estimate: Estimate) -> list[pa.Table]:
    found = _flatten(estimate, frame.asked)
    keep = _kept(scope, frame, metric, found)
    verdicts = _judged(scope, frame, metric, feature, found)
    columns = dict(frame.columns)
    columns |= {name: _number(getattr(found, name)) for name in NUMBERS}
    columns |= {"n": pa.array(found.n.astype(np.int64)), **verdicts}
    constants = {
        "model": scope.spec.monitor.model,
        "model_version": scope.version,
        "feature": feature,
        "metric": metric.name,
        "unit": metric.unit,
        "baseline_id": scope.baseline.baseline_id,
        "run_id": scope.run_id,
    }
    columns |= {name: pa.repeat(pa.scalar(value), found.n.size) for name, value in constants.items()}
    table = pa.table({name: columns[name] for name in LAYOUT.schema.names}).cast(LAYOUT.schema)
    return [table if keep.all() else table.filter(pa.array(keep))]


def _kept(scope: Scope, frame: _Frame, metric: Metric, found: Estimate) -> Flags:
    """Which values become rows: by the window and segment alone, never by those scored beside it."""
    keep: Flags = np.ones(frame.windows.size, dtype=bool)
    long = np.isin(frame.windows, CURVE_WINDOWS)
    if metric.detail and not named(scope.spec, metric):
        keep &= long & frame.whole
    if metric.labels:
        keep &= long & np.isfinite(found.value)
    return keep


def _flatten(estimate: Estimate, asked: Flags) -> Estimate:
    arrays = {f.name: getattr(estimate, f.name)[asked] for f in fields(Estimate) if f.name != "need"}
    return Estimate(**arrays, need=estimate.need)


def _number(values: np.ndarray) -> pa.Array:
    """Floats with null where there is no number."""
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


def _judged(
    scope: Scope, frame: _Frame, metric: Metric, feature: str, found: Estimate
) -> dict[str, pa.Array]:
    size = found.n.size
    verdicts = np.full(size, str(Verdict.NONE), dtype=object)
    thresholds, reasons, severities = (
        np.full(size, np.nan),
        np.full(size, "", object),
        np.full(size, "", object),
    )
    for objective in scope.spec.monitor.objectives:
        if objective.metric != metric.name or not _concerns(scope, objective, feature):
            continue
        mask = (frame.windows == str(objective.window)) & np.isin(frame.roles, objective.roles)
        mask &= frame.whole | objective.segments
        rule = Rule(fail_above=objective.fail_above, fail_below=objective.fail_below)
        said, why = judge(
            _flatten(found, mask), rule, unit=metric.unit, withheld=frame.withheld[mask].astype(str)
        )
        # Where two objectives judge the same value, the worse verdict is the one that is told.
        worse = np.array([RANK[new] > RANK[old] for new, old in zip(said, verdicts[mask], strict=True)], bool)
        at = np.flatnonzero(mask)[worse]
        verdicts[at], reasons[at] = said[worse], why[worse]
        thresholds[at], severities[at] = rule.limit, objective.severity
    return {
        "verdict": pa.array(verdicts, pa.string()),
        "threshold": _number(thresholds),
        "reason": pa.array(reasons, pa.string()),
        "severity": pa.array(severities, pa.string()),
    }


def _concerns(scope: Scope, objective: Objective, feature: str) -> bool:
    if objective.features is not None and feature not in objective.features:
        return False
    if objective.min_importance is None:
        return True
    binned = scope.baseline.features.get(feature)
    # An unknown importance may be any: the feature is judged. The score is no feature.
    return binned is not None and feature != SCORE and not binned.importance < objective.min_importance
