"""Stored statistics as they were known at a moment: which days there are, and the rows of a stretch of them.

Counting them is the statistics step's business, what is read off them that of `metrics` and `between`.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import METRICS, as_of_key, moment_of

if TYPE_CHECKING:  # imports pandas, which takes longer than reading a file
    import pyarrow.dataset as ds

Known = Mapping[date, datetime]
Statistics = tuple[pa.Table, Mapping[date, str]]  # rows of days, and a hash of each day's


def known_days(walk: Walk) -> Known:
    """When the latest statistics of each day were known that are not newer than the run's knowledge time."""
    now, found = as_of_key(walk.as_of), {}
    for day, known in _moments(walk).items():
        before = [key for key in known if key <= now]
        if before:
            found[date.fromisoformat(day)] = moment_of(max(before))
    return found


def later_moments(walk: Walk, days: Collection[date]) -> dict[datetime, set[date]]:
    """Moments after the run's that have statistics, each with the days that it still sees as the run does.

    A day is seen so until its own next statistics.
    """
    now, known = as_of_key(walk.as_of), _moments(walk)
    later = sorted({key for keys in known.values() for key in keys if key > now})
    found: dict[datetime, set[date]] = {}
    for day in days if later else ():
        following = min((key for key in known.get(day.isoformat(), ()) if key > now), default="~")
        for key in later:
            if key < following:
                found.setdefault(moment_of(key), set()).add(day)
    return found


def _moments(walk: Walk) -> Mapping[str, set[str]]:
    """Keys of the moments that each day has statistics of."""
    found: dict[str, set[str]] = {}
    if walk.lake.exists(walk.model, STATISTICS_LAYOUT.name):
        for day, key in walk.lake.partitions(walk.model, STATISTICS_LAYOUT.name):
            found.setdefault(day, set()).add(key)
    return found


def scored_days(walk: Walk) -> set[tuple[date, datetime]]:
    """Days with the moments as of which they were both counted and scored."""
    if not walk.lake.exists(walk.model, METRICS.name):
        return set()
    scored, found = walk.lake.partitions(walk.model, METRICS.name), _moments(walk)
    both = [(day, key) for day, key in scored if key in found.get(day, ())]
    return {(date.fromisoformat(day), moment_of(key)) for day, key in both}


def statistics_between(walk: Walk, first: date, last: date) -> Statistics:
    """The latest known statistics of a stretch of days."""
    known = known_days(walk)
    where = {"day": Between(first.isoformat(), last.isoformat())}
    rows = walk.lake.read(walk.model, STATISTICS_LAYOUT, where=where)
    if not walk.lake.exists(walk.model, STATISTICS_LAYOUT.name):
        return rows, {}
    versions = walk.lake.partition_versions(walk.model, STATISTICS_LAYOUT.name, where=where)
    latest = {(day.isoformat(), as_of_key(moment)) for day, moment in known.items()}
    keys = pc.binary_join_element_wise(rows.column("day"), rows.column("as_of_key"), "|")
    rows = rows.filter(pc.is_in(keys, pa.array([f"{day}|{key}" for day, key in latest], pa.string())))
    return rows, {date.fromisoformat(key[0]): v.content_hash for key, v in versions.items() if key in latest}


def statistics_files(walk: Walk, days: list[date]) -> list[tuple[date, "ds.ParquetFileFragment"]]:
    """Files of the latest known statistics of some days, by day."""
    import pyarrow.dataset as ds  # noqa: PLC0415 - as above

    known = known_days(walk)
    wanted = {day.isoformat(): as_of_key(known[day]) for day in days if day in known}
    if not wanted:
        return []
    dataset = walk.lake.dataset(walk.model, STATISTICS_LAYOUT, where={"day": sorted(wanted)})
    found = []
    for file in dataset.get_fragments():
        key = ds.get_partition_keys(file.partition_expression)
        if wanted[key["day"]] == key["as_of_key"]:
            found.append((date.fromisoformat(key["day"]), file))
    return sorted(found, key=lambda pair: (pair[0], pair[1].path))
