"""Older documents of a contract: versions that producers may still deliver, and how to bring rows forward.

An older document is a whole one of the standard under `older/` with two custom properties, `acceptedUntil`
and `upcast`. Applying upcasts to rows is not done here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mlobs_pipelines.contracts.changes import diff
from mlobs_pipelines.contracts.custom_properties import customs, name_problems, values
from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.limits import parse_limit
from mlobs_pipelines.contracts.odcs import Column, Contract, Kind, Older, Table
from mlobs_pipelines.contracts.odcs_library import fits
from mlobs_pipelines.contracts.problems import KeyPath, Problem, suggestion

Upcast = tuple[str | float | int | bool | None, ...]
PROPERTIES = ("acceptedUntil", "upcast")
_VERSION = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?")
_NUMBERS = (Kind.INTEGER, Kind.NUMBER)
_HOW = "write {from: column}, {from: column, factor: 2.54} or {value: constant}"


@dataclass(frozen=True, slots=True)
class Aged:
    """An older document and the contract that it wrote down."""

    document: Document
    contract: Contract


def version_of(written: str) -> tuple[int, int, int] | None:
    """Return a version as numbers, None where it is not written as numbers with dots.

    Examples
    --------
    >>> version_of("1.2"), version_of("latest")
    ((1, 2, 0), None)
    """
    found = _VERSION.fullmatch(written)
    if found is None:
        return None
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def read_older(aged: list[Aged]) -> tuple[Older, ...]:
    """Return the older versions of a contract from documents without problems, newest first."""
    newest_first = sorted(aged, key=lambda one: version_of(one.contract.version) or (0, 0, 0), reverse=True)
    return tuple(_older(one) for one in newest_first)


def _older(one: Aged) -> Older:
    said = values(one.document.data)
    upcasts = {
        table: {column: _upcast(how) for column, how in columns.items()}
        for table, columns in said.get("upcast", {}).items()
    }
    until = date.fromisoformat(str(said["acceptedUntil"]))
    return Older(one.contract.version, until, one.contract.tables, upcasts)


def _upcast(how: Mapping[str, Any]) -> Upcast:
    if "value" in how:
        return "value", how["value"]
    return ("factor", how["from"], how["factor"]) if "factor" in how else ("from", how["from"])


def older_problems(present: Aged, aged: list[Aged]) -> Iterator[Problem]:
    """Return where a contract and its older documents do not go together."""
    if aged and version_of(present.contract.version) is None:
        said = f"the version {present.contract.version!r} cannot be compared with older ones"
        yield present.document.problem(("version",), said, "write numbers with dots, as in 2.0.0")
        return
    for one in aged:
        yield from _head(present, one)
        yield from _upcast_problems(present.contract, one)
    yield from _breaking(present, aged)


def stray_problems(document: Document) -> Iterator[Problem]:
    """Return the custom properties of a present document that only an older one may have."""
    for name, (place, _) in customs(document.data).items():
        if name in PROPERTIES:
            said = f"{name} belongs to an older version of the document"
            yield document.problem(("customProperties", place), said, "write it in a document under older/")


def _head(present: Aged, one: Aged) -> Iterator[Problem]:
    document, version = one.document, version_of(one.contract.version)
    if one.contract.id != present.contract.id:
        said = f"the id is not that of the present document, {present.contract.id!r}"
        yield document.problem(("id",), said, "versions of one contract have one id")
    if version is None:
        yield document.problem(("version",), "not numbers with dots", "write it as in 1.2.0")
    elif version >= (version_of(present.contract.version) or version):
        said = f"the version is not lower than the present one, {present.contract.version}"
        yield document.problem(("version",), said, "raise the version of the present document")
    yield from name_problems(document, (), document.data, PROPERTIES)
    yield from _until(document)


def _until(document: Document) -> Iterator[Problem]:
    place, written = customs(document.data).get("acceptedUntil", (None, None))
    path: KeyPath = ("customProperties",) if place is None else ("customProperties", place, "value")
    try:
        if written is None:
            said = "acceptedUntil is missing"
            yield document.problem(path, said, "write the last day of deliveries, as in 2013-06-30")
        else:
            date.fromisoformat(str(written))
    except ValueError:
        yield document.problem(path, "acceptedUntil is no day", "write it as in 2013-06-30")


def _breaking(present: Aged, aged: list[Aged]) -> Iterator[Problem]:
    """Return breaking differences from the newest older version that no new major version announces."""
    known = [one for one in aged if version_of(one.contract.version)]
    if not known:
        return
    newest = max(known, key=lambda one: version_of(one.contract.version) or (0, 0, 0))
    major = (version_of(newest.contract.version) or (0,))[0]
    if (version_of(present.contract.version) or (0,))[0] > major:
        return
    for change in diff(newest.contract.tables, present.contract.tables):
        if change.breaking:
            said = (
                f"breaking change since {newest.contract.version} without a new major version: {change.text}"
            )
            valid = f"write version: {major + 1}.0.0, or take the change back"
            yield present.document.problem(_place(present, change.table, change.column), said, valid)


def _place(one: Aged, table: str, column: str) -> KeyPath:
    """Return where a column is written, or the version where it is not there."""
    contract = one.contract
    if table not in contract.names or (column and column not in contract.table(table).names):
        return ("version",)
    path: KeyPath = ("schema", contract.names.index(table))
    return (*path, "properties", contract.table(table).names.index(column)) if column else path


def _upcast_problems(present: Contract, one: Aged) -> Iterator[Problem]:
    place, written = customs(one.document.data).get("upcast", (None, {}))
    path: KeyPath = ("customProperties",) if place is None else ("customProperties", place, "value")
    if not isinstance(written, dict) or not all(isinstance(columns, dict) for columns in written.values()):
        yield one.document.problem(path, "upcast is not a mapping of tables and columns", _HOW)
        return
    for name in written:
        if name not in present.names or name not in one.contract.names:
            said = f"upcast: both versions must have the table {name!r}"
            yield one.document.problem((*path, name), said, suggestion(name, present.names))
    yield from _identifying(present, one, written)
    for table in one.contract.tables:
        if table.name in present.names:
            columns = written.get(table.name, {})
            here = (*path, table.name)
            yield from _table_problems(one.document, here, table, present.table(table.name), columns)


def _table_problems(
    document: Document, path: KeyPath, old: Table, new: Table, columns: Mapping[str, Any]
) -> Iterator[Problem]:
    for name, how in columns.items():
        if name not in new.names:
            said = f"upcast: the present table {new.name} has no column {name!r}"
            yield document.problem((*path, name), said, suggestion(name, new.names))
        else:
            yield from _how_problems(document, (*path, name), how, old, new.column(name))
    for column in new.columns:
        if column.name in columns:
            continue
        if column.name in old.names:
            yield from _carried(document, path, old.column(column.name), column, "")
        elif column.required:
            said = f"upcast: {new.name}.{column.name} is required now and nothing fills it"
            yield document.problem(path, said, f"add {column.name}: {_HOW.removeprefix('write ')}")


def _how_problems(
    document: Document, path: KeyPath, how: object, old: Table, new: Column
) -> Iterator[Problem]:
    keys = set(how) if isinstance(how, dict) else set()
    if not isinstance(how, dict) or keys not in ({"from"}, {"from", "factor"}, {"value"}):
        yield document.problem(path, "upcast: not a way to fill a column", _HOW)
        return
    if "value" in keys:
        yield from _constant(document, (*path, "value"), how["value"], new)
    elif how["from"] not in old.names:
        said = f"upcast: the older table {old.name} has no column {how['from']!r}"
        yield document.problem((*path, "from"), said, suggestion(how["from"], old.names))
    elif "factor" in keys and not (
        isinstance(how["factor"], int | float)
        and not isinstance(how["factor"], bool)
        and new.kind is Kind.NUMBER
        and old.column(how["from"]).kind in _NUMBERS
    ):
        said = "upcast: a factor is a number and fits number columns only"
        yield document.problem((*path, "factor"), said, "remove it")
    else:
        yield from _carried(document, (*path, "from"), old.column(how["from"]), new, f" from {how['from']}")


def _constant(document: Document, path: KeyPath, value: object, new: Column) -> Iterator[Problem]:
    if value is None:
        if new.required:
            yield document.problem(path, f"upcast: {new.name} is required and must not be null", _HOW)
    elif not (fits(value, new.kind) or _is_time(value, new.kind)):
        yield document.problem(path, f"upcast: not a value of a {new.kind} column", "write one")


def _is_time(value: object, kind: Kind) -> bool:
    try:
        return kind in (Kind.TIMESTAMP, Kind.DATE) and parse_limit(value, kind) is not None
    except ValueError:
        return False


def _carried(document: Document, path: KeyPath, old: Column, new: Column, how: str) -> Iterator[Problem]:
    if old.kind is not new.kind and (old.kind, new.kind) != (Kind.INTEGER, Kind.NUMBER):
        said = f"upcast: {new.name} is {new.kind} now and cannot be filled{how} with {old.kind}"
        yield document.problem(path, said, "fill it from another column or with a value")


def _identifying(present: Contract, one: Aged, written: Mapping[str, Any]) -> Iterator[Problem]:
    """Return older columns in clear that fill a column whose values identify somebody."""
    for position, old in enumerate(one.contract.tables):
        columns = written.get(old.name, {})
        for new in present.table(old.name).columns if old.name in present.names else ():
            how = columns.get(new.name, {"from": new.name})
            name = how.get("from") if isinstance(how, dict) else None
            if new.restricted and name in old.names and not old.column(str(name)).restricted:
                said = f"{name} fills {new.name}, which is {new.classification} in the present version"
                valid = (
                    f"write classification: {new.classification} here, too: quarantine keeps rows under it"
                )
                path = ("schema", position, "properties", old.names.index(str(name)))
                yield one.document.problem(path, said, valid)
