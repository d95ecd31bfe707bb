"""Counting different values with registers of a fixed size: how near, and how they merge."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.core.distinct import BOUND, REGISTERS, distinct, register_of
from mlobs_pipelines.core.metrics import METRICS
from tests.core.cases import summarise_feature


def raised(hashes):
    """Registers that some hashes raise."""
    registers = np.zeros(REGISTERS, dtype=np.uint8)
    np.maximum.at(registers, *register_of(hashes))
    return registers


def drawn(seed, n):
    """Different hashes."""
    return np.random.default_rng(seed).integers(0, 1 << 63, n, dtype=np.int64)


@pytest.mark.parametrize("n", [1, 10, 1_000, 20_000, 1_000_000])
def test_estimates_are_within_the_bound(n):
    """From one value to a million, and within a percent where there are few."""
    for seed in range(3):
        assert abs(float(distinct(raised(drawn(seed, n)))) / n - 1) <= (0.01 if n <= 10 else BOUND)


def test_the_error_of_many_estimates_is_the_one_that_is_stated():
    """No bias, and a spread of 1.04 ÷ √4096, over sketches of the same size."""
    registers = np.stack([raised(drawn(seed, 30_000)) for seed in range(200)])
    away = distinct(registers) / 30_000 - 1
    assert abs(away.mean()) < 4 * 1.04 / 64 / np.sqrt(200)
    assert 0.8 < away.std() * 64 / 1.04 < 1.2


def test_nothing_is_nothing():
    """Registers that nothing raised estimate no value."""
    assert distinct(np.zeros((2, REGISTERS), dtype=np.uint8)).tolist() == [0, 0]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 400), cut=st.integers(1, 400))
def test_the_largest_of_two_are_the_registers_of_all(seed, n, cut):
    """In any order and for any cut, with values that occur on both sides."""
    rng = np.random.default_rng(seed)
    hashes = rng.permutation(np.repeat(drawn(seed, n), 2))
    parts = [raised(some) for some in np.split(hashes, [min(cut, hashes.size)])]
    assert np.array_equal(np.maximum(*parts), raised(drawn(seed, n)))


def test_ranks_are_leading_zeros():
    """A hash's first 12 bits name the register, the zeros that follow them and one more its rank."""
    hashes = np.array([(5 << 51) | (1 << 50), (4095 << 51) | 1, 0], dtype=np.int64)
    register, rank = register_of(hashes)
    assert (register.tolist(), rank.tolist()) == ([5, 4095, 0], [1, 51, 52])


def test_cardinality_of_merged_windows_is_that_of_the_largest_registers():
    """Exact for a window without registers; for others what all their values together raise."""
    hashes = drawn(3, 3_000)
    registers = np.stack([raised(hashes[:2_000]), raised(hashes[1_000:]), np.zeros(REGISTERS, np.uint8)])
    summary = replace(
        summarise_feature({"value": np.array([1.0, 2.0])}),
        cells=np.array([[5, 3, 0], [4, 0, 1], [0, 2, 1]]),
        registers=registers,
    )
    apart = METRICS["cardinality"].function(summary)
    assert apart.bound.tolist() == [BOUND * apart.value[0], BOUND * apart.value[1], 0]
    assert apart.value[2] == 2
    together = METRICS["cardinality"].function(summary.total())
    assert together.value == distinct(raised(hashes))
    assert abs(together.value - 3_000) <= together.bound
