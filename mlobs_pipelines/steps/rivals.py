"""A candidate held against the champion, metric by metric and group by group: no worse, worse, or not known.

Measuring both is `readings`; what does not need a champion is `fitness`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.release_rules import MARGINS, OPERATIONS, RELATIVE, Guard
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.release import Tested, against_margin, excused
from mlobs_pipelines.core.verdicts import in_digits
from mlobs_pipelines.core.vocabulary import Estimate, Flags, Floats, Verdict
from mlobs_pipelines.steps.estimation import matured
from mlobs_pipelines.steps.findings import Finding, finite
from mlobs_pipelines.steps.readings import Readings
from mlobs_pipelines.steps.traffic import Side
from mlobs_pipelines.steps.windows import Group

_DIRECTION = {"mse": -1, "bias": -1}  # of what is no metric, and of one whose size counts
_FAMILY = {"ece": "calibration", "bias": "calibration", **dict.fromkeys(OPERATIONS, "operations")}
_SHOWN = ("quality",)  # families in which the interval must show that it is no worse; else the value must


@dataclass(frozen=True, slots=True)
class _Case:
    """One metric of every group, and what is said of it.

    Attributes
    ----------
    withheld
        Why a group is not judged; "" where it is.
    """

    name: str
    groups: Sequence[Group]
    found: Estimate
    tests: Sequence[str]
    margins: Floats
    sides: tuple[Estimate, Estimate]
    withheld: Sequence[str]
    told: Tested
    excused: Flags


def rivalled(spec: ModelSpec, read: Readings, own: Side, without: Collection[str] = ()) -> Iterator[Finding]:
    """Hold every metric that has a margin against the champion's.

    Parameters
    ----------
    own
        The candidate.
    without
        Metrics that are held against a limit instead.
    """
    monitor = spec.monitor
    young = _young(spec, read, own)
    for name in (*MARGINS[monitor.task], *OPERATIONS):
        margin = monitor.guard.margin(name, monitor.task)
        if margin is not None and name not in without and name in read.differences:
            withheld = [""] * len(young) if name in OPERATIONS else young
            yield from _findings(_case(monitor.guard, read, name, margin, withheld))


def _young(spec: ModelSpec, read: Readings, own: Side) -> list[str]:
    """Why labels do not let a group be judged; "" where they do."""
    target = spec.monitor.labels.coverage_target
    mature, coverage = (array[:, 0] for array in matured(own.labels, target))
    at = [own.counts.groups.index(group) for group in read.groups]
    aged = own.labels.seen.mature[:, 0, -1] == own.labels.seen.predictions[:, 0]
    told = {
        False: "labels are not mature: not all predictions have reached the label horizon",
        True: f"labels are not mature: {{:.1%}} of them are known, {target:.0%} are needed",
    }
    # A single group may lack labels that all rows together have: its own rows decide what is said of it.
    return ["" if mature[i] else told[bool(aged[i])].format(coverage[i]) for i in at]


def _case(guard: Guard, read: Readings, name: str, margin: float, withheld: Sequence[str]) -> _Case:
    found, tests = read.differences[name]
    sides = read.candidate[name], read.champion[name]
    few = np.where(np.isfinite(found.effective), found.effective, found.n) < guard.min_pairs
    found = replace(found, sufficient=found.sufficient & ~few)
    factor = np.where(np.arange(len(read.groups)) == 0, 1.0, guard.group_factor)
    scale = _scale(read, name) if name in RELATIVE else 1.0
    held = np.array([bool(one) for one in withheld])
    margins = np.where(held, np.nan, margin * factor * scale)
    direction = _DIRECTION.get(name) or METRICS[name].direction
    shown = _FAMILY.get(name, "quality") in _SHOWN
    # All rows are one question; the groups are asked together, and corrected for how many they are.
    whole, parts = (
        against_margin(_some(found, at), margins[at], direction, shown=shown)
        for at in (slice(1), slice(1, None))
    )
    told = Tested(np.concatenate([whole.verdicts, parts.verdicts]), np.concatenate([whole.p, parts.p]))
    small = _small(guard, read.groups, found)
    return _Case(name, read.groups, found, tests, margins, sides, withheld, told, small & ~held)


def _scale(read: Readings, name: str) -> Floats:
    """What a relative margin is a share of."""
    return np.asarray(np.abs(read.champion["mae" if name == "bias" else name].value))


def _some(found: Estimate, at: slice) -> Estimate:
    names = ("value", "n", "lower", "upper", "bound", "sufficient")
    return Estimate(**{name: getattr(found, name)[at] for name in names}, need=found.need)


def _small(guard: Guard, groups: Sequence[Group], found: Estimate) -> Flags:
    """Groups too small to judge, where those of their segment are together too small to matter."""
    small = np.zeros(len(groups), dtype=bool)
    for segment in {name for name, _ in groups if name}:
        at = np.array([index for index, (name, _) in enumerate(groups) if name == segment])
        mine = Estimate(found.value[at], found.n[at], sufficient=found.sufficient[at])
        small[at] = excused(mine, float(found.n[at].sum()), guard.small_groups)
    return small


def _findings(case: _Case) -> Iterator[Finding]:
    for index, (segment, value) in enumerate(case.groups):
        verdict = Verdict(case.told.verdicts[index])
        yield Finding(
            check=_FAMILY.get(case.name, "quality"),
            what=case.name,
            verdict=verdict,
            reason=_reason(case, index, verdict),
            segment=segment,
            segment_value=value,
            candidate=finite(case.sides[0].value[index]),
            champion=finite(case.sides[1].value[index]),
            difference=finite(case.found.value[index]),
            lower=finite(case.found.lower[index]),
            upper=finite(case.found.upper[index]),
            limit=finite(case.margins[index]),
            p=finite(case.told.p[index]),
            n=int(case.found.n[index]),
            test=case.tests[index],
            excused=bool(case.excused[index]),
        )


def _reason(case: _Case, index: int, verdict: Verdict) -> str:
    found, n = case.found, int(case.found.n[index])
    if case.withheld[index]:
        return case.withheld[index]
    if not np.isfinite(found.value[index]):
        return f"not defined on {n:,} rows"
    if not found.sufficient[index]:
        rest = "; too small to matter" if case.excused[index] else ""
        return f"{n:,} rows are too few for a verdict{': it takes ' + found.need if found.need else ''}{rest}"
    margin = in_digits(float(case.margins[index]), 3)
    ends = f"{found.value[index]:+.4g} ({found.lower[index]:+.4g} to {found.upper[index]:+.4g})"
    if verdict is Verdict.FAIL:
        return f"worse than the champion by more than {margin}: {ends}, p = {case.told.p[index]:.2g}"
    if verdict is Verdict.PASS:
        return f"not worse than the champion by more than {margin}: {ends}"
    return f"may be worse than the champion by more than {margin}: {ends}; more rows would tell"
