"""How far each asset of a model is, held against how far its schedule should have brought it by now.

Dagster's own freshness policies look at an asset's last materialization, not at its partitions: a backfill of
last year would make yesterday look fresh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster._utils.schedules import reverse_cron_string_iterator  # Dagster has no public name for it

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.lineage import asset_key

GRACE = timedelta(hours=6)
WALKED = (
    *("predictions", "features", "labels", "feature_snapshots", "prediction_log", "labelled_predictions"),
    *("statistics", "metrics"),
)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far one asset is.

    Attributes
    ----------
    key
        The asset.
    first, last, expected
        The model's first day, the asset's last day, and the day it should be at; None for no day yet, and
        for none that is expected.
    since
        When its last day was written; None if never.
    """

    key: dg.AssetKey
    first: date
    last: date | None
    expected: date | None
    since: datetime | None

    @property
    def behind(self) -> int:
        """Days that it is behind; 0 where none is expected."""
        return 0 if self.expected is None else max(0, (self.expected - self.next).days + 1)

    @property
    def next(self) -> date:
        """The first day that it has not."""
        return self.last + timedelta(days=1) if self.last else self.first


def walked(spec: ModelSpec) -> Sequence[str]:
    """Names of the assets that a day's walk brings forward."""
    return (*WALKED, *(("slo_status",) if spec.monitor.slos else ()), "incidents")


def expected_day(spec: ModelSpec, now: datetime, grace: timedelta = GRACE) -> date | None:
    """The last day that the schedule should have walked by now; None before the first.

    A replayed history is at its end: nothing is awaited.
    """
    monitor = spec.monitor
    if monitor.replay_as_of is not None:
        return None
    ticks = reverse_cron_string_iterator(
        (now - grace).timestamp(), monitor.schedule.cron, monitor.schedule.timezone
    )
    day = next(ticks).astimezone(UTC).date() - timedelta(days=1)
    day = min(day, monitor.end_date or day)
    return day if day >= monitor.start_date else None


def freshness(
    instance: dg.DagsterInstance, spec: ModelSpec, now: datetime, grace: timedelta = GRACE
) -> Iterator[Freshness]:
    """How far each daily asset of a model is."""
    expected = expected_day(spec, now, grace)
    # Labels that arrive after the last day are ingested ahead of it: they make nothing fresher.
    limit = str(expected or date.max)
    for name in walked(spec):
        key = asset_key(spec.monitor.model, name)
        last = max((day for day in _days(instance, spec, name) if day <= limit), default=None)
        since = _written(instance, key, last) if last else None
        reached = date.fromisoformat(last) if last else None
        yield Freshness(key, spec.monitor.start_date, reached, expected, since)


def _days(instance: dg.DagsterInstance, spec: ModelSpec, name: str) -> set[str]:
    found = instance.get_materialized_partitions(asset_key(spec.monitor.model, name))
    # The window of a running month is written to the month's last day, which may lie ahead.
    return found & _days(instance, spec, "statistics") if name == "metrics" else found


def _written(instance: dg.DagsterInstance, key: dg.AssetKey, day: str) -> datetime | None:
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day])
    found = instance.fetch_materializations(wanted, limit=1).records
    return datetime.fromtimestamp(found[0].timestamp, UTC) if found else None
