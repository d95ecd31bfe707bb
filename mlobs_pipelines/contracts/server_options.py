"""What may be said about reading a place: options by format, and what is wrong with the value of each.

Which of them a server needs is `odcs_servers`.
"""

import codecs
import json
from collections.abc import Callable, Mapping
from typing import Any

from mlobs_pipelines.contracts.problems import suggestion

LOGS = ("sagemaker-data-capture", "kserve", "seldon", "inference-table")
FORMATS = ("parquet", "csv", "jsonl", "delta", *LOGS)
WATERMARKS = (
    "timestamp",
    "date",
    "epoch-s",
    "epoch-ms",
    "epoch-us",
    "epoch-ns",
    "integer-day",
    "string",
)
STORED = ("parquet", "delta")
DELTA_WATERMARKS = ("timestamp", "date", "string")
DELIMITED = ("delimiter", "separator", "quote")
FITS: Mapping[str, tuple[str, ...]] = {
    "encoding": ("csv", "jsonl", *LOGS[:3]),
    "mapping": LOGS,
    "features": LOGS,
    "storage": LOGS[3:],
} | dict.fromkeys(DELIMITED, ("csv",))


def mapping(written: object) -> dict[str, Any]:
    """Return a mapping that is written out or as JSON text, empty where it is neither."""
    try:
        read = json.loads(written) if isinstance(written, str) else written
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _bad_encoding(value: object) -> tuple[str, str] | None:
    try:
        known = isinstance(value, str) and codecs.lookup(value)._is_text_encoding  # noqa: SLF001 - no public name
    except LookupError:
        known = False
    return (
        None if known else ("an encoding that Python does not know", "write utf-8, latin-1, cp1252 or such")
    )


def _bad_sign(value: object) -> tuple[str, str] | None:
    fine = isinstance(value, str) and (
        value in ("tab", "\\t") or (len(value) == 1 and value.isascii() and value not in '"\n\r')
    )
    return None if fine else ("not a single sign", 'write one, as in ";", or tab')


def _bad_quote(value: object) -> tuple[str, str] | None:
    fine = isinstance(value, str) and (not value or (len(value) == 1 and value.isascii()))
    return None if fine else ("not a single sign", 'write one, or "" for none')


def _bad_text(value: object) -> tuple[str, str] | None:
    fine = isinstance(value, str) and bool(value.strip())
    return None if fine else ("not a text", "write it in quotes")


def _bad_mapping(value: object) -> tuple[str, str] | None:
    read = mapping(value)
    fine = read and all(path and isinstance(path, str | list) for path in read.values())
    return None if fine else ("not a mapping of columns to paths", "write {score: output.1}")


def _bad_names(value: object) -> tuple[str, str] | None:
    fine = isinstance(value, list) and value and all(isinstance(name, str) and name for name in value)
    return None if fine else ("not a list of columns", "write their names, in their order")


def _one_of(words: tuple[str, ...]) -> Callable[[object], tuple[str, str] | None]:
    return lambda value: None if value in words else ("not a valid value", suggestion(value, words))


CHECKS: Mapping[str, Callable[[object], tuple[str, str] | None]] = {
    "encoding": _bad_encoding,
    "delimiter": _bad_sign,
    "separator": _bad_sign,
    "quote": _bad_quote,
    "mapping": _bad_mapping,
    "watermarkColumn": _bad_text,
    "watermarkType": _one_of(WATERMARKS),
    "features": _bad_names,
    "order": _bad_names,
    "query": _bad_text,
    "table": _bad_text,
    "region": _bad_text,
    "format": _one_of(FORMATS),
    "storage": _one_of(STORED),
}


def column_names(written: object) -> list[Any]:
    """Return the columns that a mapping or a list of features names."""
    return written if isinstance(written, list) else list(mapping(written))
