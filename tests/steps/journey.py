"""Runs the steps over the loan model in one order or another; asserts nothing."""

from collections.abc import Callable, Sequence
from datetime import date

from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.steps.walk import Outcomes, Walk
from tests.steps.loans import DAYS, FEATURE_DAYS, LABEL_DAYS

REACH = DAYS[0] - FEATURE_DAYS[0]
Runs = Sequence[Sequence[date]]


def whole(days: Sequence[date]) -> Runs:
    """All days in one run."""
    return [list(days)]


def forward(days: Sequence[date]) -> Runs:
    """A run per day, the first day first."""
    return [[day] for day in sorted(days)]


def backward(days: Sequence[date]) -> Runs:
    """A run per day, the last day first."""
    return [[day] for day in sorted(days, reverse=True)]


def go(
    walk: Walk, cut: Callable[[Sequence[date]], Runs] = whole, predicted: Sequence[date] = DAYS
) -> dict[str, Outcomes]:
    """Run every step over the days of some predictions, cut into runs; return the outcomes of each step."""
    measure_baselines(walk)
    outcomes = deliver_all(walk, cut, predicted)
    steps = {"snapshot": snapshot, "log": log, "join": join, "statistics": measure, "metrics": score}
    for name, step in steps.items():
        outcomes[name] = {}
        for days in cut(predicted):
            outcomes[name] |= step(walk, days)
    return outcomes


def deliver_all(
    walk: Walk, cut: Callable[[Sequence[date]], Runs] = whole, predicted: Sequence[date] = DAYS
) -> dict[str, Outcomes]:
    """Ingest all three datasets, of labels and features what the predictions can have."""
    outcomes: dict[str, Outcomes] = {}
    labels = [day for day in LABEL_DAYS if day >= min(predicted)]
    features = [day for day in FEATURE_DAYS if min(predicted) - REACH <= day <= max(predicted)]
    for dataset, days in (("labels", labels), ("features", features), ("predictions", predicted)):
        outcomes[dataset] = {}
        for run in cut(days):
            outcomes[dataset] |= ingest(walk, dataset, run)
    return outcomes


def days_of(walk: Walk, days: Sequence[date]) -> None:
    """Run everything after ingest for some days."""
    for step in (snapshot, log, join, measure, score):
        step(walk, days)
