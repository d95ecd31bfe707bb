"""Names of buckets: their order, their edges, their atoms, and the drift edges chosen on them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlobs_pipelines.core.buckets import (
    ATOM_BASE,
    ATOM_SHARE,
    MAX_ATOMS,
    SCORE_CELLS,
    Grid,
    SharedCells,
    bucket_codes,
    bucket_edges,
    bucket_of,
    cell_codes,
    fit_grid,
    quantile_edges,
    score_codes,
)

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, 1e308, -1e308]),
)
arrays = hnp.arrays(np.float64, st.integers(0, 40), elements=numbers)
grids = st.tuples(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))


@given(values=arrays, grid=grids)
def test_codes_ascend_with_values(values, grid):
    """A greater value never has a smaller code, and every code is in the documented range."""
    codes = bucket_codes(np.sort(values), *grid)
    assert (np.diff(codes) >= 0).all()
    assert ((codes >= 0) & (codes < ATOM_BASE)).all()


@given(values=hnp.arrays(np.float64, 30, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_values_of_a_float32_lie_within_their_edges(values):
    """Without scaling, a bucket holds exactly the values from its lower up to its upper edge."""
    low, high = bucket_edges(bucket_codes(values))
    assert ((low <= values) & (values < high)).all()


@given(values=hnp.arrays(np.float64, 30, elements=st.floats(-1e9, 1e9)), grid=grids)
def test_edges_agree_with_membership_up_to_rounding(values, grid):
    """Scaled values lie within their bucket's edges, up to the rounding of float32."""
    low, high = bucket_edges(bucket_codes(values, *grid), *grid)
    location, scale = grid
    slack = 2.0**-22 * (np.abs(values) + abs(location)) + 1e-40 * scale
    assert ((low - slack <= values) & (values <= high + slack)).all()


def test_zero_has_one_name():
    """Negative zero is zero."""
    assert len(set(bucket_codes(np.array([0.0, -0.0])))) == 1


def test_a_bucket_is_about_three_percent_wide():
    """Five bits of mantissa: an edge is at most 1/32 above the one before it."""
    codes = np.unique(bucket_codes(np.geomspace(1e-3, 1e6, 10_000)))
    low, high = bucket_edges(codes)
    assert ((high - low) / low).max() <= 1 / 32 + 1e-9


@given(values=arrays)
def test_a_grid_fits_any_finite_values(values):
    """Constant, tiny and huge values alike give a usable grid whose atoms are among the values."""
    grid = fit_grid(values)
    assert np.isfinite(grid.location) and np.isfinite(grid.scale) and grid.scale > 0  # noqa: PT018 - one promise
    assert np.isin(grid.atoms, values).all()
    assert (np.diff(grid.atoms) > 0).all()
    codes = cell_codes(values, grid)
    held = np.isin(values, grid.atoms)
    assert ((codes >= ATOM_BASE) == held).all()
    assert (grid.atoms[codes[held] - ATOM_BASE] == values[held]).all()
    assert (bucket_of(codes, grid) == bucket_codes(values, grid.location, grid.scale)).all()


def test_frequent_values_and_zero_become_atoms():
    """A value with 1 % of the rows is counted on its own, a rarer one is not, zero always is."""
    values = np.concatenate([np.full(10, 3.5), np.full(9, 4.5), [0.0], np.linspace(10, 20, 980)])
    grid = fit_grid(values)
    assert grid.atoms.tolist() == [0.0, 3.5]


@given(values=arrays.filter(lambda a: a.size > 0))
def test_cells_are_ordered_by_value_up_to_their_bucket(values):
    """Going through the cells in order, buckets ascend, and a bucket's rest stands before its atoms."""
    grid = fit_grid(values)
    codes = cell_codes(values, grid)
    shared = SharedCells.of([codes[::2], codes[1::2]], grid)
    assert (shared.codes[shared.place[codes]] == codes).all()
    assert (shared.buckets == bucket_of(shared.codes, grid)).all()
    assert (np.diff(shared.buckets) >= 0).all()
    same = np.diff(shared.buckets) == 0
    assert not (same & ~shared.atom[1:]).any()
    assert np.isin(shared.buckets, shared.codes).all()
    exact = grid.atoms[shared.codes[shared.atom] - ATOM_BASE]
    assert (np.diff(exact) > 0).all()


def test_score_cells_ascend_and_hold_both_ends():
    """Scores from 0 to 1 get ascending cells within the range, without a warning at the ends."""
    scores = np.concatenate([[0.0, 5e-324], np.linspace(0, 1, 100_001)[1:-1], [np.nextafter(1, 0), 1.0]])
    with np.errstate(all="raise", divide="warn", under="ignore"):
        codes = score_codes(scores)
    assert (np.diff(codes) >= 0).all()
    assert (codes[0], codes[-1]) == (0, SCORE_CELLS - 1)
    assert score_codes(np.array([0.5]))[0] == SCORE_CELLS // 2


counts_of_buckets = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)), max_size=60)


@settings(max_examples=200)
@given(drawn=counts_of_buckets, parts=st.integers(2, 12))
def test_drift_edges_are_the_nearest_boundaries_to_equal_shares(drawn, parts):
    """Each wanted share is met as nearly as a boundary between two buckets can."""
    merged: dict[int, int] = {}
    for code, count in drawn:
        merged[code] = merged.get(code, 0) + count
    buckets = np.array(sorted(merged), dtype=np.int32)
    counts = np.array([merged[int(code)] for code in buckets], dtype=np.int64)
    edges = quantile_edges(buckets, counts, parts)
    if buckets.size < 2:
        assert edges.size == 0
        return
    assert edges.size <= parts - 1
    assert (np.diff(edges) > 0).all()
    bins = np.searchsorted(edges, buckets, side="right")
    chosen = np.cumsum(np.bincount(bins, weights=counts, minlength=edges.size + 1))[:-1]
    boundaries = np.cumsum(counts)[:-1]
    for target in counts.sum() * np.arange(1, parts) / parts:
        assert np.abs(chosen - target).min() == pytest.approx(np.abs(boundaries - target).min())


def test_drift_bins_of_a_smooth_baseline_are_tenths():
    """On a hundred thousand normal values every bin holds a tenth, to a percent."""
    values = np.random.default_rng(1).normal(size=100_000)
    grid = fit_grid(values)
    codes = bucket_codes(values, grid.location, grid.scale)
    edges = quantile_edges(*np.unique(codes, return_counts=True))
    shares = np.bincount(np.searchsorted(edges, codes, side="right")) / values.size
    assert shares.size == 10
    assert np.abs(shares - 0.1).max() < 0.011


def test_an_empty_grid_is_the_plain_one():
    """No baseline value gives the unscaled buckets without atoms."""
    grid = fit_grid(np.empty(0))
    assert (grid.location, grid.scale, grid.atoms.size) == (0.0, 1.0, 0)
    assert cell_codes(np.array([1.5]), Grid()).tolist() == bucket_codes(np.array([1.5])).tolist()


@given(values=hnp.arrays(np.float64, st.integers(1, 400), elements=numbers | st.integers(-20, 20).map(float)))
def test_atoms_are_all_frequent_values(values):
    """Atoms are the most frequent values of at least 1 %, the smaller first among equals, and zero."""
    distinct, counts = np.unique(values + 0.0, return_counts=True)
    ranked = sorted(zip(-counts, distinct, strict=True))[:MAX_ATOMS]
    wanted = {value for n, value in ranked if -n >= ATOM_SHARE * values.size} | ({0.0} & set(distinct))
    assert fit_grid(values).atoms.tolist() == sorted(wanted)
