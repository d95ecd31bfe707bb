"""Values of any type as JSON can say them, for rows that are kept as they were delivered, and back.

JSON has no bytes, and the encoder ends the process at times outside of the calendar. Whose rows these are is
not known here.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

_DAYS = date(1, 1, 1), date(9999, 12, 31)
_TIMES = datetime(1, 1, 1), datetime(9999, 12, 31)  # noqa: DTZ001 - compared with times of any zone
_PLAIN: dict[str, pl.DataType] = {
    str(kind): kind
    for kind in (
        *(pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.Int128()),
        *(pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64(), pl.UInt128()),
        *(
            pl.Float16(),
            pl.Float32(),
            pl.Float64(),
            pl.String(),
            pl.Boolean(),
            pl.Binary(),
            pl.Date(),
            pl.Null(),
        ),
    )
}
_NUMBER = r"^-?\d+$"


def in_json(values: pl.Series) -> pl.Series:
    """Values in a type that JSON has.

    Bytes become hexadecimal digits; days and instants (UTC) become text, those outside of the calendar their
    number; a column with NaN or infinities and nested bytes or times become text.
    """
    kind = values.dtype
    if kind == pl.Binary:
        return values.bin.encode("hex")
    if kind.is_float() and not values.is_finite().all():
        return values.cast(pl.String)
    if isinstance(kind, pl.Datetime):
        return _instants(values, kind)
    if kind == pl.Date:
        return _within(values, values, *_DAYS)
    if kind.is_nested() and any(name in str(kind) for name in ("Binary", "Date", "Time", "Duration")):
        plain = [None if value is None else repr(value) for value in values.to_physical().to_list()]
        return pl.Series(values.name, plain, pl.String)
    return values


def type_name(kind: pl.DataType) -> str:
    """The name under which `from_json` knows a type.

    Examples
    --------
    >>> type_name(pl.Datetime("ns", "UTC")), type_name(pl.Float32())
    ('Datetime ns UTC', 'Float32')
    """
    if isinstance(kind, pl.Datetime):
        return f"Datetime {kind.time_unit} {kind.time_zone or ''}".strip()
    if isinstance(kind, pl.Decimal):
        return f"Decimal {kind.precision} {kind.scale}"
    return "String" if isinstance(kind, pl.Categorical | pl.Enum) else str(kind)


def from_json(values: Sequence[object], name: str) -> pl.Series:
    """Values under the type they had before `in_json`, from what a JSON reader makes of them.

    Parameters
    ----------
    name
        As of `type_name`.

    Returns
    -------
    polars.Series
        Types that no contract has (lists, structs, times of day, durations), and values that do not fit the
        type, come back as lists of text: nothing takes these for a valid value.
    """
    word, *rest = name.split(" ")
    try:
        if word == "Datetime":
            return _to_instants(_texts(values), *rest)
        if word == "Decimal":
            return _texts(values).cast(pl.Decimal(int(rest[0]), int(rest[1])))
        return _PLAIN_READERS.get(name, _plain)(values, _PLAIN[name])
    except (KeyError, ValueError, TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(
            [None if value is None else [str(value)] for value in values], dtype=pl.List(pl.String)
        )


def _plain(values: Sequence[object], kind: pl.DataType) -> pl.Series:
    if kind.is_float():
        return pl.Series(
            [None if value is None else float(str(value)) for value in values], dtype=pl.Float64
        ).cast(kind)
    return pl.Series(values, dtype=kind, strict=True)


def _bytes(values: Sequence[object], _: pl.DataType) -> pl.Series:
    return _texts(values).str.decode("hex", strict=True)


def _days(values: Sequence[object], _: pl.DataType) -> pl.Series:
    texts = _texts(values)
    numbers = texts.str.contains(_NUMBER).fill_null(value=False)
    read = texts.set(numbers, None).str.to_date("%Y-%m-%d", strict=True).to_physical()
    return _texts_or_numbers(texts, numbers, read).cast(pl.Int32).cast(pl.Date)


_PLAIN_READERS = {"Binary": _bytes, "Date": _days}


def _texts(values: Sequence[object]) -> pl.Series:
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def _to_instants(texts: pl.Series, unit: Any, zone: str = "") -> pl.Series:  # noqa: ANN401 - one of three words
    bare = texts.str.strip_suffix("+00:00")
    numbers = bare.str.contains(_NUMBER).fill_null(value=False)
    form = "%Y-%m-%d %H:%M:%S%.f"
    read = bare.set(numbers, None).str.to_datetime(form, time_unit=unit, strict=True).to_physical()
    times = _texts_or_numbers(bare, numbers, read).cast(pl.Datetime(unit))
    return times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else times


def _texts_or_numbers(texts: pl.Series, numbers: pl.Series, read: pl.Series) -> pl.Series:
    counts = texts.set(~numbers, None).cast(pl.Int64)
    return counts.zip_with(numbers, read.cast(pl.Int64))


def _instants(values: pl.Series, kind: pl.Datetime) -> pl.Series:
    utc = values.to_physical().cast(pl.Datetime(kind.time_unit))
    # 64 bits of nanoseconds end inside of the calendar.
    shown = utc.dt.to_string("iso") if kind.time_unit == "ns" else _within(values, utc, *_TIMES)
    return shown + ("+00:00" if kind.time_zone else "")


def _within(values: pl.Series, times: pl.Series, first: date, last: date) -> pl.Series:
    inside = times.is_between(pl.lit(first), pl.lit(last)).fill_null(value=True)
    shown = times.to_frame().select(pl.all().clip(first, last).dt.to_string("iso")).to_series()
    return shown.zip_with(inside, values.to_physical().cast(pl.String))
