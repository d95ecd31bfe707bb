"""Whether a document conforms to the Open Data Contract Standard, by the JSON Schema that the standard ships.

Which parts of the standard this version enforces is not asked here: that is `odcs_keys` and `odcs_checks`.
"""

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion

if TYPE_CHECKING:  # what was checked before is not checked again, and then it is not needed
    from jsonschema import Draft201909Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema_rs import Draft201909Validator as Draft201909ValidatorRs

_KEYS = ("additionalProperties", "unevaluatedProperties")
_INSTEAD = {
    word: f"write type: custom and the custom property type with the value {word}"
    for word in ("gcs", "sqlite", "mariadb")
}
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def schema_problems(document: Document) -> list[tuple[KeyPath, Problem]]:
    """Return the places where the document breaks the standard, each with its problem.

    Keys that the standard does not know are left to `stray_keys`.
    """
    errors = [error for error in _errors(document.data) if error.validator not in _KEYS]
    return [(tuple(error.absolute_path), problem) for error in errors for problem in _said(document, error)]


def stray_keys(document: Document) -> list[tuple[KeyPath, Problem]]:
    """Return the places where the standard sees a key it does not know, each with its problem."""
    errors = [error for error in _errors(document.data) if error.validator in _KEYS]
    return [
        (tuple(error.absolute_path), problem) for error in errors for problem in _unknown(document, error)
    ]


def _errors(data: dict[str, Any]) -> tuple["ValidationError", ...]:
    """Return the errors of a document, without those that only a missing logicalType brings about."""
    return _errors_of(json.dumps(data))


@lru_cache(maxsize=64)
def _errors_of(text: str) -> tuple["ValidationError", ...]:
    """Hold a document against the standard once: that takes longer than all else that is read in it."""
    data = json.loads(text)
    if _conforms(data):
        return ()
    leaves = (leaf for error in _validator().iter_errors(data) for leaf in _leaves(error))
    return tuple(leaf for leaf in leaves if not _untyped(data, tuple(leaf.absolute_path)))


def _untyped(data: Any, path: KeyPath) -> bool:  # noqa: ANN401 - any plain data
    for depth, part in enumerate(path):
        data = data[part]
        if depth and path[depth - 1] == "properties" and isinstance(data, dict):
            return "logicalType" not in data
    return False


@cache
def _validator() -> "Draft201909Validator":
    from jsonschema import Draft201909Validator  # noqa: PLC0415 - slow, and not always needed

    return Draft201909Validator(_standard())


def _conforms(data: dict[str, Any]) -> bool:
    """Whether a document has no error: a hundred times as fast as listing them, which few documents need."""
    return _quick_validator().is_valid(data)


@cache
def _quick_validator() -> "Draft201909ValidatorRs":
    from jsonschema_rs import Draft201909Validator  # noqa: PLC0415 - not always needed

    return Draft201909Validator(_standard())


@cache
def _standard() -> dict[str, Any]:
    text = files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _leaves(error: "ValidationError") -> Iterator["ValidationError"]:
    """Return the error itself, or those of the one alternative whose type is right."""
    alternatives: dict[str | int, list[ValidationError]] = {}
    for leaf in error.context or ():
        alternatives.setdefault(leaf.schema_path[0], []).append(leaf)
    meant = [found for found in alternatives.values() if not any(_wrong_type(leaf) for leaf in found)]
    if len(meant) == 1:
        for leaf in meant[0]:
            yield from _leaves(leaf)
    else:
        yield error


def _wrong_type(error: "ValidationError") -> bool:
    return error.validator == "type" and not error.path


def _said(document: Document, error: "ValidationError") -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        for name in cast("list[str]", error.validator_value):
            if name not in cast("dict[str, Any]", error.instance):
                yield document.problem((*path, name), "the key is missing", f"the standard asks for {name}")
    elif error.validator == "oneOf" and "mustBe" in str(error.validator_value):
        yield document.problem(path, "a rule needs one operator", "write one, such as mustBe: 0")
    else:
        yield document.problem(path, *_wrong(error))


def _wrong(error: "ValidationError") -> tuple[str, str]:
    if error.validator == "type":
        said = cast("str | list[str]", error.validator_value)
        kinds = [said] if isinstance(said, str) else said
        wanted = " or ".join(_WORDS.get(kind, kind) for kind in kinds)
        quoted = "write it in quotes" if kinds == ["string"] else ""
        return f"{_shown(error.instance)} is not {wanted}", quoted
    if error.validator == "enum":
        known = cast("list[str]", error.validator_value)
        if str(error.instance) in _INSTEAD:
            return f"the standard has no word {error.instance}", _INSTEAD[str(error.instance)]
        return f"{_shown(error.instance)} is not a valid value", suggestion(error.instance, known)
    if error.validator == "pattern":
        return f"{_shown(error.instance)} has a form that is not allowed", f"pattern: {error.validator_value}"
    return error.message, ""


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else repr(value)


def _unknown(document: Document, error: "ValidationError") -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    known = set(cast("dict[str, Any]", error.schema).get("properties", ()))
    names = [name for name in cast("dict[str, Any]", error.instance) if name not in known]
    if error.validator == "unevaluatedProperties":
        said = f"one of these keys is not valid here: {listed(names)}"
        yield document.problem(path, said, "see the Open Data Contract Standard")
        return
    for name in names:
        yield document.problem((*path, name), "unknown key", suggestion(name, known))
