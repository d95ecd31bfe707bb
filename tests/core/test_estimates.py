import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mlobs_pipelines.core.metrics.estimates import average, proportion, quantile_need, ratio, wilson
from mlobs_pipelines.core.summaries import OperationSummary

DOCUMENTED = [
    "mlobs_pipelines.core.windows",
    "mlobs_pipelines.core.metrics.drift",
    "mlobs_pipelines.core.metrics.estimates",
]


@pytest.mark.parametrize("module", DOCUMENTED)
def test_examples_in_docstrings_hold(module):
    """What a docstring shows is what the function gives."""
    loaded = importlib.import_module(module)
    names = {"np": np, "date": __import__("datetime").date, "Window": getattr(loaded, "Window", None)}
    result = doctest.testmod(loaded, extraglobs=names)
    assert result.attempted > 0
    assert result.failed == 0


@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_agrees_with_scipy(n, share):
    """The interval of a proportion is scipy's Wilson score interval."""
    hits = round(n * share)
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_proportion_needs_two_hundred_rows():
    """199 rows are too few for a verdict on a share, 200 suffice."""
    requests = operations(np.array([199, 200]), np.array([1, 1]))
    assert proportion(requests, lambda s: (s.errors, s.requests)).sufficient.tolist() == [False, True]


def operations(requests, errors):
    """Requests without latencies."""
    none, slow = np.empty(0), np.zeros_like(requests)
    return OperationSummary(requests, errors, slow, np.zeros((*np.shape(requests), 0), np.int64), none, none)


def test_an_average_carries_the_sampling_error_of_its_mean():
    """The interval of a mean is 1.96 standard errors either way."""
    values = np.random.default_rng(1).uniform(0, 1, 400)
    summary = operations(np.int64(400), np.int64(0))
    estimate = average(summary, lambda _: (values.sum(), (values**2).sum(), values.size))
    half = 1.959964 * values.std(ddof=1) / np.sqrt(values.size)
    assert estimate.value == pytest.approx(values.mean())
    assert (estimate.lower, estimate.upper) == pytest.approx((values.mean() - half, values.mean() + half))


def test_division_by_nothing_is_undefined():
    """A ratio over no rows is NaN, for scalars and arrays alike."""
    assert np.isnan(ratio(3, 0))
    assert np.isnan(ratio(np.array([0, 1]), 0)).all()


def test_rarer_quantiles_take_more_rows():
    """A quantile's verdict takes ten rows expected beyond it."""
    assert [quantile_need(level) for level in (0.5, 0.9, 0.95, 0.99)] == [20, 100, 200, 1000]
