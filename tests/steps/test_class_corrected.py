"""Corrected quality of a multiclass model whose classes are reported at different speeds."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import WEIGHT
from mlobs_pipelines.engine.scan import ScanPlan, scan_labels
from mlobs_pipelines.steps.arranged import arranged
from mlobs_pipelines.steps.class_corrected import class_corrected_summaries
from mlobs_pipelines.steps.cohorts import Cohorts

CLASSES = ("fine", "fraud", "theft")
FIRST, MATURED, WINDOW, HORIZON, DAY_S = date(1970, 1, 1), 30, 14, 20, 86_400.0
SLOW = np.array([1.0, 5.0, 9.0])
PLAN = ScanPlan(
    (),
    (),
    {},
    lag_unit_s=DAY_S / 4,
    horizons_s=(HORIZON * DAY_S,),
    classes={name: f"p_{name}" for name in CLASSES},
)


def asked(rng, days, per_day):
    """Predictions of some days: when, what came true, what was said, and how long the label takes."""
    at = np.sort(rng.uniform(0, days, days * per_day))
    label = rng.choice(3, at.size, p=[0.6, 0.25, 0.15])
    said = np.where(rng.random(at.size) < 0.75, label, rng.integers(0, 3, at.size))
    return at, label, said, np.minimum(rng.gamma(2.0, SLOW[label] / 2), HORIZON)


def statistics(at, label, said, lag, age, weight=None):
    """What is counted of rows as they are known at some ages."""
    there = lag <= age
    days = [(FIRST + timedelta(days=int(day))).isoformat() for day in at]
    scores = {f"p_{name}": np.where(said == k, 0.6, 0.2) for k, name in enumerate(CLASSES)}
    constant = {"model_version": "v", "role": "champion"}
    table = pa.table(
        {
            "day": days,
            **{name: [text] * at.size for name, text in constant.items()},
            **scores,
            "label": pa.array(np.array(CLASSES)[label], mask=~there),
            "state": np.where(there, "labelled", "pending"),
            "lag_s": pa.array(lag * DAY_S, mask=~there),
            "age_s": age * DAY_S,
        }
    )
    return scan_labels(table if weight is None else table.append_column(WEIGHT, pa.array(weight)), PLAN)


def corrected(rng, per_day, weight=None):
    """The corrected window of young days, the rows of it, and the lags of the matured ones."""
    before, window = asked(rng, MATURED, per_day), asked(rng, WINDOW, per_day)
    weight = None if weight is None else rng.choice(weight, window[0].size)
    old = statistics(*before, np.full(before[0].size, float(HORIZON + 1)))
    age = WINDOW - window[0]
    entries = tuple(((FIRST + timedelta(days=day)).isoformat(), "k") for day in range(MATURED))
    matured = Cohorts(old, entries, np.ones((1, MATURED), dtype=bool))
    span = Span(Window.FOUR_WEEKS, FIRST, FIRST + timedelta(days=WINDOW))
    found = []
    for one in [None] if weight is None else [weight, "repeated"]:
        rows, by = (*window, age), None if one is None else weight.astype(float)
        if isinstance(one, str):
            rows, by = [np.repeat(column, weight) for column in rows], None
        counts = arranged(statistics(*rows, by), [span])
        found += [s for s, _ in class_corrected_summaries(counts, matured, 4 * HORIZON, CLASSES)]
    return found, (*window, age), before


def values(summary):
    """Every corrected metric."""
    names = ("accuracy", "class_share", "f1_macro", "recall_macro")
    return {name: METRICS[f"corrected_{name}"].function(summary) for name in names}


def test_each_label_stands_for_others_of_its_class():
    """Weights are 1 ÷ the share of the class's labels that had come by such an age, row by row."""
    (summary,), (at, label, said, lag, age), (_, old_label, _, old_lag) = corrected(
        np.random.default_rng(3), 200
    )
    unit = np.minimum(np.floor(4 * age), 4 * HORIZON - 1)
    expected = np.zeros((3, 3))
    used = np.zeros(WINDOW, dtype=bool)
    for day in range(WINDOW):
        youngest = unit[at.astype(int) == day].min()
        shares = [chance(old_lag[old_label == k], youngest) for k in range(3)]
        used[day] = min(shares) >= 0.1
    for k in range(3):
        mine = (label == k) & (lag <= age) & used[at.astype(int)]
        for row in np.flatnonzero(mine):
            expected[k, said[row]] += 1 / chance(old_lag[old_label == k], unit[row])
    assert 3 < used.sum() < WINDOW
    # Of a day, the mean weight of the class's labels stands for each of them.
    np.testing.assert_allclose(summary.stood[0].sum(axis=-1), expected.sum(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(summary.stood[0], expected, rtol=0.05)


def chance(lags, unit):
    """Share of lags that are over in the middle of a quarter of a day."""
    return ((np.ceil(4 * lags) <= unit).mean() + (np.ceil(4 * lags) <= unit + 1).mean()) / 2


def test_corrected_values_hold_the_truth_where_raw_ones_do_not():
    """In 12 of 14 windows each truth lies inside; raw class shares are off in all of them."""
    rng, runs = np.random.default_rng(8), 14
    inside, raw = dict.fromkeys(("accuracy", "fine", "fraud", "theft"), 0), 0
    for _ in range(runs):
        (summary,), (_, label, said, _, _), _ = corrected(rng, 150)
        found = values(summary)
        shares = np.bincount(label, minlength=3) / label.size
        accuracy = found["accuracy"]
        inside["accuracy"] += bool(accuracy.lower[0] <= (label == said).mean() <= accuracy.upper[0])
        for k, name in enumerate(CLASSES):
            one = found["class_share"]
            inside[name] += bool(one.lower[0, k] <= shares[k] <= one.upper[0, k])
        known = summary.known[0].sum(axis=-1)
        one = found["class_share"]
        raw += bool(one.lower[0, 2] <= known[2] / known.sum() <= one.upper[0, 2])
    assert all(count >= 12 for count in inside.values()), inside
    assert raw == 0


@pytest.mark.parametrize("name", ["accuracy", "class_share", "f1_macro", "recall_macro"])
def test_weighted_rows_count_as_those_repeated(name):
    """A value of weighted rows is that of the rows repeated, and less certain."""
    found, *_ = corrected(np.random.default_rng(5), 60, weight=[1, 2, 5])
    heavy, again = (values(one)[name] for one in found)
    np.testing.assert_allclose(heavy.value, again.value, rtol=1e-6)
    assert np.all(heavy.upper - heavy.lower > again.upper - again.lower)
    assert np.all(heavy.n < again.n)
