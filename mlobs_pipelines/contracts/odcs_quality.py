"""Quality rules of a document: of which kind each is, how it is called, and what becomes of a table's rules.

The kinds themselves are `odcs_library` and `odcs_gx`; texts only describe. Running rules is done elsewhere.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs import DayRule, Expectation
from mlobs_pipelines.contracts.odcs_gx import columns_named, gx_problems
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.odcs_library import (
    SEVERITIES,
    Scope,
    is_row_rule,
    library_problems,
    operator,
    query,
    row_rule,
    seen_problems,
    severity,
    sql_problems,
)
from mlobs_pipelines.contracts.problems import KeyPath, Problem, suggestion

Placed = tuple[KeyPath, str, Mapping[str, Any]]


def quality_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], scope: Scope
) -> Iterator[Problem]:
    """Return what keeps one rule that conforms to the standard from being enforced."""
    kind, said = _kind(rule), rule.get("severity", "error")
    if kind != "text" and str(said).lower() not in SEVERITIES:
        yield document.problem((*path, "severity"), "unknown severity", suggestion(said, SEVERITIES))
        return
    if kind == "library":
        yield from library_problems(document, path, rule, scope)
    elif kind == "sql":
        yield from sql_problems(document, path, rule, scope)
    elif kind == "custom":
        yield from gx_problems(document, path, rule, scope.columns, scope.column)
        yield from _unseen(document, path, rule, scope)


def _unseen(document: Document, path: KeyPath, rule: Mapping[str, Any], scope: Scope) -> Iterator[Problem]:
    what = rule.get("implementation")
    kwargs = what.get("kwargs") if isinstance(what, dict) else None
    named = columns_named(kwargs) if isinstance(kwargs, dict) else []
    names = list(dict.fromkeys(map(str, [*named, *([scope.column] if scope.column else [])])))
    yield from seen_problems(document, path, names, scope, "presence")


def _kind(rule: Mapping[str, Any]) -> str:
    return str(rule.get("type", "library"))


def placed_rules(table: Mapping[str, Any], path: KeyPath = ()) -> list[Placed]:
    """Return place, column and content of every rule of a table; the column is "" for rules of the table."""
    found: list[Placed] = [((*path, "quality", place), "", rule) for place, rule in items(table, "quality")]
    for place, column in items(table, "properties"):
        if isinstance(column, dict):
            here = (*path, "properties", place, "quality")
            name = str(column.get("name"))
            found += [((*here, number), name, rule) for number, rule in items(column, "quality")]
    return [item for item in found if isinstance(item[2], dict)]


def name_problems(document: Document, path: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Return rules of a table that share a name: results are told apart by it."""
    first: dict[str, int] = {}
    for here, _, rule in placed_rules(table, path):
        name = _written(rule)
        if name and name in first:
            key = "id" if rule.get("id") else "name"
            said = f"the rule {name!r} is declared twice (first in line {first[name]})"
            yield document.problem((*here, key), said, "give each rule of a table an id of its own")
        first.setdefault(name, document.line(here))


def _written(rule: Mapping[str, Any]) -> str:
    return str(rule.get("id") or rule.get("name") or "")


def table_rules(table: Mapping[str, Any]) -> tuple[tuple[Expectation, ...], tuple[DayRule, ...]]:
    """Return the rules about a day of a valid table, in the order of the document, each with its name."""
    expectations: list[Expectation] = []
    day_rules: list[DayRule] = []
    named: Counter[str] = Counter(_written(rule) for _, _, rule in placed_rules(table))
    for _, column, rule in placed_rules(table):
        name = _written(rule) or _given(rule, column, named)
        if _kind(rule) == "custom":
            expectations.append(_expectation(rule, column, name))
        elif _kind(rule) == "sql" or (_kind(rule) == "library" and not is_row_rule(rule, column)):
            day_rules.append(_day_rule(rule, column, name))
    return tuple(expectations), tuple(day_rules)


def _given(rule: Mapping[str, Any], column: str, named: Counter[str]) -> str:
    """Return a name for a rule that has none, and note it as taken."""
    what = rule["implementation"]["type"] if _kind(rule) == "custom" else rule.get("metric", "sql")
    name = f"{what}:{column}" if column else str(what)
    named[name] += 1
    while named[name] > 1:
        name = f"{name.partition('#')[0]}#{named[name]}"
        named[name] += 1
    return name


def _expectation(rule: Mapping[str, Any], column: str, name: str) -> Expectation:
    what = rule["implementation"]
    kwargs = dict(what.get("kwargs") or {})
    if column:
        kwargs.setdefault("column", column)
    return Expectation(what["type"], kwargs, severity(rule), _description(rule), name, _runbook(rule))


def _day_rule(rule: Mapping[str, Any], column: str, name: str) -> DayRule:
    sql, arguments = _kind(rule) == "sql", dict(rule.get("arguments") or {})
    word, value = operator(rule)
    return DayRule(
        name=name,
        metric="sql" if sql else rule["metric"],
        columns=(column,) if column else tuple(arguments.get("properties", ())),
        arguments=arguments,
        query=query(rule) if sql else "",
        operator=word,
        value=value,
        percent=rule.get("unit") == "percent",
        severity=severity(rule),
        description=_description(rule),
        runbook=_runbook(rule),
    )


def _description(rule: Mapping[str, Any]) -> str:
    return rule.get("description") or rule.get("name") or ""


def _runbook(rule: Mapping[str, Any]) -> str:
    links = [item for _, item in items(rule, "authoritativeDefinitions") if item.get("type") == "runbook"]
    return str(links[0]["url"]) if links else ""


def column_rules(column: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the valid row rules of a column add to it, by the names of `Column`."""
    added: dict[str, Any] = {}
    for _, rule in items(column, "quality"):
        if _kind(rule) == "library" and is_row_rule(rule, column["name"]):
            added |= row_rule(rule)
    return added
