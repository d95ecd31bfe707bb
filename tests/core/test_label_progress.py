"""What is still to come: completeness, coverage to expect, silence, the oldest overdue, and the time left."""

import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from tests.core.labels import HORIZONS_H, draw_label, summarise_label

LAST = HORIZONS_H[-1]


def measure(name, rows):
    """One metric of rows."""
    return METRICS[name].function(summarise_label(rows))


def drawn(seed, n=3_000, **given):
    """Rows whose labels come with a random lag."""
    return draw_label(np.random.default_rng(seed), n) | given


def test_completeness_is_labelled_over_expected():
    """Row by row: labels within the horizon ÷ Σ of the share of settled labels that came within each age."""
    rows = drawn(1)
    lag, age = rows["lag"], rows["age"]
    settled = np.ceil(lag[(age >= LAST) & (lag <= LAST)])
    base = (age >= LAST).sum()
    share = [(settled <= unit).sum() / base for unit in range(int(LAST) + 1)]
    young = np.floor(age[age < LAST]).astype(int)
    expected = sum((share[unit] + share[unit + 1]) / 2 for unit in young) + settled.size
    came = ((lag <= age) & (age < LAST)).sum() + settled.size
    found = measure("label_completeness", rows)
    assert found.value == pytest.approx(came / expected)
    assert found.lower < 1 < found.upper


def test_completeness_has_honest_intervals():
    """Where young labels come as the settled ones did, 95 % of the intervals hold 1."""
    found = [measure("label_completeness", drawn(seed, 800)) for seed in range(300)]
    held = np.mean([one.lower <= 1 <= one.upper for one in found])
    assert 0.9 < held < 0.99


def test_a_stalled_feed_is_incomplete_and_silent():
    """Once nothing arrives for two days, fewer labels are there than should be, and the silence is told."""
    rows = drawn(2)
    stalled = np.where(rows["age"] - rows["lag"] < 48, np.inf, rows["lag"])
    found = measure("label_completeness", rows | {"lag": stalled})
    assert found.upper < 1
    arrived = stalled <= rows["age"]
    silence = measure("label_silence", rows | {"lag": stalled})
    assert silence.value == np.floor((rows["age"] - stalled)[arrived].min())
    assert 48 <= silence.value < 50


def test_silence_is_of_awaited_labels():
    """Nothing is awaited once all is old or there; without any arrival the oldest young prediction speaks."""
    old = {"lag": np.array([5.0, np.inf]), "age": np.array([200.0, 300.0])}
    assert measure("label_silence", old).value == 0
    dumb = {"lag": np.array([np.inf, np.inf]), "age": np.array([30.5, 71.2])}
    assert measure("label_silence", dumb).value == 71


def test_the_oldest_overdue_is_told_in_whole_hours():
    """Of those without a label over the horizon the greatest age counts; 0 where there is none."""
    rows = {"lag": np.array([np.inf, np.inf, 3.0]), "age": np.array([170.5, 180.9, 400.0])}
    assert measure("oldest_overdue_age", rows).value == 180
    assert measure("oldest_overdue_age", {name: some[2:] for name, some in rows.items()}).value == 0


def test_the_youngest_prediction_decides_when_a_window_can_be_mature():
    """The time left is that until the youngest prediction, labelled or not, has reached the horizon."""
    rows = {"lag": np.array([1.0, np.inf]), "age": np.array([20.5, 100.0])}
    found = measure("hours_to_maturity", rows)
    assert found.value - found.bound <= LAST - 20.5 <= found.value
    assert measure("hours_to_maturity", {"lag": np.array([1.0]), "age": np.array([LAST])}).value == 0


def test_expected_coverage_foretells_the_coverage():
    """Of a cohort half of which is young, its interval holds the share that comes within the horizon."""
    rows = drawn(3, 8_000)
    found = measure("expected_coverage", rows)
    assert found.lower < (rows["lag"] <= LAST).mean() < found.upper
    assert np.isnan(measure("expected_coverage", drawn(3, age=np.full(3_000, 50.0))).value)
