"""The five-field cron expressions that a schedule may use."""

import re

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")


def check_cron(text: str) -> str:
    """Return `text` if it is a cron expression of five numeric fields.

    Raises
    ------
    ValueError
        If it is not; names the field and its range.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"a cron expression has 5 fields, this one {len(fields)}; write e.g. 30 11 * * *")
    for field, (name, low, high) in zip(fields, _FIELDS, strict=True):
        if not all(_within(part, low, high) for part in field.split(",")):
            raise ValueError(f"{field!r} is no {name}; write *, or numbers from {low} to {high}")
    return text


def _within(part: str, low: int, high: int) -> bool:
    found = _PART.fullmatch(part)
    if found is None or found[3] == "0":
        return False
    ends = [int(end) for end in found.groups()[:2] if end is not None]
    return ends == sorted(ends) and all(low <= end <= high for end in ends)
