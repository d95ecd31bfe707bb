"""Incidents: what failed, followed from day to day and kept as one row per incident and day.

A day's incidents follow from those of the day before and its own signals, so every day can be worked out
again from the tables. How signals belong together is `core.incidents`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from mlobs_pipelines.core.incidents import Action, Incident, Member, Signal, State, advance
from mlobs_pipelines.steps.faults import fault_signals
from mlobs_pipelines.steps.signals import Dated, metric_signals, slo_signals
from mlobs_pipelines.steps.suspected import NONE, suspected
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, report
from mlobs_pipelines.store.lake import Lake, TableLayout
from mlobs_pipelines.store.standing import current
from mlobs_pipelines.store.tables import AUDIT, INCIDENT_ACTIONS, INCIDENT_DAYS, INCIDENTS

__all__ = ["KINDS", "STEP", "act", "current", "follow", "title"]

STEP = "incidents"
DAY = timedelta(days=1)
KINDS = ("ack", "mute", "resolve")


def follow(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Work out the incidents of `days`, and again those of every later day that was worked out before.

    Returns
    -------
    dict of date to Outcome
        For `days`, and for the later days.
    """
    known = {date.fromisoformat(key[0]) for key in _partitions(walk.lake, walk.model)}
    wanted = sorted({*days, *(day for day in known if day >= min(days))})
    signals = _by_day(walk, wanted)
    before = max((day for day in known if day < wanted[0]), default=None)
    report(STEP, 0, len(wanted))
    kept, causes = dict[date, list[Incident]](), dict[tuple[date, str], str]()

    def compute() -> pa.Table:
        kept.update(_folded(walk, before, signals))
        causes.update(suspected(walk, _causes(walk, before), kept))
        rows = [_row(walk, one, day, causes[day, one.id]) for day, found in kept.items() for one in found]
        return pa.Table.from_pylist(rows, schema=INCIDENTS.schema)

    keys = [(day.isoformat(),) for day in wanted]
    versions = walk.lake.update(walk.model, INCIDENTS, keys, compute, commit=walk.commit)
    counts = [_counted(walk, day, found) for day, found in kept.items()]
    table = pa.Table.from_pylist(counts, schema=INCIDENT_DAYS.schema)
    walk.lake.replace(walk.model, INCIDENT_DAYS, keys, table, commit=walk.commit)
    report(STEP, len(wanted), len(wanted))
    return {
        (day := date.fromisoformat(key)): Outcome(
            0, version.rows, 0, version, facts=_told(kept[day], causes, day)
        )
        for (key,), version in sorted(versions.items())
    }


def _told(
    found: Sequence[Incident], causes: Mapping[tuple[date, str], str], day: date
) -> dict[str, Evidence]:
    """The first suspect of each incident that is not over, in a line."""
    live = [one for one in found if one.resolved is None]
    firsts = {one.id: json.loads(causes[day, one.id])[:1] for one in live}
    lines = [f"{name}: {first[0]['text']}" for name, first in firsts.items() if first]
    return {"unresolved": len(live), **({"first_suspects": "; ".join(lines)} if lines else {})}


def _causes(walk: Walk, day: date | None) -> dict[str, str]:
    """Suspects that were kept with the incidents of a day."""
    rows = _rows(walk, day) if day else []
    return {row["incident"]: row["suspects"] or NONE for row in rows}


def _partitions(lake: Lake, model: str) -> Iterable[tuple[str, ...]]:
    return lake.partitions(model, INCIDENT_DAYS.name) if lake.exists(model, INCIDENT_DAYS.name) else ()


def _by_day(walk: Walk, days: Sequence[date]) -> dict[date, list[Signal]]:
    """Signals of days, by day; every one of the days is there."""
    found: dict[date, list[Signal]] = {day: [] for day in days}
    ends = (days[0], days[-1])
    dated: list[Dated] = [
        *fault_signals(walk, list(days)),
        *metric_signals(walk, *ends),
        *slo_signals(walk, *ends),
    ]
    for day, signal in dated:
        if day in found:
            found[day].append(signal)
    return found


def _folded(
    walk: Walk, before: date | None, signals: Mapping[date, Sequence[Signal]]
) -> dict[date, list[Incident]]:
    open_ones = _stored(walk, before) if before else []
    actions, recovery = _actions(walk), walk.spec.monitor.incidents.recovery
    found = {}
    for day, said in signals.items():
        open_ones = advance(walk.model, open_ones, day, said, actions, recovery)
        found[day] = open_ones
    return found


def _actions(walk: Walk) -> list[Action]:
    rows = walk.lake.read(walk.model, INCIDENT_ACTIONS).to_pylist()
    names = ("incident", "cause", "kind", "who", "reason", "until")
    ordered = sorted(rows, key=lambda row: (row["at"], row["incident"]))
    return [
        Action(day=date.fromisoformat(row["day"]), **{name: row[name] for name in names}) for row in ordered
    ]


def _stored(walk: Walk, day: date) -> list[Incident]:
    return [incident_of(row) for row in _rows(walk, day)]


def _rows(walk: Walk, day: date) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = walk.lake.read(
        walk.model, INCIDENTS, where={"day": day.isoformat()}
    ).to_pylist()
    return found


