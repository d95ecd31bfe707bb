"""Counting by group and code: exact for any order, split or path."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.core import tally as module
from mlobs_pipelines.core.tally import tally

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=50)


def arrays(rows, width=10):
    """Groups and codes of drawn pairs."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1], width


def as_dict(cells):
    """Counts by (group, code)."""
    return dict(
        zip(zip(cells.groups.tolist(), cells.codes.tolist(), strict=True), cells.counts.tolist(), strict=True)
    )


@given(rows=pairs)
def test_counts_are_those_of_a_dictionary(rows):
    """Every pair that occurs is there once, ascending, with its number of rows."""
    cells = tally(*arrays(rows))
    assert as_dict(cells) == {pair: rows.count(pair) for pair in rows}
    keys = cells.groups * 10 + cells.codes
    assert (np.diff(keys) > 0).all()


@given(rows=pairs, cut=st.integers(0, 50), data=st.data())
def test_any_split_and_order_adds_up_to_the_same_counts(rows, cut, data):
    """Counts of two halves add up to those of all rows; shuffled rows give equal cells."""
    whole = as_dict(tally(*arrays(rows)))
    halves = [as_dict(tally(*arrays(some))) for some in (rows[:cut], rows[cut:])]
    added = {pair: sum(half.get(pair, 0) for half in halves) for pair in halves[0].keys() | halves[1].keys()}
    assert added == whole
    assert as_dict(tally(*arrays(data.draw(st.permutations(rows))))) == whole


@given(rows=pairs)
def test_sums_are_added_in_the_order_of_rows(rows):
    """Σ and Σ² per cell are bit for bit those of a loop over the rows."""
    groups, codes, width = arrays(rows)
    values = np.linspace(-1, 1, max(len(rows), 1))[: len(rows)] / 3
    cells = tally(groups, codes, width, values)
    sums: dict[tuple[int, int], list[float]] = {}
    for pair, value in zip(rows, values.tolist(), strict=True):
        entry = sums.setdefault(pair, [0.0, 0.0])
        entry[0], entry[1] = entry[0] + value, entry[1] + value * value
    found = zip(
        cells.groups.tolist(), cells.codes.tolist(), cells.sums.tolist(), cells.squares.tolist(), strict=True
    )
    assert {(group, code): [total, square] for group, code, total, square in found} == sums


@given(rows=pairs.filter(bool))
def test_the_sparse_path_equals_the_dense_one(rows):
    """Which path counts depends on the width of the codes alone, and the answer does not."""
    groups, codes, _ = arrays(rows)
    values = np.arange(len(rows), dtype=np.float64)
    wide, narrow = 1 << 40, 10
    assert not module._is_dense(np.array([wide]))
    dense, sparse = (tally(groups, codes, width, values) for width in (narrow, wide))
    for name in ("groups", "codes", "counts", "sums", "squares"):
        assert getattr(dense, name).tolist() == getattr(sparse, name).tolist()


@pytest.mark.parametrize("values", [None, np.empty(0)])
def test_no_rows_are_no_cells(values):
    """Without rows there are no cells, with or without values."""
    none = np.empty(0, dtype=np.int64)
    cells = tally(none, none, 10, values)
    assert cells.groups.size == cells.codes.size == cells.counts.size == 0
    assert (cells.sums is None) == (values is None)
