"""Explain: the suspects of an incident, from what is stored of the days before it and of its first ones.

No row is read, and nothing is written. What can be a suspect is `suspects` and `upstream`; their order is
`core.causes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.causes import Effect, Ranked, Suspect, ranked
from mlobs_pipelines.core.incidents import Incident
from mlobs_pipelines.steps.bins import BaselineError, load_baselines
from mlobs_pipelines.steps.series import Key, Panel, daily
from mlobs_pipelines.steps.suspects import (
    SIGNS,
    Look,
    began,
    metric_suspects,
    segment_suspects,
)
from mlobs_pipelines.steps.upstream import (
    Deliveries,
    deliveries,
    delivery_suspects,
    release_suspects,
)
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.commits import Commits
from mlobs_pipelines.store.tables import METRICS

DAY = timedelta(days=1)
HISTORY_DAYS = 28  # before the first day on which the effect may have begun
FOLLOWED_DAYS = 13  # of an incident: what begins later did not cause it
LONGEST_DAYS = 28
SOONEST_DAYS = 14  # how long before its effect a cause may begin
QUALITY_TIER = 5  # from here on it matters how much a feature does to the model


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is stored of a stretch of days, read once for all incidents of it.

    Attributes
    ----------
    importance
        Of each feature, the largest being 1, by version.
    codes
        Code version of each run that computed metrics.
    """

    spec: ModelSpec
    panel: Panel
    deliveries: Deliveries
    importance: Mapping[str, Mapping[str, float]]
    codes: Mapping[str, str]


def gather(walk: Walk, first: date, last: date) -> Evidence:
    """Read the evidence for incidents that opened between two days."""
    since = first - (LONGEST_DAYS + HISTORY_DAYS) * DAY
    judged = {one.metric for one in walk.spec.monitor.objectives}
    judged |= {slo.sli.metric for slo in walk.spec.monitor.slos}
    return Evidence(
        walk.spec,
        daily(walk, {*SIGNS, *judged}, since, last),
        deliveries(walk, since, last),
        _importance(walk),
        Commits.of(walk.lake, walk.model, METRICS.name).codes,
    )


def _importance(walk: Walk) -> dict[str, dict[str, float]]:
    found = {}
    try:
        baselines = load_baselines(walk)
    except BaselineError:  # deliveries can fail before any training set was measured
        return {}
    for version, baseline in baselines.items():
        known = {name: binned.importance for name, binned in baseline.features.items()}
        largest = max((value for value in known.values() if np.isfinite(value)), default=0.0)
        found[version] = {
            name: value / largest if largest > 0 else float("nan") for name, value in known.items()
        }
    return found


def suspects(evidence: Evidence, incident: Incident, day: date) -> list[Ranked]:
    """The suspects of an incident as far as was known by the end of a day, the likeliest first."""
    longest = min(LONGEST_DAYS, max(one.signal.days for one in incident.members))
    last = min(day, incident.opened + FOLLOWED_DAYS * DAY)
    panel = evidence.panel.until(incident.opened - (longest + HISTORY_DAYS) * DAY, last)
    effect = _effect(panel, incident)
    begins = (effect.first - SOONEST_DAYS * DAY, min(last, effect.last + DAY))
    look = _look(evidence, panel, incident, begins)
    found: list[Suspect] = [
        *delivery_suspects(evidence.deliveries, begins, last),
        *release_suspects(panel, evidence.codes, look.versions, begins),
        *metric_suspects(evidence.spec, panel, look),
        *segment_suspects(panel, look, evidence.spec.monitor.segments),
    ]
    return ranked(found, effect)


def _effect(panel: Panel, incident: Incident) -> Effect:
    """Between which days it began, by its signals furthest upstream: on the first that one of them tells."""
    roots = [one for one in incident.members if one.signal.tier == incident.root.signal.tier]
    spans = [_began(panel, one.signal.told, one.first, one.signal.days) for one in roots]
    exact = [span for span in spans if span[0] == span[1]] or spans
    return Effect.of(incident, min(first for first, _ in exact), min(last for _, last in exact))


def _began(panel: Panel, told: Mapping[str, object], first: date, days: int) -> tuple[date, date]:
    if not told.get("metric"):
        return first, first
    names = ("model_version", "metric", "feature", "segment", "segment_value")
    key = Key(*(str(told.get(name) or "") for name in names))
    return began(panel, key, first, min(days, LONGEST_DAYS))


def _look(evidence: Evidence, panel: Panel, incident: Incident, begins: tuple[date, date]) -> Look:
    downstream = any(one.signal.tier >= QUALITY_TIER for one in incident.members)
    versions = incident.versions or tuple(sorted(panel.roles))
    importance = evidence.importance if downstream else {}
    own = frozenset((one.signal.tier, str(one.signal.told.get("feature") or "")) for one in incident.members)
    return Look(begins, versions, importance, own)


def plain(found: Sequence[Ranked]) -> list[dict[str, Any]]:
    """Suspects as JSON has them, in their order."""
    return [_plain(place, one) for place, one in enumerate(found, 1)]


def _plain(place: int, one: Ranked) -> dict[str, Any]:
    mine = one.suspect
    return {
        "rank": place,
        "kind": mine.kind,
        "what": mine.what,
        "begin": mine.begin.isoformat(),
        "end": mine.end.isoformat() if mine.end else None,
        "score": round(one.score, 4),
        "surprise": round(mine.surprise, 4),
        "extent": round(mine.extent, 4),
        "weight": round(mine.weight, 4),
        "timing": round(one.timing, 4),
        "may_follow_from": one.behind,
        "asset": mine.asset,
        **mine.told,
    }


def sentence(one: Mapping[str, Any]) -> str:
    """A suspect in few words: what, from what to what, since when.

    Examples
    --------
    >>> told = {"what": "drift of temp", "metric": "psi", "before": 0.01, "during": 0.52}
    >>> sentence({**told, "begin": "2024-03-09", "end": None})
    'drift of temp (psi 0.01 to 0.52 since 2024-03-09)'
    """
    until = f", until {one['end']}" if one["end"] else ""
    sides = " to ".join(_short(one[side]) for side in ("before", "during"))
    return f"{one['what']} ({one['metric']} {sides} since {one['begin']}{until})"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
