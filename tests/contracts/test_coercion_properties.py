"""Properties of coercion: what is written comes back, or a failure names the column; never another value."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.coercion import Coerced, coerce
from mlobs_pipelines.contracts.odcs import Column, Kind, Spelling, Table

NEW_YORK = Spelling(zone="America/New_York")
COMMA = Spelling(decimal_comma=True)
PERCENT = Spelling(decimal_comma=True, percent=True)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
EVERY = settings(deadline=None, max_examples=100)


def _coerce(kind: Kind, series: pl.Series, spelling: Spelling) -> Coerced:
    return coerce(Table("rows", "", (Column("x", kind, spelling=spelling),)), series.alias("x").to_frame())


def _one(kind: Kind, value: object, spelling: Spelling = Spelling()) -> tuple[object, list[str]]:  # noqa: B008 - frozen
    coerced = _coerce(kind, pl.Series([value]), spelling)
    return coerced.typed["x"][0], coerced.failures["rule"].to_list()


def _held(kind: Kind, written: object, expected: object, spelling: Spelling = Spelling()) -> None:  # noqa: B008 - frozen
    found, rules = _one(kind, written, spelling)
    assert found == expected or (found is None and rules), "another value, or none without a failure"


@EVERY
@given(INT64)
def test_integers_come_back(value):
    """Whatever an integer is written as, it is that integer again or a failure; digits always come back."""
    assert _one(Kind.INTEGER, value) == _one(Kind.INTEGER, str(value)) == (value, [])
    assert _one(Kind.STRING, value) == (str(value), [])
    assert _one(Kind.INTEGER, f"{value:,}".replace(",", "."), COMMA) == (value, [])
    assert _one(Kind.INTEGER, Decimal(value)) == (value, [])
    _held(Kind.INTEGER, float(value), value)
    _held(Kind.NUMBER, value, value)
    _held(Kind.NUMBER, str(value), value)
    _held(Kind.NUMBER, Decimal(value), value)


@EVERY
@given(FLOATS)
def test_numbers_come_back(value):
    """A finite number comes back from its shortest spelling in every convention."""
    assert _one(Kind.NUMBER, value) == _one(Kind.NUMBER, repr(value)) == (value, [])
    assert _one(Kind.NUMBER, repr(value).replace(".", ","), COMMA) == (value, [])
    _held(Kind.INTEGER, value, value)
    assert _one(Kind.STRING, value) == (None, ["precision:x"])


@EVERY
@given(st.decimals(-10_000, 10_000, places=4))
def test_percentages_are_divided_without_a_second_rounding(value):
    """A percentage in text is the float nearest to its hundredth."""
    written = f"{value:.4f}".replace(".", ",") + " %"
    assert _one(Kind.NUMBER, written, PERCENT) == (float(value / 100), [])


@EVERY
@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_instants_come_back(value, minutes):
    """An instant comes back from text under any offset and from an epoch of any unit, however written."""
    text = value.isoformat()
    assert _one(Kind.TIMESTAMP, text) == (value, [])
    sign, ahead = ("-", -minutes) if minutes < 0 else ("+", minutes)
    local = (value + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat(" ")
    assert _one(Kind.TIMESTAMP, f"{local}{sign}{ahead // 60:02d}:{ahead % 60:02d}") == (value, [])
    micros = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert _one(Kind.TIMESTAMP, micros, Spelling(epoch="us")) == (value, [])
    assert _one(Kind.TIMESTAMP, str(Decimal(micros) / 1000), Spelling(epoch="ms")) == (value, [])
    assert _one(Kind.TIMESTAMP, f"{Decimal(micros).scaleb(-6):f}", Spelling(epoch="s")) == (value, [])
    assert _one(Kind.TIMESTAMP, f"{micros}000", Spelling(epoch="ns"))[0] in {value, None}
    _held(Kind.TIMESTAMP, micros / 1e6, value, Spelling(epoch="s"))
    _held(Kind.TIMESTAMP, micros / 1e3, value, Spelling(epoch="ms"))
    _held(Kind.TIMESTAMP, float(micros), value, Spelling(epoch="us"))


LOCAL = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - times on a wall


@EVERY
@given(LOCAL, st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]))
def test_local_times_are_those_of_the_zone(value, zone):
    """A local time is the one instant that has it; one of two or of none is a failure that says which."""
    there = ZoneInfo(zone)
    both = [value.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1)]
    exist = [one for one in both if one.astimezone(there).replace(tzinfo=None) == value]
    expected = {
        0: (None, ["nonexistent_time:x"]),
        1: (both[0], []),
        2: (both[0], []) if both[0] == both[1] else (None, ["ambiguous_time:x"]),
    }[len(exist)]
    assert _one(Kind.TIMESTAMP, value, Spelling(zone=zone)) == expected
    assert _one(Kind.TIMESTAMP, value.isoformat(), Spelling(zone=zone)) == expected


PATTERNS = (
    "%Y-%m-%d %H:%M:%S.%f",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%y %I:%M:%S %p",
    "%d %b %Y %H:%M:%S",
    "%Y%m%dT%H%M%S",
)


@EVERY
@given(st.datetimes(datetime(1970, 1, 1), datetime(2068, 1, 1)), st.sampled_from(PATTERNS))  # noqa: DTZ001 - as above
def test_declared_patterns_read_what_they_write(value, pattern):
    """A time written by its pattern comes back as Python reads it."""
    written = value.strftime(pattern)
    expected = datetime.strptime(written, pattern).replace(tzinfo=UTC)
    assert _one(Kind.TIMESTAMP, written, Spelling(pattern=pattern)) == (expected, [])


@EVERY
@given(st.dates())
def test_days_come_back(value):
    """A day comes back from a date, from midnight and from text."""
    assert _one(Kind.DATE, value) == _one(Kind.DATE, value.isoformat()) == (value, [])
    assert _one(Kind.DATE, datetime.combine(value, time())) == (value, [])
    assert _one(Kind.DATE, f"{value.day}.{value.month}.{value.year:04d}", Spelling(pattern="%d.%m.%Y")) == (
        value,
        [],
    )


SPELLINGS = [
    Spelling(),
    COMMA,
    PERCENT,
    NEW_YORK,
    Spelling(trim=True, nulls=("",)),
    Spelling(pattern="%d.%m.%Y"),
]
SPELLINGS += [Spelling(epoch=unit) for unit in ("s", "ms", "us", "ns")]
ODD = st.one_of(
    st.text(max_size=12),
    st.text("0123456789.,:-+eE TZ%", max_size=30),
    st.sampled_from(
        ["1e5", "+", "0001-01-01T00:00:00+23:59", "9999-12-31", "99999999999999999999", "-0", "1,", ",5"]
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(Kind)), st.sampled_from(SPELLINGS), st.lists(ODD, max_size=4))
def test_no_text_breaks_a_cast(kind, spelling, texts):
    """Any text is a value or a failure of its row: nothing raises, and nothing is lost without a name."""
    coerced = _coerce(kind, pl.Series(texts, dtype=pl.String), spelling)
    missing = set(coerced.typed["x"].is_null().arg_true())
    meant = coerced.normalised.get("null_text:x", 0)
    assert len(missing) == len(missing & set(coerced.failures["row"])) + meant


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(Kind)), st.sampled_from(SPELLINGS), st.data())
def test_no_type_breaks_a_cast(kind, spelling, data):
    """Any typed value, at the ends of its type too, is a value or a failure: nothing raises or wraps."""
    dtype, values = data.draw(st.sampled_from(TYPED))
    series = pl.Series(data.draw(st.lists(st.none() | values, max_size=4)), dtype=dtype)
    if dtype in (pl.Int32, pl.Int64):
        series = series.cast(data.draw(st.sampled_from([dtype, pl.Date] if dtype == pl.Int32 else TIMES)))
    coerced = _coerce(kind, series, spelling)
    gone = (coerced.typed["x"].is_null() & series.is_not_null()).arg_true()
    meant = coerced.normalised.get("null_text:x", 0)
    assert len(gone) == len(set(gone) & set(coerced.failures["row"])) + meant
    assert len(coerced.typed["x"].to_list()) == len(series)  # every instant is one that Python has


TIMES = [
    pl.Int64,
    *(pl.Datetime(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC", "Asia/Tokyo")),
]
TIMES += [pl.Duration(unit) for unit in ("ms", "us", "ns")]
TYPED = [
    (pl.Int8, st.integers(-128, 127)),
    (pl.Int32, st.integers(-(2**31), 2**31 - 1)),
    (pl.Int64, INT64),
    (pl.UInt64, st.integers(0, 2**64 - 1)),
    (pl.Float32, st.floats(width=32)),
    (pl.Float64, st.floats()),
    (pl.Boolean, st.booleans()),
    (pl.Binary, st.binary(max_size=9)),
    (pl.Decimal(38, 0), st.decimals(-(10**30), 10**30, places=0)),
    (pl.Decimal(38, 6), st.decimals(-(10**20), 10**20, places=6)),
    (pl.Time, st.times()),
    (pl.List(pl.Int64), st.lists(INT64, max_size=2)),
]
