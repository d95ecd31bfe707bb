"""Library and SQL rules of a document: whether each can be computed, and what it means for a column or a day.

A library rule that no row may break is a rule of the column; every other one judges a day's accepted rows.
Running them is `rows` and `day_rules`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs import Kind, Privacy, Severity
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion

SEVERITIES: Mapping[str, Severity] = {
    "error": "error",
    "critical": "error",
    "warn": "warn",
    "warning": "warn",
    "info": "warn",
}
OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
LISTABLE = (Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN)
_OF_COLUMN: Mapping[str, tuple[str, ...]] = {
    "nullValues": (),
    "missingValues": ("missingValues",),
    "invalidValues": ("validValues", "pattern"),
    "duplicateValues": (),
}
_OF_TABLE: Mapping[str, tuple[str, ...]] = {"rowCount": (), "duplicateValues": ("properties",)}
_ROW_METRICS = ("nullValues", "invalidValues", "duplicateValues")
Need = Literal["presence", "identity", "values"]
_NEEDS: Mapping[str, Need] = {
    "nullValues": "presence",
    "duplicateValues": "identity",
    "missingValues": "values",
    "invalidValues": "values",
}
_HIDDEN: Mapping[Need, tuple[Privacy, ...]] = {
    "presence": (Privacy.DROP,),
    "identity": (Privacy.DROP, Privacy.BUCKET),
    "values": (Privacy.DROP, Privacy.BUCKET, Privacy.HASH),
}
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_SYNONYMS = {"object": "table", "property": "column"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is written under.

    Attributes
    ----------
    columns
        Names of the table's columns.
    column, kind
        The column it is written under and its type; "" and None for a rule of the table.
    kept
        What is kept of each column's values, which rules of a day see.
    """

    columns: tuple[str, ...]
    column: str
    kind: Kind | None
    kept: Mapping[str, Privacy]


def is_row_rule(rule: Mapping[str, Any], column: str) -> bool:
    """Whether a valid library rule is one that no row may break."""
    strict = rule.get("mustBe") == 0 and not isinstance(rule.get("mustBe"), bool)
    return bool(column) and rule.get("metric") in _ROW_METRICS and strict and severity(rule) == "error"


def severity(rule: Mapping[str, Any]) -> Severity:
    """Return how serious it is that a valid rule is broken."""
    return SEVERITIES[str(rule.get("severity", "error")).lower()]


