"""Sampling, and deliveries so large that they are published as a stream: clean, with repeats, replayed."""

import hashlib
from datetime import UTC, datetime

import polars as pl

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, csv_with
from tests.deliveries.toy import MARK, Toy, rows

MANY, LARGE, HALF, TWICE = 2_000, 600_000, 300_000, 5_000  # a half is published as a stream, too
BAD = 40_000  # of bad rows fewer are enough for that


def _below(rate: float, numbers: range) -> int:
    """How many correlation ids a rate keeps, by the documented formula."""
    digests = [hashlib.sha256(f"\0{MARK}-c{number}".encode()).digest() for number in numbers]
    return sum((int.from_bytes(digest[:8], "big") >> 11) / 2**53 < rate for digest in digests)


KEPT = _below(0.1, range(MANY))
ERRORS = range(0, MANY, 100)
KEPT_OR_ERRORS = _below(0.1, range(MANY)) + len(ERRORS) - sum(_below(0.1, range(n, n + 1)) for n in ERRORS)
TENTH = Toy(sampling={"rate": 0.1})
BUT_ERRORS = Toy(sampling={"rate": 0.1, "keep": {"status": ["error"]}})


def _large(count: int, start: int = 0) -> pl.DataFrame:
    """So many rows of one day, made column by column."""
    number = pl.int_range(start, start + count, eager=True).cast(pl.String)
    first = pl.DataFrame(rows(1)).drop("prediction_id", "correlation_id", "predicted_at")
    made = pl.DataFrame({"prediction_id": MARK + number, "correlation_id": MARK + number})
    at = pl.lit(datetime(2024, 3, 10, 8, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    since = pl.col("since").str.to_date()
    return made.with_columns(
        predicted_at=at, **{name: pl.lit(first[name][0]) for name in first.columns}
    ).with_columns(since)


def _clean(stage: Stage) -> None:
    stage.frame(_large(HALF))


def _with_repeats(stage: Stage) -> None:
    first = _large(HALF)
    stage.frame(pl.concat([first, first.head(TWICE), first.head(1).with_columns(score=0.75)]), "-a.parquet")
    stage.frame(_large(HALF, start=HALF - TWICE), "-b.parquet")


def _replayed(stage: Stage) -> None:
    frame = _large(HALF)
    stage.frame(frame)
    stage.ingest()
    stage.frame(frame, "-again.parquet")


def _cut_short(stage: Stage) -> None:
    """The last of many lines is cut: what was read before it may not stay."""
    text = _large(HALF).write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
    stage.raw(text.encode()[:-100])


def _of_two_days(stage: Stage) -> None:
    tomorrow = _large(HALF, start=HALF).with_columns(pl.col("predicted_at").dt.offset_by("1d"))
    stage.frame(pl.concat([_large(HALF), tomorrow]))


CASES = [
    Case(
        "a tenth of the predictions",
        lambda it: it.csv(rows(MANY, predicted_at="2024-03-10T08:00:00Z")),
        "accepted",
        MANY,
        accepted=KEPT,
        sampled_out=MANY - KEPT,
        toy=TENTH,
        values={"sample_weight": [10.0] * KEPT},
    ),
    Case(
        "a tenth of them and every error",
        lambda it: it.csv(_with_errors()),
        "accepted",
        MANY,
        accepted=KEPT_OR_ERRORS,
        sampled_out=MANY - KEPT_OR_ERRORS,
        toy=BUT_ERRORS,
    ),
    Case(
        "a tenth, with rows in quarantine and repeats",
        lambda it: (
            it.csv(_with_errors(score=2), "-a.csv"),
            it.csv(_with_errors(), "-b.csv"),
            it.csv(_with_errors(), "-c.csv"),
        )[0],
        "partial+accepted",
        3 * MANY,
        accepted=KEPT_OR_ERRORS,
        repeated=KEPT_OR_ERRORS,
        quarantined=MANY,
        sampled_out=2 * (MANY - KEPT_OR_ERRORS),
        toy=BUT_ERRORS,
        rules={"range:score": MANY},
    ),
    Case(
        "predictions without a correlation id are all kept",
        csv_with(correlation_id=None),
        "accepted",
        accepted=4,
        toy=TENTH,
        values={"sample_weight": [1.0] * 4},
    ),
    Case(
        "300,000 rows",
        _clean,
        "accepted",
        HALF,
        accepted=HALF,
        toy=Toy("parquet"),
        landed={"2024-03-10": HALF},
    ),
    Case(
        "600,000 rows, some of them again",
        _with_repeats,
        "accepted",
        LARGE + TWICE + 1,
        accepted=LARGE - TWICE,
        repeated=2 * TWICE + 1,
        toy=Toy("parquet"),
    ),
    Case(
        "600,000 rows of two days",
        _of_two_days,
        "accepted",
        LARGE,
        accepted=LARGE,
        toy=Toy("parquet"),
        landed={"2024-03-10": HALF, "2024-03-11": HALF},
    ),
    Case(
        "40,000 rows that break a rule",
        lambda it: it.frame(_large(BAD).with_columns(score=pl.lit(2.0))),
        "partial",
        BAD,
        quarantined=BAD,
        toy=Toy("parquet"),
        rules={"range:score": BAD},
    ),
    Case(
        "40,000 rows with one value that must be unique",
        lambda it: it.frame(_large(BAD)),
        "partial",
        BAD,
        accepted=1,
        quarantined=BAD - 1,
        toy=Toy("parquet", columns={"note": {"unique": True}}),
        rules={"unique:note": BAD - 1},
    ),
    Case("300,000 rows of which the last is cut", _cut_short, "refused", HALF - 1, refused=HALF - 1),
    Case(
        "300,000 rows replayed under another name",
        _replayed,
        "accepted",
        LARGE,
        accepted=HALF,
        repeated=HALF,
        toy=Toy("parquet"),
    ),
]


def _with_errors(**columns: object) -> list:
    status = ["error" if number in ERRORS else "ok" for number in range(MANY)]
    return rows(MANY, predicted_at="2024-03-10T08:00:00Z", status=status, **columns)
