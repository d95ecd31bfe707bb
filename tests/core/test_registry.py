import numpy as np
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import MulticlassSummary, RegressionSummary, ScoreSummary
from tests.core.cases import CASES


@pytest.fixture
def registry():
    """The registry, put back as it was."""
    before = dict(METRICS)
    yield METRICS
    METRICS.clear()
    METRICS.update(before)


def test_a_name_stands_for_several_kinds_of_summary(registry):
    """One metric, computed for each task as is right for its summary."""
    accuracy = registry["accuracy"]
    assert set(accuracy.functions) == {ScoreSummary, MulticlassSummary}
    for kind, function in accuracy.functions.items():
        case = CASES[kind]
        summary = case.summarise(case.draw(np.random.default_rng(1), 300))
        assert accuracy.function(summary).value == function(summary).value


def test_a_name_is_taken_once_per_kind_of_summary(registry):
    """Registering again for the same kind is an error; for another kind it adds to the metric."""

    def function(summary):
        return METRICS["mae"].function(summary)

    with pytest.raises(ValueError, match="registered twice"):
        metric("recall", ScoreSummary, family="quality", direction=1)(function)
    metric("recall", MulticlassSummary, family="quality", direction=1)(function)
    assert registry["recall"].functions[MulticlassSummary] is function
    assert len(registry["recall"].functions) == 2


@pytest.mark.parametrize("other", [{"family": "drift"}, {"direction": -1}, {"unit": "ms"}, {"detail": True}])
def test_a_name_means_one_thing(registry, other):
    """What is said of a metric is the same for every kind of summary, so that an objective need not ask."""
    said = {"family": "quality", "direction": 1} | other
    with pytest.raises(ValueError, match="another family, unit, direction or form"):
        metric("recall", RegressionSummary, **said)(lambda summary: summary)
    assert set(registry["recall"].functions) == {ScoreSummary}
