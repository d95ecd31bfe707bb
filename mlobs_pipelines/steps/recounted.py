"""Which stored statistics were counted for other label maturities than are declared now.

Rows of the metric store at those maturities do not compare with new ones. Counting days again is the
statistics step; this reads their subjects and codes alone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.durations import format_duration
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.engine.development import AT, stretch_of
from mlobs_pipelines.steps.arrivals import spelled

_DAY = timedelta(days=1)


def counted_otherwise(
    statistics: pa.Table, horizons: Sequence[timedelta], known: Mapping[date, datetime]
) -> list[date]:
    """Days of statistics that were counted for other maturities.

    Told by an age that is not declared, by more ages than are declared, and by fewer on a day all of whose
    predictions had passed the last of them.

    Parameters
    ----------
    statistics
        Rows of ``STATISTICS_LAYOUT``.
    horizons
        Declared maturities, ascending.
    known
        When the statistics of each day were known.
    """
    declared = {round(horizon.total_seconds()) for horizon in horizons}
    found = {date.fromisoformat(day) for day, ages in _ages(statistics) if not ages <= declared}
    for text, reached in _reached(statistics):
        day = date.fromisoformat(text)
        old = day in known and known[day].astimezone(UTC) >= _over(day, horizons[-1])
        if reached > len(horizons) or (old and reached < len(horizons)):
            found.add(day)
    return sorted(found)


def _over(day: date, horizon: timedelta) -> datetime:
    return datetime.combine(day + _DAY, time.min, UTC) + horizon


def _ages(statistics: pa.Table) -> list[tuple[str, set[int]]]:
    """Ages in seconds that labels were told apart by, of every day and stretch."""
    stretched = statistics.filter(pc.match_substring(statistics.column("subject"), AT))
    pairs = stretched.select(["day", "subject"]).group_by(["day", "subject"]).aggregate([])
    days, subjects = (pairs.column(name).to_pylist() for name in ("day", "subject"))
    return [
        (day, {int(end) for end in stretch_of(subject)[1].split("-")})
        for day, subject in zip(days, subjects, strict=True)
    ]


def _reached(statistics: pa.Table) -> list[tuple[str, int]]:
    """How many maturities some predictions of each day had reached."""
    rows = statistics
    for name, value in {"subject": "label", "part": "mature", "segment": ""}.items():
        rows = rows.filter(pc.equal(rows.column(name), value))
    most: dict[str, int] = {}
    for day, codes in zip(rows.column("day").to_pylist(), rows.column("codes").to_pylist(), strict=True):
        most[day] = max(most.get(day, 0), max(codes, default=-1) + 1)
    return list(most.items())


def warning(monitor: Monitor, days: Sequence[date]) -> str:
    """What to tell whoever changed the maturities; "" where nothing was counted otherwise."""
    if not days:
        return ""
    declared = ", ".join(map(format_duration, monitor.labels.horizons))
    return (
        f"{len(days)} days under these windows were counted for other label maturities than the declared "
        f"{declared}: what was measured at an age does not compare with days counted since. To count them "
        f"again: mlobs backfill {monitor.model} --from {min(days)} --to {max(days)} ({spelled(days)})"
    )
