"""An incident in words, as a channel carries it: what, since when, how bad, whose, and where to look.

Every number in it is an aggregate; how it is sent is `channels`.
"""

import json
from collections.abc import Mapping
from typing import Any

MOST = 8
_NAMED = ("slo", "model_version", "metric", "feature", "segment_value", "dataset", "table", "kind")


def title(row: Mapping[str, Any], event: str) -> str:
    """The line that a person sees first.

    Examples
    --------
    >>> title({"severity": "critical", "model": "flights", "title": "skew of weather"}, "opened")
    '[critical] flights: skew of weather'
    """
    mark = "resolved" if event == "resolved" else row["severity"]
    again = " (again)" if event == "reopened" else ""
    return f"[{mark}] {row['model']}: {row['title']}{again}"


def body(row: Mapping[str, Any], event: str, url: str = "") -> str:
    """The whole message: the signals furthest upstream first, and what may have caused them.

    Parameters
    ----------
    url
        Where Dagster's pages are; "" for no links.
    """
    stored = json.loads(row["signals"])
    ordered = sorted(stored, key=lambda one: (one["signal"]["tier"], one["first"], one["signal"]["key"]))
    ended = f", resolved on {row['resolved_on']}" if event == "resolved" else ""
    lines = [
        f"{row['title']}",
        f"since {row['opened_on']}{ended}; looked at up to {row['day']}",
        "furthest upstream first:",
        *(f"- {_signal(one)}" for one in ordered[:MOST]),
        *([f"- and {len(ordered) - MOST} more"] if len(ordered) > MOST else []),
        *_suspects(row),
        f"owners: {', '.join(row['owners'])}",
        f"runbook: {row['runbook']}",
        f"guide: {guide(ordered[0]['signal']['check'])}",
        f"Dagster: {', '.join(_checks(row, ordered))}",
        *_links(row, ordered, url.rstrip("/")),
        f"mlobs explain {row['model']} {row['incident']}",
        *_back(row, event),
    ]
    return "\n".join(lines)


def _back(row: Mapping[str, Any], event: str) -> list[str]:
    """Where to ask whether an earlier version would do better."""
    asked = row["severity"] == "critical" and event != "resolved"
    return [f"roll back? mlobs guard {row['model']} --champion-health"] if asked else []


def guide(check: str) -> str:
    """Where the project's runbook for a kind of check is.

    Examples
    --------
    >>> guide("metrics/skew")
    'docs/runbooks/skew.md'
    """
    return f"docs/runbooks/{check.rpartition('/')[2]}.md"


def _suspects(row: Mapping[str, Any]) -> list[str]:
    found = json.loads(row.get("suspects") or "[]")
    return ["suspects:", *(f"- {one['text']}" for one in found)] if found else []


def _links(row: Mapping[str, Any], stored: list[dict[str, Any]], url: str) -> list[str]:
    """Pages of the assets that show it, at their first days."""
    first: dict[str, str] = {}
    for one in stored if url else ():
        first.setdefault(one["signal"]["check"].partition("/")[0], one["first"])
    return [
        f"{url}/assets/{row['model']}/{asset}?view=partitions&partition={day}" for asset, day in first.items()
    ]


def _signal(stored: Mapping[str, Any]) -> str:
    told = stored["signal"]["told"]
    what = " ".join(str(told[name]) for name in _NAMED if told.get(name))
    window = f" over {told['window']}" if told.get("window") else ""
    left = "" if told.get("budget_left") is None else f", {told['budget_left']:.0%} of the budget left"
    return f"{what}{window}: {_size(told)}{left}; failed {stored['failures']} times since {stored['first']}"


def _size(told: Mapping[str, Any]) -> str:
    """How bad it is: the reason holds value, limit, interval and rows; a delivery has a count."""
    if told.get("reason"):
        return str(told["reason"])
    return f"{told['count']:,}" if told.get("count") is not None else "it failed"


def _checks(row: Mapping[str, Any], stored: list[dict[str, Any]]) -> list[str]:
    first: dict[str, str] = {}
    for one in stored:
        first.setdefault(one["signal"]["check"], one["first"])
    return [f"{row['model']}/{check} of {day}" for check, day in first.items()]