def row_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row rule adds to its column, by the names of `Column`."""
    given = rule.get("arguments") or {}
    if rule["metric"] == "nullValues":
        return {"required": True}
    if rule["metric"] == "duplicateValues":
        return {"unique": True}
    added = {"pattern": given["pattern"]} if "pattern" in given else {}
    return added | ({"allowed": tuple(given["validValues"])} if "validValues" in given else {})


def operator(rule: Mapping[str, Any]) -> tuple[str, tuple[float, ...]]:
    """Return the operator of a valid rule and what it compares with."""
    name = next(key for key in OPERATORS if key in rule)
    value = rule[name]
    return name, tuple(float(item) for item in (value if isinstance(value, list) else [value]))


def query(rule: Mapping[str, Any]) -> str:
    """Return the query of a valid SQL rule with `${table}` and `${column}` as its only placeholders."""
    return _PLACEHOLDER.sub(lambda found: f"${{{_SYNONYMS.get(found[1], found[1])}}}", rule["query"]).strip(
        "; \n\t"
    )


def library_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], scope: Scope
) -> Iterator[Problem]:
    """Return what keeps a library rule from being computed."""
    metric, known = rule.get("metric"), _OF_COLUMN if scope.column else _OF_TABLE
    if metric is None:
        yield document.problem((*path, "metric"), "the key is missing", f"valid here: {listed(tuple(known))}")
        return
    if metric not in known:
        here, there = ("a column", "the table") if scope.column else ("a table", "a column")
        said = f"{metric} is not counted for {here}"
        yield document.problem(
            (*path, "metric"), said, f"write it under {there}; valid here: {listed(tuple(known))}"
        )
        return
    yield from _operator_problems(document, path, rule, counted=True)
    yield from _unit_problems(document, path, rule)
    yield from _argument_problems(document, path, rule, known[metric])
    yield from _value_problems(document, path, rule, scope)


def _unit_problems(document: Document, path: KeyPath, rule: Mapping[str, Any]) -> Iterator[Problem]:
    unit = rule.get("unit", "rows")
    if unit not in ("rows", "percent"):
        yield document.problem((*path, "unit"), "unknown unit", suggestion(unit, ("rows", "percent")))
    elif unit == "percent" and rule.get("metric") == "rowCount":
        yield document.problem((*path, "unit"), "a number of rows has no share", "write unit: rows")


def _operator_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], *, counted: bool
) -> Iterator[Problem]:
    for name in OPERATORS:
        if name not in rule:
            continue
        between = name.endswith("Between") and isinstance(rule[name], list)
        numbers = rule[name] if between else [rule[name]]
        if not all(_number(item, flags=not counted) for item in numbers):
            yield document.problem((*path, name), "not a number", "write it without quotes")
        elif counted and (min(numbers) < 0 or (rule.get("unit") == "percent" and max(numbers) > 100)):
            valid = "write a share between 0 and 100" if rule.get("unit") == "percent" else "write 0 or more"
            yield document.problem((*path, name), "no count or share can be that", valid)
        elif len(numbers) == 2 and numbers[0] > numbers[1]:
            yield document.problem((*path, name), "the lower limit is above the upper one", "swap them")


def _number(value: object, *, flags: bool) -> bool:
    return isinstance(value, int | float) and (flags or not isinstance(value, bool)) and abs(value) < 1e300


def _argument_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], known: tuple[str, ...]
) -> Iterator[Problem]:
    given, here = rule.get("arguments") or {}, (*path, "arguments")
    for name in given:
        if name not in known:
            said = suggestion(name, known) or f"{rule['metric']} takes none"
            yield document.problem((*here, name), "unknown argument", said)
    if known and not given.keys() & set(known):
        yield document.problem(here, "the key is missing", f"write {' or '.join(known)}")


def _value_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], scope: Scope
) -> Iterator[Problem]:
    given, here = rule.get("arguments") or {}, (*path, "arguments")
    if "validValues" in given and not _valid_list(given["validValues"], scope.kind):
        said = f"not a list of values of a {scope.kind} column"
        yield document.problem((*here, "validValues"), said, _list_hint(scope.kind))
    if "pattern" in given and (scope.kind is not Kind.STRING or not isinstance(given["pattern"], str)):
        hint = "write it in quotes" if scope.kind is Kind.STRING else "a pattern fits string columns only"
        yield document.problem((*here, "pattern"), "not a pattern of texts", hint)
    if "missingValues" in given and not _plain_list(given["missingValues"]):
        yield document.problem(
            (*here, "missingValues"), "not a list of values", 'write them as in [null, "", "N/A"]'
        )
    if "properties" in given:
        yield from _properties_problems(document, (*here, "properties"), given["properties"], scope)
    if scope.column and not is_row_rule(rule, scope.column):
        yield from seen_problems(document, path, [scope.column], scope, _NEEDS[rule["metric"]])


def _properties_problems(document: Document, path: KeyPath, names: object, scope: Scope) -> Iterator[Problem]:
    if not isinstance(names, list) or not names:
        yield document.problem(path, "not a list of columns", "write their names")
        return
    for place, name in enumerate(names):
        if name not in scope.columns:
            said = f"the table has no column {name!r}"
            yield document.problem((*path, place), said, suggestion(name, scope.columns))
    yield from seen_problems(document, path, names, scope, "identity")


def seen_problems(
    document: Document, path: KeyPath, names: list[Any], scope: Scope, need: Need
) -> Iterator[Problem]:
    """Return rules about what is not kept of values: rules of a day see rows as they are stored."""
    for name in names:
        kept = scope.kept.get(str(name), Privacy.KEEP)
        if kept in _HIDDEN[need]:
            said = f"{name} is stored by privacy: {kept}, so that the rule would not see its values"
            yield document.problem(path, said, "remove the rule, or use logicalTypeOptions and enum")


def _plain_list(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(item is None or isinstance(item, str | int | float) for item in value)
    )


def _valid_list(value: object, kind: Kind | None) -> bool:
    return isinstance(value, list) and bool(value) and all(fits(item, kind) for item in value)


def fits(value: object, kind: Kind | None) -> bool:
    """Whether a value that stands in a document is one of a column of this type."""
    if isinstance(value, bool):
        return kind is Kind.BOOLEAN
    if isinstance(value, int):
        return kind in (Kind.INTEGER, Kind.NUMBER)
    if isinstance(value, float):
        return kind is Kind.NUMBER or (kind is Kind.INTEGER and value.is_integer())
    return isinstance(value, str) and kind is Kind.STRING


def _list_hint(kind: Kind | None) -> str:
    if kind not in LISTABLE:
        return "write minimum and maximum"
    return "write texts, in quotes if need be" if kind is Kind.STRING else "write them without quotes"


def sql_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], scope: Scope
) -> Iterator[Problem]:
    """Return what keeps a SQL rule from being run on a day's rows."""
    yield from _operator_problems(document, path, rule, counted=False)
    if not isinstance(rule.get("query"), str):
        return
    here, named = (*path, "query"), set(_PLACEHOLDER.findall(query(rule)))
    known = {"table", "column"} if scope.column else {"table"}
    for name in sorted(named - known):
        said = f"unknown placeholder ${{{name}}}"
        yield document.problem(here, said, f"valid here: {' and '.join(f'${{{k}}}' for k in sorted(known))}")
    if "table" not in named:
        yield document.problem(here, "the query does not read the rows", "write FROM ${table}")
    elif wrong := _bad_query(query(rule)):
        yield document.problem(here, wrong, "write one SELECT in the words of DuckDB")
    if "unit" in rule:
        yield document.problem((*path, "unit"), "the query decides what is counted", "remove it")
    if "${column}" in query(rule):
        yield from seen_problems(document, path, [scope.column], scope, "presence")


def _bad_query(text: str) -> str:
    """Return what is wrong with a query, empty where it is one SELECT; nothing is run."""
    import duckdb  # noqa: PLC0415 - only documents with SQL rules pay for it

    try:
        with duckdb.connect() as connection:
            found = connection.extract_statements(_PLACEHOLDER.sub('"it"', text))
    except duckdb.Error as error:
        return "not SQL: " + str(error).splitlines()[0].removeprefix("Parser Error: ")
    if len(found) != 1:
        return f"{len(found)} statements"
    kind = str(found[0].type).rpartition(".")[2]
    return "" if kind == "SELECT" else f"a statement of type {kind} is not a question"
