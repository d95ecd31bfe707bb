"""What a document that conforms to the standard must say besides, so that every word of it can be enforced.

Keys are `odcs_keys`, quality rules `odcs_quality`; turning a document without problems into values is
`odcs_reader`.
"""

import copy
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.limits import limits, parse_limit
from mlobs_pipelines.contracts.odcs import Dataset, Kind
from mlobs_pipelines.contracts.odcs_keys import items, key_problems
from mlobs_pipelines.contracts.odcs_quality import quality_problems
from mlobs_pipelines.contracts.odcs_schema import schema_problems
from mlobs_pipelines.contracts.problems import KeyPath, Problem, dotted, listed, suggestion

FORMATS = ("parquet", "csv", "jsonl")
HOURS = {"h": 1, "hr": 1, "hour": 1, "hours": 1, "d": 24, "day": 24, "days": 24}
DAYS = {"d": 1, "day": 1, "days": 1, "y": 365, "yr": 365, "year": 365, "years": 365}
SLA_UNITS = {"latency": HOURS, "retention": DAYS}
_PLACEHOLDERS = ("landing", "table", "date")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PHYSICAL = {
    Kind.STRING: ("string", "text", "varchar", "utf8"),
    Kind.INTEGER: ("int64", "bigint", "long", "integer", "int"),
    Kind.NUMBER: ("float64", "double", "double precision", "float"),
    Kind.BOOLEAN: ("boolean", "bool"),
    Kind.TIMESTAMP: ("timestamp[us, utc]", "timestamp", "timestamptz", "timestamp with time zone"),
    Kind.DATE: ("date", "date32"),
}
_ENDS = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}
_FORMATS = {Kind.INTEGER: "i64", Kind.NUMBER: "f64"}


def contract_problems(document: Document, dataset: Dataset) -> list[Problem]:
    """Return everything that keeps the document from being the contract of `dataset`."""
    structural = schema_problems(document)
    said = {problem.key for _, problem in structural}
    found = [problem for _, problem in structural] + key_problems(document)
    sound = _without(document, {path for path, problem in structural if dotted(path) == problem.key})
    for check in (_head, _servers, _sla, _tables):
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


def _servers(document: Document, dataset: Dataset) -> Iterator[Problem]:
    servers = items(document.data, "servers")
    if len(servers) != 1:
        said = f"{len(servers)} servers are declared"
        yield document.problem(("servers",), said, "declare the one place that rows are read from")
    for place, server in servers:
        if isinstance(server, dict):
            yield from _server(document, ("servers", place), server, dataset)


def _server(
    document: Document, path: KeyPath, server: Mapping[str, Any], dataset: Dataset
) -> Iterator[Problem]:
    kind, form = server.get("type"), server.get("format")
    if kind != "local":
        said = f"servers of type {kind} are not read in this version"
        yield document.problem((*path, "type"), said, "valid: local")
        return
    if form not in FORMATS:
        yield document.problem((*path, "format"), "unknown format", suggestion(form, FORMATS))
    yield from _template(document, (*path, "path"), server.get("path"), dataset)


def _template(document: Document, path: KeyPath, template: object, dataset: Dataset) -> Iterator[Problem]:
    try:
        parts = [(name, form, turn) for _, name, form, turn in string.Formatter().parse(str(template))]
    except ValueError:
        yield document.problem(path, "braces that do not match", "write {landing}, {table} and {date}")
        return
    named = [name for name, _, _ in parts if name is not None]
    for name in named:
        if name not in _PLACEHOLDERS:
            said = f"unknown placeholder {{{name}}}"
            yield document.problem(path, said, suggestion(name, _PLACEHOLDERS))
    if any(form or turn for _, form, turn in parts):
        yield document.problem(path, "a placeholder with a format", "write {date}; it is YYYY-MM-DD")
    needed = ("date", "table") if dataset == "features" else ("date",)
    for name in needed:
        if name not in named:
            why = "day" if name == "date" else "feature view"
            yield document.problem(path, f"{{{name}}} is missing", f"each {why} has its own file")


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
    elif name == "retention" and value * units.get(str(unit), 1) != int(value * units.get(str(unit), 1)):
        yield document.problem((*path, "value"), "not a whole number of days", "write days")
    if unit not in units:
        yield document.problem((*path, "unit"), "unknown unit", suggestion(unit, units))


def _tables(document: Document, dataset: Dataset) -> Iterator[Problem]:
    tables = _named(document.data, "schema")
    names = tuple(name for _, name, _ in tables)
    if not tables:
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
        yield document.problem((*path, "physicalName"), *_RENAMED)
    yield from _rules(document, path, table, names, "")
    for place, name, column in columns:
        here = (*path, "properties", place)
        yield from _name(document, here, name, _COLUMN_NAME, names[:place])
        yield from _column(document, here, column)
        yield from _rules(document, here, column, names, name)


_RENAMED = ("rows are not renamed on the way in", "give it the same name as name, or remove it")


def _rules(
    document: Document, path: KeyPath, element: Mapping[str, Any], names: tuple[str, ...], column: str
) -> Iterator[Problem]:
    for place, rule in items(element, "quality"):
        if isinstance(rule, dict):
            yield from quality_problems(document, (*path, "quality", place), rule, names, column)


