"""Steps with somebody watching: how long they took on how many days and rows, told as they end.

What a step does is `steps`; where the telling goes is `telemetry`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from mlobs_pipelines.steps.expired import Step
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk
from mlobs_pipelines.telemetry.work import working


def watched(name: str, step: Step) -> Step:
    """A step that tells of itself."""

    def run(walk: Walk, days: Sequence[date]) -> Outcomes:
        with working(name, walk.model, walk.commit, days) as work:
            outcomes = step(walk, days)
            work.counts.update(counted(outcomes))
        return outcomes

    return run


def counted(outcomes: Mapping[date, Outcome] | Mapping[str, Outcome]) -> dict[str, int]:
    """Rows of all partitions, by what became of them."""
    found = outcomes.values()
    return {name: sum(getattr(one, name) for one in found) for name in ("rows_in", "rows_out", "quarantined")}
