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

from mlobs_pipelines.defs.process import lives, named

HERE = ("localhost", "127.0.0.1", "::1")
WATCHED = "process"  # in an event's metadata: the worker that was seen at the first look


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a look at the worker's process where it runs on this machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return whether Dagster's run monitoring may ask for a worker's health: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say whether the process of a started run lives.

        The first look notes in the run's log which process it saw; later ones hold what they see against it,
        so that another process with the same number is not taken for the worker. A worker on another machine
        is its code server's to watch: it counts as running, up to the time limit of `run_monitoring`.
        """
        reported = self._reported(run) if _is_here(run) else {}
        number = reported.get("pid")
        if number is None or self._lives(run, int(number), reported.get(WATCHED)):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"worker process {number} is gone")

    def _reported(self, run: DagsterRun) -> dict[str, str]:
        """What the run's log says last of its worker: its number, and its name if it was seen."""
        records = self._instance.get_records_for_run(
            run.run_id, of_type=DagsterEventType.ENGINE_EVENT, ascending=False
        ).records
        for record in records:
            event = record.event_log_entry.dagster_event
            data = event.event_specific_data if event else None
            if isinstance(data, EngineEventData) and "pid" in data.metadata:
                return {key: str(value.value) for key, value in data.metadata.items()}
        return {}

    def _lives(self, run: DagsterRun, number: int, seen: str | None) -> bool:
        if seen is not None:
            return lives(seen)
        try:
            seen = named(number)
        except psutil.NoSuchProcess:
            return False
        noted = EngineEventData({**EngineEventData.in_process(number).metadata, WATCHED: seen})
        self._instance.report_engine_event(f"Watching the run's process (pid: {number}).", run, noted)
        return lives(seen)


def _is_here(run: DagsterRun) -> bool:
    server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    return "socket" in server or server.get("host") in HERE
