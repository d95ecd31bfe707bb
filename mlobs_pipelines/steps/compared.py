"""What versions are compared with, read from stored statistics, and which windows depend on which days.

The kinds of comparison are `references`; measuring windows against them is `lineup`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.monitor import Comparison, Monitor
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import CELLS_SCHEMA
from mlobs_pipelines.steps import references
from mlobs_pipelines.steps.binning import SCORE, Baseline
from mlobs_pipelines.steps.estimation import Calibration
from mlobs_pipelines.steps.judging import reach
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT
from mlobs_pipelines.steps.lineup import Scope, Version, staged
from mlobs_pipelines.steps.stored import Statistics
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.tables import METRICS

_SEEN = ("model_version", "role", "baseline_id", "window", "day", "as_of_key")


@dataclass(frozen=True, slots=True)
class Compared:
    """What versions are compared with that does not depend on the window.

    Attributes
    ----------
    baselines
        How features are binned, by version.
    training, fixed
        Statistics of training sets, and of fixed days, by version.
    """

    baselines: Mapping[str, Baseline]
    training: Mapping[str, pa.Table]
    fixed: Mapping[str, pa.Table]

    def begins(self, monitor: Monitor, version: str, role: str) -> str:
        """What the id of what a version is compared with in a role begins with."""
        comparison, training = monitor.comparison(version), self.baselines[version].baseline_id
        if comparison.kind == "training" or (comparison.kind == "champion" and role == "champion"):
            return training
        if comparison.kind == "window":
            return references.fixed_id(self.fixed[version])
        return f"{references.kind(comparison)}:"


def fixed_days(monitor: Monitor) -> dict[str, Comparison]:
    """Versions that are compared with fixed days."""
    found = {version: monitor.comparison(version) for version in monitor.versions}
    return {version: comparison for version, comparison in found.items() if comparison.kind == "window"}


def gathered(walk: Walk, baselines: Mapping[str, Baseline], days: pa.Table) -> Compared:
    """Read and, for fixed days, add up and keep what versions are compared with.

    Parameters
    ----------
    days
        Statistics of all fixed days.
    """
    base = walk.lake.read(walk.model, BASELINE_LAYOUT)
    training = {name: _of(base, name) for name in baselines}
    fixed = {name: _fixed(walk, name, comparison, days) for name, comparison in _known(walk, baselines)}
    return Compared(baselines, training, fixed)


def _known(walk: Walk, baselines: Mapping[str, Baseline]) -> list[tuple[str, Comparison]]:
    return [item for item in fixed_days(walk.spec.monitor).items() if item[0] in baselines]


def _of(rows: pa.Table, version: str) -> pa.Table:
    return rows.filter(pc.equal(rows.column("model_version"), version))


def _fixed(walk: Walk, version: str, comparison: Comparison, rows: pa.Table) -> pa.Table:
    inside = pc.and_(
        pc.greater_equal(rows.column("day"), str(comparison.start)),
        pc.less_equal(rows.column("day"), str(comparison.end)),
    )
    mine = _of(rows.filter(inside), version).select(CELLS_SCHEMA.names)
    found = references.fixed_rows(comparison, mine)
    partition = (version, references.named_days(comparison))
    walk.lake.replace(walk.model, references.FIXED_LAYOUT, [partition], found, commit=walk.commit)
    return found


def lined_up(scope: Scope, given: Compared, statistics: Statistics) -> list[Version]:
    """Every measured version with what each of its windows is compared with."""
    rows = statistics[0]
    names = sorted(set(rows.column("model_version").to_pylist()) & set(given.baselines))
    return [_version(scope, given, statistics, name) for name in names]


def _version(scope: Scope, given: Compared, statistics: Statistics, name: str) -> Version:
    rows, hashes = statistics
    comparison, baseline = scope.spec.monitor.comparison(name), given.baselines[name]
    mine, windows = _of(rows, name), len(scope.spans)
    counts, labels, stage = staged(scope, mine)
    training = references.training(baseline, given.training[name], windows)
    reference, own = training, None
    if comparison.kind == "window":
        reference = references.fixed(baseline, given.fixed[name], windows)
    elif comparison.kind != "training":
        champion = comparison.kind == "champion"
        days = references.champions(rows, name) if champion else mine
        reference = references.moving(comparison, baseline, days, scope.spans, hashes)
        own = training if champion else None
    calibration = Calibration.of(
        scope.spec, scope.cohorts.of(name), training.counts, baseline.features[SCORE].grid
    )
    return Version(name, counts, labels, stage, reference, calibration, own)


def days_before(monitor: Monitor, span: Span) -> list[Span]:
    """Earlier days that the rows of a window depend on: those its verdicts and its baseline are about."""
    about = [objective for objective in monitor.objectives if objective.window is span.window]
    judged = {earlier for objective in about for earlier in reach(objective, span, monitor.labels.horizon)}
    moving = {monitor.comparison(version) for version in monitor.versions}
    before = {references.depends(comparison, one) for comparison in moving for one in (span, *judged)}
    return sorted(judged | {one for one in before if one is not None}, key=_start)


def _start(span: Span) -> date:
    return span.start


def windows_judged(monitor: Monitor, span: Span) -> set[Span]:
    """Earlier windows that the verdicts on a window depend on."""
    about = [objective for objective in monitor.objectives if objective.window is span.window]
    return {earlier for objective in about for earlier in reach(objective, span, monitor.labels.horizon)}


def concerned(monitor: Monitor, changed: Iterable[date], spans: Sequence[Span]) -> set[Span]:
    """Windows that depend on changed days before them."""
    days = set(changed)
    return {span for span in spans if any(before.present(days) for before in days_before(monitor, span))}


def outdated(walk: Walk, given: Compared, spans: Mapping[tuple[str, str, str], Span]) -> set[Span]:
    """Windows whose stored metrics are compared with something else than is declared now.

    Parameters
    ----------
    spans
        Windows as they are known now, by day, knowledge time and name of the window.
    """
    if not walk.lake.exists(walk.model, METRICS.name):
        return set()
    one = (pc.field("metric") == "row_count") & (pc.field("segment") == "")
    stored = walk.lake.dataset(walk.model, METRICS).to_table(columns=list(_SEEN), filter=one)
    found = set()
    for version, role, stored_id, window, day, key in zip(
        *(stored.column(c).to_pylist() for c in _SEEN), strict=True
    ):
        span = spans.get((day, key, window))
        if span is None or version not in given.baselines:
            continue
        if not stored_id.startswith(given.begins(walk.spec.monitor, version, role)):
            found.add(span)
    return found
