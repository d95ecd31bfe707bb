"""What a document that conforms to the standard must say besides, so that every word of it can be enforced.

Keys are `odcs_keys`, servers `odcs_servers`, columns `odcs_columns`, quality rules `odcs_quality`; turning a
document without problems into values is `odcs_reader`.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mlobs_pipelines.contracts.custom_properties import correction_problems, privacy
from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs import Dataset, Kind, Privacy
from mlobs_pipelines.contracts.odcs_columns import RENAMED, column_problems
from mlobs_pipelines.contracts.odcs_keys import items, key_problems
from mlobs_pipelines.contracts.odcs_library import Scope
from mlobs_pipelines.contracts.odcs_quality import name_problems, placed_rules, quality_problems
from mlobs_pipelines.contracts.odcs_schema import schema_problems
from mlobs_pipelines.contracts.odcs_servers import servers_problems
from mlobs_pipelines.contracts.problems import KeyPath, Problem, dotted, listed, suggestion

HOURS = {"h": 1, "hr": 1, "hour": 1, "hours": 1, "d": 24, "day": 24, "days": 24}
DAYS = {"d": 1, "day": 1, "days": 1, "y": 365, "yr": 365, "year": 365, "years": 365}
SLA_UNITS = {"latency": HOURS, "retention": DAYS, "frequency": DAYS}
_WHOLE_DAYS = ("retention", "frequency")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def contract_problems(document: Document, dataset: Dataset) -> list[Problem]:
    """Return everything that keeps the document from being the contract of `dataset`."""
    structural = schema_problems(document)
    said = {problem.key for _, problem in structural}
    found = [problem for _, problem in structural] + key_problems(document)
    sound = _without(document, {path for path, problem in structural if dotted(path) == problem.key})
    for check in (_head, servers_problems, _sla, _tables):
        found += [problem for problem in check(sound, dataset) if not _under(problem.key, said)]
    return found


def _without(document: Document, broken: set[KeyPath]) -> Document:
    """Return the document without the values at `broken`, so that the rest has the standard's types."""
    data = copy.deepcopy(document.data)
    for path in sorted(broken, key=len, reverse=True):
        parent: Any = data
        for part in path[:-1]:
            parent = parent[part]
        if path and isinstance(parent, list):
            parent[int(path[-1])] = None
        elif path:
            del parent[path[-1]]
    return Document(document.file, data, document.lines)


def _under(key: str, said: set[str]) -> bool:
    return any(key == other or key.startswith((f"{other}.", f"{other}[")) for other in said if other)


def _head(document: Document, _: Dataset) -> Iterator[Problem]:
    version = document.data.get("apiVersion")
    if isinstance(version, str) and version.startswith("v2"):
        said = f"{version} of the standard is not read"
        yield document.problem(("apiVersion",), said, "write the contract by v3.0.0 or later")
    team = document.data.get("team")
    if isinstance(team, list):
        yield document.problem(("team",), "a list of members has no name", "write name and members as keys")
    elif not (isinstance(team, dict) and team.get("name")):
        yield document.problem(
            ("team", "name"), "the key is missing", "name the team that answers for the data"
        )


def _sla(document: Document, _: Dataset) -> Iterator[Problem]:
    seen = Counter(
        item.get("property") for _, item in items(document.data, "slaProperties") if isinstance(item, dict)
    )
    for place, item in items(document.data, "slaProperties"):
        if isinstance(item, dict):
            path = ("slaProperties", place)
            if seen[item.get("property")] > 1:
                yield document.problem((*path, "property"), "promised twice", "keep one")
            yield from _promise(document, path, item)


def _promise(document: Document, path: KeyPath, item: Mapping[str, Any]) -> Iterator[Problem]:
    name, value, unit = item.get("property"), item.get("value"), item.get("unit")
    units = SLA_UNITS.get(str(name))
    if units is None:
        said = f"the promise {name!r} is not enforced in this version"
        yield document.problem((*path, "property"), said, suggestion(name, SLA_UNITS))
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        yield document.problem((*path, "value"), "not a positive number", "write it without quotes")
    elif name in _WHOLE_DAYS and value * units.get(str(unit), 1) != int(value * units.get(str(unit), 1)):
        yield document.problem((*path, "value"), "not a whole number of days", "write days")
    if unit not in units:
        yield document.problem((*path, "unit"), "unknown unit", suggestion(unit, units))


def _tables(document: Document, dataset: Dataset) -> Iterator[Problem]:
    tables = _named(document.data, "schema")
    names = tuple(name for _, name, _ in tables)
    if not tables and dataset != "features":  # a model may have no feature view
        yield document.problem(("schema",), "no table is declared", "write a schema object")
    if dataset != "features" and names and names != (dataset,):
        said = f"the tables are {listed(names)}"
        yield document.problem(("schema",), said, f"one table named {dataset}")
    for place, name, table in tables:
        path = ("schema", place)
        yield from _name(document, path, name, _TABLE_NAME, names[:place])
        yield from _table(document, path, table)


def _named(parent: Mapping[str, Any], key: str) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Return place, name and content of the mappings in the list under `key`."""
    return [
        (place, str(item.get("name")), item) for place, item in items(parent, key) if isinstance(item, dict)
    ]


def _name(
    document: Document, path: KeyPath, name: str, form: re.Pattern[str], before: tuple[str, ...]
) -> Iterator[Problem]:
    if not form.fullmatch(name):
        yield document.problem((*path, "name"), f"{name!r} is no usable name", f"pattern: {form.pattern}")
    if name in before:
        yield document.problem((*path, "name"), f"{name!r} is declared twice", "keep one")


def _table(document: Document, path: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    columns = _named(table, "properties")
    names = tuple(name for _, name, _ in columns)
    if not columns:
        yield document.problem((*path, "properties"), "no column is declared", "write a property per column")
    if table.get("physicalName", table.get("name")) != table.get("name"):
        yield document.problem((*path, "physicalName"), *RENAMED)
    yield from correction_problems(document, path, table)
    for place, name, column in columns:
        here = (*path, "properties", place)
        yield from _name(document, here, name, _COLUMN_NAME, names[:place])
        yield from column_problems(document, here, column)
    yield from _rules(document, path, table, columns)


def _rules(
    document: Document,
    path: KeyPath,
    table: Mapping[str, Any],
    columns: list[tuple[int, str, Mapping[str, Any]]],
) -> Iterator[Problem]:
    yield from name_problems(document, path, table)
    kinds = {name: column.get("logicalType") for _, name, column in columns}
    kept = {name: _kept(column) for _, name, column in columns}
    for here, name, rule in placed_rules(table, path):
        kind = next((known for known in Kind if known == kinds.get(name)), None)
        yield from quality_problems(document, here, rule, Scope(tuple(kinds), name, kind, kept))


def _kept(column: Mapping[str, Any]) -> Privacy:
    try:
        return Privacy(privacy(column)["privacy"])
    except ValueError:
        return Privacy.KEEP
