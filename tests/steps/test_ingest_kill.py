"""A process that is ended while it ingests leaves nothing that the next run does not put right."""

import pytest

from tests import canary
from tests.steps import kill

TIMES = 6


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The scene, prepared once."""
    return kill.prepare(tmp_path_factory.mktemp("kill") / "scene")


def test_the_scene_has_every_kind_of_row(scene):
    """Accepted rows, repeats, quarantine, rows left out by sampling, pairs of hashes: none is missing."""
    tables = {"predictions", "predictions_repeats", "quarantine", "deliveries", "sampled_out", "hash_aliases"}
    assert set(scene.expected["whole"]) == set(scene.expected["streamed"]) == tables
    assert min(scene.commits.values()) >= 8


def test_a_run_after_one_that_was_ended_makes_the_tables_of_an_undisturbed_one(scene, tmp_path):
    """Whatever commit or time a process is ended at, running again leads to equal content of every table."""
    ends = 0
    for number, moment in enumerate(scene.moments(TIMES)):
        ended, different = scene.end_at(moment, tmp_path / str(number))
        assert different == [], str(moment)
        ends += ended
    assert ends > TIMES // 2
    # Identifiers are hashed wherever rows are, and the next run clears away the frames of one that was ended.
    assert canary.where(scene.root, ["customer-"], [tmp_path])
    assert not any("ingest-" in str(path) for path in canary.files(tmp_path))
    assert canary.where(tmp_path, ["customer-"]) == {}
