"""Forms of times and days as the standard writes them, in the letters of Java's DateTimeFormatter.

Here they become the letters of `datetime.strptime`. Reading values by them is not done here.
"""

import re
from collections.abc import Iterator, Mapping

from mlobs_pipelines.contracts.odcs import Kind

_PARTS = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", re.DOTALL)
_LETTERS: Mapping[str, str] = {
    "yyyy": "%Y",
    "uuuu": "%Y",
    "yy": "%y",
    "uu": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%m",
    "dd": "%d",
    "d": "%d",
    "DDD": "%j",
    "D": "%j",
    "EEEE": "%A",
    "EEE": "%a",
    "HH": "%H",
    "H": "%H",
    "hh": "%I",
    "h": "%I",
    "mm": "%M",
    "m": "%M",
    "ss": "%S",
    "s": "%S",
    "a": "%p",
    "X": "%z",
    "XX": "%z",
    "XXX": "%z",
    "x": "%z",
    "xx": "%z",
    "xxx": "%z",
    "Z": "%z",
} | {"S" * digits: "%f" for digits in range(1, 7)}
_CLOCK = frozenset({"%H", "%I", "%M", "%S", "%p", "%f", "%z"})
_DAY: Mapping[str, frozenset[str]] = {
    "year": frozenset({"%Y", "%y"}),
    "month": frozenset({"%m", "%b", "%B", "%j"}),
    "day": frozenset({"%d", "%j"}),
}


def parse_pattern(written: str, kind: Kind) -> str:
    """Return a form in the letters of `datetime.strptime`.

    Raises
    ------
    ValueError
        If it has a letter that is not read, or does not settle a day, or a time where only a day fits.

    Examples
    --------
    >>> parse_pattern("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", Kind.TIMESTAMP)
    '%Y-%m-%dT%H:%M:%S.%f%z'
    >>> parse_pattern("dd.MM.yy", Kind.DATE)
    '%d.%m.%y'
    """
    parts = list(_translated(written))
    said = [part for part in parts if part in _LETTERS.values()]
    found = frozenset(said)
    if len(found) != len(said):
        raise ValueError("the same part twice")
    for what, letters in _DAY.items():
        if not found & letters:
            raise ValueError(f"the form has no {what}")
    if kind is Kind.DATE and found & _CLOCK:
        raise ValueError("a day has no time of day")
    if ("%I" in found) != ("%p" in found):
        raise ValueError("hours of 12 and am or pm belong together")
    return "".join(parts)


def _translated(written: str) -> Iterator[str]:
    for part in _PARTS.finditer(written):
        text = part.group()
        if text == "''":
            yield "'"
        elif text.startswith("'") and len(text) > 1:
            yield text[1:-1].replace("''", "'").replace("%", "%%")
        elif text[0].isalpha() and text.isascii():
            if text not in _LETTERS:
                raise ValueError(f"the letters {text} are not read")
            yield _LETTERS[text]
        elif text in "[]{}#'%":
            raise ValueError(f"the sign {text} is not read")
        else:
            yield text
