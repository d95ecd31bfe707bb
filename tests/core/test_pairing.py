"""Names of pairs of score cells."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.core.buckets import SCORE_CELLS
from mlobs_pipelines.core.pairing import OWN_CELLS, pair_codes, pair_ranges

cells = st.integers(0, SCORE_CELLS - 1)


@given(pairs=st.lists(st.tuples(cells, cells), min_size=1))
def test_both_scores_lie_in_the_ranges_of_their_name(pairs):
    """The cells that were named are within what the name says, also at the ends of the scale."""
    own, other = np.array(pairs, dtype=np.int32).T
    codes = pair_codes(own, other)
    assert codes.dtype == np.int32
    assert codes.min() >= 0
    for cell, ends in zip((own, other), pair_ranges(codes), strict=True):
        assert np.all((ends[:, 0] <= cell) & (cell < ends[:, 1]))


@given(cell=cells, difference=st.integers(1 - SCORE_CELLS, SCORE_CELLS - 1))
def test_a_difference_is_known_within_a_quarter_of_it(cell, difference):
    """Differences under eight cells are exact, larger ones within a quarter of their own size."""
    other = np.clip(cell + difference, 0, SCORE_CELLS - 1)
    away = int(other) - cell
    own, champion = pair_ranges(pair_codes(np.array([cell], np.int32), np.array([other], np.int32)))
    inside = (champion[0, 0] > 0) & (champion[0, 1] < SCORE_CELLS)  # not cut at the end of the scale
    if inside:
        (first, last) = champion[0] - own[0]
        assert first <= away <= last
        assert last - first == 0 if abs(away) < 8 else last - first < abs(away) / 4


def test_there_are_few_names():
    """Every name fits the store's integers, and each cell of the own score has at most 87 of them."""
    other = np.arange(SCORE_CELLS, dtype=np.int32)
    for cell in (0, SCORE_CELLS // 2, SCORE_CELLS - 1):
        codes = pair_codes(np.full(SCORE_CELLS, cell, np.int32), other)
        assert np.unique(codes).size <= 87
        assert codes.max() < SCORE_CELLS // OWN_CELLS * 128


def test_equal_scores_have_equal_ranges():
    """Where both say the same, both ranges are the cell of the own score."""
    cell = np.arange(SCORE_CELLS, dtype=np.int32)
    own, other = pair_ranges(pair_codes(cell, cell))
    np.testing.assert_array_equal(own, other)