def incident_of(row: Mapping[str, Any]) -> Incident:
    """The incident that a row of the table is about."""
    return Incident(
        id=row["incident"],
        opened=row["opened_on"],
        members=tuple(_member(one) for one in json.loads(row["signals"])),
        resolved=row["resolved_on"],
        reopened=row["reopened"],
        acknowledged=row["acknowledged"],
        muted_until=row["muted_until"],
        by=row["acted_by"],
        note=row["note"],
    )


def _member(stored: Mapping[str, Any]) -> Member:
    signal = Signal(**{**stored["signal"], "follows": frozenset(stored["signal"]["follows"])})
    days = {name: date.fromisoformat(stored[name]) for name in ("first", "last", "seen")}
    return Member(signal, **days, failures=stored["failures"], passes=stored["passes"])


def _row(walk: Walk, incident: Incident, day: date, suspects: str) -> dict[str, Any]:
    monitor = walk.spec.monitor
    return {
        "model": walk.model,
        "incident": incident.id,
        "cause": incident.root.signal.cause,
        "title": title(incident),
        "severity": "critical" if incident.critical else "ticket",
        "state": str(incident.state(day)),
        "opened_on": incident.opened,
        "resolved_on": incident.resolved,
        "failing": len(incident.failing(day)),
        "reopened": incident.reopened,
        "acknowledged": incident.acknowledged,
        "muted_until": incident.muted_until,
        "acted_by": incident.by,
        "note": incident.note,
        "versions": list(incident.versions),
        "segments": _segments(incident),
        "checks": sorted({one.signal.check for one in incident.members}),
        "owners": list(monitor.owners),
        "runbook": monitor.runbook,
        "signals": _text([_plain(one) for one in incident.members]),
        "suspects": suspects,
        "as_of": walk.as_of,
        "run_id": walk.commit.get("run_id", ""),
        "day": day.isoformat(),
    }


_text = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=str).encode


def _plain(member: Member) -> dict[str, Any]:
    signal = asdict(replace(member.signal, follows=frozenset()))
    days = {name: getattr(member, name).isoformat() for name in ("first", "last", "seen")}
    counts = {"failures": member.failures, "passes": member.passes}
    return {**days, **counts, "signal": {**signal, "follows": sorted(member.signal.follows)}}


def title(incident: Incident) -> str:
    """What an incident is about in a line: its cause, and what else came with it."""
    others = sorted({one.signal.cause for one in incident.members} - {incident.root.signal.cause})
    more = f"; with it {', '.join(others)}" if others else ""
    return f"{incident.root.signal.cause}{more}"


def _segments(incident: Incident) -> list[str]:
    """Segment values that any of its signals is about."""
    told = [one.signal.told for one in incident.members]
    return sorted({f"{one['segment']}={one['segment_value']}" for one in told if one.get("segment")})


def _counted(walk: Walk, day: date, incidents: Sequence[Incident]) -> dict[str, Any]:
    live = [one for one in incidents if one.resolved is None]
    return {
        "day": day.isoformat(),
        "as_of": walk.as_of,
        "unresolved": len(live),
        "critical": sum(one.critical for one in live),
        "muted": sum(one.state(day) is State.MUTED for one in live),
        "opened": sum(one.opened == day for one in incidents),
        "resolved": sum(one.resolved == day for one in incidents),
    }


def act(
    walk: Walk,
    row: Mapping[str, Any],
    kind: str,
    who: str,
    now: datetime,
    reason: str = "",
    until: date | None = None,
) -> dict[str, Any]:
    """Write down what a person did to an incident, and work out the days from then on.

    Parameters
    ----------
    row
        The incident as it stood last.
    kind
        One of `KINDS`.
    until
        For a mute, the first day on which it is not muted any more.

    Returns
    -------
    dict
        The incident as it stands now.

    Raises
    ------
    ValueError
        If the incident is resolved, or the mute ends before it begins.
    """
    day = date.fromisoformat(row["day"])
    if row["state"] == str(State.RESOLVED):
        raise ValueError(f"{row['incident']} was resolved on {row['resolved_on']}; there is nothing to do")
    if until is not None and until <= day:
        raise ValueError(f"the last day that was looked at is {day}; mute until a later one")
    action = {"day": day.isoformat(), "incident": row["incident"], "cause": row["cause"], "kind": kind}
    _append(walk, INCIDENT_ACTIONS, {**action, "who": who, "at": now, "reason": reason, "until": until})
    today = {"day": now.date().isoformat(), "at": now, "who": who}
    today["details"] = _text({"reason": reason, "until": until})
    _append(walk, AUDIT, {**today, "action": f"incidents.{kind}", "object": row["incident"]})
    follow(walk, [day])
    return next(one for one in current(walk.lake, walk.model) if one["incident"] == row["incident"])


def _append(walk: Walk, layout: TableLayout, row: Mapping[str, Any]) -> None:
    walk.lake.update(
        walk.model, layout, [(row["day"],)], partial(_with, walk, layout, row), commit=walk.commit
    )


def _with(walk: Walk, layout: TableLayout, row: Mapping[str, Any]) -> pa.Table:
    known = walk.lake.read(walk.model, layout, where={"day": row["day"]}).to_pylist()
    return pa.Table.from_pylist([*known, dict(row)], schema=layout.schema)
