"""Running a model's jobs in this process, without a daemon: what `mlobs backfill` and `mlobs demo` use.

Every run is an ordinary Dagster run: it shows in the UI with its partitions, checks and logs.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import dagster as dg
import yaml
from dagster._core.errors import DagsterExecutionInterruptedError  # not exported

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.backfills import Asked, Part, left_over, open_parts, split
from mlobs_pipelines.defs.jobs import job_name
from mlobs_pipelines.defs.lineage import asset_key
from mlobs_pipelines.defs.process import lives, named
from mlobs_pipelines.defs.resources import AS_OF_TAG, Site
from mlobs_pipelines.defs.watched import ended
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.steps.walk import parse_as_of
from mlobs_pipelines.telemetry import spans

INSTANCE_FILE = Path(__file__).parents[2] / "dagster.yaml"
BY_COMMAND = "dagster/backfill_by"  # tags of runs that a command started: which, for which days, where
BACKFILL, PROCESS = "mlobs/backfill", "mlobs/process"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # events are kept by the instance


@dataclass(frozen=True, slots=True)
class Launched:
    """One run that has ended.

    Attributes
    ----------
    job, run_id
        Which run it was.
    success
        Whether every step ran; failed checks do not make a run fail.
    failed_checks
        Check evaluations that did not pass.
    error
        What stopped the run; "" if nothing.
    part
        What it was asked to do.
    goes_on
        Whether only some days have failed, so that others follow.
    """

    job: str
    run_id: str
    success: bool
    failed_checks: int
    error: str
    part: Part
    goes_on: bool


def prepare(settings: Settings | None = None) -> Path:
    """Make the folder of this installation's Dagster instance, configured like the checkout's."""
    home = (settings or Settings()).dagster_home
    home.mkdir(parents=True, exist_ok=True)
    _configure(home)
    return home


@contextmanager
def instance(site: Site) -> Iterator[dg.DagsterInstance]:
    """Open this installation's Dagster instance, making its folder at the first use."""
    home = prepare(site.settings)
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupted run end as KeyboardInterrupt, which Dagster has a name of its own for."""
    try:
        yield
    except DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None


def _configure(home: Path) -> None:
    """Give a new instance folder the checkout's configuration, with its own folder for SQLite."""
    config = home / "dagster.yaml"
    if config.exists() or not INSTANCE_FILE.exists():
        return
    content = yaml.safe_load(INSTANCE_FILE.read_text())
    content["storage"]["custom"]["config"] = {"sqlite_base_dir": str(home / "storage")}
    config.write_text(yaml.safe_dump(content, sort_keys=False))


def backfill(
    site: Site, defs: dg.Definitions, spec: ModelSpec, asked: Asked, opened: dg.DagsterInstance
) -> Iterator[Launched]:
    """Run a range of days in as few runs as it takes, one after the other.

    The baseline, the feature rows that the first days' lookups reach back for, the labels that arrive after
    the last day, and the walk itself. Where days have failed, the others go on; where no day can, it stops.
    """
    release(opened)
    batch = site.walk(spec, "backfill", asked.moment).commit["batch_id"]
    for part in list(open_parts(opened, spec, asked, batch)):
        went = True
        for launched in _carried(opened, defs, spec, asked, part):
            went = went and (launched.success or launched.goes_on)
            yield launched
        if not went:
            return


def _carried(
    opened: dg.DagsterInstance, defs: dg.Definitions, spec: ModelSpec, asked: Asked, part: Part
) -> Iterator[Launched]:
    """Run a part and, where some of its days have failed, what is left for the others."""
    waiting = [part]
    while waiting:
        one = waiting.pop(0)
        result = _executed(opened, defs, spec, asked, one)
        done = {} if result.success else _done(opened, result.run_id)
        left = {} if result.success else left_over(one, done, _failed_assets(result))
        waiting += split(one, left)
        yield _launched(one, result, goes_on=bool(left))


