"""Slots of numbers: whatever comes in whatever batches, a slot names the cell that the grid gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlobs_pipelines.core.buckets import Grid, cell_codes, fit_grid
from mlobs_pipelines.core.coding import FIRST, NOT_FINITE, NumberSlots

numbers = st.one_of(
    st.floats(),
    st.floats(-100, 100),
    st.integers(-50, 50).map(float),
    st.sampled_from(
        [0.0, -0.0, 1.0, 5e-324, -5e-324, 1e-42, -1e-42, 1.7e308, -1.7e308, 3.4028235e38, 3.4028236e38]
    ),
)
arrays = hnp.arrays(np.float64, st.integers(0, 60), elements=numbers)
atoms = st.lists(numbers.filter(np.isfinite), max_size=65).map(lambda some: np.unique(np.array(some) + 0.0))
grids = st.builds(Grid, st.floats(-1e9, 1e9), st.floats(1e-9, 1e9), atoms)


@given(batches=st.lists(arrays, max_size=4), grid=grids)
def test_slots_name_the_cells_of_the_grid(batches, grid):
    """Every finite value's slot stands for its cell's code, any other value has the slot of its own."""
    slots = NumberSlots(grid)
    for values in batches:
        found, finite = slots.slots(values), np.isfinite(values)
        assert (found[~finite] == NOT_FINITE).all()
        assert (found[finite] >= FIRST).all()
        assert slots.codes[found[finite]].tolist() == cell_codes(values[finite] + 0.0, grid).tolist()


@given(values=arrays)
def test_slots_of_fitted_values_are_as_distinct_as_their_cells(values):
    """A code has one slot, so that its rows are counted in one place."""
    grid = fit_grid(values[np.isfinite(values)])
    slots = NumberSlots(grid)
    slots.slots(values)
    slots.slots(values[::-1] / 1.5)
    assert np.unique(slots.codes[FIRST:]).size == slots.codes.size - FIRST
