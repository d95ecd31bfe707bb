"""Great Expectations rules of a document: whether the expectation exists and is given what it asks for.

Known from the files of the installed package, without importing it. Running expectations is `expectations`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.problems import KeyPath, Problem, suggestion

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


def gx_problems(
    document: Document, path: KeyPath, rule: Mapping[str, Any], columns: tuple[str, ...], column: str
) -> Iterator[Problem]:
    """Return what keeps one custom rule from being run by Great Expectations.

    Parameters
    ----------
    document, path, rule
        Where the rule is written and what it says.
    columns
        Names of the table's columns.
    column
        The column the rule is written under, empty for a rule of the table.
    """
    what = rule.get("implementation")
    if rule.get("engine") != "greatExpectations":
        said = "rules of this engine are not enforced in this version"
        yield document.problem((*path, "engine"), said, "valid: greatExpectations")
        return
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
    for name in columns_named(kwargs):
        if name not in columns:
            yield document.problem(path, f"the table has no column {name!r}", suggestion(name, columns))


def columns_named(kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the columns that the arguments of an expectation name."""
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
