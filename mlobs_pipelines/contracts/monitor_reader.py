"""A document into a `Monitor`, and pydantic's complaints into problems that a person can mend."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import (
    Feature,
    FeatureView,
    Kept,
    Labels,
    Monitor,
    Objective,
    Sampling,
    Schedule,
    Section,
    Version,
)
from mlobs_pipelines.contracts.problems import KeyPath, Problem, suggestion

_SECTIONS: Mapping[str, type[Section]] = {
    "features": Feature,
    "feature_views": FeatureView,
    "labels": Labels,
    "versions": Version,
    "objectives": Objective,
    "schedule": Schedule,
    "sampling": Sampling,
}
_SAID = {
    "string_type": ("not text", "write it in quotes"),
    "tuple_type": ("not a list", "write it as [a, b]"),
    "dict_type": ("not a mapping", "write keys and values"),
    "model_type": ("not a mapping", "write keys and values"),
    "too_short": ("empty", "write at least one"),
    "string_too_short": ("empty", "write a text"),
    "timezone_aware": ("an instant without a zone", "write it with its zone, as in 2014-02-01T00:00:00Z"),
}


def read_monitor(document: Document) -> tuple[Monitor | None, list[Problem]]:
    """Return the monitor that a document writes down, or None and what keeps it from being one."""
    try:
        return Monitor.model_validate(document.data), []
    except ValidationError as error:
        return None, [_problem(document, dict(found)) for found in error.errors(include_url=False)]


def check_metrics(
    monitor: Monitor, known: Collection[str], document: Document | None = None
) -> list[Problem]:
    """Return the objectives whose metric is not among the `known` ones.

    Parameters
    ----------
    monitor
        Whose objectives are looked at.
    known
        Names of the metrics that an objective may judge.
    document
        Where the monitor was read from, for lines; without it the line is 0.
    """
    place = document or Document(f"{monitor.model}/monitor.yaml", {}, {(): 0})
    return [
        place.problem(("objectives", number, "metric"), *_unknown_metric(objective.metric, known))
        for number, objective in enumerate(monitor.objectives)
        if objective.metric not in known
    ]


def _unknown_metric(name: str, known: Collection[str]) -> tuple[str, str]:
    return f"unknown metric {name!r}", suggestion(name, known)


def _problem(document: Document, found: dict[str, Any]) -> Problem:
    path = tuple(part for part in found["loc"] if part != "[key]")
    return document.problem(path, *_words(path, found))


def _words(path: KeyPath, found: dict[str, Any]) -> tuple[str, str]:
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", suggestion(path[-1], _section(path).model_fields)
    if kind == "missing":
        return "the key is missing", f"write {path[-1]}"
    if kind in ("enum", "literal_error"):
        return f"{value!r} is not a valid value", suggestion(
            value, re.findall(r"'([^']+)'", context["expected"])
        )
    if kind == "string_pattern_mismatch":
        return f"{value!r} has a form that is not allowed", f"pattern: {context['pattern']}"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{value!r} is out of range", str(found["msg"]).replace("Input should be", "valid:")
    message, _, valid = found["msg"].removeprefix("Value error, ").partition("; ")
    return _SAID.get(kind, (message, valid))


def _section(path: KeyPath) -> type[Section]:
    if path[:2] == ("sampling", "keep") and len(path) > 2:
        return Kept
    return _SECTIONS[str(path[0])] if len(path) > 1 else Monitor
