"""Health of an installation as Dagster knows it: daemons, queue, runs, and how far assets are; each a line.

What failed of a look is a line as well: somebody who asks for health gets an answer.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
from dagster._daemon.controller import get_daemon_statuses  # Dagster has no public name for it

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.durations import usual_limit_s
from mlobs_pipelines.defs.freshness import GRACE, freshness
from mlobs_pipelines.defs.jobs import RANGE_END, RANGE_START
from mlobs_pipelines.defs.launch import instance
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.defs.watched import MODEL_TAG
from mlobs_pipelines.destinations.postgres import answers
from mlobs_pipelines.steps.health import Line, State, clock_lines, lake_line, metric_line, told_lines
from mlobs_pipelines.store.lake import Lake

RECENT = 500  # runs that are looked at
WAITING = timedelta(minutes=30)
STARTING = timedelta(minutes=15)
_STARTS = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
Lines = Callable[[], Iterable[Line]]


def health(site: Site, specs: Sequence[ModelSpec], grace: timedelta = GRACE) -> Iterator[Line]:
    """Look at everything this installation rests on.

    Parameters
    ----------
    specs
        Models that are looked at.
    grace
        How long after its schedule's tick a model's day may be missing.
    """
    now, lake = site.clock(), site.lake
    yield from looked("lake", "check MLOBS_LAKE, its options, and the disk", lambda: [lake_line(lake, now)])
    for spec in specs:
        model = spec.monitor.model
        do = f"mlobs tables {model}; the table's log says which version was last whole"
        yield from looked(f"{model} metric store", do, partial(_metrics, lake, model, now))
        yield from looked(f"{model} messages", do, partial(told_lines, lake, model, now))
    mirror = site.settings.mirror_url
    if mirror is not None:
        url = mirror.get_secret_value()
        yield from looked("mirror", "check MLOBS_MIRROR_URL and its server", lambda: [_mirror(url, now)])
    yield from looked(
        "dagster",
        "check MLOBS_POSTGRES_URL and its server, or the disk",
        lambda: _kept(site, specs, now, grace),
    )


def looked(what: str, do: str, look: Lines) -> Iterator[Line]:
    """Look at something; that it cannot be looked at is what was found then."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding; messages may hold settings
        yield Line(what, State.FAIL, None, f"cannot be looked at: {type(error).__name__}", do)


def loaded(load: Callable[[], dg.Definitions]) -> Line:
    """Whether the code location loads."""
    dg.Definitions.validate_loadable(load())
    return Line("code location", State.OK, None, "it loads")


def _metrics(lake: Lake, model: str, now: datetime) -> list[Line]:
    return [metric_line(lake, model), *clock_lines(lake, model, now)]


def _mirror(url: str, now: datetime) -> Line:
    answers(url)
    return Line("mirror", State.OK, now, "PostgreSQL answers")


def _kept(site: Site, specs: Sequence[ModelSpec], now: datetime, grace: timedelta) -> Iterator[Line]:
    with instance(site) as opened:
        where = "PostgreSQL" if site.settings.postgres_url else "SQLite"
        yield Line("dagster", State.OK, now, f"runs and events can be read, from {where}")
        yield from daemons(opened, now)
        records = opened.get_run_records(limit=RECENT)
        yield queue(records, now)
        for spec in specs:
            yield from runs([one for one in records if _is_of(one, spec)], spec.monitor.model, now)
            yield from assets(opened, spec, now, grace)


def _is_of(record: dg.RunRecord, spec: ModelSpec) -> bool:
    model = spec.monitor.model
    keys = record.dagster_run.asset_selection or ()
    return record.dagster_run.tags.get(MODEL_TAG) == model or any(key.path[0] == model for key in keys)


def daemons(opened: dg.DagsterInstance, now: datetime) -> Iterator[Line]:
    """Whether each daemon lives: schedules, sensors, the queue and backfills depend on them."""
    statuses = get_daemon_statuses(opened, opened.get_required_daemon_types(), now.timestamp())
    beats = {name: one.last_heartbeat for name, one in statuses.items()}
    if not any(beats.values()):
        says = "none has ever run: schedules, sensors, queued runs and backfills stand still"
        yield Line("daemon", State.WARN, None, says, "dagster-daemon run --workspace workspace.yaml")
        return
    for name, status in sorted(statuses.items()):
        beat = beats[name]
        since = datetime.fromtimestamp(beat.timestamp, UTC) if beat else None
        what = f"daemon {name.lower()}"
        if status.healthy:
            yield Line(what, State.OK, since, "its heart beats")
        elif beat and beat.errors:
            yield Line(what, State.FAIL, since, "it reports errors", "read the daemon's log")
        else:
            yield Line(what, State.FAIL, since, "no heartbeat", "start the daemon: dagster-daemon run")


