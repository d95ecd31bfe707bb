"""What a backfill asks for, as runs: which assets of which days, what is done, what goes on after a failure.

Nothing is run here; that is `launch`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster import AssetPartitionStatus as Status

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.jobs import made_by, range_tags
from mlobs_pipelines.defs.lineage import TOUCHED_TAG, asset_key
from mlobs_pipelines.defs.partitions import daily
from mlobs_pipelines.steps.arrivals import ranges
from mlobs_pipelines.steps.snapshot import feature_reach_days

DAY = timedelta(days=1)
LABEL_REACH = 2
PAGE = 500
Missing = dict[date, tuple[str, ...]]  # assets that a day lacks, in the order of the walk


@dataclass(frozen=True, slots=True)
class Asked:
    """A backfill as somebody asks for it.

    Attributes
    ----------
    first, last
        The days.
    moment
        The moment whose knowledge counts.
    assets
        Of the walk; empty for all, with the baseline and the deliveries around the days that they rest on.
    resume
        Leave out what was done for the same moment by the same declaration and code.
    only_failed
        Only days that have failed, from the asset that failed on.
    """

    first: date
    last: date
    moment: datetime
    assets: tuple[str, ...] = ()
    resume: bool = False
    only_failed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One run: a job, for some of its assets and a range of days; without days for what has none."""

    job: str
    assets: tuple[str, ...]
    first: date | None = None
    last: date | None = None

    @property
    def days(self) -> list[date]:
        """The days of the range."""
        if self.first is None or self.last is None:
            return []
        return [self.first + number * DAY for number in range((self.last - self.first).days + 1)]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the run."""
        return range_tags(self.days[0], self.days[-1]) if self.days else {}


def parts(spec: ModelSpec, asked: Asked) -> list[Part]:
    """The runs that a backfill takes, whatever is done already.

    Raises
    ------
    ValueError
        If the range is empty or outside the model's days.
    """
    monitor, first, last = spec.monitor, asked.first, asked.last
    complete = asked.moment.astimezone(UTC).date() - DAY
    end = min(monitor.end_date or complete, complete)
    if not monitor.start_date <= first <= last <= end:
        raise ValueError(
            f"{monitor.model} has days from {monitor.start_date} to {end}; asked for {first} to {last}: "
            "choose days inside, the earlier one first"
        )
    walk = Part("daily", asked.assets or made_by(spec, "daily"), first, last)
    if asked.assets or asked.only_failed:
        return [walk]
    found = [Part("baseline", ("baseline",))]
    reach = max(monitor.start_date, first - timedelta(days=feature_reach_days(spec)))
    if reach < first:
        found.append(Part("features", ("features",), reach, first - DAY))
    tail = min(end, asked.moment.date(), last + LABEL_REACH * monitor.labels.horizon)
    if tail > last:
        found.append(Part("labels", ("labels",), last + DAY, tail))
    return [*found, walk]


def downstream(spec: ModelSpec, defs: dg.Definitions, name: str) -> set[str]:
    """An asset and all that depend on it, as far as they are of the walk."""
    chosen = dg.AssetSelection.assets(asset_key(spec.model, name)).downstream()
    return {key.path[-1] for key in chosen.resolve(defs.resolve_asset_graph())}


def open_parts(opened: dg.DagsterInstance, spec: ModelSpec, asked: Asked, batch: str) -> Iterator[Part]:
    """The runs that are left to do."""
    for part in parts(spec, asked):
        if asked.only_failed:
            yield from split(part, _failed(opened, spec, part))
        elif not asked.resume:
            yield part
        elif part.days:
            yield from split(part, _undone(opened, spec, part, batch))
        elif batch not in _batches(opened, spec, part.assets[0], []).get("", ()):
            yield part


def split(part: Part, lacking: Missing) -> Iterator[Part]:
    """A run for each stretch of days that lack the same assets."""
    for assets in dict.fromkeys(lacking[day] for day in sorted(lacking)):
        for first, last in ranges([day for day, names in lacking.items() if names == assets]):
            yield replace(part, assets=assets, first=first, last=last)


def left_over(part: Part, done: Mapping[str, Collection[date]], failed: Collection[str]) -> Missing:
    """What a failed run has left to do for the days that its failed assets have."""
    if not failed:  # of a check, or of the run itself: nothing tells which days can go on
        return {}
    good = [day for day in part.days if all(day in done.get(name, ()) for name in failed)]
    found = {day: tuple(name for name in part.assets if day not in done.get(name, ())) for day in good}
    return {day: names for day, names in found.items() if names}


def _undone(opened: dg.DagsterInstance, spec: ModelSpec, part: Part, batch: str) -> Missing:
    done = {name: _batches(opened, spec, name, part.days) for name in part.assets}
    return _lacking(part, lambda name, day: batch not in done[name].get(day, ()))


def _failed(opened: dg.DagsterInstance, spec: ModelSpec, part: Part) -> Missing:
    partitions, keys = daily(spec.monitor), [day.isoformat() for day in part.days]
    stands = {
        name: opened.get_status_by_partition(asset_key(spec.model, name), keys, partitions) or {}
        for name in part.assets
    }
    return _lacking(part, lambda name, day: stands[name].get(day) is Status.FAILED)


def _lacking(part: Part, lacks: Callable[[str, str], bool]) -> Missing:
    """By day the assets from the first one that is lacking on: those after it may rest on it."""
    found: Missing = {}
    for day in part.days:
        places = [place for place, name in enumerate(part.assets) if lacks(name, day.isoformat())]
        if places:
            found[day] = part.assets[places[0] :]
    return found


def _batches(
    opened: dg.DagsterInstance, spec: ModelSpec, name: str, days: Sequence[date]
) -> dict[str, set[str]]:
    """The batches, by partition, in which an asset was materialized; "" for one without partitions."""
    partitions = [day.isoformat() for day in days] or None
    wanted = dg.AssetRecordsFilter(asset_key=asset_key(spec.model, name), asset_partitions=partitions)
    found: dict[str, set[str]] = {}
    cursor: str | None = None
    while True:
        page = opened.fetch_materializations(wanted, limit=PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            told = event.metadata.get("batch_id") if event and TOUCHED_TAG not in (event.tags or {}) else None
            if told is not None:
                found.setdefault(record.partition_key or "", set()).add(str(told.value))
        if not page.has_more:
            return found
        cursor = page.cursor
