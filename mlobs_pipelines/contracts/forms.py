"""Named formats of texts and whole multiples of a number, as expressions that are true where a value fits.

The formats are those that the standard names. Which column has which is said by its contract.
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

import polars as pl

from mlobs_pipelines.contracts.spelling import EXACT

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_HEX = "[0-9A-Fa-f]{1,4}"
_DAY = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_OFFSET = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"


def _ipv6() -> str:
    """Write out RFC 4291: eight groups, or fewer around one `::`; the last two may be an IPv4 address."""
    tail = f"(?:{_HEX}:{_HEX}|{_IPV4})"
    whole = [f"(?:{_HEX}:){{6}}{tail}", f"::(?:{_HEX}:){{5}}{tail}"]
    for before in range(6):
        head = f"(?:{_HEX}(?::{_HEX}){{0,{before}}})?::"
        after = 4 - before
        whole += [f"{head}(?:{_HEX}:){{{after}}}{tail}" if after >= 0 else f"{head}{_HEX}"]
    return "|".join([*whole, f"(?:{_HEX}(?::{_HEX}){{0,6}})?::"])


def _is_day(text: pl.Expr) -> pl.Expr:
    return text.is_null() | text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()


EXPRESSIONS: Mapping[str, str] = {
    "email": rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+",
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "uri": r"""[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]+""",
    "ipv4": _IPV4,
    "ipv6": _ipv6(),
    "hostname": rf"{_LABEL}(?:\.{_LABEL})*",
    "date": _DAY,
    "time": rf"{_CLOCK}{_OFFSET}?",
    "date-time": rf"{_DAY}[Tt ]{_CLOCK}{_OFFSET}",
}
_LONGEST_HOST = 253
_EXTRA: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "hostname": lambda text: text.str.len_bytes() <= _LONGEST_HOST,
    "date": _is_day,
    "date-time": _is_day,
}


def in_form(text: pl.Expr, form: str) -> pl.Expr:
    """Return where a text has a named format.

    Parameters
    ----------
    text
        The texts.
    form
        email (as HTML's input, with a dot in the domain), uuid (RFC 9562), uri (RFC 3986: a scheme and no
        white space), ipv4, ipv6 (RFC 4291), hostname (RFC 1123), date, time and date-time (RFC 3339 without
        leap seconds; a time may lack its offset).

    Raises
    ------
    ValueError
        If the format is not known.
    """
    if form not in EXPRESSIONS:
        raise ValueError(f"the format {form!r} is not checked; valid: {', '.join(EXPRESSIONS)}")
    fits = text.str.contains(rf"\A(?:{EXPRESSIONS[form]})\z")
    return fits & _EXTRA[form](text) if form in _EXTRA else fits


def is_multiple(value: pl.Expr, of: float, *, whole: bool) -> pl.Expr:
    """Return where a number is the nearest float to a whole multiple of `of`, as `of` is written in decimals.

    Parameters
    ----------
    value
        The numbers.
    of
        The positive number, e.g. 0.01.
    whole
        Whether the numbers are integers, which are divided exactly.
    """
    part = Fraction(repr(of)) if re.fullmatch(r"[0-9.e+-]+", repr(of)) else Fraction(of)
    if whole:
        # A multiple of n/d that is an integer is a multiple of n, because n/d is in lowest terms.
        return value % part.numerator == 0
    # By columns: dividing by a scalar, Polars multiplies by its rounded inverse.
    top, bottom = value * 0 + part.numerator, value * 0 + part.denominator
    times = (value * part.denominator / top).round()
    nearest = times * part.numerator / bottom == value
    return nearest | (
        value.abs() >= float(EXACT * part)
    )  # neighbours are further apart there than multiples are
