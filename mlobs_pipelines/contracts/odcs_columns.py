"""Columns of a document: whether types, formats, limits, patterns and lists of values can be enforced.

Custom properties are `custom_properties`, quality rules `odcs_quality`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from mlobs_pipelines.contracts.custom_properties import column_problems as custom_problems
from mlobs_pipelines.contracts.custom_properties import values
from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.limits import INTEGER_FORMATS, limits, parse_limit
from mlobs_pipelines.contracts.odcs import Kind
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.odcs_library import LISTABLE, fits, is_row_rule
from mlobs_pipelines.contracts.patterns import parse_pattern
from mlobs_pipelines.contracts.physical import examples_of, families_of, family
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion

RENAMED = ("rows are not renamed on the way in", "give it the same name as name, or remove it")
FORMS = ("email", "uuid", "uri", "ipv4", "ipv6", "hostname", "date", "time", "date-time")
_ENDS = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}
_TIMES = (Kind.TIMESTAMP, Kind.DATE)
# Letters, digits and ranges of them, repeated a few times: every engine reads them alike.
_PLAIN = re.compile(r"(?:(?:[\w:-]|\[(?:\w|\w-\w)+\])(?:\{\d{1,2}(?:,\d{1,2})?\}|[?*+])?)*", re.ASCII)


def column_problems(document: Document, path: KeyPath, column: Mapping[str, Any]) -> Iterator[Problem]:
    """Return what keeps one column from being enforced as it is written, but for its quality rules."""
    if column.get("physicalName", column.get("name")) != column.get("name"):
        yield document.problem((*path, "physicalName"), *RENAMED)
    said, kinds = column.get("logicalType"), tuple(Kind)
    if said is None:
        yield document.problem((*path, "logicalType"), "the key is missing", f"valid: {listed(kinds)}")
    elif said not in kinds:
        wrong = f"columns of type {said} are not read in this version"
        yield document.problem((*path, "logicalType"), wrong, f"valid: {listed(kinds)}")
    else:
        for check in (_physical, _format, _zone, _multiple, _limits, _enum, _patterns, custom_problems):
            yield from check(document, path, column, Kind(said))


def _options(column: Mapping[str, Any]) -> Mapping[str, Any]:
    options = column.get("logicalTypeOptions")
    return options if isinstance(options, dict) else {}


def _physical(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    physical, epoch = column.get("physicalType"), str(values(column).get("epoch", ""))
    if physical is None or family(str(physical)) in families_of(kind, epoch):
        return
    said = f"a {kind} column is not stored as {physical!r}"
    hint = " or declare the custom property epoch;" if kind is Kind.TIMESTAMP and not epoch else ""
    valid = f"valid: {examples_of(kind, epoch)};{hint} or remove it"
    yield document.problem((*path, "physicalType"), said, valid)


def _format(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    form, here = _options(column).get("format"), (*path, "logicalTypeOptions", "format")
    if form is None:
        return
    if kind is Kind.STRING and form not in FORMS:
        said = f"the format {form!r} is not enforced in this version"
        yield document.problem(here, said, suggestion(form, FORMS))
    elif kind is Kind.INTEGER and form not in INTEGER_FORMATS:
        yield document.problem(
            here, "integer columns have at most 64 bits", suggestion(form, INTEGER_FORMATS)
        )
    elif kind in _TIMES:
        if "epoch" in values(column):
            yield document.problem(here, "a format and the custom property epoch", "keep one")
        try:
            parse_pattern(str(form), kind)
        except ValueError as error:
            yield document.problem(here, str(error), _PATTERNS[kind])


_PATTERNS = {
    Kind.TIMESTAMP: "write it as in yyyy-MM-dd HH:mm:ss, or remove it for ISO 8601",
    Kind.DATE: "write it as in dd.MM.yyyy, or remove it for ISO 8601",
}


def _zone(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    options, here = _options(column), (*path, "logicalTypeOptions")
    if kind is not Kind.TIMESTAMP:
        return
    zone = options.get("defaultTimezone")
    if options.get("timezone") is False and zone is None:
        said = "times without a zone could be any instant"
        yield document.problem(
            (*here, "timezone"), said, "add defaultTimezone, as in America/New_York or UTC"
        )
    if isinstance(zone, str) and not _is_zone(zone):
        said = f"unknown time zone {zone!r}"
        yield document.problem((*here, "defaultTimezone"), said, "write one as in America/New_York")


def _is_zone(name: str) -> bool:
    """Whether both the standard library and the engine that reads times know a zone."""
    if name == "UTC":
        return True
    import polars as pl  # noqa: PLC0415 - slow, and not needed for what both are known to read alike

    try:
        ZoneInfo(name)
        pl.Series([None], dtype=pl.Datetime("us")).dt.replace_time_zone(name)
    except (ValueError, OSError, LookupError, pl.exceptions.PolarsError):
        return False
    return True


def _multiple(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    step = _options(column).get("multipleOf")
    if kind is Kind.INTEGER and isinstance(step, float) and not step.is_integer():
        here = (*path, "logicalTypeOptions", "multipleOf")
        yield document.problem(here, "not a whole number", "write a whole number for an integer column")


def _limits(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    options, here = _options(column), (*path, "logicalTypeOptions")
    for key in sorted(_ENDS & options.keys()):
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
    try:
        low, high = _ends(options, kind)
    except ValueError as error:
        yield document.problem(here, str(error), "mend the limit")
        return
    if low is not None and high is not None and low > high:
        yield document.problem(here, "the lower limit is above the upper one", "swap or mend them")


def _ends(options: Mapping[str, Any], kind: Kind) -> tuple[Any, Any]:
    """Return the ends of what a column allows: of its values or, for text, of its length."""
    if kind is Kind.STRING:
        return options.get("minLength"), options.get("maxLength")
    return limits(options, kind)


def _enum(document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    if "enum" not in column:
        return
    listed_values = [
        item["value"] for _, item in items(column, "enum") if isinstance(item, dict) and "value" in item
    ]
    if kind not in LISTABLE:
        said = f"an enumeration is not enforced for {kind} columns"
        yield document.problem((*path, "enum"), said, "write minimum and maximum")
    elif not all(fits(value, kind) for value in listed_values):
        quotes = "write the values in quotes" if kind is Kind.STRING else "write the values without quotes"
        said = "a value that is not text" if kind is Kind.STRING else f"a value that is no {kind}"
        yield document.problem((*path, "enum"), said, quotes)


def _patterns(document: Document, path: KeyPath, column: Mapping[str, Any], _: Kind) -> Iterator[Problem]:
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
    yield from _twice(document, path, column)


def _twice(document: Document, path: KeyPath, column: Mapping[str, Any]) -> Iterator[Problem]:
    rules = [rule for _, rule in items(column, "quality") if isinstance(rule, dict)]
    strict = [rule.get("arguments") or {} for rule in rules if is_row_rule(rule, "any")]
    patterns = sum("pattern" in holder for holder in (_options(column), *strict))
    lists = sum("validValues" in holder for holder in strict) + ("enum" in column)
    for count, what in ((patterns, "patterns"), (lists, "lists of valid values")):
        if count > 1:
            yield document.problem(path, f"{count} {what} on one column", "keep one")


def _bad_pattern(pattern: str) -> str:
    """Return what is wrong with a pattern in the engine that will run it, empty where it is fine."""
    try:
        re.compile(pattern)
        if _PLAIN.fullmatch(pattern):
            return ""
        import polars as pl  # noqa: PLC0415 - as above

        pl.Series([""]).str.contains(pattern)
    except re.error as error:
        return f"not a regular expression: {error}"
    except pl.exceptions.ComputeError:
        return "the pattern looks around or back, or is not a regular expression"
    return ""
