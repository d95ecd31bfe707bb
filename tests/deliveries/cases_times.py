"""Instants and days in every spelling: which are settled, and which could be any time."""

from datetime import UTC, date, datetime

import pyarrow as pa

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, Write, arrow_with, csv_with, jsonl_with, parquet_with
from tests.deliveries.toy import AUTUMN, DAY, Toy, rows

PARQUET = Toy("parquet")
SECOND = 1_710_057_600  # 2024-03-10 08:00 UTC
EIGHT = datetime(2024, 3, 10, 8, tzinfo=UTC)


def _at(form: str = "csv", custom: tuple[str, object] | None = None, **options: object) -> Toy:
    more: dict[str, object] = {"logicalTypeOptions": options} if options else {}
    if custom:
        more["customProperties"] = [{"property": custom[0], "value": custom[1]}]
    return Toy(form, columns={"predicted_at": more})


def _times(*values: object) -> Write:
    """Deliver one row for each time."""
    return lambda stage: stage.csv(rows(len(values), predicted_at=list(values)))


def _autumn(*values: str) -> Write:
    def write(stage: Stage) -> None:
        stage.done = True
        stage.csv(rows(len(values), predicted_at=list(values)), day=AUTUMN)
        stage.ingest(AUTUMN)

    return write


def _utc(*clock: tuple[int, ...], day: date = DAY) -> dict[str, list[object]]:
    return {"predicted_at": [datetime(day.year, day.month, day.day, *time, tzinfo=UTC) for time in clock]}


def _naive(*values: str, unit: str = "us") -> Write:
    return arrow_with(predicted_at=pa.array([datetime.fromisoformat(v) for v in values], pa.timestamp(unit)))


NEW_YORK = {"timezone": False, "defaultTimezone": "America/New_York"}
GOOD = "2024-03-10T01:00:00Z"

