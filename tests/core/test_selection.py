"""Order statistics and frequent values against numpy's, on numbers of every kind."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlobs_pipelines.core.selection import frequent, quantiles

LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 0.9, 1.0])
KINDS = {
    "any": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
    "rounded": lambda rng, n: np.round(rng.normal(50, 12, n)),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
    "few": lambda rng, n: rng.choice(rng.normal(size=3), n),
}


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 500), kind=st.sampled_from(sorted(KINDS)))
def test_quantiles_are_those_of_numpy(seed, n, kind):
    """Numbers of any sign and size, repeated ones too, have numpy's quantiles to the bit."""
    values = KINDS[kind](np.random.default_rng(seed), n)
    assert quantiles(values, LEVELS).tolist() == np.quantile(values, LEVELS).tolist()


@settings(deadline=None, max_examples=60)
@given(values=hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-5, 5)))
def test_ranks_at_either_end_are_the_extremes(values):
    """The quantiles at 0 and 1 are the least and the greatest value, zeros of either sign alike."""
    assert quantiles(values, np.array([0.0, 1.0])).tolist() == [values.min(), values.max()]


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 500),
    kind=st.sampled_from(sorted(KINDS)),
    least=st.floats(0.5, 20),
)
def test_frequent_values_are_all_and_only_those_that_occur_often(seed, n, kind, least):
    """The values that occur so many times, ascending, with how often they do."""
    values = KINDS[kind](np.random.default_rng(seed), n) + 0.0
    distinct, counts = np.unique(values, return_counts=True)
    found, times = frequent(values, least)
    assert found.tolist() == distinct[counts >= least].tolist()
    assert times.tolist() == counts[counts >= least].tolist()


def test_values_of_one_hash_are_told_apart():
    """With more values than hashes every hash holds several, and the frequent ones are still found."""
    rng = np.random.default_rng(2)
    values = rng.permutation(
        np.concatenate([rng.normal(size=60_000), np.full(700, 3.25), np.full(650, -1.5)])
    )
    found, times = frequent(values, 600)
    assert (found.tolist(), times.tolist()) == ([-1.5, 3.25], [650, 700])
