"""What is stored of identifying values: hashes, buckets, nothing; and never more."""

import hashlib
import hmac
import math
import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.odcs import Column, Kind, Privacy, Spelling, Table
from mlobs_pipelines.settings import HashKey, HashKeys
from mlobs_pipelines.steps.coarsening import coarse
from mlobs_pipelines.steps.privacy import (
    hash_text,
    protect,
    protect_raw,
    stored_table,
    stored_type,
)

CANARY = "zebra.fish@example.org"
HASHED = "^[0-9a-f]{8}:[0-9a-f]{32}$"


def key(secret: bytes) -> HashKey:
    """A key with its public name."""
    return HashKey(secret, hashlib.sha256(secret).hexdigest()[:8])


KEYS = HashKeys(key(b"the present key of some length"), key(b"the key before it, retired"), date(2026, 3, 31))
WHO = Column("who", Kind.STRING, privacy=Privacy.HASH, pattern="N[0-9]+", required=True, primary_key=True)
MAIL = Column("mail", Kind.STRING, privacy=Privacy.DROP)
AGE = Column("age", Kind.INTEGER, privacy=Privacy.BUCKET, bucket=10.0, minimum=18)
BORN = Column("born", Kind.DATE, privacy=Privacy.BUCKET, bucket="year")
SEEN = Column("seen", Kind.TIMESTAMP, privacy=Privacy.BUCKET, bucket="month")
ZIP = Column("zip", Kind.STRING, privacy=Privacy.BUCKET, bucket=3.0)
PAY = Column("pay", Kind.NUMBER, privacy=Privacy.BUCKET, bucket=0.1)
CITY = Column("city", Kind.STRING, minimum=None)
TABLE = Table("people", "", (WHO, MAIL, AGE, BORN, SEEN, ZIP, PAY, CITY))
ROWS = pl.DataFrame(
    {
        "who": ["N1", None, "N2", "N1"],
        "mail": [CANARY] * 4,
        "age": [39, -1, 40, None],
        "born": [date(1987, 6, 5), None, date(2000, 1, 1), date(1969, 12, 31)],
        "seen": [datetime(2026, 3, 31, 23, 59, tzinfo=UTC), None, *[datetime(1969, 12, 31, tzinfo=UTC)] * 2],
        "zip": ["10115", "1", "", None],
        "pay": [0.3, -0.05, 0.7, None],
        "city": ["Berlin", "Paris", None, "Rome"],
        "another": [1, 2, 3, 4],
    },
    schema_overrides={"seen": pl.Datetime("us", "UTC")},
)


def one(column: Column, values: pl.Series) -> tuple[Table, pl.DataFrame]:
    """A table of one column, and its frame."""
    return Table("one", "", (column,)), values.alias(column.name).to_frame()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_hash_is_hmac_of_the_nfc_text_with_the_key_id_beside_it(value):
    """Anybody with the key can repeat it with a standard library: RFC 2104, 32 hex digits."""
    secret = KEYS.current.secret
    wanted = hmac.digest(secret, unicodedata.normalize("NFC", value).encode(), "sha256").hex()[:32]
    assert hash_text(value, KEYS.current) == f"{KEYS.current.key_id}:{wanted}"
    assert hash_text(unicodedata.normalize("NFD", value), KEYS.current) == hash_text(value, KEYS.current)


def test_typed_rows_keep_what_the_contract_lets_them_keep():
    """Hashes, buckets by their left edge, no dropped column; nulls and other columns as they were."""
    kept = protect(ROWS, TABLE, KEYS)
    one_, two = (hash_text(value, KEYS.current) for value in ("N1", "N2"))
    assert kept.to_dict(as_series=False) == {
        "who": [one_, None, two, one_],
        "age": [30, -10, 40, None],
        "born": [date(1987, 1, 1), None, date(2000, 1, 1), date(1969, 1, 1)],
        "seen": [datetime(2026, 3, 1, tzinfo=UTC), None, *[datetime(1969, 12, 1, tzinfo=UTC)] * 2],
        "zip": ["101", "1", "", None],
        "pay": [0.3, -0.1, 0.7, None],
        "city": ["Berlin", "Paris", None, "Rome"],
        "another": [1, 2, 3, 4],
    }
    assert protect(ROWS.head(0), TABLE, KEYS).schema == kept.schema


def test_rows_as_delivered_keep_no_more_than_typed_ones():
    """Text that has no bucket is hashed, columns that the contract does not know are gone."""
    raw = ROWS.with_columns(pl.col("age", "born", "seen", "pay").cast(pl.String))
    raw = raw.with_columns(who=pl.lit(CANARY), age=pl.lit(CANARY))
    kept = protect_raw(raw, TABLE, KEYS)
    assert kept.columns == ["who", "age", "born", "seen", "zip", "pay", "city"]
    hashed = hash_text(CANARY, KEYS.current)
    assert kept["who"].to_list() == kept["age"].to_list() == [hashed] * 4
    assert kept["zip"].to_list() == ["101", "1", "", None]
    assert kept["pay"].str.contains(HASHED).to_list() == [True, True, True, None]
    assert CANARY not in kept.write_json()


