"""Objectives held against what was measured: which earlier window, baseline or champion gives the limit.

Every verdict comes with the evidence to compute it again by hand. The arithmetic is `core.limits` and
`core.verdicts`; how verdicts are written down is `scoring`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.objectives import Objective
from mlobs_pipelines.core.limits import Band, Change, metric_range, moments, settle
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.verdicts import Limits, Rule, judge
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Ints, Verdict
from mlobs_pipelines.core.windows import Span, earlier
from mlobs_pipelines.steps.track_record import record_of, record_steps, tempered
from mlobs_pipelines.steps.windows import Group

WEEKDAYS = 7
RANK = {str(v): rank for rank, v in enumerate((Verdict.NONE, Verdict.PASS, Verdict.UNDECIDED, Verdict.FAIL))}
_WHOSE = {
    "baseline": "the baseline",
    "previous": "the previous window",
    "champion": "the champion in the same window",
}
Evidence = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """The windows of one version that may be judged.

    Attributes
    ----------
    spans
        The second axis of every estimate.
    groups
        The first axis: segment and segment value.
    roles : (W,) of str
        The version's role in each window; "" where it has no requests.
    withheld : (W,) of str
        Why a window may not be judged; "" where it may.
    """

    spans: Sequence[Span]
    groups: Sequence[Group]
    roles: np.ndarray
    withheld: np.ndarray


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The same metric of the same groups and windows, elsewhere; None where nobody asks for it.

    Attributes
    ----------
    baseline
        Of what the version is compared with.
    champion
        Of the version that is the champion in each window; NaN in the champion's own.
    """

    baseline: Estimate | None = None
    champion: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What is told of every value, each in the shape (groups, windows).

    Attributes
    ----------
    verdicts, reasons, severities
        Text; the verdict is *none* where no objective judges a value.
    thresholds
        NaN where there is none.
    evidence
        How the limit came about; None where no objective judges a value.
    """

    verdicts: np.ndarray
    reasons: np.ndarray
    severities: np.ndarray
    thresholds: Floats
    evidence: np.ndarray

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> "Said":
        """No objective judges anything yet."""
        none, empty = np.full(shape, str(Verdict.NONE), object), np.full(shape, "", object)
        return cls(none, empty, empty.copy(), np.full(shape, np.nan), np.full(shape, None, object))


def reach(objective: Objective, span: Span, horizon: timedelta) -> list[Span]:
    """Earlier windows that the verdict on a window depends on, the nearest first.

    Parameters
    ----------
    horizon
        After which labels are due: what was estimated earlier has been checked by then.
    """
    of, stride = objective.failing.of if objective.failing else 1, stride_of(objective)
    needed = [0, *_offsets(objective)]
    if record_of(objective.metric):
        needed += record_steps(span, horizon, stride)
    back = {step + k for step in range(of) for k in needed}
    return [earlier(span, step, stride) for step in sorted(back - {0})]


def judged(
    objectives: Sequence[Objective], metric: Metric, found: Estimate, stage: Stage, beside: Comparisons
) -> Said:
    """Hold every value of a metric against every objective that is about it.

    Parameters
    ----------
    found : (groups, windows)
        The metric, of the windows that are judged and of those they depend on.
    beside
        The same elsewhere, in the same shape.
    """
    said = Said.nothing(np.shape(found.value))
    for objective in objectives:
        columns = [at for at, span in enumerate(stage.spans) if span.window is objective.window]
        rows = [at for at, (segment, _) in enumerate(stage.groups) if objective.segments or not segment]
        if columns and rows:
            _tell(said, _Judge(objective, metric, stage, np.ix_(rows, columns)), found, beside)
    return said


@dataclass(frozen=True, slots=True)
class _Judge:
    """One objective and the groups and windows it is about."""

    objective: Objective
    metric: Metric
    stage: Stage
    at: tuple[np.ndarray, ...]

    @property
    def spans(self) -> list[Span]:
        return [self.stage.spans[index] for index in self.at[1].ravel()]

    def positions(self, offsets: Sequence[int]) -> Ints:
        """Where the windows so many steps earlier are among those judged; -1 for one that is not there."""
        known = {span.start: index for index, span in enumerate(self.spans)}
        stride = stride_of(self.objective)
        found = [[known.get(earlier(span, k, stride).start, -1) for k in offsets] for span in self.spans]
        return np.array(found, dtype=np.int64).reshape(len(self.spans), len(offsets))


def stride_of(objective: Objective) -> int:
    """Days between a window and the one before it that an objective looks at; 0 for next to one another."""
    return WEEKDAYS if objective.seasonal else 0


def _offsets(objective: Objective) -> list[int]:
    if objective.sigmas is not None:
        return list(range(1, objective.reference_windows + 1))
    return [1] if objective.relative_to == "previous" else []


def _tell(said: Said, judge_: _Judge, found: Estimate, beside: Comparisons) -> None:
    """Say what one objective says where it is worse than what was said before."""
    objective, at = judge_.objective, judge_.at
    values = taken(found, at)
    limits, evidence, widened = _limits(judge_, values, beside)
    withheld = np.broadcast_to(judge_.stage.withheld[at[1].ravel()], np.shape(values.value))
    verdicts, reasons = judge(
        widened, limits, unit=judge_.metric.unit, withheld=withheld, min_n=objective.min_n or 0
    )
    verdicts, reasons = tempered(judge_.metric.name, values, limits, verdicts, reasons)
    roles = judge_.stage.roles[at[1].ravel()]
    if objective.failing:
        verdicts, reasons, evidence = _settled(judge_, verdicts, reasons, evidence)
    mine = np.isin(roles, _judged_roles(objective))[None, :]
    rank = np.vectorize(RANK.__getitem__, otypes=[np.int64])
    worse = mine & (rank(verdicts) > rank(said.verdicts[at]))
    told: list[tuple[np.ndarray, Any]] = [
        (said.verdicts, verdicts),
        (said.reasons, reasons),
        (said.severities, objective.severity),
        (said.thresholds, limits.limit),
        (said.evidence, evidence),
    ]
    for kept, new in told:
        kept[at] = np.where(worse, new, kept[at])


def _judged_roles(objective: Objective) -> list[str]:
    champion = objective.relative_to == "champion"  # which is not compared with itself
    return [role for role in objective.roles if not (champion and role == "champion")]


def taken(estimate: Estimate, at: tuple[Any, ...]) -> Estimate:
    """Some values of an estimate."""
    arrays = {f.name: getattr(estimate, f.name)[at] for f in fields(Estimate) if f.name != "need"}
    return Estimate(**arrays, need=estimate.need)


def _limits(judge_: _Judge, values: Estimate, beside: Comparisons) -> tuple[Limits, np.ndarray, Estimate]:
    """The limit of every value, how it came about, and the values with the error of their reference."""
    if judge_.objective.sigmas is not None:
        return *_band(judge_, values), values
    if judge_.objective.change is not None:
        return _changed(judge_, values, beside)
    rule = Rule(fail_above=judge_.objective.fail_above, fail_below=judge_.objective.fail_below)
    limits = Limits.of(rule).spread(np.shape(values.value))
    return limits, _evidence(judge_, limits, {}), values


def _changed(judge_: _Judge, values: Estimate, beside: Comparisons) -> tuple[Limits, np.ndarray, Estimate]:
    objective = judge_.objective
    reference, index = _reference(judge_, values, beside)
    name, whose = objective.rule, str(objective.relative_to)
    change = Change(objective.change or 0.0, "above" in name, name.endswith("_ratio"), _WHOSE[whose])
    limits = change.limits(reference)
    shape = np.shape(values.value)
    facts = {"reference": _objects(shape, lambda g, w: [_seen(judge_, reference, (g, w), index[w, 0])])}
    return limits, _evidence(judge_, limits, facts), change.widened(values, reference)


def _reference(judge_: _Judge, values: Estimate, beside: Comparisons) -> tuple[Estimate, Ints]:
    """What each value is a change of, and where among the windows that stands; -1 for elsewhere."""
    nowhere = np.full((len(judge_.spans), 1), -1, dtype=np.int64)
    other = {"baseline": beside.baseline, "champion": beside.champion}.get(str(judge_.objective.relative_to))
    if other is not None:
        return taken(other, judge_.at), nowhere
    index = judge_.positions([1])
    return _absent(taken(values, (slice(None), index[:, 0])), _missing(judge_, index[:, 0])), index


def _missing(judge_: _Judge, index: Ints) -> Flags:
    """Windows that are no reference: not there, or so incomplete that they are not judged themselves."""
    withheld = judge_.stage.withheld[judge_.at[1].ravel()]
    return np.asarray((index < 0) | (withheld[index] != ""))


def _absent(estimate: Estimate, gone: Flags) -> Estimate:
    return replace(estimate, value=np.where(gone, np.nan, estimate.value))


def _band(judge_: _Judge, values: Estimate) -> tuple[Limits, np.ndarray]:
    objective = judge_.objective
    index = judge_.positions(_offsets(objective))
    there = ~_missing(judge_, index) & values.sufficient[:, index]
    references = np.where(there, values.value[:, index], np.nan)
    span = metric_range(judge_.metric.name)
    limits = Band(float(objective.sigmas or 0), judge_.metric.direction, span).limits(
        values.value, references
    )
    mean, std, _ = moments(references)
    shape = np.shape(values.value)

    def seen(group: int, window: int) -> list[Evidence]:
        kept = [at for at, good in zip(index[window], there[group, window], strict=True) if good]
        return [_seen(judge_, values, (group, at), at) for at in kept]

    facts = {"mean": mean, "std": std, "reference": _objects(shape, seen)}
    return limits, _evidence(judge_, limits, facts)


def _seen(judge_: _Judge, values: Estimate, at: tuple[int, int], window: int) -> Evidence:
    """One reference value, with the window it is of where that is another one."""
    start = {"window_start": judge_.spans[window].start.isoformat()} if window >= 0 else {}
    return {**start, "value": number(values.value[at]), "n": int(values.n[at])}


def _evidence(judge_: _Judge, limits: Limits, facts: Mapping[str, Any]) -> np.ndarray:
    """The rule, its limit and further facts of every value."""
    rule = _rule(judge_.objective)
    shape, edge = np.shape(limits.limit), np.unique(limits.limit)
    if not facts and edge.size == 1 and limits.above.min() == limits.above.max():
        side = "above" if limits.above.any() else "below"
        return np.full(shape, {**rule, "fails": side, "limit": number(edge[0])}, dtype=object)

    def one(group: int, window: int) -> Evidence:
        limit, above = limits.limit[group, window], bool(limits.above[group, window])
        more = {name: array[group, window] for name, array in facts.items()}
        plain = {name: number(v) if isinstance(v, float) else v for name, v in more.items()}
        return {**rule, "fails": "above" if above else "below", "limit": number(limit), **plain}

    return _objects(shape, one)


def _rule(objective: Objective) -> Evidence:
    """What the monitor declares, without what was left to its default."""
    return objective.model_dump(
        mode="json", include=objective.model_fields_set - {"why", "severity", "roles", "segments", "features"}
    )


def _settled(
    judge_: _Judge, verdicts: np.ndarray, reasons: np.ndarray, evidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Verdicts of the latest windows together."""
    failing = judge_.objective.failing
    if failing is None:
        return verdicts, reasons, evidence
    index = judge_.positions(range(failing.of))
    looked = np.where(index < 0, str(Verdict.NONE), verdicts[:, index])
    failed = (looked == str(Verdict.FAIL)).sum(axis=-1)
    unknown = failing.of - failed - (looked == str(Verdict.PASS)).sum(axis=-1)

    def why(group: int, window: int) -> str:
        counts = f"{failed[group, window]} of {failing.of} windows fail"
        undecided = unknown[group, window]
        counts += f" and {undecided} cannot be judged" if undecided else ""
        return f"{counts}, {failing.at_least} are needed; the latest: {reasons[group, window]}"

    def one(group: int, window: int) -> Evidence:
        starts = [
            earlier(judge_.spans[window], k, stride_of(judge_.objective)).start for k in range(failing.of)
        ]
        told = zip(starts, looked[group, window].tolist(), strict=True)
        windows = [{"window_start": start.isoformat(), "verdict": verdict} for start, verdict in told]
        return {**evidence[group, window], "windows": windows}

    shape = np.shape(verdicts)
    return settle(looked, failing.at_least), _objects(shape, why), _objects(shape, one)


def _objects(shape: tuple[int, ...], make: Any) -> np.ndarray:  # noqa: ANN401 - any function of two indices
    made = np.empty(shape, dtype=object)
    for group, window in np.ndindex(shape):
        made[group, window] = make(group, window)
    return made


def number(value: float) -> float | None:
    """A plain number; None where it is not defined."""
    return float(value) if np.isfinite(value) else None
