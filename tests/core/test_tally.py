"""Counting by group and code: exact for any order, cut or way of holding cells."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_pipelines.core import tally as module
from mlobs_pipelines.core.tally import Counter, Sums

WIDTH = 10
pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, WIDTH - 1)), max_size=50)
cuts = st.lists(st.integers(0, 50), max_size=4)
held = st.booleans()


@pytest.fixture(autouse=True)
def few_pending(monkeypatch):
    """Settle what waits after a handful of cells, so that small tests see it."""
    monkeypatch.setattr(module, "PENDING_CELLS", 5)


def pieces(rows, at):
    """The rows cut at some places."""
    bounds = [0, *sorted(min(cut, len(rows)) for cut in at), len(rows)]
    return [rows[start:end] for start, end in pairwise(bounds)]


def add_all(target, rows, at, *, sparse, values=None):
    """Add rows piece by piece, knowing only the groups and the width that have come up so far."""
    groups, width, done = 1, 1, 0
    for piece in pieces(rows, at):
        table = np.array(piece, dtype=np.int64).reshape(-1, 2)
        groups = max(groups, int(table[:, 0].max(initial=0)) + 1)
        while width <= table[:, 1].max(initial=0):
            width *= 2
        given_values = () if values is None else ([v[done : done + len(piece)] for v in values],)
        limit = module.DENSE_CELLS
        module.DENSE_CELLS = 0 if sparse else limit
        target.add(table[:, 0] * width + table[:, 1], groups, width, *given_values)
        module.DENSE_CELLS = limit
        done += len(piece)
    return target


def as_dict(cells):
    """Counts by (group, code)."""
    keys = zip(cells.groups.tolist(), cells.codes.tolist(), strict=True)
    return dict(zip(keys, cells.counts.tolist(), strict=True))


@given(rows=pairs, at=cuts, sparse=held)
def test_counts_are_those_of_a_dictionary(rows, at, sparse):
    """However rows are cut and held, every pair that occurs is there once, ascending, with its rows."""
    cells = add_all(Counter(), rows, at, sparse=sparse).cells()
    assert as_dict(cells) == {pair: rows.count(pair) for pair in rows}
    assert (np.diff(cells.groups * 1000 + cells.codes) > 0).all()


@given(rows=pairs, at=cuts, data=st.data())
def test_the_order_of_rows_does_not_count(rows, at, data):
    """Shuffled rows give equal cells."""
    mixed = data.draw(st.permutations(rows))
    one, two = (add_all(Counter(), some, at, sparse=False).cells() for some in (rows, mixed))
    assert as_dict(one) == as_dict(two)


@given(rows=pairs, at=cuts, sparse=held, order=st.permutations(range(WIDTH)))
def test_cells_stand_in_the_order_asked_for(rows, at, sparse, order):
    """With an order, codes are positions in it, and cells ascend by them."""
    cells = add_all(Counter(), rows, at, sparse=sparse).cells(np.array(order))
    found = {(group, order[code]): n for (group, code), n in as_dict(cells).items()}
    assert found == {pair: rows.count(pair) for pair in rows}
    assert (np.diff(cells.groups * 1000 + cells.codes) > 0).all()


@given(rows=pairs, at=cuts, sparse=held)
def test_sums_are_added_in_the_order_of_rows(rows, at, sparse):
    """Sums per cell are bit for bit those of a loop over the rows, wherever these are cut."""
    values = np.linspace(-1, 1, max(len(rows), 1))[: len(rows)] / 3
    sums = add_all(Sums(2), rows, at, sparse=sparse, values=[values, values * values])
    expected: dict[tuple[int, int], list[float]] = {}
    for pair, value in zip(rows, values.tolist(), strict=True):
        entry = expected.setdefault(pair, [0.0, 0.0])
        entry[0], entry[1] = entry[0] + value, entry[1] + value * value
    asked = np.array([[group, code] for group in range(7) for code in range(WIDTH + 8)])
    found = sums.at(asked[:, 0], asked[:, 1])
    for (group, code), *totals in zip(asked.tolist(), *(total.tolist() for total in found), strict=True):
        assert totals == expected.get((group, code), [0.0, 0.0])


@given(rows=pairs, at=cuts)
def test_a_table_makes_a_counter(rows, at):
    """A counter that starts from a table of counts holds what the rows behind it gave."""
    counter = add_all(Counter(), rows, at, sparse=False)
    assert as_dict(Counter(counter.table()).cells()) == as_dict(counter.cells())


def test_a_table_that_grows_too_large_is_held_sparsely(monkeypatch):
    """Cells counted before the table grew too large stay what they were."""
    monkeypatch.setattr(module, "DENSE_CELLS", 100)
    counter = Counter()
    counter.add(np.array([0, 15, 15]), 1, 16)
    assert counter.table() is not None
    counter.add(np.array([2 * 64 + 63]), 3, 64)
    assert counter.table() is None
    assert as_dict(counter.cells()) == {(0, 0): 1, (0, 15): 2, (2, 63): 1}
