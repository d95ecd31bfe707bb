"""From delivered values to typed rows and failures."""

import logging
from datetime import UTC, datetime
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.coercion import coerce
from mlobs_pipelines.contracts.odcs import Column, Kind, Spelling, Table
from mlobs_pipelines.contracts.rows import (
    Checked,
    Seen,
    check_frame,
    check_rows,
    extra_columns,
    missing_columns,
    validate,
)

NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
CANARY = "CANARY-7f3a"


def _table(*columns: Column) -> Table:
    return Table("rows", "one row", columns)


def _failed(table: Table, frame: pl.DataFrame) -> list[tuple[int, str]]:
    return [(row, rule) for row, rule, _ in check_rows(table, frame).failures.iter_rows()]


def test_columns_follow_the_contract():
    """Extra columns are left out, missing ones are null, and both can be named."""
    table = _table(Column("a", Kind.STRING), Column("b", Kind.NUMBER), Column("c", Kind.INTEGER))
    frame = pl.DataFrame({"z": [1, 2], "b": [1.0, 2.0]})
    coerced = coerce(table, frame)
    assert coerced.typed.rows() == [(None, 1.0, None), (None, 2.0, None)]
    assert coerced.typed.columns == ["a", "b", "c"]
    assert coerced.failures.is_empty()
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
        ({"id": "abc\n"}, ["length:id", "padded:id", "pattern:id"]),
        ({"id": ""}, ["length:id", "pattern:id", "required:id"]),
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


def test_repeats_of_a_key_are_no_failure_of_rows():
    """Which of two rows with one key is kept is decided where deliveries meet, not here."""
    rows = [GOOD, GOOD, GOOD | {"version": 2}, GOOD | {"score": 0.5}]
    assert _failed(RULED, pl.DataFrame(rows, schema_overrides={"ticket": pl.Int64})) == []


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
    assert coerce(RULED, checked.good).failures.is_empty()


SCORES = st.one_of(st.none(), st.floats(-1, 2, width=32))
LOOP_ROWS = st.tuples(st.sampled_from("abcd"), SCORES, st.sampled_from(["ok", "bad", None]))


@settings(deadline=None, max_examples=60)
@given(st.lists(LOOP_ROWS, max_size=15))
def test_failures_are_those_of_a_plain_loop(rows: list[tuple]):
    """Row numbers and rules agree with a rule-by-rule loop in plain Python."""
    table = _table(
        Column("k", Kind.STRING, unique=True, required=True),
        Column("v", Kind.NUMBER, required=True, minimum=0.0, maximum=1.0),
        Column("s", Kind.STRING, allowed=("ok",)),
    )
    seen: set[str] = set()
    expected: set[tuple[int, str]] = set()
    for place, (key, value, status) in enumerate(rows):
        expected |= {(place, "unique:k")} if key in seen else set()
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


def test_unique_holds_across_the_frames_of_a_delivery():
    """A value that came in an earlier frame is a repeat in every row of a later one."""
    table, seen = _table(Column("k", Kind.STRING, unique=True)), Seen()
    frames = [["a", "b", None], ["c", "a", "c", None], ["b", "d"]]
    found = [check_frame(table, pl.DataFrame({"k": keys}), seen).failures["row"].to_list() for keys in frames]
    assert found == [[], [1, 2], [0]]
    assert check_frame(table, pl.DataFrame({"k": ["a"]}), Seen()).failures.is_empty()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.none() | st.integers(0, 30), max_size=9), max_size=12))
