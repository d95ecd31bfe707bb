"""How producers write instants and days, and what those spellings mean under a column.

Instants leave here in UTC with microseconds, between the years 1 and 9999, or as null. Other types are
`spelling`.
"""

import re
from functools import cache

import polars as pl

from mlobs_pipelines.contracts.odcs import Column
from mlobs_pipelines.contracts.spelling import EXACT, Reasons, nothing, without

INSTANT = pl.Datetime("us", "UTC")
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 and 9999
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
_DIGITS = {"s": 6, "ms": 3, "us": 0, "ns": 0}
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_OFFSET = r"[+-][0-9]{2}:?[0-9]{2}\z"
_ZONED = r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?\z"
_MINUTE = rf"\A{_DATE}[Tt ][0-9]{{2}}:[0-9]{{2}}"
_ISO = rf"{_MINUTE}(?::[0-5][0-9](?:\.[0-9]{{1,6}}0*)?)?{_ZONED}"
_FINER = rf"{_MINUTE}:[0-5][0-9]\.[0-9]{{7,}}{_ZONED}"
_ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
_EPOCH = r"\A([+-]?)([0-9]+)(?:\.([0-9]+))?\z"
_DIRECTIVES = {
    "Y": ("[0-9]{4}", "%Y"),
    "y": ("[0-9]{2}", "%y"),
    "m": ("[0-9]{1,2}", "%m"),
    "d": ("[0-9]{1,2}", "%d"),
    "j": ("[0-9]{3}", "%j"),
    "H": ("[0-9]{1,2}", "%H"),
    "I": ("[0-9]{1,2}", "%I"),
    "M": ("[0-9]{1,2}", "%M"),
    "S": ("[0-5]?[0-9]", "%S"),
    "f": ("[0-9]{6}", "%6f"),
    "%f": (r"\.[0-9]{1,6}", "%.f"),  # after a point, as many digits as there are
    "p": ("[AaPp][Mm]", "%p"),
    "b": ("[A-Za-z]{3}", "%b"),
    "B": ("[A-Za-z]+", "%B"),
    "a": ("[A-Za-z]{3}", "%a"),
    "A": ("[A-Za-z]+", "%A"),
    "z": ("(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})", "%z"),
    "%": ("%", "%%"),
}


def to_instants(column: Column, values: pl.Series) -> pl.Series:
    """Return instants in UTC from datetimes, ISO 8601 or declared text, or epochs of a declared unit.

    Times without an offset are in the column's zone. One that a change of the clocks repeats or skips, and
    one with parts of a microsecond, is null.
    """
    spelling = column.spelling
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        return _in_range(_micros(values.to_physical(), values.dtype.time_unit)).cast(INSTANT)
    if spelling.epoch and not isinstance(values.dtype, pl.Datetime):
        return _in_range(_epochs(values, spelling.epoch)).cast(INSTANT)
    zoned, naive = _parsed(column, values)
    located = _located(naive, spelling.zone)
    return _in_range(zoned.zip_with(zoned.is_not_null(), located).to_physical()).cast(INSTANT)


def why_no_instant(column: Column, lost: pl.Series) -> Reasons:
    """Return why values are no instants: finer than microseconds, or at a change of the clocks."""
    precise = _finer(column, lost)
    if column.spelling.epoch and not isinstance(lost.dtype, pl.Datetime):
        odd = ~lost.is_finite() if lost.dtype.is_float() else lost.is_null()
        return [("finite", odd), ("precision", precise)]
    _, naive = _parsed(column, lost)
    zone = column.spelling.zone
    either = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_not_null()
    # What the zone places once but the range of years does not is neither.
    never = naive.is_not_null() & ~either
    twice = either & naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").is_null()
    return [("precision", precise), ("ambiguous_time", twice), ("nonexistent_time", never)]


