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
from mlobs_pipelines.defs.jobs import job_name, made_by
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.resources import Site

GRACE = timedelta(hours=6)
EVERY_S = 1800


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


def expected_day(spec: ModelSpec, now: datetime, grace: timedelta = GRACE) -> date | None:
    """The last day that the schedule should have walked by now; None before the first.

    A replayed history is at its end: nothing is awaited.
    """
    monitor, schedule = spec.monitor, spec.monitor.schedule
    if monitor.replay_as_of is not None:
        return None
    ticks = reverse_cron_string_iterator((now - grace).timestamp(), schedule.cron, schedule.timezone)
    day = (next(ticks).astimezone(UTC) - schedule.cut_off).date() - timedelta(days=1)
    day = min(day, monitor.end_date or day)
    return day if day >= monitor.start_date else None


def freshness(
    instance: dg.DagsterInstance, spec: ModelSpec, now: datetime, grace: timedelta = GRACE
) -> Iterator[Freshness]:
    """How far each daily asset of a model is."""
    expected = expected_day(spec, now, grace)
    # Labels that arrive after the last day are ingested ahead of it: they make nothing fresher.
    limit = str(expected or date.max)
    for name in made_by(spec, "daily"):
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


def freshness_parts(site: Site, spec: ModelSpec) -> tuple[dg.AssetChecksDefinition, dg.SensorDefinition]:
    """The check of how far a model's assets are, and the sensor that looks without a run.

    It is a check of the report, which has no partitions: of one that has, Dagster would show a state by day.
    """
    model = spec.monitor.model
    key = dg.AssetCheckKey(asset_key(model, "report"), "freshness")

    @dg.asset_check(
        asset=key.asset_key,
        name=key.name,
        description="Every daily asset is as far as the schedule should have brought it by now.",
        metadata={"runbook": dg.MetadataValue.url(spec.monitor.runbook)},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return _judged(spec, list(freshness(context.instance, spec, site.clock())))

    @dg.sensor(
        name=job_name(model, "freshness"),
        minimum_interval_seconds=EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks every half an hour how far each daily asset is; the report's check says it.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        found = _judged(spec, list(freshness(context.instance, spec, site.clock())))
        said = dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=found.passed,
            severity=found.severity,
            description=found.description,
            metadata=found.metadata,
        )
        return dg.SensorResult(asset_events=[said])

    return check, sensor


def _judged(spec: ModelSpec, found: Sequence[Freshness]) -> dg.AssetCheckResult:
    late = [one for one in found if one.behind]
    metadata = {
        "assets": dg.MetadataValue.table([_row(one) for one in found]),
        "most_days_behind": dg.MetadataValue.int(max(one.behind for one in found)),
        "owners": dg.MetadataValue.text(", ".join(spec.monitor.owners)),
        "runbook": dg.MetadataValue.url(spec.monitor.runbook),
    }
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_said(found, late),
        metadata=metadata,
    )


def _said(found: Sequence[Freshness], late: Sequence[Freshness]) -> str:
    expected = found[0].expected
    if expected is None:
        return "No day is awaited: the history is a replayed one, or has not begun."
    if not late:
        return f"Every asset is at {expected}, as it should be."
    named = ", ".join(f"{one.key.path[-1]} by {one.behind} days" for one in late)
    return f"{len(late)} of {len(found)} assets are behind {expected}: {named}."


def _row(one: Freshness) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "asset": one.key.path[-1],
            "last day": str(one.last or ""),
            "expected": str(one.expected or ""),
            "days behind": one.behind,
            "written at": "" if one.since is None else one.since.isoformat(timespec="seconds"),
        }
    )