def test_typed_deliveries_are_bucketed_in_quarantine_too():
    """A number that is no number stays one: its row waits in quarantine for that very reason."""
    table, frame = one(PAY, pl.Series([0.34, math.inf, math.nan, None]))
    kept = protect_raw(frame, table, KEYS)["pay"].to_list()
    assert kept[:2] == [0.3, math.inf]
    assert math.isnan(kept[2])
    assert kept[3] is None
    percent = replace(PAY, spelling=Spelling(percent=True))
    table, frame = one(percent, pl.Series([34.5]))
    assert protect_raw(frame, table, KEYS)["pay"].dtype == pl.String


@pytest.mark.parametrize(
    ("column", "typed", "delivered"),
    [
        (WHO, pl.Series(["N1"]), pl.Series(["N1"])),
        (Column("n", Kind.INTEGER, privacy=Privacy.HASH), pl.Series([7]), pl.Series(["7"])),
        (Column("n", Kind.NUMBER, privacy=Privacy.HASH), pl.Series([1e16]), pl.Series(["10000000000000000"])),
        (Column("n", Kind.NUMBER, privacy=Privacy.HASH), pl.Series([0.0]), pl.Series([-0.0])),
        (
            Column("n", Kind.DATE, privacy=Privacy.HASH),
            pl.Series([date(2026, 1, 2)]),
            pl.Series(["2026-01-02"]),
        ),
        (
            Column("n", Kind.TIMESTAMP, privacy=Privacy.HASH),
            pl.Series([datetime(2026, 1, 2, tzinfo=UTC)]),
            pl.Series(["2026-01-02T01:00:00+01:00"]),
        ),
    ],
)
def test_a_value_has_one_hash_in_quarantine_and_out_of_it(column, typed, delivered):
    """Whatever it was delivered as, a released row joins like one that was accepted at once."""
    table, frame = one(column, typed)
    assert protect(frame, table, KEYS)[column.name].equals(
        protect_raw(delivered.alias(column.name).to_frame(), table, KEYS)[column.name]
    )


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([b"\x00\xff", None]),
        pl.Series([[1, None], None]),
        pl.Series([{"a": CANARY}, None]),
        pl.Series([[9 * 10**18], None]).cast(pl.List(pl.Datetime("us"))),
        pl.Series([9 * 10**18, None]).cast(pl.Datetime("us", "UTC")),
        pl.Series([timedelta(1), None]),
        pl.Series([math.nan, None]),
        pl.Series([True, None]),
        pl.Series([None, None]),
        pl.Series([CANARY, None], dtype=pl.Categorical),
        pl.Series([object(), None], dtype=pl.Object),
    ],
    ids=lambda values: str(values.dtype),
)
@pytest.mark.parametrize("kind", list(Kind))
def test_any_delivered_type_is_hashed(values, kind):
    """No type that a file can have keeps an identifying column from being hashed; null stays null."""
    table, frame = one(Column("x", kind, privacy=Privacy.HASH), values)
    kept = protect_raw(frame, table, KEYS)["x"]
    assert kept.is_null().to_list() == values.is_null().to_list()
    assert kept.drop_nulls().str.contains(HASHED).all()
    table, frame = one(Column("x", kind, privacy=Privacy.DROP), values)
    assert protect_raw(frame, table, KEYS).columns == []
    bucket = "year" if kind in (Kind.TIMESTAMP, Kind.DATE) else 3.0
    table, frame = one(Column("x", kind, privacy=Privacy.BUCKET, bucket=bucket), values)
    if kind is not Kind.BOOLEAN:
        kept = protect_raw(frame, table, KEYS)["x"]
        assert CANARY not in str(kept.to_physical().to_list())
        assert kept.is_null().to_list() == values.is_null().to_list()


def test_texts_that_mean_null_are_null_in_quarantine():
    """A hash of "n/a" would be a value once the row is released."""
    column = replace(WHO, spelling=Spelling(nulls=("n/a",), trim=True))
    table, frame = one(column, pl.Series(["n/a", " n/a ", "N1"]))
    assert protect_raw(frame, table, KEYS)["who"].is_null().to_list() == [True, True, False]


def test_only_rows_from_quarantine_may_bring_hashes():
    """A delivered value that looks like a hash is hashed like any other; a released one stays as it is."""
    old, new = (hash_text("N1", k) for k in (KEYS.previous, KEYS.current))
    frame = pl.DataFrame({"who": [new, old, "N2", None]})
    table = Table("t", "", (WHO,))
    assert not set(protect(frame, table, KEYS)["who"].drop_nulls()) & {new, old}
    for released in (protect, protect_raw):
        kept = released(frame, table, KEYS, hashed=True)["who"].to_list()
        assert kept == [new, old, hash_text("N2", KEYS.current), None]


