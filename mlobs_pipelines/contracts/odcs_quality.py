"""Quality rules of a document: which are enforced, and what they mean for a column or a table.

Library metrics become row rules, rules with `engine: greatExpectations` become expectations; every other rule
is refused. Running them is `rows` and `expectations`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs import Expectation
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion

SEVERITIES: Mapping[str, Literal["error", "warn"]] = {
    "error": "error",
    "critical": "error",
    "warn": "warn",
    "warning": "warn",
}
_GX_PLUMBING = frozenset(
    {
        "id",
        "meta",
        "notes",
        "condition_parser",
        "result_format",
        "catch_exceptions",
        "rendered_content",
        "windows",
        "batch_id",
    }
    | {"library_metadata", "metadata", "severity", "description"}
)
_NEEDS_SQL = frozenset(
    {"expect_query_results_to_match_comparison", "expect_table_row_count_to_equal_other_table"}
)
_CONDITION = 'write {type: comparison, column: {name: status}, operator: "==", parameter: ok}'
_USE_GX = "use type: custom with engine: greatExpectations"


@dataclass(frozen=True, slots=True)
class GxType:
    """What is known of an expectation type without importing Great Expectations."""

    name: str
    arguments: frozenset[str]
    required: tuple[str, ...]


@cache
def gx_types() -> Mapping[str, GxType]:
    """Return the expectation types of the installed Great Expectations, read from its files.

    Importing the package takes seconds; checking a contract should not. Types that need a database are left
    out.
    """
    spec = find_spec("great_expectations")
    places = spec.submodule_search_locations if spec else None
    schemas = Path(places[0], "expectations", "core", "schemas").glob("Expect*.json") if places else ()
    found = {_snake(file.stem): json.loads(file.read_text(encoding="utf-8")) for file in schemas}
    return {name: _gx_type(name, found[name]) for name in sorted(set(found) - _NEEDS_SQL)}


def _snake(camel: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", camel).lower()


def _gx_type(name: str, schema: dict[str, Any]) -> GxType:
    return GxType(name, frozenset(schema["properties"]) - _GX_PLUMBING, tuple(schema.get("required", ())))


def expectations(element: Mapping[str, Any], column: str = "") -> tuple[Expectation, ...]:
    """Return the expectations among the valid quality rules of a table or, with its name, of a column."""
    rules = [rule for _, rule in items(element, "quality") if rule.get("type") == "custom"]
    return tuple(_expectation(rule, column) for rule in rules)


def _expectation(rule: Mapping[str, Any], column: str) -> Expectation:
    what = rule["implementation"]
    kwargs = dict(what.get("kwargs") or {})
    if column:
        kwargs.setdefault("column", column)
    severity = SEVERITIES[rule.get("severity", "error")]
    return Expectation(what["type"], kwargs, severity, rule.get("description") or rule.get("name") or "")


def min_rows(table: Mapping[str, Any]) -> int | None:
    """Return the fewest rows that the valid quality rules of a table ask for, None where they do not say."""
    rules = [rule for _, rule in items(table, "quality") if rule.get("metric") == "rowCount"]
    least = [
        rule["mustBeGreaterOrEqualTo"] if "mustBeGreaterOrEqualTo" in rule else rule["mustBeGreaterThan"] + 1
        for rule in rules
    ]
    return max(least, default=None)


def column_rules(column: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the valid library rules of a column add to it, by the names of `Column`."""
    rules = [rule for _, rule in items(column, "quality") if "metric" in rule]
    added: dict[str, Any] = {}
    for rule in rules:
        added |= _COLUMN_METRICS[rule["metric"]](rule.get("arguments") or {})
    return added


def _invalid_values(arguments: Mapping[str, Any]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    if "validValues" in arguments:
        added["allowed"] = tuple(arguments["validValues"])
    if "pattern" in arguments:
        added["pattern"] = arguments["pattern"]
    return added


_COLUMN_METRICS = {
    "nullValues": lambda _: {"required": True},
    "duplicateValues": lambda _: {"unique": True},
    "invalidValues": _invalid_values,
}


def quality_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], columns: tuple[str, ...], column: str
) -> Iterator[Problem]:
    """Return what keeps one rule that conforms to the standard from being enforced.

    Parameters
    ----------
    document, path, rule
        Where the rule is written and what it says.
    columns
        Names of the table's columns.
    column
        The column the rule is written under, empty for a rule of the table.
    """
    kind = rule.get("type", "library")
    if kind == "custom":
        yield from _custom_problems(document, path, rule, columns, column)
    elif kind == "library":
        yield from _library_problems(document, path, rule, column)
    else:
        instead = {"sql": _USE_GX, "text": "move the words to description"}[kind]
        yield document.problem(
            (*path, "type"), f"rules of type {kind} are not enforced in this version", instead
        )


