"""Launching runs on a code server, and noticing that a run's worker has died.

Dagster's own launcher cannot tell a dead worker from a busy one when the code server that started it is gone,
or lost its database meanwhile: such a run would stay "started", and block its model, until its time limit.
"""

import json

import psutil
from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.events import DagsterEventType, EngineEventData  # no public name
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus  # the interface has no public name
from dagster._core.storage.tags import GRPC_INFO_TAG

HERE = ("localhost", "127.0.0.1", "::1")


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a look at the worker's process where it runs on this machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return whether Dagster's run monitoring may ask for a worker's health: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say whether the process of a started run lives.

        A worker on another machine is its code server's to watch: it counts as running, up to the time limit
        of `run_monitoring`.
        """
        reported = self._reported(run) if _is_here(run) else None
        if reported is None or _lives(*reported):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"worker process {reported[0]} is gone")

    def _reported(self, run: DagsterRun) -> tuple[int, float] | None:
        """Process id that the run's worker reported last, and when."""
        records = self._instance.get_records_for_run(
            run.run_id, of_type=DagsterEventType.ENGINE_EVENT, ascending=False
        ).records
        for record in records:
            event = record.event_log_entry.dagster_event
            data = event.event_specific_data if event else None
            if isinstance(data, EngineEventData) and "pid" in data.metadata:
                return int(str(data.metadata["pid"].value)), record.timestamp
        return None


def _is_here(run: DagsterRun) -> bool:
    server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    return "socket" in server or server.get("host") in HERE


def _lives(process: int, reported: float) -> bool:
    """Whether the process runs, and is not a later one with the same number.

    One that has ended and was not waited for does not run.
    """
    try:
        found = psutil.Process(process)
        return found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= reported
    except psutil.NoSuchProcess:
        return False
