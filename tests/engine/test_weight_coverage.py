"""What samples with weights say, against what is true: on average right, and as sure as they claim.

Four hundred days are drawn. The rare fifth of the requests and all errors are kept, of the rest every tenth.
"""

import numpy as np
import pyarrow as pa
import pytest

from mlobs_pipelines.engine.cells import WEIGHT
from tests.engine.weighted_days import FIRST, baseline_of, calendar, counts_of, estimates, requests

DAYS, PER_DAY, TRUTH = 400, 4_000, 1_000_000
UNBIASED = [
    *(("scores", name) for name in ("base_rate", "mean_score", "accuracy", "precision", "recall", "f1")),
    *(("scores", name) for name in ("auc", "log_loss", "brier_score")),
    *(("labels", name) for name in ("label_coverage", "overdue_share", "label_lag_p50", "label_lag_p90")),
    *(("requests", name) for name in ("error_share", "latency_p50", "latency_p95", "latency_p99")),
    ("skew of x", "skew_mismatch_share"),
]
DRIFT = [("x", "psi"), ("x", "ks"), ("c", "psi"), ("score", "psi"), ("score", "ks")]


@pytest.fixture(scope="module")
def drawn():
    """What the samples say, what all requests of the same days say, and the truth."""
    rng = np.random.default_rng(11)
    baseline = baseline_of(requests(rng, 1, 50_000)[0])
    truth = estimates(counts_of(requests(rng, 1, TRUTH)[0], [FIRST]), baseline)
    table, kept, weights = requests(rng, DAYS, PER_DAY)
    sample = table.filter(pa.array(kept)).append_column(WEIGHT, pa.array(weights[kept]))
    days = calendar(DAYS)
    return estimates(counts_of(sample, days), baseline), estimates(counts_of(table, days)), truth


def coverage(estimate, truth):
    """Share of days whose interval holds the truth."""
    return np.mean((estimate.lower[0] <= truth) & (truth <= estimate.upper[0]))


@pytest.mark.parametrize("key", UNBIASED, ids=" ".join)
def test_intervals_of_samples_hold_the_truth(drawn, key):
    """At least 92 % of the 95 % intervals hold the truth, and the values are right on average."""
    found, _, truth = (estimates[key] for estimates in drawn)
    true, value = truth.value[0, 0], found.value[0]
    assert coverage(found, true) >= 0.92
    assert abs(value.mean() - true) < 0.25 * value.std()


def test_the_interval_of_the_calibration_error_holds_the_truth(drawn):
    """Small samples make a calibration error look larger than it is, and its interval says so."""
    found, _, truth = (estimates["scores", "ece"] for estimates in drawn)
    assert coverage(found, truth.value[0, 0]) >= 0.92


@pytest.mark.parametrize("key", [("requests", "request_count"), ("labels", "label_backlog")], ids=" ".join)
def test_estimated_totals_hold_the_number_of_each_day(drawn, key):
    """At least 92 % of the intervals of a total hold what all requests of the day add up to."""
    found, whole, _ = (estimates[key] for estimates in drawn)
    assert coverage(found, whole.value[0]) >= 0.92
    assert abs(np.mean(found.value[0] - whole.value[0])) < 0.2 * found.value[0].std()


@pytest.mark.parametrize("key", DRIFT, ids=" ".join)
def test_stable_samples_stay_under_the_noise_point(drawn, key):
    """Of the samples of a distribution that did not change about one in a hundred passes the 99 % point."""
    found = drawn[0][key]
    assert np.mean(found.value > found.noise) <= 0.03


def test_errors_that_are_all_kept_are_known_better_than_their_number_tells(drawn):
    """Keeping every error narrows the error share's interval to less than half of what as many rows give."""
    found = drawn[0]["requests", "error_share"]
    share = found.value[0].mean()
    plain = 2 * 1.96 * np.sqrt(share * (1 - share) / found.effective[0].mean())
    assert np.mean(found.upper[0] - found.lower[0]) < 0.5 * plain
