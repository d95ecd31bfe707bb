"""What is known of one incident from its first day to its last: for its record, and for finding others alike.

How a record reads is `destinations.records`; why it happened is `explain`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from mlobs_pipelines.core.likeness import alike
from mlobs_pipelines.steps.explain import gather, plain, suspects
from mlobs_pipelines.steps.incidents import current, incident_of
from mlobs_pipelines.steps.opened import Opened
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import INCIDENT_ACTIONS, INCIDENTS, NOTIFICATIONS

Row = Mapping[str, Any]
_ABOUT = ("metric", "feature", "slo", "segment", "dataset", "table", "kind")


def explained(walk: Walk, rows: Sequence[Row], url: str = "") -> list[dict[str, Any]]:
    """Incidents with their suspects, what to open of each, and earlier incidents alike.

    Parameters
    ----------
    rows
        Incidents as they stand.
    url
        Where Dagster's pages are; "" for no links.
    """
    if not rows:
        return []
    days = [date.fromisoformat(row["day"]) for row in rows]
    evidence, opened = gather(walk, min(row["opened_on"] for row in rows), max(days)), Opened(walk, url)
    every = current(walk.lake, walk.model)
    names = ("incident", "title", "severity", "state", "opened_on", "resolved_on", "versions")
    found = []
    for row, day in zip(rows, days, strict=True):
        told = plain(suspects(evidence, incident_of(row), day))
        ways = [{**one, "open": opened.of(one)} for one in told]
        facts = {name: row[name] for name in names}
        found.append({**facts, "suspects": ways, "similar": similar(row, every)})
    return found


def similar(row: Row, every: Sequence[Row]) -> list[dict[str, Any]]:
    """Earlier incidents alike: the same things failed, and the same was suspected first."""
    before = {
        one["incident"]: one
        for one in every
        if (one["opened_on"], one["incident"]) < (row["opened_on"], row["incident"])
    }
    ranked = alike(_marks(row), {name: _marks(one) for name, one in before.items()})
    names = ("incident", "title", "state", "opened_on", "resolved_on", "acted_by", "note")
    return [
        {**{name: before[one.incident][name] for name in names}, "alike": round(one.score, 3)}
        for one in ranked
    ]


def _marks(row: Row) -> set[str]:
    """What failed, whichever version and value it was about, and the first suspect."""
    told = [one["signal"]["told"] for one in json.loads(row["signals"])]
    found = {"|".join(str(one.get(name) or "") for name in _ABOUT) for one in told}
    first = json.loads(row["suspects"] or "[]")[:1]
    return found | {f"suspect {one['kind']} {one['what']}" for one in first}


def recorded(walk: Walk, row: Row, url: str = "") -> dict[str, Any]:
    """Everything that the record of an incident is made from."""
    (found,) = explained(walk, [row], url)
    signals = json.loads(row["signals"])
    return {
        "row": row,
        "signals": sorted(signals, key=lambda one: (one["signal"]["tier"], one["first"])),
        "suspects": found["suspects"],
        "similar": found["similar"],
        "timeline": sorted(_timeline(walk, row, signals)),
        "actions": _actions(walk, row),
    }


def _timeline(walk: Walk, row: Row, signals: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """What happened, each with its day or moment."""
    name, before = row["incident"], "none"
    for one in _history(walk, row):
        state = f"{one['severity']}, {one['state']}"
        if state != before:
            yield one["day"], f"{state}: {one['failing']} signals failing"
        before = state
    for one in signals:
        told = one["signal"]["told"]
        about = " ".join(str(told[key]) for key in ("model_version", *_ABOUT) if told.get(key))
        yield one["first"], f"first failure of {about} ({one['signal']['check']})"
    for one in walk.lake.read(walk.model, NOTIFICATIONS).to_pylist():
        if one["incident"] == name:
            yield (
                f"{one['at']:%Y-%m-%d %H:%M}",
                f"message to {one['channel']} ({one['event']}): {one['state']}",
            )
    for one in _actions(walk, row):
        yield f"{one['at']:%Y-%m-%d %H:%M}", f"{one['kind']} by {one['who']}: {one['reason'] or 'no reason'}"


def _history(walk: Walk, row: Row) -> list[Row]:
    span = Between(row["opened_on"].isoformat(), row["day"])
    rows = walk.lake.read(walk.model, INCIDENTS, where={"day": span}).to_pylist()
    return sorted(
        (one for one in rows if one["incident"] == row["incident"]), key=lambda one: str(one["day"])
    )


def _actions(walk: Walk, row: Row) -> list[Row]:
    rows = walk.lake.read(walk.model, INCIDENT_ACTIONS).to_pylist()
    mine = (one for one in rows if one["incident"] == row["incident"] or one["cause"] == row["cause"])
    since = row["opened_on"].isoformat()
    return sorted((one for one in mine if one["day"] >= since), key=lambda one: str(one["at"]))
