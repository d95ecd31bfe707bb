"""How a length of time is written in a monitor: "30m", "6h", "7d"."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORM = re.compile(r"([1-9][0-9]{0,5})([smhdw])")


def parse_duration(text: object) -> timedelta:
    """Return the length of time that `text` names.

    Raises
    ------
    ValueError
        If `text` is not a whole positive number followed by s, m, h, d or w.

    Examples
    --------
    >>> parse_duration("6h")
    datetime.timedelta(seconds=21600)
    """
    if isinstance(text, timedelta):
        return text
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("not a length of time; write a whole number and a unit, as in 30m, 6h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def format_duration(length: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back.

    Examples
    --------
    >>> format_duration(timedelta(hours=24))
    '1d'
    """
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)
]