def _finer(column: Column, lost: pl.Series) -> pl.Series:
    dtype, unit = lost.dtype, column.spelling.epoch
    if isinstance(dtype, pl.Datetime):
        return lost.to_physical() % 1_000 != 0 if dtype.time_unit == "ns" else lost.is_null()
    if dtype == pl.String and unit:
        return lost.str.contains(_EPOCH) & (_text_digits(lost, unit) | _rest(lost, unit))
    if dtype == pl.String:
        return lost.str.contains(_FINER)
    if unit and dtype.is_float():
        return lost.abs() <= (_LAST_US * 1_000 if unit == "ns" else _LAST_US / _US[unit])
    return lost.cast(pl.Int64, strict=False) % 1_000 != 0 if unit == "ns" else lost.is_null()


def _text_digits(text: pl.Series, unit: str) -> pl.Series:
    return text.str.extract(_EPOCH, 3).fill_null("").str.strip_chars_end("0").str.len_chars() > _DIGITS[unit]


def _rest(text: pl.Series, unit: str) -> pl.Series:
    whole = text.str.extract(_EPOCH, 2).cast(pl.Int64, strict=False)
    return (whole % 1_000 != 0).fill_null(value=False) & pl.Series([unit == "ns"])


def _in_range(micros: pl.Series) -> pl.Series:
    low, high = micros.min(), micros.max()
    if low is None or (low >= _FIRST_US and high <= _LAST_US):  # type: ignore[operator] # integers
        return micros
    return without(micros, ~micros.is_between(_FIRST_US, _LAST_US).fill_null(value=True))


def _micros(ticks: pl.Series, unit: str) -> pl.Series:
    """Return whole microseconds; null where there are none, and where multiplying would overflow."""
    if unit == "ns":
        return without(ticks, (ticks % 1_000 != 0).fill_null(value=False)) // 1_000
    limit = 2**62 // _US[unit]
    return without(ticks, ~ticks.is_between(-limit, limit).fill_null(value=True)) * _US[unit]


def _epochs(values: pl.Series, unit: str) -> pl.Series:
    dtype = values.dtype
    if dtype.is_integer():
        return _micros(values.cast(pl.Int64, strict=False), unit)
    if dtype.is_float():
        return _float_epochs(values, unit)
    if dtype == pl.String:
        return _text_epochs(values, unit)
    if dtype.is_decimal():
        return _text_epochs(values.cast(pl.String), unit)
    return nothing(values, pl.Int64())


def _float_epochs(values: pl.Series, unit: str) -> pl.Series:
    """Return the microseconds that a float stands for, where the float is the nearest one to them."""
    if values.dtype != pl.Float64:  # 24 bits do not hold a second of this century
        return nothing(values, pl.Int64())
    scaled = values / 1_000 if unit == "ns" else values * _US[unit]
    micros = scaled.round()
    back = micros * 1_000 if unit == "ns" else micros / _US[unit]
    kept = (back == values) & (micros.abs() < EXACT) & (values.abs() < EXACT)
    if unit != "ns":  # far from 1970 one float is the nearest to several microseconds
        kept &= ((micros - 1) / _US[unit] != values) & ((micros + 1) / _US[unit] != values)
    return without(micros, ~kept.fill_null(value=False)).cast(pl.Int64, strict=False)


def _text_epochs(text: pl.Series, unit: str) -> pl.Series:
    digits = _DIGITS[unit]
    fraction = text.str.extract(_EPOCH, 3).fill_null("").str.strip_chars_end("0")
    text = without(text, (fraction.str.len_chars() > digits).fill_null(value=False))
    joined = text.str.extract(_EPOCH, 1) + text.str.extract(_EPOCH, 2) + fraction.str.pad_end(digits, "0")
    ticks = joined.cast(pl.Int64, strict=False)
    return _micros(ticks, "ns") if unit == "ns" else ticks