def queue(records: Sequence[dg.RunRecord], now: datetime) -> Line:
    """How many runs wait to start, and for how long."""
    waiting = [one for one in records if one.dagster_run.status == dg.DagsterRunStatus.QUEUED]
    if not waiting:
        return Line("queue", State.OK, None, "no run waits")
    oldest = min(_utc(one.create_timestamp) for one in waiting)
    late = now - oldest > WAITING
    says = f"{len(waiting)} runs wait, the oldest for {_minutes(now - oldest)}"
    do = "see that the daemon lives and what runs; raise concurrency.runs.max_concurrent_runs"
    return Line("queue", State.FAIL if late else State.OK, oldest, says, do if late else "")


def runs(records: Sequence[dg.RunRecord], model: str, now: datetime) -> Iterator[Line]:
    """What became of a model's last runs, job by job, and which of them take unusually long."""
    by_job: dict[str, list[dg.RunRecord]] = {}
    for record in records:  # the latest first
        by_job.setdefault(record.dagster_run.job_name, []).append(record)
    for job, mine in sorted(by_job.items()):
        yield from _stuck(job, mine, now)
        ended = [one for one in mine if one.dagster_run.status in _ENDED and one.end_time]
        if ended:
            yield _last(job, ended)
    if not by_job:
        yield Line(f"{model} runs", State.WARN, None, "none yet", f"mlobs backfill {model} --from … --to …")


def _last(job: str, ended: Sequence[dg.RunRecord]) -> Line:
    last = ended[0]
    since, short = datetime.fromtimestamp(last.end_time or 0, UTC), last.dagster_run.run_id[:8]
    if last.dagster_run.status == dg.DagsterRunStatus.FAILURE:
        do = "open the run in the UI; once mended, run its days again"
        return Line(f"job {job}", State.FAIL, since, f"its last run {short} failed", do)
    took, limit = _seconds(last), _limit(last, ended[1:])
    if limit is not None and took > limit:
        says = f"its last run {short} took {took:,.0f} s; usual are up to {limit:,.0f} s"
        return Line(f"job {job}", State.WARN, since, says, "compare its steps with those of an earlier run")
    return Line(f"job {job}", State.OK, since, f"its last run took {took:,.0f} s")


def _stuck(job: str, mine: Sequence[dg.RunRecord], now: datetime) -> Iterator[Line]:
    for one in mine:
        status, short = one.dagster_run.status, one.dagster_run.run_id[:8]
        began = datetime.fromtimestamp(one.start_time, UTC) if one.start_time else _utc(one.create_timestamp)
        for_how_long = now - began
        do = "look whether its process lives; if not, cancel the run and run its days again"
        if status in _STARTS and for_how_long > STARTING:
            says = f"run {short} has been starting for {_minutes(for_how_long)}"
            yield Line(f"job {job}", State.FAIL, began, says, do)
        limit = _limit(one, [other for other in mine if other.end_time])
        running = status == dg.DagsterRunStatus.STARTED
        if running and limit is not None and for_how_long.total_seconds() > limit:
            says = f"run {short} has run for {_minutes(for_how_long)}; usual are up to {limit:,.0f} s"
            yield Line(f"job {job}", State.FAIL, began, says, do)


def _limit(record: dg.RunRecord, others: Iterable[dg.RunRecord]) -> float | None:
    """How long a run may take, by those that ended well and were about half to twice as many days."""
    days = _days(record)
    like = [one for one in others if one.dagster_run.status == dg.DagsterRunStatus.SUCCESS and one.end_time]
    return usual_limit_s([_seconds(one) for one in like if days <= 2 * _days(one) <= 4 * days])


def _days(record: dg.RunRecord) -> int:
    tags = record.dagster_run.tags
    if RANGE_START not in tags:
        return 1
    first, last = (datetime.fromisoformat(tags[end]) for end in (RANGE_START, RANGE_END))
    return (last - first).days + 1


def _seconds(record: dg.RunRecord) -> float:
    return (record.end_time or 0) - (record.start_time or record.end_time or 0)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):,.0f} min"


def assets(opened: dg.DagsterInstance, spec: ModelSpec, now: datetime, grace: timedelta) -> Iterator[Line]:
    """How far each asset of a model is."""
    for one in freshness(opened, spec, now, grace):
        what = one.key.to_user_string()
        if one.expected is None:
            at = f"its last day is {one.last}" if one.last else "no day yet"
            yield Line(what, State.OK, one.since, f"{at}; none is awaited")
        elif one.behind:
            says = f"at {one.last or 'no day yet'}, {one.behind} days behind {one.expected}"
            do = f"mlobs backfill {spec.monitor.model} --from {one.next} --to {one.expected}"
            yield Line(what, State.FAIL, one.since, says, do)
        else:
            yield Line(what, State.OK, one.since, f"at {one.last}")
