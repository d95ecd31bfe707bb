"""Cells that are empty in a window but not in another never change what is said of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.core.metrics.drift import ks
from mlobs_pipelines.core.metrics.quality import delong
from mlobs_pipelines.core.metrics.quantiles import cell_quantile

cells = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=40)
gaps = st.lists(st.integers(0, 3), min_size=40, max_size=40)


def spread(rows, empty):
    """Two count arrays, and the same with empty cells put in between."""
    wide: list[tuple[int, int]] = []
    for row, gap in zip(rows, empty, strict=False):
        wide += [row, *[(0, 0)] * gap]
    return np.array(rows).T, np.array(wide).T


@given(rows=cells, empty=gaps)
def test_auc_does_not_change_by_a_bit(rows, empty):
    """Area, variance and bound are equal to the last bit."""
    (pos, neg), (wide_pos, wide_neg) = spread(rows, empty)
    for left, right in zip(delong(pos, neg), delong(wide_pos, wide_neg), strict=True):
        assert np.array_equal(left, right, equal_nan=True)


@given(rows=cells, empty=gaps)
def test_ks_does_not_change_by_a_bit(rows, empty):
    """Distance and bound of cells without atoms are equal to the last bit."""
    (one, two), (wide_one, wide_two) = spread(rows, empty)
    found = ks(one, two, np.zeros(one.size, bool)), ks(wide_one, wide_two, np.zeros(wide_one.size, bool))
    assert np.array_equal(found[0], found[1], equal_nan=True)


@given(rows=cells, empty=gaps, level=st.floats(0.01, 0.99))
def test_quantiles_do_not_change_by_a_bit(rows, empty, level):
    """The latency quantile falls into the same cell."""
    wide, taken = [], []
    for position, (row, gap) in enumerate(zip(rows, empty, strict=False)):
        taken += [10 * position]
        wide += [(10 * position, row[0]), *[(10 * position + 1 + k, 0) for k in range(gap)]]
    low = np.array([edge for edge, _ in wide], dtype=np.float64)
    counts = np.array([count for _, count in wide])
    base = np.array(taken, dtype=np.float64)
    plain = cell_quantile(np.array(rows)[:, 0], base, base + 1, np.array(level))
    gapped = cell_quantile(counts, low, low + 1, np.array(level))
    assert np.array_equal(plain, gapped, equal_nan=True)
