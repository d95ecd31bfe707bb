"""Values that look sensitive are counted; everyday numbers, ids and times are not."""

import random
import uuid

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.scanner import SENSITIVE_KINDS, scan

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc"
FOUND = {
    "email": ["a@b.co", "mail jane.doe+x@mail.example.com.", "<jane@example.org>"],
    "phone": ["+4915112345678", "+1 212-555-0100", "+1 (212) 555-0100", "(212) 555-0100", "212.555.0100"],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "card 5555-5555-5555-4444.",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "2223003122003222",
        "6200000000000005",
    ],
    "national_id": [
        "123-45-6789",
        "ssn: 123-45-6789",
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "529.982.247-25",
    ],
    "token": [
        f"Bearer {JWT}",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "xoxb-" + "123456789012-abc",
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        "sk_live_" + "a" * 20,
    ],
}
CLEAN = [
    "",
    "2013-03-01T12:00:00+05:30",
    "2013-03-01 12:00:00.123456789+00:00",
    "2013-03-01/2013-04-01",
    "20130301120000",
    "1362139200",
    "1362139200123",
    "1362139200123456",
    "1362139200123456789",
    "UA-1234-20130301-EWR",
    "N14228",
    "550e8400-e29b-41d4-a716-446655440000",
    "deadbeef" * 8,
    "192.168.100.100",
    "10.0.0.1:8080",
    "4111111111111112",
    "9999999999999995",
    "+40.712812",
    "+12345678.5",
    "-74.0060",
    "1,234,567.89",
    "3.14159265358979",
    "123-45-67890",
    "000-12-3456",
    "666-12-3456",
    "111.111.111-11",
    "529.982.247-26",
    "DE89370400440532013001",
    "ZZ89370400440532013000",
    "user@host",
    "@mention",
    "a@b@c",
    "2125550100",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in FOUND for text in FOUND[kind]])
def test_each_kind_is_found(kind, text):
    """A value of each kind is found by its kind alone, once per row, at any place of a column."""
    frame = pl.DataFrame({"x": ["nothing", text, None, text]})
    assert scan(frame, ["x"]) == {("x", kind): 2}
    many = pl.DataFrame({"x": [f"id-{number}" for number in range(2_000)] + [text]})
    assert scan(many, ["x"]) == {("x", kind): 1}


@pytest.mark.parametrize("text", CLEAN)
def test_everyday_values_are_not_found(text):
    """Times, ids, numbers, addresses of machines and near misses are nothing."""
    assert scan(pl.DataFrame({"x": [text]}), ["x"]) == {}


def test_kinds_are_those_that_are_announced():
    """Every kind that can be found is listed."""
    assert set(FOUND) == set(SENSITIVE_KINDS)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.uuids() | st.integers(-(2**63), 10**12 - 1) | st.floats() | st.datetimes(), max_size=20))
def test_generated_ids_numbers_and_times_are_not_found(values):
    """Whatever ids, numbers and times a column holds as text, nothing is found in it."""
    assert scan(pl.DataFrame({"x": [str(value) for value in values]}, schema={"x": pl.String}), ["x"]) == {}


def test_random_ids_have_check_digits_by_chance_only():
    """A column of random long integers is no column of cards, as text or as integers; one of cards is."""
    draw = random.Random(0)  # noqa: S311 - no secret
    ids = [draw.randrange(10**15, 10**16) for _ in range(5_000)]
    assert scan(pl.DataFrame({"x": ids, "y": [str(value) for value in ids]}), ["x", "y"]) == {}
    cards = [_card(draw) for _ in range(50)]
    assert scan(pl.DataFrame({"x": cards, "y": [float(card) for card in cards]}), ["x", "y"]) == {
        ("x", "card"): 50,
        ("y", "card"): 50,
    }


def _card(draw: random.Random) -> int:
    body = [4, *(draw.randrange(10) for _ in range(14))]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 == 0 else digit for place, digit in enumerate(body)]
    return int("".join(map(str, [*body, -sum(doubled) % 10])))


def test_columns_of_every_type_are_looked_at():
    """Categories, lists and structures are searched too; other types and missing columns are passed over."""
    frame = pl.DataFrame(
        {
            "a": pl.Series(["a@b.co"], dtype=pl.Categorical),
            "b": [["a@b.co", "x"]],
            "c": [{"d": {"e": "a@b.co"}}],
            "f": [True],
            "g": pl.Series([None], dtype=pl.String),
            "h": [b"a@b.co"],
            "i": [float("nan")],
            "j": pl.Series([2**64 - 1], dtype=pl.UInt64),
        }
    )
    assert scan(frame, [*frame.columns, "nowhere"]) == {(name, "email"): 1 for name in "abc"}
    assert scan(frame.clear(), frame.columns) == {}


def test_distinct_ids_are_searched_in_little_time():
    """Searching distinct ids costs far less than reading them."""
    import time  # noqa: PLC0415 - for this test only

    frame = pl.DataFrame({"x": [str(uuid.UUID(int=number * 2**64)) for number in range(131_072)]})
    began = time.perf_counter()
    assert scan(frame, ["x"]) == {}
    assert time.perf_counter() - began < 0.5
