"""A contract's own query on the rows of a day: one number or one boolean, from a closed-off DuckDB.

The query sees its rows and nothing else: no file, no network, no setting. What is made of the answer is
`day_rules`.
"""

import json
import math
import re
import threading
from decimal import Decimal
from typing import Any

import polars as pl

SECONDS = 30.0
MEMORY = "512MB"
_COUNTS = frozenset({"count", "count_star", "count_if", "countif", "approx_count_distinct"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "round", "coalesce", "greatest", "abs"})
_HINTS = {
    "BinderException": "compare the columns and types in it with the contract",
    "CatalogException": "it sees the rule's own table only; compare the names in it with the contract",
    "PermissionException": "it may read the rows of the day and nothing else",
}
_BLANK = re.compile(r'"?\$\{(table|object|column|property)\}"?')


class QueryError(ValueError):
    """A query has no usable answer; its text says why and holds no value."""


def answer(
    query: str, table: str, columns: tuple[str, ...], frame: pl.DataFrame, seconds: float = SECONDS
) -> tuple[float | bool, bool]:
    """Run a query on a frame.

    Parameters
    ----------
    query
        One SELECT; `${table}` (or `${object}`) and `${column}` (or `${property}`) stand for the names.
    table, columns
        The table's name and the rule's columns, of which `${column}` is the first.
    frame
        The rows.
    seconds
        After how long it is stopped.

    Returns
    -------
    tuple
        The answer, and whether it only counts, so that it may be shown.

    Raises
    ------
    QueryError
        If it cannot be run or does not return one number or one boolean.
    """
    import duckdb  # noqa: PLC0415 - contracts without queries do not need the engine

    text = _filled(query, table, columns)
    config: dict[str, Any] = {"threads": 1, "memory_limit": MEMORY, "enable_external_access": False}
    try:
        with duckdb.connect(config=config) as connection:
            counts = _only_counts(connection, text)
            connection.register(table, frame.to_arrow())
            connection.execute("SET lock_configuration = true").fetchall()
            return _one(_fetched(connection, text, seconds)), counts
    except duckdb.InterruptException:
        raise QueryError(f"the query was stopped after {seconds:g} seconds; ask for less") from None
    except duckdb.OutOfMemoryException:
        raise QueryError(f"the query needs more than {MEMORY} of memory; ask for less") from None
    except duckdb.Error as error:  # its text can quote a value
        kind = type(error).__name__
        hint = _HINTS.get(kind, "try it on a copy of the day's rows")
        raise QueryError(f"the query could not be run ({kind}); {hint}") from None


def _filled(query: str, table: str, columns: tuple[str, ...]) -> str:
    def name(found: re.Match[str]) -> str:
        if found[1] in {"table", "object"}:
            return f'"{table}"'
        if not columns:
            raise QueryError("the query names ${column}, and the rule stands under no column")
        return f'"{columns[0]}"'

    return _BLANK.sub(name, query)


def _only_counts(connection: Any, text: str) -> bool:  # noqa: ANN401 - the engine is imported where it is used
    """Return whether what is selected is made of counts and constants: an aggregate can be a row's value."""
    ((serialized,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()
    tree = json.loads(serialized)
    if tree.get("error"):
        raise QueryError("the query is no single SELECT that the engine can read")
    statements = tree["statements"]
    if len(statements) != 1:
        raise QueryError(f"the rule has {len(statements)} queries; write one")
    selected = statements[0]["node"].get("select_list", [])
    return bool(selected) and all(_counting(part) for part in selected)


def _counting(part: dict[str, Any]) -> bool:
    kind = part.get("class")
    if kind == "CONSTANT":
        return True
    if kind == "CAST":
        return _counting(part["child"])
    if kind != "FUNCTION":
        return False
    name = str(part["function_name"]).lower()
    return name in _COUNTS or (name in _ARITHMETIC and all(_counting(child) for child in _arguments(part)))


def _arguments(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a function's arguments; older engines call them children and do not name them."""
    if "arguments" in part:
        return [argument["expression"] for argument in part["arguments"]]
    return list(part.get("children", ()))


def _fetched(connection: Any, text: str, seconds: float) -> list[tuple[Any, ...]]:  # noqa: ANN401 - as above
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        rows: list[tuple[Any, ...]] = connection.execute(text).fetchmany(2)
    finally:
        timer.cancel()
    return rows


def _one(rows: list[tuple[Any, ...]]) -> float | bool:
    if len(rows) != 1 or len(rows[0]) != 1:
        shape = f"{'no' if not rows else 'more than one' if len(rows) > 1 else 'one'} row"
        raise QueryError(
            f"the query returned {shape} of {len(rows[0]) if rows else 0} columns; return one number"
        )
    (value,) = rows[0]
    if isinstance(value, bool):
        return value
    if value is None:
        raise QueryError("the query returned null; decide what that means with COALESCE")
    if not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise QueryError("the query returned no finite number and no boolean")
    return float(value)
