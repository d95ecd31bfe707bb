"""The first suspects of each incident as they are kept with it, looked for on its first days and as it grows.

On other days an incident keeps what was found before, so most days cost nothing. How they are found is
`explain`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from mlobs_pipelines.core.incidents import Incident
from mlobs_pipelines.steps.explain import gather, plain, sentence, suspects
from mlobs_pipelines.steps.walk import Walk

KEPT, LEAST = 3, 0.2  # how many are told, and from which score on
LOOKS = (0, 1, 3, 6)  # days of an incident's age: what it looks like grows clearer
NONE = "[]"
_NAMES = ("rank", "kind", "what", "begin", "end", "score")


def suspected(
    walk: Walk, before: Mapping[str, str], kept: Mapping[date, Sequence[Incident]]
) -> dict[tuple[date, str], str]:
    """Text of the first suspects of every incident on every day.

    Parameters
    ----------
    before
        What was kept of each incident on the day before.
    kept
        The incidents of consecutive days.

    Returns
    -------
    dict of (date, str) to str
        JSON by day and id of the incident.
    """
    due = [(day, one) for day, found in kept.items() for one in found if _due(one, day)]
    fresh, found, last = _looked(walk, due), dict[tuple[date, str], str](), dict(before)
    for day, incidents in kept.items():
        last = {one.id: fresh.get((day, one.id), last.get(one.id, NONE)) for one in incidents}
        found |= {(day, name): said for name, said in last.items()}
    return found


def _looked(walk: Walk, due: Sequence[tuple[date, Incident]]) -> dict[tuple[date, str], str]:
    if not due:
        return {}
    evidence = gather(walk, min(one.opened for _, one in due), max(day for day, _ in due))
    return {(day, one.id): text(plain(suspects(evidence, one, day))) for day, one in due}


def _due(incident: Incident, day: date) -> bool:
    if incident.resolved is not None:
        return False
    return (day - incident.opened).days in LOOKS or any(one.first == day for one in incident.members)


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """The first suspects as they are kept: what a message says of them, and what tells incidents alike."""
    shown = [
        {**{name: one[name] for name in _NAMES}, "text": sentence(one)}
        for one in found[:KEPT]
        if one["score"] >= LEAST
    ]
    return json.dumps(shown, separators=(",", ":"), sort_keys=True)
