"""Each case of a bad delivery keeps what it promises; ``python -m tests.deliveries`` prints them all."""

import subprocess
import sys

import pytest

from tests.deliveries.cases import all_cases
from tests.deliveries.promise import play

CASES = [pytest.param(case, id=case.name) for cases in all_cases().values() for case in cases]


@pytest.mark.parametrize("case", CASES)
def test_a_delivery_ends_as_promised(case, tmp_path):
    """State, counts, rules, rows and words are the promised ones, and every row is counted once."""
    assert play(case, tmp_path).broken == []


def test_every_case_has_a_name_of_its_own():
    """A line of the table can be told by its name; there are at least eighty."""
    names = [case.name for cases in all_cases().values() for case in cases]
    assert len(set(names)) == len(names) >= 80


def test_the_table_is_printed_by_one_command():
    """It shows every case chosen by words of its name, and says that all lines add up."""
    command = [sys.executable, "-m", "tests.deliveries", "zero bytes"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "zero bytes of Parquet" in found.stdout
    assert "empty (0 bytes)" in found.stdout
    assert found.stdout.endswith("on every line\n")