def _executed(
    opened: dg.DagsterInstance, defs: dg.Definitions, spec: ModelSpec, asked: Asked, part: Part
) -> dg.ExecuteInProcessResult:
    tags = {
        **part.tags,
        AS_OF_TAG: asked.moment.isoformat(),
        BACKFILL: spelled_range(asked),
        PROCESS: f"{socket.gethostname()}:{named(os.getpid())}",
    }
    keys = [asset_key(spec.model, name) for name in part.assets]
    return run(opened, defs, job_name(spec.model, part.job), tags, keys)


def _done(opened: dg.DagsterInstance, run_id: str) -> dict[str, set[date]]:
    """Days that a run has materialized, by asset; its result leaves out those of steps that failed."""
    done: dict[str, set[date]] = {}
    for entry in opened.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.dagster_event
        if event and event.asset_key and event.partition:
            done.setdefault(event.asset_key.path[-1], set()).add(date.fromisoformat(event.partition))
    return done


def run(
    opened: dg.DagsterInstance,
    defs: dg.Definitions,
    job: str,
    tags: dict[str, str],
    keys: Sequence[dg.AssetKey] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run one job, or some of its assets with their checks, in this process.

    Raises
    ------
    KeyboardInterrupt
        If somebody interrupts it; its days count as cancelled then, not as failed.
    """
    result = defs.resolve_job_def(job).execute_in_process(
        instance=opened,
        tags={**tags, BY_COMMAND: "mlobs"},
        raise_on_error=False,
        run_config=QUIET,
        asset_selection=keys,
    )
    for record in opened.get_run_records(dg.RunsFilter(run_ids=[result.run_id])):
        spans.run(ended(record))
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    if any(error and error.cls_name == DagsterExecutionInterruptedError.__name__ for error in errors):
        opened.report_run_canceled(result.dagster_run, "interrupted by who started it")
        raise KeyboardInterrupt
    return result


def _launched(part: Part, result: dg.ExecuteInProcessResult, *, goes_on: bool) -> Launched:
    failed = sum(not evaluation.passed for evaluation in result.get_asset_check_evaluations())
    job = result.dagster_run.job_name
    return Launched(job, result.run_id, result.success, failed, _error(result), part, goes_on)


def _failed_assets(result: dg.ExecuteInProcessResult) -> list[str]:
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    nodes = result.job_def.asset_layer
    return [key.path[-1] for key in nodes.selected_asset_keys if key.to_python_identifier() in failed]


def _error(result: dg.ExecuteInProcessResult) -> str:
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return ""
    told, error = failures[0].step_failure_data.user_failure_data, failures[0].step_failure_data.error
    if told and told.description:
        return f"{failures[0].step_key}: {told.description}"
    cause = error.cause if error and error.cause else error
    return f"{failures[0].step_key}: {cause.message.strip() if cause else 'failed'}"


def spelled_range(asked: Asked) -> str:
    """The days of a backfill, as its runs are tagged."""
    return f"{asked.first}..{asked.last}"


def moment_before(opened: dg.DagsterInstance, spec: ModelSpec, first: date, last: date) -> datetime | None:
    """The moment that the last backfill of the same days looked from; None where there was none."""
    wanted = dg.RunsFilter(tags={BACKFILL: f"{first}..{last}", "mlobs/model": spec.model})
    runs = opened.get_runs(wanted, limit=1)
    return parse_as_of(runs[0].tags.get(AS_OF_TAG)) if runs else None


def release(opened: dg.DagsterInstance) -> None:
    """End runs of commands whose process is gone: what they held and promised is free again.

    A run that repeats one of them has its tags, but not its process: a code server works on it.
    """
    going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for found in opened.get_runs(going):
        host, _, process = found.tags.get(PROCESS, "").rpartition(":")
        if found.parent_run_id is None and host == socket.gethostname() and not lives(process):
            opened.report_run_failed(found, "the process of the command has ended before the run")
            opened.event_log_storage.free_concurrency_slots_for_run(found.run_id)
