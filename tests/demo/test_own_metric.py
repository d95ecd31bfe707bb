from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from tests.core import cases

FOLDER = Path(__file__).parents[2] / "data_contracts" / "flight_delays"


@pytest.fixture(scope="module")
def cost():
    """Give the metric that the demo's model brings along."""
    return load_model(FOLDER, METRICS).metrics["expected_cost"].function


def each(score, label):
    """What each flight costs: five for a late one under the threshold, one for one on time from it on."""
    return np.where(label == 1, 5.0 * (score < 0.5), 1.0 * (score >= 0.5))


def test_the_cost_is_that_of_the_confusion_matrix(cost):
    """Five times the missed late flights and once the needless crews, per labelled flight."""
    rows = cases.draw_score(np.random.default_rng(4), 3_000)
    known = ~np.isnan(rows["label"])
    score, label = rows["score"][known], rows["label"][known]
    (_, fp), (fn, _) = confusion_matrix(label, score >= 0.5)
    found = cost(cases.summarise_score(rows))
    assert found.value == pytest.approx((5 * fn + fp) / known.sum(), rel=1e-12)
    assert found.n == known.sum()


def test_the_interval_is_that_of_a_mean(cost):
    """Its half width is 1.96 standard errors of the flights' costs."""
    rows = cases.draw_score(np.random.default_rng(5), 2_000)
    rows["label"] = np.nan_to_num(rows["label"])
    costs = each(rows["score"], rows["label"])
    found = cost(cases.summarise_score(rows))
    half = 1.959963984540054 * costs.std(ddof=1) / np.sqrt(costs.size)
    assert found.upper - found.value == pytest.approx(half, rel=1e-9)
    assert found.value - found.lower == pytest.approx(half, rel=1e-9)


def test_weighted_flights_cost_their_weight(cost):
    """Where flights were sampled, the cost is that of the flights they stand for, of as few rows as seen."""
    rng = np.random.default_rng(6)
    rows = cases.draw_score(rng, 900)
    rows["label"] = np.nan_to_num(rows["label"])
    weights = rng.integers(1, 4, 900)
    found = cost(cases.summarise_weighted(cases.CASES[cases.ScoreSummary], rows, weights))
    expected = np.average(each(rows["score"], rows["label"]), weights=weights)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.n == 900
