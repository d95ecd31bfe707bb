"""Values of any type as JSON can say them, for rows that are kept as they were delivered.

JSON has no bytes, and the encoder ends the process at times outside of the calendar.
"""

from datetime import date, datetime

import polars as pl

_DAYS = date(1, 1, 1), date(9999, 12, 31)
_TIMES = datetime(1, 1, 1), datetime(9999, 12, 31)  # noqa: DTZ001 - compared with times of any zone


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


def _instants(values: pl.Series, kind: pl.Datetime) -> pl.Series:
    utc = values.to_physical().cast(pl.Datetime(kind.time_unit))
    # 64 bits of nanoseconds end inside of the calendar.
    shown = utc.dt.to_string("iso") if kind.time_unit == "ns" else _within(values, utc, *_TIMES)
    return shown + ("+00:00" if kind.time_zone else "")


def _within(values: pl.Series, times: pl.Series, first: date, last: date) -> pl.Series:
    inside = times.is_between(pl.lit(first), pl.lit(last)).fill_null(value=True)
    shown = times.to_frame().select(pl.all().clip(first, last).dt.to_string("iso")).to_series()
    return shown.zip_with(inside, values.to_physical().cast(pl.String))
