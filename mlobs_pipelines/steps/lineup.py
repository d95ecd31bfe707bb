"""A model's versions over the same windows: what each was measured at, and what each is compared with.

Metrics of a version, of its baseline and of the champion are brought into one shape here. Judging them is
`judging`, writing them down `scoring`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.summaries import LabelSummary
from mlobs_pipelines.core.vocabulary import Estimate, Flags
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.estimation import Calibration
from mlobs_pipelines.steps.fitting import plain
from mlobs_pipelines.steps.judging import Comparisons, Stage
from mlobs_pipelines.steps.measured import Measured, layered, measured
from mlobs_pipelines.steps.references import Reference
from mlobs_pipelines.steps.windows import Counts, Group, label_summary

LEAST_PRESENT = 0.5
Found = Mapping[tuple[str, str], Estimate]  # by metric and feature
_ARRAYS = tuple(item.name for item in fields(Estimate) if item.name != "need")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is scored: a model over some windows, and where the numbers come from.

    Attributes
    ----------
    spans
        Windows that are scored, and those that their verdicts depend on.
    wanted : (W,) bool
        Windows that rows are written for.
    moments, inputs
        Of each window: when its statistics were known, and which they are.
    cohorts
        Matured days before the windows.
    """

    spec: ModelSpec
    spans: tuple[Span, ...]
    wanted: Flags
    moments: tuple[datetime, ...]
    inputs: tuple[Mapping[str, object], ...]
    run_id: str
    cohorts: Cohorts


@dataclass(frozen=True, slots=True)
class Version:
    """One version's windows, and what they are compared with.

    Attributes
    ----------
    counts, labels
        Its statistics, and how far its labels have come.
    stage
        The windows that may be judged.
    reference
        What they are compared with.
    calibration
        What their quality is estimated with while labels are late.
    own
        What the version's windows as the champion are compared with, where that is something else.
    """

    name: str
    counts: Counts
    labels: LabelSummary
    stage: Stage
    reference: Reference
    calibration: Calibration
    own: Reference | None = None

    @property
    def as_champion(self) -> Flags:
        """Windows that `own` stands for."""
        return np.asarray((self.stage.roles == "champion") & (self.own is not None))

    @property
    def baseline_ids(self) -> np.ndarray:
        """What each window is compared with."""
        own = self.own or self.reference
        return np.where(self.as_champion, np.array(own.ids), np.array(self.reference.ids))


@dataclass(frozen=True, slots=True)
class Beside:
    """The metrics of one version elsewhere, as far as an objective asks for them."""

    baseline: Found = field(default_factory=dict)
    champion: Found = field(default_factory=dict)

    def of(self, metric: str, feature: str) -> Comparisons:
        """One metric elsewhere."""
        key = (metric, feature)
        return Comparisons(self.baseline.get(key), self.champion.get(key))


def staged(scope: Scope, rows: pa.Table) -> tuple[Counts, LabelSummary, Stage]:
    """Arrange one version's statistics of all days of all windows."""
    counts = arranged(rows, scope.spans)
    seen = _roles_by_day(rows)
    roles = np.array([_role(seen, span) for span in scope.spans])
    withheld = np.array([_withheld(seen, span) for span in scope.spans], dtype=object)
    return counts, labels_of(scope.spec, counts), Stage(scope.spans, counts.groups, roles, withheld)


def labels_of(spec: ModelSpec, counts: Counts) -> LabelSummary:
    """How far the labels of every window have come."""
    hour = timedelta(hours=1)
    horizons = np.array([horizon / hour for horizon in spec.monitor.labels.horizons])
    return layered(counts, lambda layer: label_summary(layer, spec.monitor.labels.unit / hour, horizons))


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


def estimates(spec: ModelSpec, version: Version) -> Iterator[Measured]:
    """Every registered metric of a version's windows, compared with what each window is compared with."""

    def run(reference: Reference) -> Iterator[Measured]:
        base = reference.counts
        own = version.labels, version.calibration
        return measured(spec, version.name, reference.baseline, version.counts, base, *own)

    return _chosen(version, run)


def _chosen(version: Version, run: Callable[[Reference], Iterator[Measured]]) -> Iterator[Measured]:
    """Take each window from the run with the reference that it is compared with."""
    if version.own is None or not version.as_champion.any():
        yield from run(version.reference)
        return
    own = {(metric.name, feature): estimate for metric, feature, estimate in run(version.own)}
    for metric, feature, other in run(version.reference):
        mine = own.get((metric.name, feature), _emptied(other))
        both = {n: np.where(version.as_champion, getattr(mine, n), getattr(other, n)) for n in _ARRAYS}
        yield metric, feature, Estimate(**both, need=other.need)


def of_baseline(spec: ModelSpec, version: Version, names: Collection[str]) -> Found:
    """Metrics of what a version is compared with, in the shape of the version's own."""
    if not names:
        return {}

    def run(reference: Reference) -> Iterator[Measured]:
        base = plain(reference.counts)
        about = labels_of(spec, base), version.calibration.untimed(len(base.spans))
        for item in measured(spec, version.name, reference.baseline, base, reference.counts, *about):
            yield *item[:2], _aligned(item[2], base.groups, version)

    return {
        (metric.name, feature): found
        for metric, feature, found in _chosen(version, run)
        if metric.name in names
    }


def of_champion(spec: ModelSpec, versions: Sequence[Version], names: Collection[str]) -> dict[str, Found]:
    """For each version, metrics of whichever other one is the champion in each window."""
    if not names:
        return {}
    found = {
        version.name: {(m.name, feature): e for m, feature, e in estimates(spec, version) if m.name in names}
        for version in versions
    }
    return {version.name: _champions(version, versions, found) for version in versions}


def _champions(version: Version, versions: Sequence[Version], found: Mapping[str, Found]) -> Found:
    result: dict[tuple[str, str], Estimate] = {}
    free = version.stage.roles != "champion"
    for other in versions:
        mine = free & (other.stage.roles == "champion") & (other.name != version.name)
        free = free & ~mine
        for key, estimate in found[other.name].items():
            here = _aligned(estimate, other.counts.groups, version)
            kept = result.get(key, _emptied(here))
            arrays = {name: np.where(mine, getattr(here, name), getattr(kept, name)) for name in _ARRAYS}
            result[key] = Estimate(**arrays, need=here.need)
    return result


def _emptied(estimate: Estimate) -> Estimate:
    nothing = np.zeros_like(estimate.n)
    return replace(estimate, value=np.full(estimate.value.shape, np.nan), n=nothing)


def _aligned(estimate: Estimate, groups: Sequence[Group], version: Version) -> Estimate:
    """The estimate of a version's groups and windows; NaN for a group that is not there."""
    position = {group: index for index, group in enumerate(groups)}
    rows = np.array([position.get(group, -1) for group in version.counts.groups], dtype=np.int64)
    shape = (rows.size, len(version.counts.spans))
    arrays = {name: np.broadcast_to(getattr(estimate, name)[rows], shape) for name in _ARRAYS}
    there = (rows >= 0)[:, None]
    arrays |= {"value": np.where(there, arrays["value"], np.nan), "n": np.where(there, arrays["n"], 0)}
    return Estimate(**arrays, need=estimate.need)
