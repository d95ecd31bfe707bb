"""From delivered values to typed rows and failures."""

import logging
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.coercion import DTYPES, coerce
from mlobs_pipelines.contracts.odcs import Column, Kind, Table
from mlobs_pipelines.contracts.rows import Checked, check_rows, extra_columns, missing_columns, validate

NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
CANARY = "CANARY-7f3a"


def _table(*columns: Column) -> Table:
    return Table("rows", "one row", columns)


def _coerced(kind: Kind, series: pl.Series) -> tuple[list, list[str]]:
    typed, failures = coerce(_table(Column("x", kind)), series.alias("x").to_frame())
    assert typed.schema == {"x": DTYPES[kind]}
    return typed["x"].to_list(), failures["rule"].to_list()


def _failed(table: Table, frame: pl.DataFrame) -> list[tuple[int, str]]:
    return [(row, rule) for row, rule, _ in check_rows(table, frame).failures.iter_rows()]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.INTEGER, "12", 12),
        (Kind.INTEGER, "-9223372036854775808", -(2**63)),
        (Kind.INTEGER, 3.0, 3),
        (Kind.INTEGER, Decimal("4.00"), 4),
        (Kind.NUMBER, "1e-3", 0.001),
        (Kind.NUMBER, 7, 7.0),
        (Kind.NUMBER, Decimal("0.5"), 0.5),
        (Kind.BOOLEAN, "True", True),
        (Kind.STRING, "007", "007"),
        (Kind.DATE, "2013-03-01", date(2013, 3, 1)),
        (Kind.DATE, datetime(2013, 3, 1), date(2013, 3, 1)),  # noqa: DTZ001 - a day has no zone
        (Kind.TIMESTAMP, "2013-03-01T12:00:00Z", NOON),
        (Kind.TIMESTAMP, "2013-03-01 12:00", NOON),
        (Kind.TIMESTAMP, "2013-03-01T07:00:00.000000-05:00", NOON),
        (Kind.TIMESTAMP, "2013-03-01T17:30:00+0530", NOON),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00.000000000Z", NOON),
        (Kind.TIMESTAMP, datetime(2013, 3, 1, 12), NOON),  # noqa: DTZ001 - read as UTC
    ],
)
def test_values_that_a_type_can_represent_arrive_exactly(kind: Kind, value: object, expected: object):
    """Text and foreign types become the declared type when nothing is lost."""
    assert _coerced(kind, pl.Series([value])) == ([expected], [])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.INTEGER, "1.0"),
        (Kind.INTEGER, "9223372036854775808"),
        (Kind.INTEGER, " 1"),
        (Kind.INTEGER, ""),
        (Kind.INTEGER, 1.5),
        (Kind.INTEGER, 1e300),
        (Kind.INTEGER, float("nan")),
        (Kind.INTEGER, Decimal("1.5")),
        (Kind.INTEGER, True),
        (Kind.NUMBER, "1,5"),
        (Kind.NUMBER, "twelve"),
        (Kind.NUMBER, 2**53 + 1),
        (Kind.NUMBER, False),
        (Kind.BOOLEAN, "yes"),
        (Kind.BOOLEAN, 1),
        (Kind.STRING, 7),
        (Kind.STRING, 1.5),
        (Kind.DATE, "2013-02-30"),
        (Kind.DATE, NOON),
        (Kind.TIMESTAMP, "2013-02-30T00:00:00Z"),
        (Kind.TIMESTAMP, "2013-03-01T12:00:00.1234567Z"),
        (Kind.TIMESTAMP, "2013-03-01"),
        (Kind.TIMESTAMP, "2013-03-01T23:59:60Z"),
        (Kind.TIMESTAMP, "1362139200"),
        (Kind.TIMESTAMP, 1362139200),
        (Kind.TIMESTAMP, date(2013, 3, 1)),
        (Kind.TIMESTAMP, [NOON]),
        (Kind.STRING, {"a": 1}),
    ],
)
def test_values_that_a_type_cannot_represent_are_failures(kind: Kind, value: object):
    """What would be rounded, truncated or guessed is null and a failure of the type."""
    assert _coerced(kind, pl.Series([value])) == ([None], ["type:x"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "nan", "-inf", "1e999"])
def test_numbers_that_are_not_finite_are_failures(value: object):
    """NaN and infinities are not numbers, and not missing values either."""
    assert _coerced(Kind.NUMBER, pl.Series([value])) == ([None], ["finite:x"])


@pytest.mark.parametrize("kind", list(Kind))
def test_null_stays_null(kind: Kind):
    """A missing value of any source type is missing and no failure of the type."""
    for dtype in (pl.Null, pl.String, DTYPES[kind]):
        assert _coerced(kind, pl.Series([None, None], dtype=dtype)) == ([None, None], [])


