"""Incidents: failed signals that belong together, followed from day to day until they have recovered.

A fold over days, and nothing else: the same signals and people's actions give the same incidents. Where
signals come from, and how incidents are kept and told, is not known here.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum

SYMPTOM_DAYS = 7
SILENT_DAYS = 28  # a signal that says nothing for longer will not recover any more: its version is gone, say
DAY = timedelta(days=1)


class State(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Signal:
    """What one check says of one thing on one day.

    Attributes
    ----------
    key
        The thing: the same on every day.
    cause
        What failures have in common that are one incident, whatever else is open.
    tier
        How far downstream it is measured: 0 for deliveries.
    subject
        What it is about, such as ``view:weather``.
    follows
        Subjects, or the part of them before the colon, whose failure may cause this one.
    version
        The model version; "" where it is about none.
    days
        Length of its window.
    failed
        None where nothing can be said.
    critical
        Whether somebody must act now.
    check
        The asset and the check that show it.
    told
        Evidence that plain JSON can hold.
    """

    key: str
    cause: str
    tier: int
    subject: str
    check: str
    failed: bool | None
    follows: frozenset[str] = frozenset()
    version: str = ""
    days: int = 1
    critical: bool = False
    told: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Member:
    """One signal of an incident, since it first failed.

    Attributes
    ----------
    signal
        As it last failed.
    first, last, seen
        Days on which it first failed, last failed, and last said anything.
    failures, passes
        On how many days it failed, and has passed since it last did.
    """

    signal: Signal
    first: date
    last: date
    seen: date
    failures: int = 1
    passes: int = 0

    def after(self, signal: Signal, day: date) -> "Member":
        """The same after one more day."""
        if signal.failed:
            return replace(self, signal=signal, last=day, seen=day, failures=self.failures + 1, passes=0)
        return self if signal.failed is None else replace(self, seen=day, passes=self.passes + 1)


@dataclass(frozen=True, slots=True)
class Action:
    """What a person did to an incident.

    Attributes
    ----------
    incident, cause
        Its id, and its cause: by that it is found again should its first day move as labels come in.
    day
        The day whose incidents the person saw.
    kind
        ack, mute or resolve.
    until
        First day on which it is not muted any more.
    """

    incident: str
    cause: str
    day: date
    kind: str
    who: str
    reason: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Failed signals that belong together.

    Attributes
    ----------
    opened, resolved
        Days; None while it is not resolved.
    members
        Its signals, the one that opened it first.
    reopened
        How often it came back soon after it was resolved.
    by, note
        Who acknowledged, muted or resolved it last, and why.
    """

    id: str
    opened: date
    members: tuple[Member, ...]
    resolved: date | None = None
    reopened: int = 0
    acknowledged: bool = False
    muted_until: date | None = None
    by: str = ""
    note: str = ""

    @property
    def root(self) -> Member:
        """The member that is furthest upstream; of several the one that failed first."""
        return min(self.members, key=lambda one: (one.signal.tier, one.first, one.signal.key))

    @property
    def critical(self) -> bool:
        """Whether any of its signals ever asked for somebody to act now."""
        return any(one.signal.critical for one in self.members)

    @property
    def versions(self) -> tuple[str, ...]:
        """Model versions it is about."""
        return tuple(sorted({one.signal.version for one in self.members} - {""}))

    def state(self, day: date) -> State:
        """Where it stands on a day."""
        if self.resolved is not None:
            return State.RESOLVED
        if self.muted_until is not None and day < self.muted_until:
            return State.MUTED
        return State.ACKNOWLEDGED if self.acknowledged else State.OPEN

    def failing(self, day: date) -> list[Member]:
        """Members that fail on a day."""
        return [one for one in self.members if one.last == day]


@dataclass(frozen=True, slots=True)
class Recovery:
    """When an incident is over.

    Attributes
    ----------
    windows
        How many windows every signal must pass, one after the other.
    reopen_days
        For how long after it was resolved a failure of the same cause opens it again, not a new one.
    """

    windows: int = 3
    reopen_days: int = 7


