"""What dies in the middle of a run is made up for: the tables end as those of an undisturbed run."""

from datetime import date

import pytest

from mlobs_pipelines.defs.jobs import range_tags
from tests.outages.installation import MODEL, Installation
from tests.outages.lakes import WALK, contents, land, restore, undisturbed

FIRST, LAST = date(2013, 6, 20), date(2013, 6, 21)


@pytest.fixture(scope="module")
def landing(history, tmp_path_factory):
    """Give two landed days."""
    return land(history, tmp_path_factory.mktemp("landing"), FIRST, LAST, 0.02)


@pytest.fixture(scope="module")
def reference(landing, tmp_path_factory):
    """Give the lake of a walk that nothing disturbed."""
    return undisturbed(tmp_path_factory.mktemp("reference"), landing, FIRST, LAST)


@pytest.fixture(scope="module")
def plant(landing, tmp_path_factory):
    """Give a running installation; its processes end with the module."""
    made = Installation(tmp_path_factory.mktemp("plant"), landing)
    with made.running("code-server", "webserver", "daemon"):
        yield made


@pytest.mark.parametrize("victims", [("worker", "daemon", "code-server"), ("postgres",)])
def test_the_walk_survives_a_kill(plant, reference, victims):
    """After kill -9 and a restart, the run or its retry ends with the tables of an undisturbed run."""
    restore(plant.home, reference)
    run = plant.launch(WALK, range_tags(FIRST, LAST))
    middle = plant.home / "lake" / MODEL / "prediction_log" / "_delta_log"
    plant.wait(middle.exists, "a table in the middle of the walk is written", 120)
    for victim in victims:
        plant.kill(victim)
    plant.start(*set(victims) - {"worker"})
    statuses = plant.ended(run)
    assert statuses[-1] == "SUCCESS", statuses
    assert contents(plant.home) == contents(reference)