def test_nanoseconds_are_kept_only_when_whole_microseconds():
    """A timestamp with nanoseconds is refused where microseconds would truncate it."""
    series = pl.Series([1_000, 1_001]).cast(pl.Datetime("ns"))
    values, rules = _coerced(Kind.TIMESTAMP, series)
    assert values == [datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None]
    assert rules == ["type:x"]


def test_categories_are_text():
    """Dictionary-encoded text is text."""
    assert _coerced(Kind.STRING, pl.Series(["a", "b"], dtype=pl.Categorical)) == (["a", "b"], [])


def test_columns_follow_the_contract():
    """Extra columns are left out, missing ones are null, and both can be named."""
    table = _table(Column("a", Kind.STRING), Column("b", Kind.NUMBER), Column("c", Kind.INTEGER))
    frame = pl.DataFrame({"z": [1, 2], "b": [1.0, 2.0]})
    typed, failures = coerce(table, frame)
    assert typed.rows() == [(None, 1.0, None), (None, 2.0, None)]
    assert typed.columns == ["a", "b", "c"]
    assert failures.is_empty()
    assert missing_columns(table, frame.columns) == ("a", "c")
    assert extra_columns(table, frame.columns) == ("z",)


def test_a_delivery_without_any_known_column_keeps_its_rows():
    """Rows are counted even where none of their columns is known."""
    table = _table(Column("a", Kind.STRING, required=True))
    checked = check_rows(table, pl.DataFrame({"z": [1, 2, 3]}))
    assert (checked.good.height, checked.bad.height) == (0, 3)


RULED = _table(
    Column("id", Kind.STRING, required=True, primary_key=True, pattern="[a-z]+", min_length=1, max_length=3),
    Column("version", Kind.INTEGER, required=True, primary_key=True),
    Column("score", Kind.NUMBER, minimum=0.0, maximum=1.0),
    Column("status", Kind.STRING, allowed=("ok", "error")),
    Column("ticket", Kind.INTEGER, unique=True),
    Column("at", Kind.TIMESTAMP, minimum=NOON),
)
GOOD = {"id": "abc", "version": 1, "score": 1.0, "status": "ok", "ticket": None, "at": NOON}


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        ({}, []),
        ({"score": None, "status": None, "at": None}, []),
        ({"id": None}, ["required:id"]),
        ({"id": "ABC"}, ["pattern:id"]),
        ({"id": "abc\n"}, ["length:id", "pattern:id"]),
        ({"id": ""}, ["length:id", "pattern:id"]),
        ({"score": 1.0000001}, ["range:score"]),
        ({"score": -0.1}, ["range:score"]),
        ({"score": float("nan")}, ["finite:score"]),
        ({"status": "OK"}, ["allowed:status"]),
        ({"at": NOON.replace(hour=11)}, ["range:at"]),
    ],
)
def test_each_rule_finds_its_rows_and_only_them(changed: dict, rules: list[str]):
    """A row that breaks a rule fails under the rule's name; null breaks only `required`."""
    frame = pl.DataFrame([{**GOOD, "id": "zz"}, GOOD | changed], schema_overrides={"ticket": pl.Int64})
    assert _failed(RULED, frame) == [(1, rule) for rule in rules]


def test_all_later_duplicates_fail_and_the_first_is_kept():
    """Of rows with one primary key the first stays, whether the others are identical or not."""
    rows = [GOOD, GOOD, GOOD | {"version": 2}, GOOD | {"score": 0.5}]
    frame = pl.DataFrame(rows, schema_overrides={"ticket": pl.Int64})
    assert _failed(RULED, frame) == [(1, "primary_key:id+version"), (3, "primary_key:id+version")]


def test_unique_ignores_missing_values():
    """A unique column may be missing in many rows, but no value may come twice."""
    frame = pl.DataFrame(
        [GOOD | {"id": name, "ticket": n} for name, n in zip("abcd", (1, None, 1, None), strict=True)]
    )
    assert _failed(RULED, frame) == [(2, "unique:ticket")]


def test_a_value_of_the_wrong_type_is_not_called_missing_too():
    """A required value that is no number has one reason, and it is the type."""
    table = _table(Column("a", Kind.INTEGER, required=True))
    assert _failed(table, pl.DataFrame({"a": ["x", None]})) == [(0, "type:a"), (1, "required:a")]