def advance(
    model: str,
    before: Sequence[Incident],
    day: date,
    signals: Iterable[Signal],
    actions: Sequence[Action] = (),
    recovery: Recovery = Recovery(),
) -> list[Incident]:
    """Incidents after one more day.

    Parameters
    ----------
    before
        Those of the day before: not resolved, or only lately.
    signals
        Of this day, failed or not.
    actions
        Of every day; those of this one are applied after the signals.

    Returns
    -------
    list of Incident
        Those that are not resolved, and those resolved within the last `reopen_days`, by opening day and id.
    """
    said = {signal.key: signal for signal in signals}
    kept = [
        one for one in before if one.resolved is None or (day - one.resolved).days <= recovery.reopen_days
    ]
    found = {one.id: _followed(one, said, day) for one in kept}
    placed = {member.signal.key for one in kept for member in one.members}
    fresh = [signal for signal in said.values() if signal.failed and signal.key not in placed]
    for signal in sorted(fresh, key=lambda one: (one.tier, one.key)):
        home = _home(found.values(), signal, day)
        incident = _joined(home, signal, day) if home else _opened(model, signal, day)
        found[incident.id] = incident
    ended = [_ended(one, day, recovery) for one in found.values()]
    acted = [_acted(one, actions, day) for one in ended]
    return sorted(acted, key=lambda one: (one.opened, one.id))


def _followed(incident: Incident, said: Mapping[str, Signal], day: date) -> Incident:
    """The incident with what its own signals say; one that was resolved comes back when any of them fails."""
    members = tuple(
        one.after(said[one.signal.key], day) if one.signal.key in said else one for one in incident.members
    )
    return _back(replace(incident, members=members), failing=any(one.last == day for one in members))


def _back(incident: Incident, *, failing: bool) -> Incident:
    if incident.resolved is None or not failing:
        return incident
    return replace(incident, resolved=None, reopened=incident.reopened + 1, acknowledged=False)


def _joined(incident: Incident, signal: Signal, day: date) -> Incident:
    grown = replace(incident, members=(*incident.members, Member(signal, day, day, day)))
    return _back(grown, failing=True)


def _opened(model: str, signal: Signal, day: date) -> Incident:
    mark = hashlib.sha256(f"{model}|{signal.cause}".encode()).hexdigest()[:6]
    return Incident(f"{model}-{day:%Y%m%d}-{mark}", day, (Member(signal, day, day, day),))


def _home(incidents: Iterable[Incident], signal: Signal, day: date) -> Incident | None:
    """The incident that a new failure belongs to: of several the one that was opened last."""
    latest = sorted(incidents, key=lambda one: (one.opened, one.id), reverse=True)
    same = [one for one in latest if any(m.signal.cause == signal.cause for m in one.members)]
    related = [one for one in latest if one.resolved is None and _related(one, signal, day)]
    return next(iter([*same, *related]), None)


def _related(incident: Incident, signal: Signal, day: date) -> bool:
    """Whether a failure is a symptom of what an incident is about, or its late-seen cause."""
    root, age = incident.root.signal, (day - incident.opened).days
    upstream = {one.signal.version for one in incident.members if one.signal.tier == root.tier}
    if signal.version and "" not in upstream and signal.version not in upstream:
        return False
    if signal.tier > root.tier:
        return _follows(signal, root) and age <= max(signal.days, SYMPTOM_DAYS)
    return signal.tier < root.tier and _follows(root, signal) and age < min(signal.days, SYMPTOM_DAYS)


def _follows(symptom: Signal, cause: Signal) -> bool:
    return bool({cause.subject, cause.subject.partition(":")[0]} & symptom.follows)


def _ended(incident: Incident, day: date, recovery: Recovery) -> Incident:
    """Resolve the incident once every signal has recovered, or has been silent for long."""
    over = all(
        one.passes >= recovery.windows or (day - one.seen).days >= SILENT_DAYS for one in incident.members
    )
    if incident.resolved is not None or not over:
        return incident
    return replace(incident, resolved=day)


def _acted(incident: Incident, actions: Sequence[Action], day: date) -> Incident:
    for action in actions:
        if action.day == day and _meant(incident, action):
            incident = _after(incident, action)
    return incident


def _meant(incident: Incident, action: Action) -> bool:
    same = any(one.signal.cause == action.cause for one in incident.members)
    return incident.id == action.incident or (same and incident.resolved is None)


def _after(incident: Incident, action: Action) -> Incident:
    named = replace(incident, by=action.who, note=action.reason)
    if action.kind == "mute":
        return replace(named, muted_until=action.until)
    if action.kind == "resolve":
        return replace(named, resolved=action.day)
    return replace(named, acknowledged=True)
