"""A whole installation on loopback, as processes that can be killed: servers, daemon, PostgreSQL.

What is done to it, and what it must survive, is in `test_installation` and `__main__`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import yaml

from tests.postgres import Server

ROOT = Path(__file__).parents[2]
MODEL = "flight_delays"
BIN = Path(sys.executable).parent
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL_STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status } } }"""
BACKFILLS = "{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { id } } } }"
SCHEDULE = """query($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) {
  ... on Schedule { scheduleState { status } } } }"""
RUNS = """{ runsOrError(limit: 100) { ... on Runs { results { runId status jobName rootRunId
  tags { key value } } } } }"""
KEY = "the same key for every lake that is compared"
RETRIES = 2
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def free_port():
    """Give a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Installation:
    """One lake with the processes that a deployment has; `kill` is kill -9 of one of them."""

    def __init__(self, folder, landing, *, poll_s=2):
        self.folder, self.home = folder, folder / "home"
        self.ports = {"code-server": free_port(), "webserver": free_port()}
        self.postgres = Server("outage")
        self.processes = {}
        self._configure(poll_s)
        self.postgres.start()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MLOBS_", "DAGSTER_"))},  # noqa: TID251 - a child's
            "DAGSTER_HOME": str(folder / "dagster"),
            "MLOBS_HOME": str(self.home),
            "MLOBS_LANDING": str(landing),
            "MLOBS_CONTRACTS": str(ROOT / "data_contracts"),
            "MLOBS_POSTGRES_URL": self.postgres.url,
            "MLOBS_HMAC_KEY": KEY,
        }

    def _configure(self, poll_s):
        instance = yaml.safe_load((ROOT / "dagster.yaml").read_text())
        waits = ("poll_interval_seconds", "free_slots_after_run_end_seconds")
        instance["run_monitoring"].update(dict.fromkeys(waits, poll_s))
        server = {"host": "localhost", "port": self.ports["code-server"], "location_name": "mlobs"}
        (self.folder / "dagster").mkdir(parents=True)
        (self.folder / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(instance))
        (self.folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))

    def commands(self):
        """What each process runs: what a deployment's containers run."""
        workspace = ("-w", str(self.folder / "workspace.yaml"))
        server, web = (str(port) for port in self.ports.values())
        module = ("-m", "mlobs_pipelines.definitions")
        return {
            "code-server": ("dagster", "api", "grpc", "-h", "127.0.0.1", "-p", server, *module),
            "webserver": ("dagster-webserver", "-h", "127.0.0.1", "-p", web, *workspace),
            "daemon": ("dagster-daemon", "run", *workspace),
        }

    def restart(self, name, environment=()):
        """End a process that does nothing at the moment, and start it with more in its environment."""
        self.kill(name)
        before, self.environment = self.environment, {**self.environment, **dict(environment)}
        self.start(name)
        self.environment = before

    def start(self, *names):
        """Start processes, and wait until those that listen do."""
        for name in names:
            if name == "postgres":
                self.postgres.start()
                continue
            program, *arguments = self.commands()[name]
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [BIN / program, *arguments],
                    env=self.environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            if name in self.ports:
                self.wait(lambda name=name: self._listens(name), f"{name} listens", 240)

    def _listens(self, name):
        if self.processes[name].poll() is not None:
            raise RuntimeError(f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[name])) == 0

    def kill(self, name):
        """End one process as the kernel would, and leave its children alone."""
        if name == "postgres":
            return self.postgres.kill()
        if name == "worker":
            return os.kill(self.worker(), signal.SIGKILL)
        process = self.processes.pop(name)
        process.kill()
        return process.wait()

    def worker(self):
        """Process id of the run that is being worked on."""
        return self.wait(self._worker, "a run's worker", 120)

    def _worker(self):
        server = psutil.Process(self.processes["code-server"].pid)
        found = [one for one in server.children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
        return found[0].pid if found else None

    def stop(self):
        """End everything that was started, and what that started."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.postgres.stop()
        shutil.rmtree(self.folder / "dagster", ignore_errors=True)

    def wait(self, until, what, seconds):
        """Ask again and again until something holds; say what did not. A server may be away meanwhile."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            with suppress(OSError):
                if answer := until():
                    return answer
            time.sleep(0.3)
        raise TimeoutError(f"not within {seconds} s: {what}")

    def ask(self, query, **variables):
        """Ask the webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.ports['webserver']}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            found = json.load(answer)
        if "errors" in found:
            raise RuntimeError(found["errors"][0]["message"])
        return found["data"]

    def launch(self, job, tags):
        """Queue a run of one of the model's jobs; give its id."""
        selector = {
            "repositoryLocationName": "mlobs", "repositoryName": "__repository__", "jobName": f"{MODEL}_{job}"
        }  # fmt: skip
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": metadata}
        answer = self.ask(LAUNCH, params=params)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise RuntimeError(f"{answer['__typename']}: {answer.get('message')}")
        return answer["run"]["runId"]

    def family(self, run):
        """A run and its retries, the newest first."""
        runs = self.ask(RUNS)["runsOrError"]["results"]
        return [one for one in runs if run in (one["runId"], one["rootRunId"])]

    def ended(self, run, seconds=400):
        """Wait until a run or a retry of it succeeds, or none is left; give each status, oldest first."""

        def settled():
            statuses = [one["status"] for one in self.family(run)]
            final = all(status in ENDED for status in statuses)
            return statuses[::-1] if final and ("SUCCESS" in statuses or len(statuses) > RETRIES) else None

        return self.wait(settled, f"run {run} ends", seconds)

    def backfill(self, days):
        """Launch a backfill of the walk over partitions, as the page of its job does; give its id."""
        repository = {"repositoryLocationName": "mlobs", "repositoryName": "__repository__"}
        selector = {"partitionSetName": f"{MODEL}_daily_partition_set", "repositorySelector": repository}
        params = {"selector": selector, "partitionNames": days, "title": "outage"}

        def launched():
            answer = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
            if answer["__typename"] == "PartitionSetNotFoundError":  # its code server has just started again
                return None
            if answer["__typename"] != "LaunchBackfillSuccess":
                raise RuntimeError(f"{answer['__typename']}: {answer.get('message')}")
            return answer["backfillId"]

        return self.wait(launched, "the webserver knows the walk", 240)

    def filled(self, backfill, seconds=3600):
        """Wait until a backfill has ended, well or not; give its status."""
        ended = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

        def settled():
            found = self.ask(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]["status"]
            return found if found in ended else None

        return self.wait(settled, f"backfill {backfill} ends", seconds)

    def runs_of(self, backfill):
        """Give the status of each run of a backfill, oldest first."""
        runs = self.ask(RUNS)["runsOrError"]["results"]
        tag = {"key": "dagster/backfill", "value": backfill}
        return [one["status"] for one in reversed(runs) if tag in one["tags"]]

    def newest_backfill(self):
        """Give the id of the backfill that was launched last; None where there is none."""
        found = self.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
        return found[0]["id"] if found else None

    def schedule(self, name):
        """Give the status of a schedule."""
        selector = {
            "repositoryLocationName": "mlobs",
            "repositoryName": "__repository__",
            "scheduleName": name,
        }
        return self.ask(SCHEDULE, selector=selector)["scheduleOrError"]["scheduleState"]["status"]

    @contextmanager
    def running(self, *names):
        """Start processes, and end whatever runs at the end."""
        try:
            self.start(*names)
            yield self
        finally:
            self.stop()
