"""The four feature views as published: one row per entity and event time, with the instant it could be used.

Values are rounded here, once, so that what was served and what is written to the files are the same numbers.
Joining the views to predictions lives in features.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from mlobs_pipelines.core.vocabulary import Ints
from mlobs_pipelines.demo.flights import read_table, utc

YEAR_START = datetime(2013, 1, 1)  # noqa: DTZ001 - the zone is put on by polars below
YEAR_END = datetime(2014, 1, 1)  # noqa: DTZ001 - as above
DIGITS = 4
DELAY_WINDOW = timedelta(hours=2)
LATE_WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class View:
    """A feature view: who it describes, how long a row is usable and how late it is published.

    Attributes
    ----------
    entity
        Column that names the entity.
    ttl
        A row is usable while ``t - ttl < observed_at``.
    delay
        From ``observed_at`` to ``available_at``.
    features
        Value columns.
    """

    entity: str
    ttl: timedelta
    delay: timedelta
    features: tuple[str, ...]


WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
VIEWS = {
    "weather": View("origin", timedelta(hours=6), timedelta(minutes=10), WEATHER),
    "departures": View(
        "origin", timedelta(hours=1), timedelta(minutes=1), ("origin_delay_2h", "origin_departures_2h")
    ),
    "carriers": View("carrier", timedelta(hours=2), timedelta(minutes=5), ("carrier_late_share_7d",)),
    "planes": View("tailnum", timedelta(days=45), timedelta(minutes=30), ("plane_age", "plane_seats")),
}


def build_views(flights: pl.DataFrame, labels: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Publish every view for the whole year from all flights and the undisturbed label feed.

    Returns
    -------
    dict
        Per name in `VIEWS`: the entity, ``observed_at`` and ``available_at`` (timestamp[us, UTC]) and the
        features (Float64), ordered by time and entity, one row per entity and ``observed_at``.
    """
    raw = {
        "weather": _weather(),
        "departures": _departures(flights),
        "carriers": _carriers(labels),
        "planes": _planes(),
    }
    return {name: _publish(raw[name], view) for name, view in VIEWS.items()}


def _publish(rows: pl.DataFrame, view: View) -> pl.DataFrame:
    available_at = (pl.col("observed_at") + view.delay).alias("available_at")
    values = [pl.col(feature).cast(pl.Float64).round(DIGITS) for feature in view.features]
    return rows.select(view.entity, "observed_at", available_at, *values).sort("observed_at", view.entity)


def _weather() -> pl.DataFrame:
    return read_table("weather").with_columns(observed_at=utc("time_hour"))


def _departures(flights: pl.DataFrame) -> pl.DataFrame:
    """Mean delay (min) and count of an origin's departures in the two hours up to each ten-minute mark."""
    left = flights.filter(pl.col("departed_at").is_not_null())
    sums = _trailing_sums(left, "origin", "departed_at", "dep_delay", ("10m", DELAY_WINDOW))
    mean = (pl.col("total") / pl.col("rows")).round(2)
    return sums.with_columns(origin_delay_2h=mean, origin_departures_2h="rows")


def _carriers(labels: pl.DataFrame) -> pl.DataFrame:
    """Share of late arrivals among the labels that arrived in the seven days up to each hour."""
    known = labels.filter(pl.col("label").is_not_null())
    sums = _trailing_sums(known, "carrier", "arrived_at", "label", ("1h", LATE_WINDOW))
    return sums.with_columns(carrier_late_share_7d=(pl.col("total") / pl.col("rows")).round(4))


def _planes() -> pl.DataFrame:
    """Full dump of the register on the first of each month; an unknown build year leaves the age null."""
    months = pl.datetime_range(YEAR_START, YEAR_END, "1mo", time_unit="us", time_zone="UTC", eager=True)
    dumps = pl.DataFrame({"observed_at": months})
    register = read_table("planes").select("tailnum", built="year", plane_seats="seats")
    age = pl.col("observed_at").dt.year() - pl.col("built")
    return dumps.join(register, how="cross").with_columns(plane_age=age)


def _trailing_sums(
    rows: pl.DataFrame, entity: str, clock: str, value: str, grid: tuple[str, timedelta]
) -> pl.DataFrame:
    """Count and sum per entity over ``(mark - span, mark]``; marks without rows are left out.

    `grid` is the distance of the marks and the span.
    """
    marks = pl.datetime_range(YEAR_START, YEAR_END, grid[0], time_unit="us", time_zone="UTC", eager=True)
    parts = rows.sort(clock).partition_by(entity, as_dict=True)
    frames = []
    for (name,), part in sorted(parts.items()):
        counts, totals = _sums_at(_micros(part[clock]), part[value].to_numpy(), _micros(marks), grid[1])
        sums = pl.DataFrame({"observed_at": marks, "rows": counts, "total": totals})
        frames.append(sums.filter(pl.col("rows") > 0).with_columns(pl.lit(name).alias(entity)))
    return pl.concat(frames)


def _micros(clock: pl.Series) -> Ints:
    return clock.dt.epoch("us").to_numpy()


def _sums_at(at: Ints, value: Ints, marks: Ints, span: timedelta) -> tuple[Ints, Ints]:
    """Sums of integers in a window, exact: differences of running totals over sorted times."""
    running = np.concatenate([[0], np.cumsum(value)])
    last = np.searchsorted(at, marks, side="right")
    first = np.searchsorted(at, marks - span // timedelta(microseconds=1), side="right")
    return last - first, running[last] - running[first]
