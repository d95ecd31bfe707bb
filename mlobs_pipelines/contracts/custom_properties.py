"""Custom properties that mean something here: how a column is spelled, what is kept of it, which row wins.

Every other one only describes. Those of servers are `odcs_servers`, those of older documents `older`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs import RESTRICTED, Kind, Privacy, Spelling
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.patterns import parse_pattern
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion, typo

_NUMBERS, _TIMES = (Kind.INTEGER, Kind.NUMBER), (Kind.TIMESTAMP, Kind.DATE)
_FITS: Mapping[str, tuple[Kind, ...]] = {
    "epoch": (Kind.TIMESTAMP,),
    "decimalComma": _NUMBERS,
    "percent": (Kind.NUMBER,),
    "trim": tuple(Kind),
    "nullValues": tuple(Kind),
    "privacy": tuple(Kind),
    "privacyReason": tuple(Kind),
    "bucket": (Kind.STRING, *_NUMBERS, *_TIMES),
}
_EPOCHS, _PERIODS = ("s", "ms", "us", "ns"), ("day", "month", "year")


def customs(element: object) -> dict[str, tuple[int, Any]]:
    """Return the custom properties of an element: place in the list and value by name."""
    found: dict[str, tuple[int, Any]] = {}
    for place, item in items(element, "customProperties"):
        if isinstance(item, dict) and "value" in item:
            found[str(item.get("property"))] = place, item["value"]
    return found


def values(element: object) -> dict[str, Any]:
    """Return the values of the custom properties of an element by name."""
    return {name: value for name, (_, value) in customs(element).items()}


def name_problems(
    document: Document, path: KeyPath, element: object, known: Collection[str]
) -> Iterator[Problem]:
    """Return custom properties that are written twice, or that miss a known name by a letter or two."""
    seen: set[str] = set()
    for place, item in items(element, "customProperties"):
        name = str(item.get("property")) if isinstance(item, dict) else ""
        here = (*path, "customProperties", place, "property")
        if name in seen:
            yield document.problem(here, f"{name} is written twice", "keep one")
        elif name not in known and (near := typo(name, known)):
            yield document.problem(here, f"{name} means nothing here", f"did you mean {near}?")
        seen.add(name)


def column_problems(
    document: Document, path: KeyPath, column: Mapping[str, Any], kind: Kind
) -> Iterator[Problem]:
    """Return what is wrong with the custom properties of a column."""
    yield from name_problems(document, path, column, _FITS)
    for name, (place, value) in customs(column).items():
        here = (*path, "customProperties", place)
        if name not in _FITS:
            continue
        if kind not in _FITS[name]:
            said = f"{name} does not fit a {kind} column"
            yield document.problem((*here, "property"), said, f"it fits {listed(_FITS[name])}")
        elif wrong := _CHECKS[name](value, kind):
            yield document.problem((*here, "value"), f"{name}: {wrong[0]}", wrong[1])
    yield from _privacy_problems(document, path, column)


def _one_of(words: Collection[str]) -> Callable[[Any, Kind], tuple[str, str] | None]:
    def check(value: object, _: Kind) -> tuple[str, str] | None:
        return None if value in words else ("not a valid value", suggestion(value, words))

    return check


def _flag(value: object, _: Kind) -> tuple[str, str] | None:
    return None if isinstance(value, bool) else ("not true or false", "write true, or remove it")


def _texts(value: object, _: Kind) -> tuple[str, str] | None:
    fine = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
    return None if fine else ("not a list of texts", 'write the texts in quotes, as in ["", "N/A"]')


def _sentence(value: object, _: Kind) -> tuple[str, str] | None:
    fine = isinstance(value, str) and value.strip()
    return None if fine else ("not a text", "say in a sentence why the values are kept")


def _width(value: object, kind: Kind) -> tuple[str, str] | None:
    if kind in _TIMES:
        return _one_of(_PERIODS)(value, kind)
    fine = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    if kind is Kind.STRING and not (fine and isinstance(value, int)):
        return "not a positive whole number", "write how many characters are kept of the beginning"
    return None if fine else ("not a positive number", "write the width of a bucket")


_CHECKS: Mapping[str, Callable[[Any, Kind], tuple[str, str] | None]] = {
    "epoch": _one_of(_EPOCHS),
    "decimalComma": _flag,
    "percent": _flag,
    "trim": _flag,
    "nullValues": _texts,
    "privacy": _one_of(tuple(Privacy)),
    "privacyReason": _sentence,
    "bucket": _width,
}


def _privacy_problems(document: Document, path: KeyPath, column: Mapping[str, Any]) -> Iterator[Problem]:
    said, here = values(column), (*path, "customProperties")
    policy, identifying = said.get("privacy"), _identifying(column)
    if policy is not None and policy != Privacy.KEEP and not identifying:
        words = f"privacy: {policy} on a column that is not classified as identifying"
        yield document.problem(here, words, f"write classification: {' or '.join(sorted(RESTRICTED))}")
    if policy == Privacy.KEEP and identifying and "privacyReason" not in said:
        words = "values that identify somebody are to be kept, and no reason is given"
        yield document.problem(here, words, "add the custom property privacyReason, or choose hash or drop")
    if (policy == Privacy.BUCKET) != ("bucket" in said):
        words = "privacy: bucket and the custom property bucket belong together"
        yield document.problem(here, words, "write both, or neither")


def _identifying(column: Mapping[str, Any]) -> bool:
    return str(column.get("classification", "")).lower() in RESTRICTED


def privacy(column: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the valid custom properties of a column say is kept of it, by the names of `Column`."""
    said = values(column)
    policy = said.get("privacy", Privacy.HASH) if _identifying(column) else Privacy.KEEP
    return {
        "privacy": Privacy(policy),
        "bucket": said.get("bucket", ""),
        "privacy_reason": said.get("privacyReason", ""),
    }


def spelling(column: Mapping[str, Any], kind: Kind) -> Spelling:
    """Return how a valid column says its values are written."""
    said, options = values(column), column.get("logicalTypeOptions") or {}
    timed = kind in _TIMES and "format" in options
    return Spelling(
        pattern=parse_pattern(options["format"], kind) if timed else "",
        zone=options.get("defaultTimezone", "UTC"),
        epoch=said.get("epoch", ""),
        decimal_comma=said.get("decimalComma", False),
        percent=said.get("percent", False),
        trim=said.get("trim", False),
        nulls=tuple(said.get("nullValues", ())),
    )


def correction_problems(document: Document, path: KeyPath, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Return what is wrong with the custom properties of a table."""
    yield from name_problems(document, path, table, ("correction",))
    if "correction" not in customs(table):
        return
    place, name = customs(table)["correction"]
    here = (*path, "customProperties", place, "value")
    columns = {item.get("name"): item for _, item in items(table, "properties") if isinstance(item, dict)}
    if not isinstance(name, str) or name not in columns:
        words = f"correction: the table has no column {name!r}"
        yield document.problem(here, words, suggestion(name, [str(column) for column in columns]))
        return
    column = columns[name]
    if column.get("logicalType") not in (*_NUMBERS, *_TIMES):
        words = f"correction: {name} has no order to tell the later row by"
        yield document.problem(here, words, f"it must be {listed((*_NUMBERS, *_TIMES))}")
    if not (column.get("required") or column.get("primaryKey")):
        yield document.problem(here, f"correction: {name} may be null", "write required: true on it")