def _parsed(column: Column, values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return instants in UTC, and times of the column's zone; each value is at most one of them."""
    none = nothing(values, INSTANT), nothing(values, pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        micros = _in_range(_micros(values.to_physical(), values.dtype.time_unit))
        return none[0], micros.cast(pl.Datetime("us"))
    if values.dtype != pl.String:
        return none
    if column.spelling.pattern:
        return _declared(column.spelling.pattern, values, none)
    return _iso(values, none)


def _iso(text: pl.Series, none: tuple[pl.Series, pl.Series]) -> tuple[pl.Series, pl.Series]:
    """Parse ISO 8601; the pattern refuses what the parser would round or guess."""
    text = without(text, ~text.str.contains(_ISO).fill_null(value=False))
    text = text.str.replace(r"[t ]", "T").str.replace(r"[Zz]\z", "+00:00")
    offset = text.str.contains(_OFFSET).fill_null(value=False)
    zoned = none[0] if not offset.any() else _first_parsed(without(text, ~offset), "%:z")
    naive = none[1] if offset.all() else _first_parsed(without(text, offset), "")
    return zoned, naive


def _first_parsed(text: pl.Series, ending: str) -> pl.Series:
    parsed = [
        text.str.to_datetime(form + ending, time_unit="us", strict=False, ambiguous="null")
        for form in _ISO_FORMATS
    ]
    return parsed[0].zip_with(parsed[0].is_not_null(), parsed[1])


def _declared(
    pattern: str, text: pl.Series, none: tuple[pl.Series, pl.Series]
) -> tuple[pl.Series, pl.Series]:
    expression, form, zoned = translated(pattern)
    text = without(text, ~text.str.contains(expression).fill_null(value=False))
    text = text.str.replace(r"[Zz]\z", "+00:00") if zoned else text
    found = text.str.to_datetime(form, time_unit="us", strict=False)
    return (found, none[1]) if zoned else (none[0], found)


def _located(naive: pl.Series, zone: str) -> pl.Series:
    if zone == "UTC" or naive.null_count() == len(naive):
        return naive.dt.replace_time_zone("UTC")
    return naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")


@cache
def translated(pattern: str) -> tuple[str, str, bool]:
    """Return a `strptime` pattern as an expression for texts, in the parser's words, and if it is zoned.

    Raises
    ------
    ValueError
        If the pattern has a directive that is not known here.
    """
    expression, form = "", ""
    for part in re.findall(r"\.%f|%.|[^%]+?(?=\.%f|%|$)|%", pattern, re.DOTALL):
        directive = part.lstrip(".") if part == ".%f" else part
        known = _DIRECTIVES.get(part[1:]) if directive[0] == "%" else (re.escape(part), part)
        if known is None:
            valid = ", ".join(f"%{name}" for name in _DIRECTIVES if len(name) == 1)
            raise ValueError(f"{part} in the form {pattern!r} is not read; valid: {valid}")
        expression, form = expression + known[0], form + known[1]
    return rf"\A{expression}\z", form, "%z" in form


def to_days(column: Column, values: pl.Series) -> pl.Series:
    """Return days from dates, midnights without a zone, and ISO 8601 or declared text."""
    dtype = values.dtype
    if dtype == pl.Date:
        return _within_years(values)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        micros = _in_range(_micros(values.to_physical(), dtype.time_unit))
        midnight = without(micros, (micros % 86_400_000_000 != 0).fill_null(value=False))
        return midnight.cast(pl.Datetime("us")).cast(pl.Date)
    if dtype == pl.String:
        return _within_years(_written_days(column.spelling.pattern, values))
    return nothing(values, pl.Date())


def _written_days(pattern: str, text: pl.Series) -> pl.Series:
    expression, form, _ = translated(pattern or "%Y-%m-%d")
    if not pattern:
        expression = rf"\A{_DATE}\z"
    text = without(text, ~text.str.contains(expression).fill_null(value=False))
    return text.str.to_date(form, strict=False)


def _within_years(days: pl.Series) -> pl.Series:
    kept = days.to_physical().is_between(_FIRST_DAY, _LAST_DAY).fill_null(value=True)
    return without(days, ~kept)


def why_no_day(_: Column, lost: pl.Series) -> Reasons:
    """Return why values are no days; there is no better word than their type."""
    del lost
    return []
