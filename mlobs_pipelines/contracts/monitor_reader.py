"""A document into a `Monitor`, and pydantic's complaints into problems that a person can mend."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import (
    Cadence,
    Comparison,
    Feature,
    FeatureView,
    Labels,
    Monitor,
    Schedule,
    Version,
)
from mlobs_pipelines.contracts.objectives import Failing, Objective, rule_problem
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion
from mlobs_pipelines.contracts.release_rules import Guard, Hook
from mlobs_pipelines.contracts.routes import Quiet, Rate, Route
from mlobs_pipelines.contracts.samplings import Kept, Multivariate, Sampling
from mlobs_pipelines.contracts.sections import Section
from mlobs_pipelines.contracts.slos import IncidentRules, Indicator, Slo, slo_problem
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.tasks import has

_SECTIONS: Mapping[str, type[Section]] = {
    "features": Feature,
    "feature_views": FeatureView,
    "labels": Labels,
    "versions": Version,
    "objectives": Objective,
    "slos": Slo,
    "incidents": IncidentRules,
    "guard": Guard,
    "schedule": Schedule,
    "sampling": Sampling,
    "multivariate": Multivariate,
    "compared_with": Comparison,
}
_INNER: Mapping[tuple[str, str], type[Section]] = {
    ("schedule", "cadence"): Cadence,
    ("sampling", "keep"): Kept,
    ("objectives", "failing"): Failing,
    ("slos", "sli"): Indicator,
    ("incidents", "routes"): Route,
    ("incidents", "quiet"): Quiet,
    ("incidents", "at_most"): Rate,
    ("guard", "rollback"): Hook,
    ("versions", "compared_with"): Comparison,
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
    monitor: Monitor, known: Collection[str] | Mapping[str, Metric], document: Document | None = None
) -> list[Problem]:
    """Return the objectives and SLOs whose metric is not among the `known` ones, or does not suit their rule.

    Parameters
    ----------
    monitor
        Whose objectives are looked at.
    known
        Names of the metrics that an objective may judge, or the metrics by name; only with these can it be
        told whether a rule suits its metric.
    document
        Where the monitor was read from, for lines; without it the line is 0.
    """
    place = document or Document(f"{monitor.model}/monitor.yaml", {}, {(): 0})
    problems = []
    for number, objective in enumerate(monitor.objectives):
        here = ("objectives", number)
        if objective.metric not in known:
            said = _unknown_metric(objective.metric, known)
            problems.append(place.problem((*here, "metric"), *said))
        elif isinstance(known, Mapping):
            unfit = _of_another_task(objective.metric, monitor.task, known) or rule_problem(
                objective, known[objective.metric], training=_training(monitor)
            )
            problems += [place.problem((*here, unfit[0]), *unfit[1:])] if unfit else []
    return [*problems, *_slos(monitor, known, place)]


def _slos(
    monitor: Monitor, known: Collection[str] | Mapping[str, Metric], place: Document
) -> Iterator[Problem]:
    for number, slo in enumerate(monitor.slos):
        name, here = slo.sli.metric, ("slos", number)
        if name not in known:
            yield place.problem((*here, "sli", "metric"), *_unknown_metric(name, known))
        elif isinstance(known, Mapping):
            foreign = _of_another_task(name, monitor.task, known)
            unfit = slo_problem(slo, known[name], monitor.objectives)
            if foreign or unfit:
                path, *said = (("sli", "metric"), *foreign[1:]) if foreign else unfit or ((), "", "")
                yield place.problem((*here, *path), *said)


def _of_another_task(name: str, task: str, known: Mapping[str, Metric]) -> tuple[str, str, str] | None:
    """Return why models of a task have no such metric, and which of its family they have."""
    if has(task, known[name]):
        return None
    family = known[name].family
    others = [one.name for one in known.values() if one.family == family and has(task, one)]
    none = f"models of this task have no metric of the family {family}"
    return "metric", f"a {task} model has no {name}", f"valid: {listed(others, 30)}" if others else none


def _training(monitor: Monitor) -> bool:
    return any(monitor.comparison(version).kind == "training" for version in monitor.versions)


def _unknown_metric(name: str, known: Collection[str]) -> tuple[str, str]:
    return f"unknown metric {name!r}", suggestion(name, known)


def _problem(document: Document, found: dict[str, Any]) -> Problem:
    path = tuple(part for part in found["loc"] if part != "[key]")
    return document.problem(path, *_words(path, found))


def _words(path: KeyPath, found: dict[str, Any]) -> tuple[str, str]:
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "extra_forbidden":
        fields = _section(path).model_fields
        return "unknown key", suggestion(path[-1], [field.alias or name for name, field in fields.items()])
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
    words = [str(part) for part in path[:-1] if isinstance(part, str)]
    if not words:
        return Monitor
    inner = [found for (outer, key), found in _INNER.items() if words[0] == outer and words[-1] == key]
    return inner[0] if inner else _SECTIONS[words[0]]
