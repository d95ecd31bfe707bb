"""Whether a run's worker lives: though clocks are wrong or set, and numbers of processes are given again."""

import json
import os
import subprocess
import time

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.utils import make_new_run_id

from mlobs_pipelines.defs.launcher import WatchedRunLauncher
from mlobs_pipelines.defs.process import lives, named

LAUNCHER = {"module": WatchedRunLauncher.__module__, "class": WatchedRunLauncher.__name__}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Give an instance that launches as an installation does."""
    home = tmp_path_factory.mktemp("instance")
    with dg.instance_for_test(temp_dir=str(home), overrides={"run_launcher": LAUNCHER}) as instance:
        yield instance


@pytest.fixture
def process():
    """Give a process that waits."""
    with subprocess.Popen(["/bin/sleep", "60"]) as started:
        yield started
        started.kill()


def _started(opened, number, *, behind=0.0, host="localhost"):
    """Make a run whose worker has said its number, by a clock that may be behind."""
    tags = {GRPC_INFO_TAG: json.dumps({"host": host, "port": 4000})}
    run = opened.create_run_for_job(dg.job(name="walk")(lambda: None), run_id=make_new_run_id(), tags=tags)
    said = dg.DagsterEvent(
        dg.DagsterEventType.ENGINE_EVENT.value,
        run.job_name,
        event_specific_data=EngineEventData.in_process(number),
    )
    opened.report_dagster_event(said, run_id=run.run_id, timestamp=time.time() - behind)
    return run


def _looked(opened, run):
    return opened.run_launcher.check_run_worker_health(run)


@pytest.mark.parametrize("behind", [0, 3600, -3600])
def test_a_worker_whose_clock_is_another_lives_until_it_ends(opened, process, behind):
    """An hour behind or ahead, the worker counts as running at every look; as gone only when it is."""
    run = _started(opened, process.pid, behind=behind)
    assert [_looked(opened, run).status for _ in range(3)] == [WorkerStatus.RUNNING] * 3
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert _looked(opened, run).status is WorkerStatus.FAILED  # it has ended, and nobody has waited for it
    process.wait()
    assert _looked(opened, run).msg == f"worker process {process.pid} is gone"


def test_a_look_is_noted_once(opened, process):
    """The log of a run says which process is watched, once."""
    run = _started(opened, process.pid)
    for _ in range(3):
        _looked(opened, run)
    told = [one.dagster_event.message for one in opened.all_logs(run.run_id)]
    assert told.count(f"Watching the run's process (pid: {process.pid}).") == 1


def test_a_later_process_with_the_same_number_is_not_the_worker(opened, process):
    """A number that was given again does not keep a run alive whose worker was seen before."""
    run = _started(opened, process.pid)
    earlier = f"{process.pid}+{float(named(process.pid).partition('+')[2]) - 10:.2f}"
    noted = EngineEventData({**EngineEventData.in_process(process.pid).metadata, "process": earlier})
    opened.report_engine_event("seen before", run, noted)
    assert _looked(opened, run).status is WorkerStatus.FAILED


def test_a_worker_that_is_gone_at_the_first_look_is_told(opened, process):
    """Nothing was seen before, and no process has the number."""
    process.kill()
    process.wait()
    assert _looked(opened, _started(opened, process.pid)).status is WorkerStatus.FAILED


def test_a_worker_of_another_machine_is_not_looked_for(opened):
    """Numbers of processes are a machine's own."""
    run = _started(opened, 2**22 + 1, host="code")
    assert _looked(opened, run).status is WorkerStatus.RUNNING


def test_a_process_is_known_again():
    """One's own name is lived by; a number that nobody has is not."""
    assert lives(named(os.getpid()))
    assert not lives(f"{2**22 + 1}+1.00")
