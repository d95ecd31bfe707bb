"""What errors are estimated from: losses of matured days by what was predicted, with weights too."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.core.buckets import Grid, bucket_codes
from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import WEIGHT
from mlobs_pipelines.engine.scan import ScanPlan, scan_labels
from mlobs_pipelines.engine.scores import LOSS_GRAIN
from mlobs_pipelines.steps.arranged import arranged, single
from mlobs_pipelines.steps.cohorts import Cohorts
from mlobs_pipelines.steps.value_estimation import value_estimable

GRID = Grid(5.0, 2.0, np.array([0.0, 5.0]))
PLAN = ScanPlan((), ("site",), {}, values=GRID)
FIRST = date(1970, 1, 1)  # as matured days are numbered


def drawn(seed, n=600):
    """Predicted numbers and labels of one day, at two sites."""
    rng = np.random.default_rng(seed)
    label = np.round(rng.normal(5, 2, n), 1)
    return pa.table(
        {
            "day": [FIRST.isoformat()] * n,
            "model_version": ["v"] * n,
            "role": ["champion"] * n,
            "site": rng.choice(["north", "south"], n),
            "state": ["labelled"] * n,
            "lag_s": np.zeros(n),
            "age_s": np.full(n, 9_000.0),
            "score": np.round(label + rng.normal(0, 1, n), 1),
            "label": pa.array(label, mask=rng.random(n) < 0.1),
        }
    )


def estimable(window, cohort):
    """A window of one day, learned from one matured day or, without it, from a training set."""
    counts = arranged(scan_labels(window, PLAN), [Span(Window.DAY, FIRST, FIRST + timedelta(days=1))])
    days = Cohorts(scan_labels(cohort, PLAN), (("1970-01-01", "k"),), np.ones((1, 1), dtype=bool))
    return value_estimable(counts, days, single(scan_labels(drawn(9, 300), PLAN)), GRID)


@pytest.mark.parametrize("site", [None, "north", "south"])
def test_losses_are_counted_by_what_was_predicted(site):
    """Rows and losses per cell are the plain sums over the rows of a group."""
    window, cohort = drawn(1), drawn(2)
    found = estimable(window, cohort).summary.select(lambda array: array[:, 0])
    at = [None, "north", "south"].index(site)
    rows = [row for row in cohort.to_pylist() if row["label"] is not None and site in (None, row["site"])]
    score, label = (np.array([row[name] for row in rows]) for name in ("score", "label"))
    code = bucket_codes(score, GRID.location, GRID.scale) // LOSS_GRAIN
    cells = np.unique(code)
    for name, power in (("known", 0), ("absolute", 1), ("error_sq", 2), ("error_4", 4)):
        expected = [(np.abs(score - label) ** power)[code == cell].sum() for cell in cells]
        mine = getattr(found, name)[at, 0]
        np.testing.assert_allclose(mine[found.known[at, 0] > 0], expected, rtol=1e-9)
    assert found.scored[at].sum() == sum(site in (None, row["site"]) for row in window.to_pylist())


def test_weighted_days_teach_what_repeated_rows_do():
    """Means of losses are those of the rows repeated; the rows are as many as they are worth."""
    weights = np.random.default_rng(8).choice([1, 2, 5], 600)
    cohort = drawn(2)
    heavy = estimable(drawn(1), cohort.append_column(WEIGHT, pa.array(weights.astype(float)))).summary
    again = estimable(drawn(1), cohort.take(pa.array(np.repeat(np.arange(600), weights)))).summary
    for name in ("absolute", "error_sq", "error_4"):
        mine, other = (getattr(one, name)[0] / np.maximum(one.known[0], 1e-9) for one in (heavy, again))
        np.testing.assert_allclose(mine, other, rtol=1e-9)
    assert 300 < heavy.known[0].sum() < 600 < again.known[0].sum()


def test_the_training_set_stands_in():
    """With fewer than 200 matured labels losses are those of the training set, and that is told."""
    few = estimable(drawn(1), drawn(2, 100))
    assert not few.matured.any()
    assert few.summary.known[0].sum() == pytest.approx(270, abs=20)
    assert estimable(drawn(1), drawn(2)).matured[0].all()
