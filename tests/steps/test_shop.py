"""The simulated shop of the fault study: its declaration is valid, and faults change what they say."""

import sys
from pathlib import Path

import polars as pl
import pytest

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def shop():
    """Give the simulator and its faults."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import shop  # noqa: PLC0415 - it lies beside the study that uses it
        import shop_faults  # noqa: PLC0415 - as above
    finally:
        sys.path.remove(str(BENCHMARKS))
    return shop, shop_faults.FAULTS


def test_the_shop_is_declared_and_its_faults_are_of_every_family(shop):
    """Its folder has no problem; there are at least 25 faults, upstream to segment-local."""
    assert load_model(BENCHMARKS / "returns", METRICS).monitor.model == "returns"
    _, faults = shop
    assert len(faults) >= 25
    families = {"upstream", "skew", "concept", "label", "operations", "version", "segment"}
    assert {fault.family for fault in faults.values()} == families


def test_a_fault_changes_its_days_only(shop):
    """Served rows of the days before are the same; from its first day on they differ as it says."""
    simulator, faults = shop
    days = range(simulator.START - 1, simulator.START + 1)
    _, calm, labels = simulator.simulate(None, days, 7)
    _, broken, same = simulator.simulate(faults["served zero"], days, 7)
    before, after = days
    assert broken[before].equals(calm[before])
    assert broken[after]["return_rate"].unique().to_list() == [0.0]
    assert broken[after].drop("return_rate", "score").equals(calm[after].drop("return_rate", "score"))
    assert same.equals(labels)


def test_scores_mean_what_they_say_without_a_fault(shop):
    """The simulated model is calibrated: among scores near a half, half of the orders come back."""
    simulator, _ = shop
    _, served, labels = simulator.simulate(None, range(8), 7)
    rows = pl.concat(served.values()).join(labels.select("prediction_id", "label"), on="prediction_id")
    near = rows.filter(pl.col("score").is_between(0.4, 0.6))
    assert abs(near["label"].mean() - near["score"].mean()) < 0.06
