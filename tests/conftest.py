"""What every test shares: the demo's year, which takes long to train, and how examples are drawn.

Examples are the same in every run, so that a red suite means a change; `--hypothesis-profile=default` draws
new ones.
"""

import fcntl
import pickle

import pytest
from hypothesis import settings

# No deadline: how long an example takes says how busy the machine is.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

SEED = 20130101
EARLY = ("installed", "deploy", "defs", "tasks", "cli", "steps")
TOGETHER = ("defs", "tasks", "cli")


def pytest_addoption(parser):
    """Let a person keep the pictures that browser tests take."""
    parser.addoption("--pictures", metavar="FOLDER", help="keep the pictures of Dagster's pages there")


def pytest_collection_modifyitems(items):
    """Begin with files that wait for servers, then with those with long set-ups; short ones fill the end."""
    places = {name: place for place, name in enumerate(EARLY)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(EARLY)))


def pytest_xdist_make_scheduler(config, log):
    """Give each process whole files, and whole folders where files share what takes long to set up."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not there where one process runs all

    class Whole(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            folder = file.split("/")[-2]
            return folder if folder in TOGETHER else file

    return Whole(config, log)


@pytest.fixture(scope="session")
def history(tmp_path_factory, worker_id):
    """Give the year with its trained models, built once for all processes of a session."""
    from mlobs_pipelines.demo.history import build_history  # noqa: PLC0415 - only where it is asked for

    if worker_id == "master":
        yield build_history(SEED, lambda *_: None)
        return
    kept = tmp_path_factory.getbasetemp().parent / "history.pickle"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(build_history(SEED, lambda *_: None)))
        found = pickle.loads(kept.read_bytes())  # noqa: S301 - made here
    yield found
    kept.unlink(missing_ok=True)  # it is large