def test_reasons_pair_with_bad_rows():
    """Reasons list every rule and column of a bad row once, in the order of the bad rows."""
    frame = pl.DataFrame(
        [GOOD, GOOD | {"id": "B", "score": 2.0}, GOOD | {"id": "CCCC"}], schema_overrides={"ticket": pl.Int64}
    )
    checked = check_rows(RULED, frame)
    assert checked.reasons.rows() == [
        (1, ["pattern:id", "range:score"], ["id", "score"]),
        (2, ["length:id", "pattern:id"], ["id"]),
    ]
    assert checked.bad["id"].to_list() == ["B", "CCCC"]
    assert checked.counts == {"length:id": 1, "pattern:id": 2, "range:score": 1}


def test_a_lazy_frame_is_refused():
    """Pandera looks at the schema only of a LazyFrame, so that bad rows would pass: it is not accepted."""
    with pytest.raises(TypeError, match="collect it first"):
        validate(RULED, pl.LazyFrame({"id": ["A"]}))  # type: ignore[arg-type]  # that it is refused is the test


def test_a_frame_of_other_types_is_refused_without_its_values():
    """A frame that was not coerced is a mistake of the caller, told by columns and not by values."""
    with pytest.raises(TypeError, match="coerce it first") as caught:
        validate(_table(Column("a", Kind.INTEGER)), pl.DataFrame({"a": [CANARY]}))
    assert CANARY not in repr(caught.value)


def test_pandera_settings_of_the_process_do_not_switch_the_rules_off():
    """Rows are looked at even where the process told Pandera to look at schemas only."""
    from pandera.config import ValidationDepth, config_context  # noqa: PLC0415 - for this test only

    with config_context(validation_enabled=False, validation_depth=ValidationDepth.SCHEMA_ONLY):
        assert _failed(_table(Column("a", Kind.NUMBER, maximum=1.0)), pl.DataFrame({"a": [2.0]})) == [
            (0, "range:a")
        ]


ANYTHING = st.sampled_from(
    ["a", "abcd", "", "B", None, "0.5", "2", "-1", "nan", "x", "ok", "2013-03-01T13:00:00Z", "1"]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(*[ANYTHING] * len(RULED.columns)), max_size=12))
def test_no_row_is_lost(rows: list[tuple]):
    """Good rows and bad rows together are the delivery, and a row is bad exactly when a failure names it."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(RULED.names, pl.String), orient="row")
    checked = check_rows(RULED, frame)
    assert checked.typed.height == checked.good.height + checked.bad.height == len(rows)
    assert checked.reasons.height == checked.bad.height
    assert set(checked.failures["row"]) == set(checked.reasons["row"])
    assert validate(RULED, checked.good).is_empty()
    assert coerce(RULED, checked.good)[1].is_empty()


SCORES = st.one_of(st.none(), st.floats(-1, 2, width=32))
LOOP_ROWS = st.tuples(st.sampled_from("abcd"), SCORES, st.sampled_from(["ok", "bad", None]))


@settings(deadline=None, max_examples=60)
@given(st.lists(LOOP_ROWS, max_size=15))
def test_failures_are_those_of_a_plain_loop(rows: list[tuple]):
    """Row numbers and rules agree with a rule-by-rule loop in plain Python."""
    table = _table(
        Column("k", Kind.STRING, primary_key=True, required=True),
        Column("v", Kind.NUMBER, required=True, minimum=0.0, maximum=1.0),
        Column("s", Kind.STRING, allowed=("ok",)),
    )
    seen: set[str] = set()
    expected: set[tuple[int, str]] = set()
    for place, (key, value, status) in enumerate(rows):
        expected |= {(place, "primary_key:k")} if key in seen else set()
        expected |= {(place, "required:v")} if value is None else set()
        expected |= {(place, "range:v")} if value is not None and not 0 <= value <= 1 else set()
        expected |= {(place, "allowed:s")} if status == "bad" else set()
        seen.add(key)
    frame = pl.DataFrame(rows, schema={"k": pl.String, "v": pl.Float64, "s": pl.String}, orient="row")
    assert set(_failed(table, frame)) == expected


def test_no_value_reaches_a_failure_or_a_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture):
    """A planted value is in no failure, reason, count, log line or output."""
    caplog.set_level(logging.DEBUG)
    frame = pl.DataFrame({name: [CANARY, CANARY, None] for name in RULED.names})
    checked = check_rows(RULED, frame)
    written = capsys.readouterr()
    said = [
        checked.failures.rows(),
        checked.reasons.rows(),
        checked.counts,
        caplog.text,
        written.out,
        written.err,
    ]
    assert checked.bad.height == 3
    assert CANARY not in repr(said)


def test_a_checked_delivery_is_never_compared_by_rows():
    """Two checked deliveries are equal only if they are the same one."""
    frame = pl.DataFrame({"a": [1]})
    one, other = Checked(frame, frame), Checked(frame, frame)
    assert one == one  # noqa: PLR0124 - identity is the promise
    assert one != other
