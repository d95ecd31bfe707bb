"""Delivered spellings and types, one by one: which value they are, or which failure."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from mlobs_pipelines.contracts.coercion import DTYPES, Coerced, coerce
from mlobs_pipelines.contracts.instants import translated
from mlobs_pipelines.contracts.odcs import Column, Kind, Spelling, Table

NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
NEW_YORK = Spelling(zone="America/New_York")
COMMA = Spelling(decimal_comma=True)
PERCENT = Spelling(decimal_comma=True, percent=True)


def _coerce(kind: Kind, series: pl.Series, spelling: Spelling = Spelling(), **more: bool) -> Coerced:  # noqa: B008 - frozen
    column = Column("x", kind, spelling=spelling, **more)
    return coerce(Table("rows", "", (column,)), series.alias("x").to_frame())


def _one(kind: Kind, value: object, spelling: Spelling = Spelling()) -> tuple[object, list[str]]:  # noqa: B008 - frozen
    series = value if isinstance(value, pl.Series) else pl.Series([value])
    coerced = _coerce(kind, series, spelling)
    assert coerced.typed.schema == {"x": DTYPES[kind]}
    return coerced.typed["x"][0], coerced.failures["rule"].to_list()


@pytest.mark.parametrize(
    ("kind", "value", "spelling", "expected"),
    [
        (Kind.INTEGER, "12", Spelling(), 12),
        (Kind.INTEGER, "-9223372036854775808", Spelling(), -(2**63)),
        (Kind.INTEGER, 3.0, Spelling(), 3),
        (Kind.INTEGER, Decimal("4.00"), Spelling(), 4),
        (Kind.INTEGER, "1.234", COMMA, 1234),
        (Kind.INTEGER, "1200 %", Spelling(percent=True), 12),
        (Kind.INTEGER, pl.Series([2**63 - 1], dtype=pl.UInt64), Spelling(), 2**63 - 1),
        (Kind.NUMBER, "1e-3", Spelling(), 0.001),
        (Kind.NUMBER, 7, Spelling(), 7.0),
        (Kind.NUMBER, Decimal("0.5"), Spelling(), 0.5),
        (Kind.NUMBER, pl.Series([0.5], dtype=pl.Float32), Spelling(), 0.5),
        (Kind.NUMBER, "1.234,5", COMMA, 1234.5),
        (Kind.NUMBER, "12,3 %", PERCENT, 0.123),
        (Kind.NUMBER, "12,3", PERCENT, 0.123),
        (Kind.NUMBER, 12.5, PERCENT, 0.125),
        (Kind.BOOLEAN, "True", Spelling(), True),
        (Kind.BOOLEAN, "f", Spelling(), False),
        (Kind.BOOLEAN, "1", Spelling(), True),
        (Kind.BOOLEAN, 0, Spelling(), False),
        (Kind.BOOLEAN, 1.0, Spelling(), True),
        (Kind.STRING, "007", Spelling(), "007"),
        (Kind.STRING, 2**62, Spelling(), str(2**62)),
        (Kind.STRING, b"abc", Spelling(), "abc"),
        (Kind.STRING, pl.Series(["a"], dtype=pl.Categorical), Spelling(), "a"),
        (Kind.STRING, pl.Series(["a"], dtype=pl.Enum(["a"])), Spelling(), "a"),
        (Kind.DATE, "2013-03-01", Spelling(), date(2013, 3, 1)),
        (Kind.DATE, "1.3.2013", Spelling(pattern="%d.%m.%Y"), date(2013, 3, 1)),
        (Kind.DATE, datetime(2013, 3, 1), Spelling(), date(2013, 3, 1)),  # noqa: DTZ001 - a day has no zone
        (Kind.TIMESTAMP, "2013-03-01T12:00:00Z", Spelling(), NOON),
        (Kind.TIMESTAMP, "2013-03-01 12:00", Spelling(), NOON),
        (Kind.TIMESTAMP, "2013-03-01T07:00:00.000000-05:00", Spelling(), NOON),
        (Kind.TIMESTAMP, "2013-03-01T17:30:00+0530", Spelling(), NOON),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00.000000000Z", Spelling(), NOON),
        (Kind.TIMESTAMP, "2013-03-01T07:00:00", NEW_YORK, NOON),
        (Kind.TIMESTAMP, datetime(2013, 3, 1, 7), NEW_YORK, NOON),  # noqa: DTZ001 - the zone is declared
        (Kind.TIMESTAMP, "01.03.2013 12:00:00", Spelling(pattern="%d.%m.%Y %H:%M:%S"), NOON),
        (Kind.TIMESTAMP, "03/01/13 12:00 PM", Spelling(pattern="%m/%d/%y %I:%M %p"), NOON),
        (Kind.TIMESTAMP, "20130301 130000 +0100", Spelling(pattern="%Y%m%d %H%M%S %z"), NOON),
        (Kind.TIMESTAMP, 1362139200, Spelling(epoch="s"), NOON),
        (Kind.TIMESTAMP, 1362139200.0, Spelling(epoch="s"), NOON),
        (Kind.TIMESTAMP, Decimal("1362139200.0"), Spelling(epoch="s"), NOON),
        (Kind.TIMESTAMP, "1362139200.000000000", Spelling(epoch="s"), NOON),
        (Kind.TIMESTAMP, 1362139200000, Spelling(epoch="ms"), NOON),
        (Kind.TIMESTAMP, 1362139200000000, Spelling(epoch="us"), NOON),
        (Kind.TIMESTAMP, 1362139200000000000, Spelling(epoch="ns"), NOON),
        (Kind.TIMESTAMP, "1362139200000000000", Spelling(epoch="ns"), NOON),
    ],
)
def test_what_a_type_can_represent_arrives_exactly(kind, value, spelling, expected):
    """Text and foreign types become the declared type when nothing is lost."""
    assert _one(kind, value, spelling) == (expected, [])


@pytest.mark.parametrize(
    ("kind", "value", "spelling", "rule"),
    [
        (Kind.INTEGER, "1.0", Spelling(), "type"),
        (Kind.INTEGER, "9223372036854775808", Spelling(), "type"),
        (Kind.INTEGER, pl.Series([2**64 - 1], dtype=pl.UInt64), Spelling(), "type"),
        (Kind.INTEGER, " 1", Spelling(), "type"),
        (Kind.INTEGER, "", Spelling(), "type"),
        (Kind.INTEGER, "0x1F", Spelling(), "type"),
        (Kind.INTEGER, "1_000", Spelling(), "type"),
        (Kind.INTEGER, "\u0661", Spelling(), "type"),
        (Kind.INTEGER, "1.23", COMMA, "type"),
        (Kind.INTEGER, "5", Spelling(percent=True), "type"),
        (Kind.INTEGER, 1.5, Spelling(), "type"),
        (Kind.INTEGER, 2.0**53, Spelling(), "precision"),
        (Kind.INTEGER, pl.Series([2.0**24], dtype=pl.Float32), Spelling(), "precision"),
        (Kind.INTEGER, float("nan"), Spelling(), "finite"),
        (Kind.INTEGER, "nan", Spelling(), "finite"),
        (Kind.INTEGER, Decimal("1.5"), Spelling(), "type"),
        (Kind.INTEGER, True, Spelling(), "type"),
        (Kind.NUMBER, "1,5", Spelling(), "type"),
        (Kind.NUMBER, "1.5", COMMA, "type"),
        (Kind.NUMBER, "twelve", Spelling(), "type"),
        (Kind.NUMBER, "0x1p3", Spelling(), "type"),
        (Kind.NUMBER, "1_0", Spelling(), "type"),
        (Kind.NUMBER, "5 %", Spelling(), "type"),
        (Kind.NUMBER, 2**53 + 1, Spelling(), "precision"),
        (Kind.NUMBER, str(2**53 + 1), Spelling(), "precision"),
        (Kind.NUMBER, Decimal(2**53 + 1), Spelling(), "precision"),
        (Kind.NUMBER, "1e-400", Spelling(), "precision"),
        (Kind.NUMBER, False, Spelling(), "type"),
        (Kind.NUMBER, "nan", Spelling(), "finite"),
        (Kind.NUMBER, "-Infinity", Spelling(), "finite"),
        (Kind.NUMBER, "nan", COMMA, "finite"),
        (Kind.NUMBER, "1e999", Spelling(), "finite"),
        (Kind.NUMBER, float("-inf"), Spelling(), "finite"),
        (Kind.NUMBER, timedelta(1), Spelling(), "type"),
        (Kind.NUMBER, b"1", Spelling(), "type"),
        (Kind.BOOLEAN, "yes", Spelling(), "type"),
        (Kind.BOOLEAN, "tRUE", Spelling(), "type"),
        (Kind.BOOLEAN, 2, Spelling(), "type"),
        (Kind.BOOLEAN, float("nan"), Spelling(), "type"),
        (Kind.STRING, 1.5, Spelling(), "precision"),
        (Kind.STRING, 1e18, Spelling(), "precision"),
        (Kind.STRING, True, Spelling(), "type"),
        (Kind.STRING, NOON, Spelling(), "type"),
        (Kind.STRING, time(12), Spelling(), "type"),
        (Kind.STRING, b"\xff\xfe", Spelling(), "encoding"),
        (Kind.STRING, b"\x00\x01", Spelling(), "encoding"),
        (Kind.STRING, {"a": 1}, Spelling(), "type"),
        (Kind.DATE, "2013-02-30", Spelling(), "type"),
        (Kind.DATE, "2013-03-01T00:00:00", Spelling(), "type"),
        (Kind.DATE, "0000-01-01", Spelling(), "type"),
        (Kind.DATE, NOON, Spelling(), "type"),
        (Kind.DATE, pl.Series([10**9], dtype=pl.Int32).cast(pl.Date), Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-02-30T00:00:00Z", Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00.1234567Z", Spelling(), "precision"),
        (Kind.TIMESTAMP, "2013-03-01", Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-03-01T23:59:60Z", Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-03-01T24:00:00Z", Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00 Europe/Berlin", Spelling(), "type"),
        (Kind.TIMESTAMP, "01.03.2013 12:00:60", Spelling(pattern="%d.%m.%Y %H:%M:%S"), "type"),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00Z", Spelling(pattern="%d.%m.%Y %H:%M:%S"), "type"),
        (Kind.TIMESTAMP, "1362139200", Spelling(), "type"),
        (Kind.TIMESTAMP, 1362139200, Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00Z", Spelling(epoch="s"), "type"),
        (Kind.TIMESTAMP, 2**63 - 1, Spelling(epoch="s"), "type"),
        (Kind.TIMESTAMP, -(2**63), Spelling(epoch="ms"), "type"),
        (Kind.TIMESTAMP, 1e300, Spelling(epoch="s"), "type"),
        (Kind.TIMESTAMP, float("inf"), Spelling(epoch="s"), "finite"),
        (Kind.TIMESTAMP, 1362139200123456789, Spelling(epoch="ns"), "precision"),
        (Kind.TIMESTAMP, 1.362139200123456e18, Spelling(epoch="ns"), "precision"),
        (Kind.TIMESTAMP, "1362139200.1234567", Spelling(epoch="s"), "precision"),
        (Kind.TIMESTAMP, pl.Series([1.3621392e9], dtype=pl.Float32), Spelling(epoch="s"), "precision"),
        (Kind.TIMESTAMP, pl.Series([2**63 - 1]).cast(pl.Datetime("ms")), Spelling(), "type"),
        (Kind.TIMESTAMP, pl.Series([-(2**63)]).cast(pl.Datetime("ms")), NEW_YORK, "type"),
        (Kind.TIMESTAMP, pl.Series([2**63 - 1]).cast(pl.Datetime("us", "Europe/Berlin")), Spelling(), "type"),
        (Kind.TIMESTAMP, pl.Series([1_001]).cast(pl.Datetime("ns")), Spelling(), "precision"),
        (Kind.TIMESTAMP, "9999-12-31T23:59:59-05:00", Spelling(), "type"),
        (Kind.TIMESTAMP, "2013-03-10T02:30:00", NEW_YORK, "nonexistent_time"),
        (Kind.TIMESTAMP, "2013-11-03T01:30:00", NEW_YORK, "ambiguous_time"),
        (Kind.TIMESTAMP, datetime(2013, 3, 10, 2, 30), NEW_YORK, "nonexistent_time"),  # noqa: DTZ001 - that it is naive
        (Kind.TIMESTAMP, datetime(2013, 11, 3, 1, 30), NEW_YORK, "ambiguous_time"),  # noqa: DTZ001 - is the case
        (Kind.TIMESTAMP, date(2013, 3, 1), Spelling(), "type"),
        (Kind.TIMESTAMP, [NOON], Spelling(), "type"),
    ],
)
def test_what_a_type_cannot_represent_is_a_failure(kind, value, spelling, rule):
    """What would be rounded, wrapped, truncated or guessed is null, and the failure says why."""
    assert _one(kind, value, spelling) == (None, [f"{rule}:x"])


@pytest.mark.parametrize("kind", list(Kind))
def test_null_stays_null(kind):
    """A missing value of any source type is missing and no failure of the type."""
    for dtype in (pl.Null, pl.String, DTYPES[kind], pl.Struct({"a": pl.Int64}), pl.Binary, pl.Time):
        coerced = _coerce(kind, pl.Series([None, None], dtype=dtype))
        assert coerced.typed["x"].to_list() == [None, None]
        assert coerced.failures.is_empty()
        assert coerced.normalised == {}


@pytest.mark.parametrize("kind", list(Kind))
def test_no_rows_have_the_types_of_the_contract(kind):
    """A frame without rows, of any type, is a typed frame without rows."""
    for dtype in (pl.Null, pl.String, pl.Float32, pl.Binary, DTYPES[kind]):
        assert _coerce(kind, pl.Series([], dtype=dtype)).typed.schema == {"x": DTYPES[kind]}


def test_rewritten_values_are_counted():
    """Trimmed and recomposed texts, texts that mean null and integers as text are counted, nothing else."""
    text = pl.Series([" a", "b", "n/a", None])
    assert _coerce(Kind.STRING, text, Spelling(trim=True, nulls=("n/a",))).normalised == {
        "trimmed:x": 1,
        "null_text:x": 1,
    }
    composed = _coerce(Kind.STRING, pl.Series(["e\u0301", "\u00e9", "e"]))
    assert composed.typed["x"].to_list() == ["\u00e9", "\u00e9", "e"]
    assert composed.normalised == {"unicode:x": 1}
    assert _coerce(Kind.STRING, pl.Series([1, None])).normalised == {"as_text:x": 1}
    assert _coerce(Kind.INTEGER, pl.Series([" 1"]), Spelling(trim=True)).typed["x"].to_list() == [1]
    assert _coerce(Kind.NUMBER, pl.Series(["-"]), Spelling(nulls=("-",))).failures.is_empty()


def test_white_space_around_a_key_is_a_failure_unless_it_is_trimmed():
    """Two keys that look alike are not two keys: padding is taken off by contract or refused."""
    keys = pl.Series(["a", "a ", "\u00a0a"])
    padded = _coerce(Kind.STRING, keys, primary_key=True)
    assert padded.failures.rows() == [(1, "padded:x", "x"), (2, "padded:x", "x")]
    assert _coerce(Kind.STRING, keys).failures.is_empty()
    trimmed = _coerce(Kind.STRING, keys, Spelling(trim=True), primary_key=True)
    assert trimmed.typed["x"].to_list() == ["a", "a", "a"]
    assert trimmed.failures.is_empty()


def test_characters_that_nobody_could_decode_are_a_failure():
    """The replacement character says that bytes were lost before they came here."""
    assert _coerce(Kind.STRING, pl.Series(["caf\ufffd", "caf\u00e9"])).failures.rows() == [
        (0, "encoding:x", "x")
    ]


def test_a_directive_that_is_not_known_is_refused():
    """A pattern with a directive that nobody translated is an error of the contract, not of the data."""
    with pytest.raises(ValueError, match="%Q in the form"):
        translated("%Y %Q")


def test_parquet_of_any_physical_type_is_read(tmp_path):
    """Every physical type that Parquet and Arrow have is a value or a failure of each kind."""
    import pyarrow as pa  # noqa: PLC0415 - for this test only
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    table = pa.table(
        {
            "f16": pa.array([1.5, None]).cast(pa.float16()),
            "u64": pa.array([2**64 - 1, None], pa.uint64()),
            "dec": pa.array([Decimal("1.50"), None], pa.decimal128(38, 2)),
            "fixed": pa.array([b"ab", None], pa.binary(2)),
            "large": pa.array(["a", None], pa.large_string()),
            "view": pa.array(["a", None], pa.string_view()),
            "dict": pa.array(["a", None]).dictionary_encode(),
            "none": pa.array([None, None], pa.null()),
            "time": pa.array([1, None], pa.time64("us")),
            "span": pa.array([1, None], pa.duration("ns")),
            "ns": pa.array([1_000, None], pa.timestamp("ns", "Europe/Berlin")),
            "s": pa.array([1, None], pa.timestamp("s")),
            "nested": pa.array([{"a": [1]}, None]),
        }
    )
    pq.write_table(table, tmp_path / "odd.parquet")
    frame = pl.from_arrow(pq.read_table(tmp_path / "odd.parquet"))
    for kind in Kind:
        coerced = coerce(Table("rows", "", tuple(Column(name, kind) for name in frame.columns)), frame)
        assert coerced.typed.height == 2
        assert set(coerced.failures["row"]) <= {0}
        kept = sum(column.count() for column in coerced.typed)
        assert kept + coerced.failures.height == frame.width - 1
