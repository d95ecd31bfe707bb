"""Shares of arrived labels, coverage by horizon, and the rate at which labels arrive."""

import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from tests.core.labels import HORIZONS_H, draw_label, summarise_label


def measure(name, rows):
    """One metric of rows."""
    return METRICS[name].function(summarise_label(rows))


def test_shares_are_of_the_labels_that_arrived():
    """Void, early, revised and conflicting labels are counted among those that have come."""
    rows = draw_label(np.random.default_rng(3), 4_000)
    here = rows["lag"] <= rows["age"]
    conflict = rows["again"] & rows["other"]
    flags = {"void": rows["void"], "early_label": rows["early"], "revised_label": rows["again"]}
    for name, flag in {**flags, "conflicting_label": conflict}.items():
        found = measure(f"{name}_share", rows)
        assert found.value == pytest.approx(flag[here].mean())
        assert found.n == here.sum()


def test_coverage_is_told_at_every_horizon():
    """The curve has the share labelled in time at each horizon; its last point is the label coverage."""
    rows = draw_label(np.random.default_rng(4), 4_000)
    found = measure("label_coverage_at", rows)
    expected = [(rows["lag"][rows["age"] >= h] <= h).mean() for h in HORIZONS_H]
    assert METRICS["label_coverage_at"].labels(summarise_label(rows)) == ["24h", "72h", "168h"]
    assert found.value == pytest.approx(expected)
    assert found.value[-1] == measure("label_coverage", rows).value


def test_the_arrival_rate_is_labels_per_hour_of_waiting():
    """Arrivals ÷ hours begun while waiting, row by row, up to the label horizon."""
    rows = draw_label(np.random.default_rng(5), 3_000)
    here, last = rows["lag"] <= rows["age"], HORIZONS_H[-1]
    waited = np.minimum(np.where(here, np.ceil(rows["lag"]), np.floor(rows["age"])), last)
    found = measure("label_arrival_rate", rows)
    assert found.value == pytest.approx((here & (rows["lag"] <= last)).sum() / waited.sum())
    assert found.n == 3_000


def test_the_arrival_rate_finds_a_constant_hazard():
    """With lags ~ Exp(30 h), some still awaited, the interval holds the chance to arrive within an hour."""
    rng = np.random.default_rng(6)
    rows = {"lag": rng.exponential(30, 20_000), "age": rng.uniform(0, 200, 20_000)}
    found = measure("label_arrival_rate", rows)
    assert found.lower < 1 - np.exp(-1 / 30) < found.upper
