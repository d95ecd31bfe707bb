"""Physical types as producers write them, by family, and the families that each kind of column is read from.

Words only. What a delivered file really holds is asked elsewhere.
"""

import re
from collections.abc import Mapping

from mlobs_pipelines.contracts.odcs import Kind

_SIZE = r"(\(\s*(\d+|max)(\s*(byte|char))?\s*\))?"
_DIGITS = r"(\(\s*\d+\s*(,\s*-?\d+\s*)?\))?"
_UNIT = r"(\[[a-z0-9_/+:=, \-]*\]|\(\s*\d+\s*\))?"
_FAMILIES: Mapping[str, re.Pattern[str]] = {
    "text": re.compile(
        r"string|str|(large_)?(utf8|string)(_view)?|string_view|utf8_view|object|categorical|enum|citext|uuid|uniqueidentifier"
        r"|(tiny|medium|long)?text|n?clob|bpchar"
        rf"|((n?var)?char|nchar|character( varying)?|n?varchar2){_SIZE}|(text|string){_SIZE}"
        r"|dictionary(<.*>)?"
    ),
    "integer": re.compile(
        r"u?int(8|16|32|64)?|int[24]|integer|(tiny|small|medium|big)int( unsigned)?|int(eger)? unsigned"
        r"|long|short|byte|(big|small)?serial"
    ),
    "decimal": re.compile(rf"(decimal(32|64|128|256)?|numeric|number|dec){_DIGITS}|money"),
    "float": re.compile(
        rf"(float(16|32|64)?|half(float)?){_SIZE}|float[48]|double( precision)?|real|binary_(float|double)"
    ),
    "boolean": re.compile(r"bool(ean)?|bit(\(1\))?"),
    "timestamp": re.compile(
        rf"(timestamp|datetime|datetime2|datetimeoffset|timestamptz|datetime64){_UNIT}"
        r"( with(out)?( local)? time zone)?|smalldatetime|int96"
        rf"|timestamp_(ntz|ltz|tz|s|ms|us|ns|micros|millis){_UNIT}"
    ),
    "date": re.compile(r"date(32|64)?(\[(day|ms)\])?"),
}
_READ_FROM: Mapping[Kind, tuple[str, ...]] = {
    Kind.STRING: ("text", "integer"),
    Kind.INTEGER: ("integer", "decimal", "text"),
    Kind.NUMBER: ("float", "decimal", "integer", "text"),
    Kind.BOOLEAN: ("boolean", "integer", "text"),
    Kind.TIMESTAMP: ("timestamp", "text"),
    Kind.DATE: ("date", "timestamp", "text"),
}
_EXAMPLES: Mapping[str, str] = {
    "text": "string, varchar(64)",
    "integer": "bigint, int32",
    "decimal": "decimal(10,2)",
    "float": "double, float32",
    "boolean": "boolean",
    "timestamp": "timestamp, timestamptz",
    "date": "date",
}


def family(physical: str) -> str:
    """Return the family of a physical type: text, integer, decimal, float, boolean, timestamp or date.

    Empty where it is none that is known. Upper and lower case are alike.

    Examples
    --------
    >>> family("VARCHAR(64)"), family("decimal(10, 2)"), family("timestamp[us, tz=UTC]"), family("blob")
    ('text', 'decimal', 'timestamp', '')
    """
    word = " ".join(physical.lower().split())
    return next((name for name, form in _FAMILIES.items() if form.fullmatch(word)), "")


def families_of(kind: Kind, epoch: str = "") -> tuple[str, ...]:
    """Return the families that a column of this kind is read from; bare numbers are times by `epoch` only."""
    return (*_READ_FROM[kind], "integer", "float", "decimal") if epoch else _READ_FROM[kind]


def examples_of(kind: Kind, epoch: str = "") -> str:
    """Return physical types that a document may declare for this kind, in words."""
    return ", ".join(_EXAMPLES[name] for name in families_of(kind, epoch))