def _library_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], column: str
) -> Iterator[Problem]:
    metric = rule.get("metric")
    known = tuple(_COLUMN_METRICS) if column else ("rowCount",)
    if metric is None:
        yield document.problem((*path, "metric"), "the key is missing", f"valid here: {listed(known)}")
        return
    if metric not in known:
        said = f"{metric} is not enforced on a {'column' if column else 'table'} in this version"
        hint = "the primary key is checked for duplicates" if metric == "duplicateValues" else _USE_GX
        yield document.problem((*path, "metric"), said, f"valid here: {listed(known)}; otherwise {hint}")
        return
    if SEVERITIES.get(rule.get("severity", "error")) != "error":
        said = "rows that break a library rule are quarantined, so its severity is error"
        yield document.problem((*path, "severity"), said, f"remove it, or {_USE_GX}")
    yield from _operator_problems(document, path, rule, str(metric))
    yield from _argument_problems(document, path, rule, str(metric))


def _operator_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], metric: str
) -> Iterator[Problem]:
    if metric == "rowCount":
        said = [key for key in ("mustBeGreaterOrEqualTo", "mustBeGreaterThan") if key in rule]
        if not said or not isinstance(rule[said[0]], int) or rule[said[0]] < 0:
            yield document.problem(
                path, "only a least number of rows is enforced", "mustBeGreaterOrEqualTo: 1"
            )
    elif rule.get("mustBe") != 0 or isinstance(rule.get("mustBe"), bool):
        yield document.problem(
            path, f"{metric} is enforced row by row only", f"mustBe: 0; otherwise {_USE_GX}"
        )


def _argument_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], metric: str
) -> Iterator[Problem]:
    given = rule.get("arguments") or {}
    known = ("validValues", "pattern") if metric == "invalidValues" else ()
    here = (*path, "arguments")
    for name in given:
        if name not in known:
            said = suggestion(name, known) or f"{metric} takes none"
            yield document.problem((*here, name), "unknown argument", said)
    if metric == "invalidValues" and not given:
        yield document.problem(here, "the key is missing", "write validValues or pattern")
    if "validValues" in given and not _texts(given["validValues"]):
        yield document.problem(
            (*here, "validValues"), "not a list of texts", "write texts, in quotes if need be"
        )
    if "pattern" in given and not isinstance(given["pattern"], str):
        yield document.problem((*here, "pattern"), "not a text", "write a regular expression in quotes")


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _custom_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], columns: tuple[str, ...], column: str
) -> Iterator[Problem]:
    severity, what = rule.get("severity", "error"), rule.get("implementation")
    if rule.get("engine") != "greatExpectations":
        said = "rules of this engine are not enforced in this version"
        yield document.problem((*path, "engine"), said, "valid: greatExpectations")
        return
    if severity not in SEVERITIES:
        yield document.problem((*path, "severity"), "unknown severity", suggestion(severity, SEVERITIES))
    here = (*path, "implementation")
    if not isinstance(what, dict):
        yield document.problem(here, "not a mapping", "write type and kwargs as keys")
        return
    for key in set(what) - {"type", "kwargs"}:
        yield document.problem((*here, key), "unknown key", suggestion(key, ("type", "kwargs")))
    name = str(what.get("type"))
    known = gx_types().get(name)
    if known is None:
        yield document.problem((*here, "type"), "unknown expectation", suggestion(name, gx_types()))
        return
    yield from _kwargs_problems(document, here, what, known, (columns, column))


def _kwargs_problems(
    document: Document,
    path: KeyPath,
    what: Mapping[str, Any],
    known: GxType,
    where: tuple[tuple[str, ...], str],
) -> Iterator[Problem]:
    columns, column = where
    kwargs, here = what.get("kwargs") or {}, (*path, "kwargs")
    if not isinstance(kwargs, dict):
        yield document.problem(here, "not a mapping", "write the arguments as keys")
        return
    given = {"column": column, **kwargs} if column else kwargs
    for name in kwargs:
        if name not in known.arguments:
            yield document.problem((*here, name), "unknown argument", suggestion(name, known.arguments))
    for name in known.required:
        if name not in given:
            yield document.problem((*here, name), "the argument is missing", f"{known.name} asks for it")
    yield from _column_problems(document, here, kwargs, columns)


def _column_problems(
    document: Document, path: KeyPath, kwargs: Mapping[str, Any], columns: tuple[str, ...]
) -> Iterator[Problem]:
    if not isinstance(kwargs.get("row_condition", {}), dict):
        said = "a condition in the words of pandas is not read"
        yield document.problem((*path, "row_condition"), said, _CONDITION)
    for name in _columns_named(kwargs):
        if name not in columns:
            yield document.problem(path, f"the table has no column {name!r}", suggestion(name, columns))


def _columns_named(kwargs: Mapping[str, Any]) -> list[Any]:
    single = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    return (
        single
        + [name for _, name in items(kwargs, "column_list")]
        + _conditioned(kwargs.get("row_condition"))
    )


def _conditioned(condition: object) -> list[Any]:
    """Return the columns that a condition names, however deep its parts lie."""
    if isinstance(condition, list):
        return [name for part in condition for name in _conditioned(part)]
    if not isinstance(condition, dict):
        return []
    column = condition.get("column")
    own = [column["name"]] if isinstance(column, dict) and "name" in column else []
    return own + [name for key, part in condition.items() if key != "column" for name in _conditioned(part)]
