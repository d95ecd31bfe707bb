"""What can go wrong, each behind a switch: a frame goes in as it should be and comes out as it was delivered.

Nothing else in the demo invents a fault; with no switch on, every function here returns what it was given.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import polars as pl

INCIDENTS: dict[str, str] = {
    "label-stall": "Labels arriving from 10 to 14 June are held until the first hour of 15 June.",
    "skew-delay": "From 20 to 26 July v2 is served origin_delay_2h = 0: skew that costs quality.",
    "skew-celsius": "During July v2 is served temp in degrees Celsius: skew that quality hardly shows.",
    "replay": "The predictions of 20 June are delivered a second time inside the file of 21 June.",
    "renamed-column": "The predictions file of 26 June calls the column score probability.",
}

STALL_START = datetime(2013, 6, 10, tzinfo=UTC)
STALL_END = datetime(2013, 6, 15, tzinfo=UTC)
STALL_SQUEEZE = 120  # five days of labels arrive within one hour, in their order
ZERO_DELAY_DAYS = (date(2013, 7, 20), date(2013, 7, 26))
CELSIUS_DAYS = (date(2013, 7, 1), date(2013, 7, 31))
REPLAYED_DAY = date(2013, 6, 20)
RENAMED_DAY = date(2013, 6, 26)
FAULTY_VERSION = "v2"


def stall(labels: pl.DataFrame, active: Collection[str]) -> pl.DataFrame:
    """Hold the labels of the stall back until its end, in the order of their arrival."""
    if "label-stall" not in active:
        return labels
    arrived = pl.col("arrived_at")
    held = arrived.is_between(STALL_START, STALL_END, closed="left")
    waited_s = (arrived - STALL_START).dt.total_seconds() // STALL_SQUEEZE
    released = pl.lit(STALL_END, pl.Datetime("us", "UTC")) + pl.duration(seconds=waited_s)
    delivered = pl.when(held).then(released).otherwise(arrived)
    return labels.with_columns(arrived_at=delivered).sort("arrived_at", "prediction_id")


def spoil(rows: pl.DataFrame, version: str, active: Collection[str]) -> pl.DataFrame:
    """Give a version the feature values that it was really served."""
    if version != FAULTY_VERSION:
        return rows
    if "skew-delay" in active:
        rows = rows.with_columns(_during(ZERO_DELAY_DAYS, pl.lit(0.0), "origin_delay_2h"))
    if "skew-celsius" in active:
        celsius = ((pl.col("temp") - 32) / 1.8).round(2)
        rows = rows.with_columns(_during(CELSIUS_DAYS, celsius, "temp"))
    return rows


def _during(days: tuple[date, date], value: pl.Expr, feature: str) -> pl.Expr:
    inside = pl.col("predicted_at").dt.date().is_between(*days)
    return pl.when(inside).then(value).otherwise(feature).alias(feature)


def deliver(day: date, files: dict[date, pl.DataFrame], active: Collection[str]) -> pl.DataFrame:
    """Give the content of one day's predictions file, replayed or renamed where an incident says so."""
    rows = files[day]
    before = files.get(day - timedelta(days=1))
    if "replay" in active and day - timedelta(days=1) == REPLAYED_DAY and before is not None:
        rows = pl.concat([rows, before])
    if "renamed-column" in active and day == RENAMED_DAY:
        rows = rows.rename({"score": "probability"})
    return rows
