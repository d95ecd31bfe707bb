"""Running a model's jobs in this process, without a daemon: what `mlobs backfill` and `mlobs demo` use.

Every run is an ordinary Dagster run: it shows in the UI with its partitions, checks and logs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import yaml

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.jobs import job_name, range_tags
from mlobs_pipelines.defs.resources import AS_OF_TAG, Site
from mlobs_pipelines.defs.watched import ended
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.steps.snapshot import feature_reach_days
from mlobs_pipelines.telemetry import spans

INSTANCE_FILE = Path(__file__).parents[2] / "dagster.yaml"
LABEL_REACH = 2
BY_COMMAND = "dagster/backfill_by"  # tag of runs that a command started
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
    """

    job: str
    run_id: str
    success: bool
    failed_checks: int
    error: str


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


def _configure(home: Path) -> None:
    """Give a new instance folder the checkout's configuration, with its own folder for SQLite."""
    config = home / "dagster.yaml"
    if config.exists() or not INSTANCE_FILE.exists():
        return
    content = yaml.safe_load(INSTANCE_FILE.read_text())
    content["storage"]["custom"]["config"] = {"sqlite_base_dir": str(home / "storage")}
    config.write_text(yaml.safe_dump(content, sort_keys=False))


def backfill(
    site: Site,
    defs: dg.Definitions,
    spec: ModelSpec,
    first: date,
    last: date,
    as_of: datetime | None = None,
) -> Iterator[Launched]:
    """Run a range of days in as few runs as it takes, one after the other.

    The baseline, the feature rows that the first days' lookups reach back for, the labels that arrive after
    the last day, and the walk itself. Stops after a run that failed.
    """
    with instance(site) as opened:
        for name, tags in plan(spec, first, last, as_of or spec.monitor.replay_as_of or site.clock()):
            stamp = {} if as_of is None else {AS_OF_TAG: as_of.isoformat()}
            launched = run(opened, defs, job_name(spec.monitor.model, name), {**tags, **stamp})
            yield launched
            if not launched.success:
                return


def plan(spec: ModelSpec, first: date, last: date, as_of: datetime) -> list[tuple[str, dict[str, str]]]:
    """Which jobs a range of days takes, with their run tags.

    Raises
    ------
    ValueError
        If the range is empty or outside the model's days.
    """
    monitor = spec.monitor
    complete = as_of.astimezone(UTC).date() - timedelta(days=1)
    end = min(monitor.end_date or complete, complete)
    if not monitor.start_date <= first <= last <= end:
        raise ValueError(
            f"{monitor.model} has days from {monitor.start_date} to {end}; asked for {first} to {last}: "
            "choose days inside, the earlier one first"
        )
    jobs: list[tuple[str, dict[str, str]]] = [("baseline", {})]
    reach = max(monitor.start_date, first - timedelta(days=feature_reach_days(spec)))
    if reach < first:
        jobs.append(("features", range_tags(reach, first - timedelta(days=1))))
    tail = min(end, as_of.date(), last + LABEL_REACH * monitor.labels.horizon)
    if tail > last:
        jobs.append(("labels", range_tags(last + timedelta(days=1), tail)))
    return [*jobs, ("daily", range_tags(first, last))]


def run(opened: dg.DagsterInstance, defs: dg.Definitions, job: str, tags: dict[str, str]) -> Launched:
    """Run one job in this process."""
    result = defs.resolve_job_def(job).execute_in_process(
        instance=opened, tags={**tags, BY_COMMAND: "mlobs"}, raise_on_error=False, run_config=QUIET
    )
    for record in opened.get_run_records(dg.RunsFilter(run_ids=[result.run_id])):
        spans.run(ended(record))
    failed = sum(not evaluation.passed for evaluation in result.get_asset_check_evaluations())
    return Launched(job, result.run_id, result.success, failed, _error(result))


def _error(result: dg.ExecuteInProcessResult) -> str:
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return ""
    error = failures[0].step_failure_data.error
    cause = error.cause if error and error.cause else error
    return f"{failures[0].step_key}: {cause.message.strip() if cause else 'failed'}"
