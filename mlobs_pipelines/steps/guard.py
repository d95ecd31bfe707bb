"""The release guard: may a candidate become the champion, by what it did beside it and what it learned from.

Everything comes from stored statistics of the days both ran; what was found is a list of `Finding`s.
Writing it down and signing it is `release_record`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from mlobs_pipelines.core.vocabulary import Verdict
from mlobs_pipelines.steps.arranged import single
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.steps.findings import FAMILIES, Finding, reasons_of, verdict_of
from mlobs_pipelines.steps.fitness import fit, limited
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT
from mlobs_pipelines.steps.readings import read_both
from mlobs_pipelines.steps.rivals import rivalled
from mlobs_pipelines.steps.suitability import measured, suited
from mlobs_pipelines.steps.traffic import Roles, Traffic, champion_beside, days_beside, roles_by_day, traffic
from mlobs_pipelines.steps.walk import Walk


@dataclass(frozen=True, slots=True)
class Asked:
    """What a guard is asked.

    Attributes
    ----------
    champion
        None for the version it was last tried beside.
    first, last
        Days to keep to; without a last one, days whose labels are due.
    days
        How many of the latest days beside the champion are judged; None for what the monitor says, or for all
        from the first one on.
    segments
        Segments whose values are groups; None for what the monitor says.
    """

    candidate: str
    champion: str | None = None
    first: date | None = None
    last: date | None = None
    days: int | None = None
    segments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a guard says.

    Attributes
    ----------
    days, roles
        Days that were judged, and the candidate's roles on them.
    pairs, labelled
        Predictions that both versions scored, and those with a label.
    findings
        Everything that was looked at.
    inputs
        Content hash of the statistics of each day.
    """

    model: str
    candidate: str
    champion: str
    days: tuple[date, ...]
    roles: tuple[str, ...]
    pairs: int
    labelled: int
    as_of: datetime
    declaration: str
    findings: tuple[Finding, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Pass, fail or undecided."""
        return verdict_of(self.findings)

    @property
    def reasons(self) -> list[str]:
        """Why, in sentences."""
        return reasons_of(self.findings, self.verdict) if self.verdict is not Verdict.PASS else []

    def row(self) -> dict[str, Any]:
        """Everything as a record."""
        return {
            "model": self.model,
            "candidate": self.candidate,
            "champion": self.champion,
            "verdict": str(self.verdict),
            "reasons": self.reasons,
            "days": [day.isoformat() for day in self.days],
            "roles": list(self.roles),
            "pairs": self.pairs,
            "labelled_pairs": self.labelled,
            "as_of": self.as_of.isoformat(),
            "declaration": self.declaration,
            "inputs": dict(self.inputs),
            "findings": [one.row() for one in self.findings],
        }


def judge_release(walk: Walk, asked: Asked) -> Judgement:
    """Judge a candidate against the champion.

    Raises
    ------
    ValueError
        If a version is not declared, or the candidate is its own champion.
    """
    roles = roles_by_day(walk)
    champion = _champion(walk, asked, roles)
    days = _days(walk, asked, champion, roles) if champion else []
    seen = traffic(walk, roles, (asked.candidate, champion), days)
    findings, pairs = [*suited(walk, seen)], (0, 0)
    if seen.sides is None:
        findings.append(_untried(asked, champion))
    elif all(measured(walk, one.name) for one in seen.sides):
        found, pairs = _compared(walk, asked, seen)
        findings += found
    return Judgement(
        walk.model,
        asked.candidate,
        champion,
        seen.days,
        seen.roles,
        *pairs,
        walk.as_of,
        walk.spec.hash,
        tuple(findings),
        {day.isoformat(): text for day, text in seen.inputs.items()},
    )


def _champion(walk: Walk, asked: Asked, roles: Roles) -> str:
    """The version it is held against; "" where it was never tried beside any."""
    declared = walk.spec.monitor.versions
    for name in filter(None, (asked.candidate, asked.champion)):
        if name not in declared:
            raise ValueError(f"unknown version {name}; there are: {', '.join(sorted(declared))}")
    if asked.champion == asked.candidate:
        raise ValueError(f"{asked.candidate} is the candidate and the champion; name two versions")
    return asked.champion or champion_beside(roles, asked.candidate) or ""


def _days(walk: Walk, asked: Asked, champion: str, roles: Roles) -> list[date]:
    found = [
        day
        for day in days_beside(roles, asked.candidate, champion)
        if (asked.first is None or asked.first <= day) and (asked.last is None or day <= asked.last)
    ]
    if asked.last is None:
        # Days whose labels are still to come would leave every verdict open, today and tomorrow.
        due = walk.as_of - walk.spec.monitor.labels.horizon
        aged = [day for day in found if day < due.date()]
        found = aged or found
    most = asked.days or (walk.spec.monitor.guard.days if asked.first is None else len(found))
    return found[-most:] if most else []


def _untried(asked: Asked, champion: str) -> Finding:
    beside = f"beside {champion}" if champion else "beside any champion"
    return Finding(
        "compatibility",
        "traffic",
        Verdict.UNDECIDED,
        f"{asked.candidate} has no shadow or canary traffic {beside} on these days, as far as statistics go",
    )


def _compared(walk: Walk, asked: Asked, seen: Traffic) -> tuple[list[Finding], tuple[int, int]]:
    spec, baselines = walk.spec, load_baselines(_of_two(walk, seen))
    own, _ = seen.sides or (None, None)
    if own is None:
        return [], (0, 0)
    read = read_both(spec, seen, baselines, _segments(walk, asked))
    limits = list(limited(spec.monitor, read))
    training = walk.lake.read(walk.model, BASELINE_LAYOUT, where={"model_version": [own.name]})
    by_limit = [one.what for one in limits if one.what.startswith("latency")]
    found = [
        *fit(spec, own, baselines[own.name], single(training)),
        *rivalled(spec, read, own, by_limit),
        *limits,
    ]
    return _on_enough_days(found, len(seen.days), spec.monitor.guard.min_days), read.pairs


def _of_two(walk: Walk, seen: Traffic) -> Walk:
    """The walk of a model that has no other versions: whether those are measured does not matter here."""
    monitor = walk.spec.monitor
    both = {name: monitor.versions[name] for name in (seen.candidate, seen.champion)}
    return replace(walk, spec=replace(walk.spec, monitor=monitor.model_copy(update={"versions": both})))


def _on_enough_days(found: list[Finding], days: int, least: int) -> list[Finding]:
    """Nothing is said of what changes with the weekday before there is one of each."""
    if days >= least:
        return found
    said = f"{days} of the {least} days that a verdict takes"
    about = ("drift", "quality", "calibration")
    return [
        replace(one, verdict=Verdict.UNDECIDED, reason=said, excused=False) if one.check in about else one
        for one in found
    ]


def _segments(walk: Walk, asked: Asked) -> Sequence[str]:
    declared = walk.spec.monitor.guard.segments
    chosen = asked.segments if asked.segments is not None else declared
    return walk.spec.monitor.segments if chosen is None else chosen


def grouped(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Findings family by family, what failed first."""
    rank = {Verdict.FAIL: 0, Verdict.UNDECIDED: 1, Verdict.PASS: 2}
    yield from sorted(findings, key=lambda one: (FAMILIES.index(one.check), rank[one.verdict], one.excused))
