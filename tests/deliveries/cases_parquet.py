"""Parquet of any physical type: values are taken exactly, or their rows set aside, and nothing is a crash."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from tests.deliveries.promise import Case
from tests.deliveries.stage import arrow_with, parquet_with
from tests.deliveries.toy import MARK, Toy

PARQUET = Toy("parquet")
HALVES = [0.5, 0.25, 0.125, 1.0]
TEXTS = ["a", "b", None, "d"]


def _typed(name: str, kind: pa.DataType, values: list[object], **expected: object) -> Case:
    """A case of one column under a type that holds its values exactly."""
    write = arrow_with(**{name: pa.array(values, kind)})
    return Case(
        f"{kind} for {name}",
        write,
        "accepted",
        accepted=4,
        toy=PARQUET,
        values={name: expected.get("read", values)},
    )


def _foreign(what: str, name: str, array: pa.Array, bad: int = 4) -> Case:
    """A case of a type that no value of the column can have."""
    counts = {"accepted": 4 - bad, "quarantined": bad}
    return Case(
        f"{what} for {name}",
        arrow_with(**{name: array}),
        "partial",
        **counts,
        toy=PARQUET,
        rules={f"type:{name}": bad},
    )


CASES = [
    _typed("amount", pa.float32(), HALVES),
    _typed("amount", pa.float16(), HALVES),
    _typed("amount", pa.int8(), [1, -128, 127, 0]),
    _typed("amount", pa.uint64(), [1, 2, 3, 2**53]),
    _typed(
        "amount",
        pa.decimal128(20, 3),
        [Decimal("1.125"), Decimal(-1), Decimal(0), Decimal("0.5")],
        read=[1.125, -1.0, 0.0, 0.5],
    ),
    _typed(
        "amount",
        pa.decimal256(60, 2),
        [Decimal("1.25"), Decimal(-1), Decimal(0), Decimal("0.5")],
        read=[1.25, -1.0, 0.0, 0.5],
    ),
    _typed("items", pa.int8(), [1, -128, 127, None]),
    _typed("items", pa.uint64(), [1, 2, 2**63 - 1, None]),
    _typed("note", pa.large_string(), TEXTS),
    _typed("note", pa.string_view(), TEXTS),
    _typed("note", pa.binary(), [b"a", b"\xc3\xa9", None, b""], read=["a", "é", None, ""]),
    Case(
        "dictionaries for note",
        arrow_with(note=pa.array(TEXTS).dictionary_encode()),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values={"note": TEXTS},
    ),
    Case(
        "dictionaries for amount",
        arrow_with(amount=pa.array(HALVES).dictionary_encode()),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values={"amount": HALVES},
    ),
    _typed("since", pa.date64(), [datetime(2020, 2, 29).date(), None, None, None]),  # noqa: DTZ001 - a day has no zone
    Case(
        "nulls without a type for an optional column",
        parquet_with(note=None, latency_ms=None, since=None, customer=None),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values={"note": [None] * 4, "since": [None] * 4},
    ),
    Case(
        "nulls without a type for a required column",
        parquet_with(amount=None),
        "partial",
        quarantined=4,
        toy=PARQUET,
        rules={"required:amount": 4},
    ),
    Case(
        "nulls without a type for the event time",
        parquet_with(predicted_at=None),
        "partial",
        quarantined=4,
        toy=PARQUET,
        rules={"required:predicted_at": 4},
    ),
    _foreign("lists", "amount", pa.array([[1.0], [], [2.0, 3.0], [730173.0]])),
    _foreign("lists and nulls", "note", pa.array([[MARK], None, [], None]), 2),
    _foreign(
        "structs", "amount", pa.array([{"value": 1.0}, {"value": None}, {"value": 3.0}, {"value": 4.0}])
    ),
    _foreign("structs", "predicted_at", pa.array([{"at": datetime(2024, 3, 10, tzinfo=UTC)}] * 4)),
    _foreign("maps", "note", pa.array([[(MARK, 1)]] * 4, pa.map_(pa.string(), pa.int64()))),
    _foreign(
        "lists of bytes and times",
        "note",
        pa.array([[{"a": b"canary-7f3a", "b": datetime(2024, 3, 10, tzinfo=UTC)}]] * 4),
    ),
    _foreign("durations", "latency_ms", pa.array([timedelta(seconds=1)] * 4)),
    _foreign("times of day", "predicted_at", pa.array([datetime(2024, 3, 10, 8, tzinfo=UTC).time()] * 4)),
    _foreign("timestamps", "amount", pa.array([datetime(2024, 3, 10, tzinfo=UTC)] * 4)),
    _foreign("timestamps", "note", pa.array([datetime(2024, 3, 10, tzinfo=UTC)] * 4)),
    _foreign("days", "items", pa.array([datetime(2024, 3, 10, tzinfo=UTC).date()] * 4)),
    _foreign("bytes", "amount", pa.array([b"1", b"2", b"3", b"canary-7f3a"])),
]