CASES = [
    Case(
        "ISO times of several offsets",
        _times(
            "2024-03-10T10:00:00+02:00",
            "2024-03-10T03:00:00-0500",
            "2024-03-10t08:00:00z",
            "2024-03-10 08:00",
        ),
        "accepted",
        accepted=4,
        values={"predicted_at": [EIGHT] * 4},
        told={},
    ),
    Case(
        "ISO times around midnight by their offset",
        _times("2024-03-10T01:00:00+02:00", "2024-03-09T23:00:00-02:00"),
        "accepted",
        2,
        accepted=2,
        landed={"2024-03-09": 1, "2024-03-10": 1},
    ),
    Case(
        "ISO times with fractions",
        _times("2024-03-10T08:00:00.5Z", "2024-03-10T08:00:00.000001Z", "2024-03-10T08:00:00.123456000Z"),
        "accepted",
        3,
        accepted=3,
        values=_utc((8, 0, 0, 500000), (8, 0, 0, 1), (8, 0, 0, 123456)),
    ),
    Case(
        "ISO times finer than microseconds",
        _times("2024-03-10T08:00:00.1234567Z", GOOD),
        "partial",
        2,
        accepted=1,
        quarantined=1,
        rules={"precision:predicted_at": 1},
    ),
    Case(
        "times without a zone are UTC unless declared",
        _times("2024-03-10T08:00:00"),
        "accepted",
        1,
        accepted=1,
        values=_utc((8,)),
    ),
    Case(
        "local times of a declared zone",
        _times("2024-03-10T01:59:59", "2024-03-10T03:00:00", "2024-03-10T08:00:00Z"),
        "accepted",
        3,
        accepted=3,
        toy=_at(**NEW_YORK),
        values=_utc((6, 59, 59), (7,), (8,)),
    ),
    Case(
        "local times that the clocks skip",
        _times("2024-03-10T02:30:00", "2024-03-10T02:00:00", "2024-03-10T03:00:00"),
        "partial",
        3,
        accepted=1,
        quarantined=2,
        toy=_at(**NEW_YORK),
        rules={"nonexistent_time:predicted_at": 2},
    ),
    Case(
        "local times that the clocks repeat",
        _autumn("2024-11-03T01:30:00", "2024-11-03T00:59:59", "2024-11-03T02:00:00"),
        "partial",
        3,
        accepted=2,
        quarantined=1,
        toy=_at(**NEW_YORK),
        rules={"ambiguous_time:predicted_at": 1},
    ),
    Case(
        "repeated local times with their offset",
        _autumn("2024-11-03T01:30:00-04:00", "2024-11-03T01:30:00-05:00"),
        "accepted",
        2,
        accepted=2,
        toy=_at(**NEW_YORK),
        values=_utc((5, 30), (6, 30), day=AUTUMN),
    ),
    Case(
        "local times in Parquet",
        _naive("2024-03-10 01:00", "2024-03-10 02:30", "2024-03-10 03:00", "2024-03-10 03:01"),
        "partial",
        accepted=3,
        quarantined=1,
        toy=_at("parquet", **NEW_YORK),
        rules={"nonexistent_time:predicted_at": 1},
    ),
    Case(
        "epoch seconds",
        _times(SECOND, SECOND + 1, f"{SECOND}.5"),
        "accepted",
        3,
        accepted=3,
        toy=_at(custom=("epoch", "s")),
        values=_utc((8,), (8, 0, 1), (8, 0, 0, 500000)),
    ),
    Case(
        "epoch milliseconds",
        _times(SECOND * 1000 + 7),
        "accepted",
        1,
        accepted=1,
        toy=_at(custom=("epoch", "ms")),
        values=_utc((8, 0, 0, 7000)),
    ),
    Case(
        "epoch microseconds",
        _times(SECOND * 10**6 + 7),
        "accepted",
        1,
        accepted=1,
        toy=_at(custom=("epoch", "us")),
        values=_utc((8, 0, 0, 7)),
    ),
    Case(
        "epoch nanoseconds",
        _times(SECOND * 10**9 + 7000, SECOND * 10**9 + 7),
        "partial",
        2,
        accepted=1,
        quarantined=1,
        toy=_at(custom=("epoch", "ns")),
        values=_utc((8, 0, 0, 7)),
        rules={"precision:predicted_at": 1},
    ),
    Case(
        "epoch seconds as integers in Parquet",
        arrow_with(predicted_at=pa.array([SECOND + n for n in range(4)])),
        "accepted",
        accepted=4,
        toy=_at("parquet", ("epoch", "s")),
    ),
    Case(
        "epoch seconds as floats in Parquet",
        arrow_with(predicted_at=pa.array([SECOND + 0.25, SECOND, float("nan"), float("inf")])),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_at("parquet", ("epoch", "s")),
        rules={"finite:predicted_at": 2},
    ),
    Case(
        "epoch seconds as floats of 32 bits",
        arrow_with(predicted_at=pa.array([float(SECOND)] * 4, pa.float32())),
        "partial",
        quarantined=4,
        toy=_at("parquet", ("epoch", "s")),
        rules={"precision:predicted_at": 4},
    ),
    Case(
        "epoch numbers that the contract does not declare",
        _times(SECOND, GOOD),
        "partial",
        2,
        accepted=1,
        quarantined=1,
        rules={"type:predicted_at": 1},
    ),
    Case(
        "epoch integers that the contract does not declare",
        arrow_with(predicted_at=pa.array([SECOND] * 4)),
        "partial",
        quarantined=4,
        toy=PARQUET,
        rules={"type:predicted_at": 4},
    ),
    Case(
        "epoch milliseconds declared as seconds",
        _times(SECOND * 1000),
        "partial",
        1,
        quarantined=1,
        toy=_at(custom=("epoch", "s")),
        rules={"type:predicted_at": 1},
    ),
    Case(
        "epoch seconds declared as milliseconds",
        _times(SECOND),
        "partial",
        1,
        quarantined=1,
        toy=_at(custom=("epoch", "ms")),
        rules={"history:predicted_at": 1},
    ),
    Case(
        "times of the year 1",
        _times("0001-01-01T00:00:00Z", GOOD),
        "partial",
        2,
        accepted=1,
        quarantined=1,
        rules={"history:predicted_at": 1},
    ),
    Case(
        "times of the year 9999",
        _times("9999-12-31T23:59:59.999999Z", GOOD),
        "partial",
        2,
        accepted=1,
        quarantined=1,
        rules={"future:predicted_at": 1},
    ),
    Case(
        "times outside of the calendar",
        _times("0000-12-31T00:00:00Z", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", GOOD),
        "partial",
        accepted=1,
        quarantined=3,
        rules={"type:predicted_at": 3},
    ),
    Case(
        "times outside of the calendar in Parquet",
        arrow_with(predicted_at=pa.array([2**62, -(2**62), SECOND * 10**6, None], pa.timestamp("us", "UTC"))),
        "partial",
        accepted=1,
        quarantined=3,
        toy=PARQUET,
        rules={"type:predicted_at": 2, "required:predicted_at": 1},
    ),
    Case(
        "times that no clock shows",
        _times(
            "2024-03-10T24:00:00Z", "2024-03-10T23:59:60Z", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z"
        ),
        "partial",
        quarantined=4,
        rules={"type:predicted_at": 4},
    ),
    Case(
        "days instead of times",
        _times("2024-03-10", "20240310", "10/03/2024 08:00", "Mar 10 2024"),
        "partial",
        quarantined=4,
        rules={"type:predicted_at": 4},
    ),
    Case(
        "times that are words",
        _times("canary-7f3a", "now", "NaT", None),
        "partial",
        quarantined=4,
        rules={"type:predicted_at": 3, "required:predicted_at": 1},
    ),
    Case(
        "times of a declared form",
        _times("10.03.2024 08:00:00", "10.03.2024 8:00:00", "2024-03-10T08:00:00Z", "03.10.2024 08:00:00"),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_at(format="dd.MM.yyyy HH:mm:ss"),
        rules={"type:predicted_at": 1, "future:predicted_at": 1},
    ),
    Case(
        "Parquet times of nanoseconds",
        arrow_with(
            predicted_at=pa.array(
                [SECOND * 10**9, SECOND * 10**9 + 1000, SECOND * 10**9 + 1, None], pa.timestamp("ns", "UTC")
            )
        ),
        "partial",
        accepted=2,
        quarantined=2,
        toy=PARQUET,
        rules={"precision:predicted_at": 1, "required:predicted_at": 1},
    ),
    Case(
        "Parquet times of the nearest millisecond in another zone",
        arrow_with(predicted_at=pa.array([SECOND * 1000] * 4, pa.timestamp("ms", "Asia/Kolkata"))),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values={"predicted_at": [EIGHT] * 4},
    ),
    Case(
        "Parquet times of the old int96",
        lambda it: it.parquet(rows(), stamps="int96"),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values=_utc((8,), (8, 1), (8, 2), (8, 3)),
    ),
    Case(
        "times in JSON, some as numbers",
        jsonl_with(predicted_at=[GOOD, SECOND, GOOD, None]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=Toy("jsonl"),
        rules={"type:predicted_at": 1, "required:predicted_at": 1},
    ),
    Case(
        "days that are none",
        csv_with(since=["2021-02-29", "2021-2-1", "01.02.2021", "2021-02-28"]),
        "partial",
        accepted=1,
        quarantined=3,
        rules={"type:since": 3},
    ),
    Case(
        "days with a time of day",
        parquet_with(since=[datetime(2020, 1, 1), datetime(2020, 1, 1, 12), None, datetime(2020, 1, 2)]),  # noqa: DTZ001 - a day has no zone
        "partial",
        accepted=3,
        quarantined=1,
        toy=PARQUET,
        rules={"type:since": 1},
        values={"since": [date(2020, 1, 1), None, date(2020, 1, 2)]},
    ),
]
