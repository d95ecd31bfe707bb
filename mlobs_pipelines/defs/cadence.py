"""Schedules of a model: when its jobs look for days that are due and not done, and ask for exactly these.

A tick asks for what is missing, not for what the clock says: the next one catches up on missed and failed.
Which jobs there are is `jobs`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
from dagster import AssetPartitionStatus as Status

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.defs.jobs import JOINED, SAYS, job_name, made_by, range_tags
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.partitions import daily
from mlobs_pipelines.defs.resources import AS_OF_TAG, Site
from mlobs_pipelines.steps.arrivals import ranges, spelled
from mlobs_pipelines.steps.stored import known_days

DAY = timedelta(days=1)
NEEDS: Mapping[str, tuple[str, ...]] = {"ingest": (), "join": DATASETS, "quality": JOINED}
AGAIN = ("label_lag", "calibration")


@dataclass(frozen=True, slots=True)
class Due:
    """What a tick asks for.

    Attributes
    ----------
    days
        Days that are due and not done.
    known
        The moment whose knowledge counts: the end of the last day whose labels are there.
    waiting
        Why other days, or none, are asked for; "" where there is nothing to say.
    """

    days: Collection[date]
    known: datetime
    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One tick's look at a model: what Dagster says of the days from `first` to `last`."""

    site: Site
    spec: ModelSpec
    instance: dg.DagsterInstance
    first: date
    last: date

    @property
    def days(self) -> list[date]:
        """The days that are looked at."""
        return [self.first + number * DAY for number in range((self.last - self.first).days + 1)]

    def status(self, name: str) -> dict[date, Status | None]:
        """How an asset's days stand."""
        key, keys = asset_key(self.spec.monitor.model, name), [day.isoformat() for day in self.days]
        found = self.instance.get_status_by_partition(key, keys, daily(self.spec.monitor)) or {}
        return {day: found.get(day.isoformat()) for day in self.days}


def schedules(site: Site, spec: ModelSpec) -> Iterator[dg.ScheduleDefinition]:
    """One schedule per job; on from the start where a history is replayed, off elsewhere."""
    declared = spec.monitor.schedule
    yield _schedule(site, spec, "ingest", declared.cron)
    for part in ("join", "quality", *AGAIN):
        yield _schedule(site, spec, part, getattr(declared.cadence, part))


def _schedule(site: Site, spec: ModelSpec, part: str, cron: str) -> dg.ScheduleDefinition:
    model, replayed = spec.monitor.model, spec.monitor.replay_as_of is not None

    @dg.schedule(
        name=job_name(model, f"{part}_schedule"),
        job_name=job_name(model, part),
        cron_schedule=cron,
        execution_timezone=spec.monitor.schedule.timezone,
        description=f"{SAYS[part]} Asks for the days that are due and not done, missed ones too.",
        default_status=dg.DefaultScheduleStatus.RUNNING if replayed else dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        at = context.scheduled_execution_time.astimezone(UTC)
        last = (at - spec.monitor.schedule.cut_off).date() - DAY
        skipped = _outside(spec, last)
        if skipped:
            return dg.SkipReason(skipped)
        first = max(spec.monitor.start_date, last - _days(spec.monitor.schedule.catch_up))
        found = due(Look(site, spec, context.instance, first, last), part)
        if not found.days:
            return dg.SkipReason(found.waiting or f"nothing is missing from {first} to {last}")
        return [_request(span, found.known, at) for span in ranges(found.days)]

    return tick


def _outside(spec: ModelSpec, last: date) -> str:
    monitor = spec.monitor
    if last < monitor.start_date:
        return f"{monitor.model} starts on {monitor.start_date}"
    if monitor.end_date is not None and last > monitor.end_date:
        return f"the history of {monitor.model} ended on {monitor.end_date}"
    return ""


def _request(span: tuple[date, date], known: datetime, at: datetime) -> dg.RunRequest:
    # Asked for once a day: what failed is tried again tomorrow, or sooner together with other days.
    tags = {**range_tags(*span), AS_OF_TAG: known.isoformat()}
    return dg.RunRequest(run_key=f"{at.date()}:{span[0]}:{span[1]}", tags=tags)


def due(look: Look, part: str) -> Due:
    """The days that a job has to do."""
    return _again(look, part) if part in AGAIN else _missing(look, part)


def _missing(look: Look, part: str) -> Due:
    """Days that a job has not done, as far as the job before it has."""
    made = [look.status(name) for name in made_by(look.spec, part)]
    needs = {name: look.status(name) for name in NEEDS[part]}
    idle = [day for day in look.days if all(one[day] is not Status.IN_PROGRESS for one in made)]
    lacking = [day for day in idle if any(one[day] is not Status.MATERIALIZED for one in made)]
    ready = [day for day in lacking if all(one[day] is Status.MATERIALIZED for one in needs.values())]
    known = _end(look.last)
    if part == "quality" and ready and not _measured(look):
        baseline = job_name(look.spec.monitor.model, "baseline")
        return Due([], known, f"no training set has been measured: run {baseline} once")
    return Due(ready, known, _waits(sorted(set(lacking) - set(ready)), needs))


def _waits(days: Sequence[date], needs: Mapping[str, Mapping[date, Status | None]]) -> str:
    names = [name for name, one in needs.items() if any(one[day] is not Status.MATERIALIZED for day in days)]
    return f"{', '.join(names)} not there yet: {spelled(days)}" if days else ""


def _measured(look: Look) -> bool:
    key = asset_key(look.spec.monitor.model, "baseline")
    return look.instance.get_latest_materialization_event(key) is not None


def _again(look: Look, part: str) -> Due:
    """Measured days that now know less than they could: all young ones, or those that have become due."""
    arrived = [day for day, one in look.status("labels").items() if one is Status.MATERIALIZED]
    if not arrived:
        return Due([], _end(look.last), f"no labels are ingested from {look.first} to {look.last}")
    known, monitor = _end(max(arrived)), look.spec.monitor
    walk = look.site.walk(look.spec, f"{part}.schedule", known)
    seen, running = known_days(walk), _running(look, part)
    wanted = {day: _wanted(look.spec, part, day, known) for day in seen}
    reach = look.first - _days(monitor.schedule.rescore)
    days = {day for day, at in wanted.items() if at is not None and seen[day] < at and reach <= day}
    return Due(days - running, known)


def _wanted(spec: ModelSpec, part: str, day: date, known: datetime) -> datetime | None:
    """The moment that a day should be known as of; None where the job has nothing to do with it."""
    ended, schedule = _end(day), spec.monitor.schedule
    if part == "label_lag":
        return known if ended <= known < ended + schedule.rescore else None
    mature = ended + spec.monitor.labels.horizon
    return mature if mature <= known else None


def _running(look: Look, part: str) -> set[date]:
    stands = [look.status(name) for name in made_by(look.spec, part)]
    return {day for one in stands for day, status in one.items() if status is Status.IN_PROGRESS}


def _end(day: date) -> datetime:
    # Labels are ingested up to the end of a day; nothing later may count as missing.
    return datetime.combine(day + DAY, time(), UTC)


def _days(length: timedelta) -> timedelta:
    return timedelta(days=-(-length // DAY))