def test_a_hash_under_a_forgotten_key_is_told_by_count():
    """It would never be joined again; the message names the column and the remedy, and no value."""
    strange = hash_text("N1", key(b"nobody knows this key any more"))
    with pytest.raises(
        ValueError, match=r"1 distinct values of column who .* MLOBS_HMAC_PREVIOUS_KEY"
    ) as caught:
        protect(pl.DataFrame({"who": [strange] * 3}), Table("t", "", (WHO,)), KEYS, hashed=True)
    assert strange not in str(caught.value)


def test_protecting_twice_what_is_released_changes_nothing():
    """A row that goes through quarantine is stored as if it had been accepted at once."""
    kept = protect(ROWS, TABLE, KEYS)
    assert protect(kept, stored_table(TABLE), KEYS, hashed=True).equals(kept)
    raw = protect_raw(ROWS, TABLE, KEYS)
    assert protect_raw(raw, stored_table(TABLE), KEYS, hashed=True).equals(raw)
    assert raw.equals(kept.select(raw.columns))


def test_a_hash_where_a_text_bucket_was_meant_keeps_its_form():
    """Its first characters would pass for a bucket."""
    table, frame = one(ZIP, pl.Series([1.5]))
    kept = protect_raw(frame, table, KEYS)
    assert protect(kept, table, KEYS, hashed=True).equals(kept)


def test_stored_columns_have_the_type_of_what_is_kept():
    """Hashes are text, dropped columns have no type, buckets keep theirs; rules on values are gone."""
    types = {column.name: stored_type(column) for column in TABLE.columns}
    assert types["who"] == pa.string()
    assert types["mail"] is None
    assert (types["age"], types["born"]) == (pa.int64(), pa.date32())
    assert types["seen"] == pa.timestamp("us", tz="UTC")
    assert stored_type(Column("n", Kind.INTEGER, privacy=Privacy.HASH)) == pa.string()
    stored = stored_table(TABLE)
    assert stored.names == ("who", "age", "born", "seen", "zip", "pay", "city")
    assert (stored.column("who").pattern, stored.column("who").required) == (None, True)
    assert stored.primary_key == ("who",)
    assert stored.column("age").minimum is None
    assert stored.column("city") is CITY


@settings(deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.01, 0.05, 0.1, 0.25, 1 / 3, 1.0, 2.5, 7.0, 1000.0, 1e-5, 1e12]),
)
def test_a_number_lies_in_its_bucket_and_the_edge_does_too(value, width):
    """The edge is at most the value and less than a width below it; an edge is its own bucket."""
    column = Column("x", Kind.NUMBER, bucket=width)
    edge = coarse(pl.Series([value]), column)
    slack = max(math.ulp(value), math.ulp(width))
    assert edge[0] <= value < edge[0] + width + 2 * slack
    assert coarse(edge, column).equals(edge)


@given(st.integers(-100, 100), st.sampled_from([(0.1, 10), (0.01, 100), (0.25, 4), (0.5, 2)]))
def test_a_multiple_of_the_width_is_an_edge_as_it_is_written(count, width):
    """0.3 with a width of 0.1 stays 0.3, though three times 0.1 is more than that."""
    value = count / width[1]
    assert coarse(pl.Series([value]), Column("x", Kind.NUMBER, bucket=width[0])).to_list() == [value]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 10**6))
def test_an_integer_lies_in_its_bucket_without_overflow(value, width):
    """Also at both ends of 64 bits."""
    edge = coarse(pl.Series([value], dtype=pl.Int64), Column("x", Kind.INTEGER, bucket=float(width))).item()
    assert edge <= value < edge + width
    assert edge % width == 0 or edge == -(2**63)


def test_times_outside_the_calendar_do_not_crash():
    """They lie in the first or the last bucket of the years 1 to 9999."""
    column = Column("x", Kind.TIMESTAMP, bucket="year")
    far = pl.Series([-9 * 10**18, 9 * 10**18, None]).cast(pl.Datetime("us", "UTC"))
    assert [None if t is None else t.year for t in coarse(far, column).to_list()] == [1, 9999, None]
    days = pl.Series([-(2**31), 2**31 - 1], dtype=pl.Int32).cast(pl.Date)
    assert [day.year for day in coarse(days, replace(column, kind=Kind.DATE)).to_list()] == [1, 9999]


def test_a_truth_value_has_no_bucket():
    """A contract that asks for one is told so by name."""
    with pytest.raises(ValueError, match="column x: a boolean has no buckets"):
        coarse(pl.Series([True]), Column("x", Kind.BOOLEAN, bucket=2.0))
