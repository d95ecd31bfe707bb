"""Notify: people are told of incidents that open, grow worse, come back and end, each once per channel.

What was sent, what failed and what was given up is a ledger in the lake; from it and the incidents follows
what is due. A message may arrive twice should a process end between sending it and writing it down.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from mlobs_pipelines.contracts.routes import Route
from mlobs_pipelines.destinations.channels import ChannelError
from mlobs_pipelines.destinations.messages import body, title
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.tables import INCIDENT_DAYS, INCIDENTS, NOTIFICATIONS

FRESH_DAYS = 3  # nobody is called for history
ATTEMPTS, FIRST_WAIT = 5, timedelta(minutes=1)
Row = Mapping[str, Any]
Send = Callable[[Sequence[str], str, str, str], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that a channel is due to be told.

    Attributes
    ----------
    row
        The incident as it stands.
    event
        opened, escalated, reopened or resolved.
    failed
        How often it was tried in vain.
    waits
        Why it is not sent now: quiet, limit, retry; "" if it is.
    """

    channel: str
    row: Row
    event: str
    failed: int
    waits: str = ""


def notify(
    walk: Walk, channels: Mapping[str, Sequence[str]], now: datetime, send: Send, url: str = ""
) -> list[tuple[Message, str]]:
    """Send what is due now, and write down what came of it.

    Parameters
    ----------
    channels
        Addresses by the name of the channel.
    send
        Takes addresses, title, body and kind; raises `ChannelError`.
    url
        Where Dagster's pages are, for links; "" for none.

    Returns
    -------
    list of (Message, str)
        Each with what came of it: sent, failed, dead, or why it waits.
    """
    return [
        (message, message.waits or _sent(walk, channels, now, send, message, url))
        for message in due(walk, now)
    ]


def due(walk: Walk, now: datetime) -> Iterator[Message]:
    """What channels have not been told yet, in the order of the incidents; each knows of those before it."""
    ledger: list[Row] = walk.lake.read(walk.model, NOTIFICATIONS).to_pylist()
    taken: dict[str, int] = {}
    for row in _fresh(walk, now):
        seen: set[str] = set()
        for route in walk.spec.monitor.incidents.routes:
            if route.channel in seen or not _meant(route, row):
                continue
            seen.add(route.channel)
            mine = [one for one in ledger if one["channel"] == route.channel]
            event = _event(route, row, [one for one in mine if one["incident"] == row["incident"]])
            if event:
                message = _message(route, row, event, mine, now, taken.get(route.channel, 0))
                taken[route.channel] = taken.get(route.channel, 0) + (not message.waits)
                yield message


def _fresh(walk: Walk, now: datetime) -> list[Row]:
    """Incidents of the last day that was looked at, unless that is long ago."""
    if not walk.lake.exists(walk.model, INCIDENT_DAYS.name):
        return []
    last = max(day for (day,) in walk.lake.partitions(walk.model, INCIDENT_DAYS.name))
    if date.fromisoformat(last) < now.date() - timedelta(days=FRESH_DAYS):
        return []
    rows: list[Row] = walk.lake.read(walk.model, INCIDENTS, where={"day": last}).to_pylist()
    return rows


def _meant(route: Route, row: Row) -> bool:
    """Whether a route is about an incident."""
    if row["severity"] not in route.severities:
        return False
    if route.versions is not None and row["versions"] and not set(row["versions"]) & set(route.versions):
        return False
    return route.segments is None or bool(set(row["segments"]) & set(route.segments))


def _event(route: Route, row: Row, told: Sequence[Row]) -> str:
    """What of an incident a channel has not been told; "" if nothing."""
    known = [one for one in told if one["state"] != "failed" and one["reopened"] == row["reopened"]]
    events = {one["event"] for one in known}
    if row["state"] == "resolved":
        reached = any(one["state"] == "sent" for one in known)
        return "resolved" if route.resolved and reached and "resolved" not in events else ""
    if row["state"] != "open":
        return ""
    if not events:
        return "reopened" if row["reopened"] else "opened"
    worse = row["severity"] == "critical" and all(one["severity"] == "ticket" for one in known)
    return "escalated" if worse else ""


def _message(route: Route, row: Row, event: str, ledger: Sequence[Row], now: datetime, taken: int) -> Message:
    key = (row["incident"], event, row["reopened"])
    failed = [one for one in ledger if (one["incident"], one["event"], one["reopened"]) == key]
    message = partial(Message, route.channel, row, event, len(failed))
    if failed and now < max(one["at"] for one in failed) + FIRST_WAIT * 2 ** (len(failed) - 1):
        return message("retry")
    if route.quiet is not None and route.quiet.at(now):
        return message("quiet")
    rate = route.at_most
    if rate is not None:
        sent = sum(one["state"] == "sent" and one["at"] > now - rate.per for one in ledger)
        if sent + taken >= rate.messages:
            return message("limit")
    return message()


def _sent(
    walk: Walk, channels: Mapping[str, Sequence[str]], now: datetime, send: Send, message: Message, url: str
) -> str:
    row, event = message.row, message.event
    head, text = title(row, event), body(row, event, url)
    state, error = "sent", ""
    try:
        kind = "resolved" if event == "resolved" else row["severity"]
        send(_addresses(channels, message.channel), head, text, kind)
    except ChannelError as problem:
        state, error = ("dead" if message.failed + 1 >= ATTEMPTS else "failed"), str(problem)
    told = {"title": head, "body": text, "state": state, "error": error, "attempt": message.failed + 1}
    about = {name: row[name] for name in ("incident", "cause", "severity", "reopened")}
    _append(walk, {**about, **told, "channel": message.channel, "event": event, "at": now})
    return state


def _addresses(channels: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    if name not in channels:
        raise ChannelError(f"MLOBS_CHANNELS names no channel {name}")
    return channels[name]


def _append(walk: Walk, row: Row) -> None:
    day = row["at"].date().isoformat()

    def compute() -> pa.Table:
        known = walk.lake.read(walk.model, NOTIFICATIONS, where={"day": day}).to_pylist()
        return pa.Table.from_pylist([*known, {**row, "day": day}], schema=NOTIFICATIONS.schema)

    walk.lake.update(walk.model, NOTIFICATIONS, [(day,)], compute, commit=walk.commit)
