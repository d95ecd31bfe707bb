"""A part that metrics share is computed once per summary, and never for another one."""

import gc

from mlobs_pipelines.core.metrics.sharing import shared
from mlobs_pipelines.core.probe import SAMPLES
from mlobs_pipelines.core.summaries import OperationSummary


def test_a_part_is_computed_once_per_summary():
    """The same summary is not asked twice, an equal one that is another object is."""
    asked = []

    @shared
    def part(summary):
        asked.append(summary)
        return len(asked)

    one, other = (SAMPLES[OperationSummary]() for _ in range(2))
    assert [part(one), part(one), part(other), part(other), part(one)] == [1, 1, 2, 2, 3]


def test_nothing_is_kept_longer_than_its_summary():
    """When a summary is gone, so is what was made of it."""

    class Made:
        alive = 0

        def __init__(self, summary):
            self.requests = summary.requests
            Made.alive += 1

        def __del__(self):
            Made.alive -= 1

    @shared
    def part(summary):
        return Made(summary)

    summary = SAMPLES[OperationSummary]()
    part(summary)
    assert Made.alive == 1
    del summary
    gc.collect()
    assert Made.alive == 0
