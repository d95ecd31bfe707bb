"""No byte that a file can have makes a reader do more than read it or say why it does not."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sources.fuzz import SEEDS, mutated, outcome

OUTCOMES = {"frames", "problem", "unreadable"}


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_files_are_read_or_refused(seed, tmp_path):
    """Flipped, cut, spliced and noisy bytes give frames or a reason that quotes no value."""
    draw = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    found = {outcome(seed, mutated(SEEDS[seed][1], draw), tmp_path) for _ in range(300)}
    assert found <= OUTCOMES
    assert "problem" in found or "unreadable" in found


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(seed, tmp_path, data):
    """Bytes of no format at all give frames or a reason."""
    assert outcome(seed, data, tmp_path) in OUTCOMES


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_not_mutated_is_read(seed, tmp_path):
    """The files that mutation starts from can be read."""
    assert outcome(seed, SEEDS[seed][1], tmp_path) == "frames"


@pytest.mark.parametrize(
    "seed", [seed for seed in SEEDS if seed.endswith(("parquet", "gz", "bz2", "xz", "zst"))]
)
def test_a_file_cut_anywhere_is_refused(seed, tmp_path):
    """A Parquet or compressed file without its end is never taken for a shorter one."""
    whole = SEEDS[seed][1]
    found = {outcome(seed, whole[:end], tmp_path) for end in range(0, len(whole), max(1, len(whole) // 60))}
    assert "frames" not in found
