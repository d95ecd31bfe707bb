"""Limits of a column as a document writes them, turned into values of the column's type."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mlobs_pipelines.contracts.odcs import Kind, Limit

INTEGER_FORMATS: Mapping[str, tuple[int | None, int | None]] = {
    "i8": (-(2**7), 2**7 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "i32": (-(2**31), 2**31 - 1),
    "i64": (None, None),
    "u8": (0, 2**8 - 1),
    "u16": (0, 2**16 - 1),
    "u32": (0, 2**32 - 1),
    "u64": (0, None),
}


def parse_limit(value: object, kind: Kind) -> Limit:
    """Return a written limit as a value of the type `kind`.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> parse_limit("2013-03-01", Kind.TIMESTAMP)
    datetime.datetime(2013, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        return _parsed(value, kind)
    except OverflowError:
        raise ValueError("beyond what can be stored") from None


def _parsed(value: object, kind: Kind) -> Limit:
    if kind is Kind.TIMESTAMP:
        return _instant(value)
    if kind is Kind.DATE:
        return date.fromisoformat(str(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")  # noqa: TRY004 - the caller reports one kind of error
    if kind is Kind.INTEGER and value != int(value):
        raise ValueError("not a whole number")
    return int(value) if kind is Kind.INTEGER else float(value)


def limits(options: Mapping[str, Any], kind: Kind) -> tuple[Limit | None, Limit | None]:
    """Return the inclusive limits that valid options set; an exclusive one becomes the next value inside.

    The format of an integer sets limits, too; the narrower ones count.

    Raises
    ------
    ValueError
        If nothing lies inside an exclusive limit.
    """
    try:
        low, high = _end(options, kind, "inimum", 1), _end(options, kind, "aximum", -1)
    except OverflowError:
        raise ValueError("nothing lies inside an exclusive limit") from None
    if kind is not Kind.INTEGER:
        return low, high
    least, most = INTEGER_FORMATS.get(str(options.get("format")), (None, None))
    return _narrower(max, low, least), _narrower(min, high, most)


def _narrower(
    choose: Callable[[Any, Any], Any], written: Limit | None, of_format: int | None
) -> Limit | None:
    if written is None or of_format is None:
        return of_format if written is None else written
    chosen: Limit = choose(written, of_format)
    return chosen


def _end(options: Mapping[str, Any], kind: Kind, ending: str, inwards: int) -> Limit | None:
    if f"m{ending}" in options:
        return parse_limit(options[f"m{ending}"], kind)
    if f"exclusiveM{ending}" in options:
        return _next(parse_limit(options[f"exclusiveM{ending}"], kind), inwards)
    return None


def _instant(value: object) -> datetime:
    instant = datetime.fromisoformat(str(value))
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _next(limit: Limit, direction: int) -> Limit:
    """Return the next value of the limit's type, upwards for 1 and downwards for -1."""
    if isinstance(limit, datetime):
        return limit + direction * timedelta(microseconds=1)
    if isinstance(limit, date):
        return limit + direction * timedelta(days=1)
    if isinstance(limit, int):
        return limit + direction
    return math.nextafter(limit, direction * math.inf)