def _column(document: Document, path: KeyPath, column: Mapping[str, Any]) -> Iterator[Problem]:
    if column.get("physicalName", column.get("name")) != column.get("name"):
        yield document.problem((*path, "physicalName"), *_RENAMED)
    said = column.get("logicalType")
    if said not in tuple(Kind):
        if said is None:
            yield document.problem(
                (*path, "logicalType"), "the key is missing", f"valid: {listed(tuple(Kind))}"
            )
        else:
            wrong = f"columns of type {said} are not read in this version"
            yield document.problem((*path, "logicalType"), wrong, f"valid: {listed(tuple(Kind))}")
        return
    yield from _types(document, path, column, Kind(said))
    yield from _limits(document, path, column, Kind(said))
    yield from _text_rules(document, path, column, Kind(said))


def _types(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    physical, options = column.get("physicalType"), column.get("logicalTypeOptions") or {}
    if physical is not None and str(physical).lower() not in _PHYSICAL[kind]:
        said = f"a {kind} column is not stored as {physical!r}"
        yield document.problem(
            (*path, "physicalType"), said, f"valid: {listed(_PHYSICAL[kind])}; or remove it"
        )
    here = (*path, "logicalTypeOptions")
    if (
        isinstance(options, dict)
        and kind in _FORMATS
        and options.get("format", _FORMATS[kind]) != _FORMATS[kind]
    ):
        said = f"{kind} columns have 64 bits"
        yield document.problem((*here, "format"), said, f"valid: {_FORMATS[kind]}; or remove it")
    if kind is Kind.TIMESTAMP and isinstance(options, dict):
        if options.get("timezone") is False:
            yield document.problem((*here, "timezone"), "instants are kept in UTC", "remove it")
        if options.get("defaultTimezone", "UTC") not in ("UTC", "Etc/UTC"):
            said = "an instant without a zone is read as UTC"
            yield document.problem(
                (*here, "defaultTimezone"), said, "valid: UTC; or write offsets in the data"
            )


def _limits(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    options = column.get("logicalTypeOptions")
    if not isinstance(options, dict):
        return
    here = (*path, "logicalTypeOptions")
    for key in _ENDS & options.keys():
        try:
            parse_limit(options[key], kind)
        except ValueError as error:
            yield document.problem((*here, key), str(error), f"write a {kind}")
            return
    for ending in ("inimum", "aximum"):
        if f"m{ending}" in options and f"exclusiveM{ending}" in options:
            said = "an inclusive and an exclusive limit"
            yield document.problem((*here, f"exclusiveM{ending}"), said, "keep one")
            return
    low, high = _ends(options, kind)
    if low is not None and high is not None and low > high:
        yield document.problem(here, "the lower limit is above the upper one", "swap or mend them")


def _ends(options: Mapping[str, Any], kind: Kind) -> tuple[Any, Any]:
    """Return the ends of what a column allows: of its values or, for text, of its length."""
    if kind is Kind.STRING:
        return options.get("minLength"), options.get("maxLength")
    return limits(options, kind)


def _text_rules(
    document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind
) -> Iterator[Problem]:
    if "enum" in column and kind is not Kind.STRING:
        said = "an enumeration is enforced for string columns only"
        yield document.problem((*path, "enum"), said, "write minimum and maximum")
    elif not all(
        isinstance(item.get("value", ""), str) for _, item in items(column, "enum") if isinstance(item, dict)
    ):
        yield document.problem((*path, "enum"), "a value that is not text", "write the values in quotes")
    yield from _patterns(document, path, column)
    for place, rule in items(column, "quality"):
        if isinstance(rule, dict) and rule.get("metric") == "invalidValues" and kind is not Kind.STRING:
            said = "invalidValues is enforced for string columns only"
            yield document.problem((*path, "quality", place, "metric"), said, "write minimum and maximum")


def _patterns(document: Document, path: KeyPath, column: Mapping[str, Any]) -> Iterator[Problem]:
    options = column.get("logicalTypeOptions")
    places = [((*path, "logicalTypeOptions", "pattern"), options)]
    for place, rule in items(column, "quality"):
        where = rule.get("arguments") if isinstance(rule, dict) else None
        places.append(((*path, "quality", place, "arguments", "pattern"), where))
    for here, holder in places:
        pattern = holder.get("pattern") if isinstance(holder, dict) else None
        said = _bad_pattern(pattern) if isinstance(pattern, str) else ""
        if said:
            yield document.problem(
                here, said, "write a regular expression without look-around or back-references"
            )
    yield from _twice(document, path, column, [holder for _, holder in places if isinstance(holder, dict)])


def _twice(
    document: Document, path: KeyPath, column: Mapping[str, Any], holders: list[dict[str, Any]]
) -> Iterator[Problem]:
    patterns = sum("pattern" in holder for holder in holders)
    lists = sum("validValues" in holder for holder in holders) + ("enum" in column)
    for count, what in ((patterns, "patterns"), (lists, "lists of valid values")):
        if count > 1:
            yield document.problem(path, f"{count} {what} on one column", "keep one")


def _bad_pattern(pattern: str) -> str:
    """Return what is wrong with a pattern in the engine that will run it, empty where it is fine."""
    try:
        re.compile(pattern)
        pl.Series([""]).str.contains(pattern)
    except re.error as error:
        return f"not a regular expression: {error}"
    except pl.exceptions.ComputeError:
        return "the pattern looks around or back, or is not a regular expression"
    return ""