def test_repeats_are_those_of_a_set(frames: list[list[int | None]]):
    """However a delivery is cut into frames, repeats are those that a set of values finds."""
    table, seen, values, expected, found = (
        _table(Column("k", Kind.INTEGER, unique=True)),
        Seen(),
        set(),
        [],
        [],
    )
    for place, keys in enumerate(frames):
        before = set(values)
        for row, key in enumerate(keys):
            expected += (
                [(place, row)] if key is not None and key in (values if key not in before else before) else []
            )
            values.add(key)
        frame = pl.DataFrame({"k": keys}, schema={"k": pl.Int64})
        found += [(place, row) for row in check_frame(table, frame, seen).failures["row"]]
    assert found == expected


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("email", ["a@b.co", "x.y+z@mail.example.org"], ["a@b", "@b.co", "a b@c.de", "a@-b.co", "a@b.co "]),
        ("uuid", ["550e8400-e29b-41d4-a716-446655440000"], ["550e8400e29b41d4a716446655440000", "g" * 36]),
        ("uri", ["https://example.org/a?b#c", "urn:isbn:1"], ["example.org", "http://a b", "://x"]),
        ("ipv4", ["0.0.0.0", "192.168.1.255"], ["256.1.1.1", "1.2.3", "01.2.3.4"]),  # noqa: S104 - an address as text
        (
            "ipv6",
            ["::", "::1", "fe80::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"],
            ["1::2::3", "1:2:3", ":1", "g::"],
        ),
        ("hostname", ["a", "example.org", "x-1.y"], ["-a", "a-", "a..b", "a_b", "a" * 64, "a." * 130 + "a"]),
        ("date", ["2013-03-01", "2012-02-29"], ["2013-02-29", "2013-3-1", "2013-03-01T00:00:00Z"]),
        ("time", ["12:00:00", "23:59:59.5Z", "00:00:00+05:30"], ["24:00:00", "12:00", "12:00:60"]),
        (
            "date-time",
            ["2013-03-01T12:00:00Z"],
            ["2013-02-30T12:00:00Z", "2013-03-01T12:00:00", "2013-03-01"],
        ),
    ],
)
def test_formats_of_texts(form: str, good: list[str], bad: list[str]):
    """A named format lets its texts pass, and nothing else."""
    table = _table(Column("x", Kind.STRING, form=form))
    assert _failed(table, pl.DataFrame({"x": [*good, None]})) == []
    assert _failed(table, pl.DataFrame({"x": bad})) == [(row, "form:x") for row in range(len(bad))]


@settings(deadline=None, max_examples=60)
@given(st.text("0123456789abcdefgABF:.", max_size=24) | st.ip_addresses(v=6).map(str))
def test_the_addresses_are_those_of_the_standard_library(text: str):
    """An IPv6 address is what Python's own reader takes for one."""
    import ipaddress  # noqa: PLC0415 - for this test only

    def is_address() -> bool:
        try:
            return bool(ipaddress.IPv6Address(text))
        except ValueError:
            return False

    broken = _failed(_table(Column("x", Kind.STRING, form="ipv6")), pl.DataFrame({"x": [text]}))
    assert (broken == []) == is_address()


@settings(deadline=None, max_examples=80)
@given(st.sampled_from([0.01, 0.1, 0.25, 0.3, 1.5, 7.0, 1e-6]), st.integers(-(10**6), 10**6))
def test_multiples_are_those_of_the_written_decimal(step: float, times: int):
    """Every multiple of a decimal step passes, whatever its binary rounding; the next float does not."""
    import math  # noqa: PLC0415 - for this test only

    value = float(Fraction(repr(step)) * times)
    table = _table(Column("x", Kind.NUMBER, multiple_of=step))
    frame = pl.DataFrame({"x": [value, math.nextafter(value + step / 3, math.inf)]})
    assert _failed(table, frame) == [(1, "multiple_of:x")]


def test_numbers_beyond_the_step_are_multiples():
    """Where neighbouring floats are further apart than the step, each of them is nearest to a multiple."""
    table = _table(Column("x", Kind.NUMBER, multiple_of=0.01))
    assert _failed(table, pl.DataFrame({"x": [1e300, 2.0**60 + 4096, 0.1 + 0.2]})) == [(2, "multiple_of:x")]


@pytest.mark.parametrize(
    ("low", "high", "broken"), [(0, 10**19, []), (-(10**50), 10**50, []), (10**19, None, [0])]
)
def test_limits_beyond_what_is_stored_still_limit(low: int, high: int | None, broken: list[int]):
    """A limit that no stored integer reaches lets all of them pass, or none."""
    table = _table(Column("x", Kind.INTEGER, minimum=low, maximum=high))
    assert check_rows(table, pl.DataFrame({"x": [2**63 - 1]})).failures["row"].to_list() == broken


def test_the_other_rules_of_a_column():
    """Whole multiples of integers, 32-bit numbers and listed values of every kind are found."""
    table = _table(
        Column("i", Kind.INTEGER, multiple_of=5, allowed=(0, 5, 10)),
        Column("f", Kind.NUMBER, single=True, allowed=(0.5, 0.1)),
        Column("b", Kind.BOOLEAN, allowed=(True,)),
    )
    frame = pl.DataFrame(
        {"i": [10, 7, 15, None], "f": [0.5, 0.1, 0.25, None], "b": [True, False, None, True]}
    )
    assert _failed(table, frame) == [
        (1, "allowed:b"),
        (1, "allowed:i"),
        (1, "multiple_of:i"),
        (1, "single:f"),
        (2, "allowed:f"),
        (2, "allowed:i"),
    ]


def test_rewritten_values_are_counted_beside_the_failures():
    """What the types rewrote is passed on with the rows."""
    table = _table(Column("x", Kind.STRING, spelling=Spelling(trim=True)))
    assert check_rows(table, pl.DataFrame({"x": [" a", "b"]})).normalised == {"trimmed:x": 1}
