"""Steps with somebody watching: how long they took on how many days and rows, told as they end.

What a step does is `steps`; where the telling goes is `telemetry`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg

from mlobs_pipelines.defs.jobs import RANGE_END, RANGE_START
from mlobs_pipelines.steps.expired import Step
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk
from mlobs_pipelines.telemetry.spans import Ended
from mlobs_pipelines.telemetry.work import working

MODEL_TAG = "mlobs/model"


def watched(name: str, step: Step) -> Step:
    """A step that tells of itself."""

    def run(walk: Walk, days: Sequence[date]) -> Outcomes:
        with working(name, walk.model, walk.commit, days) as work:
            outcomes = step(walk, days)
            work.counts.update(counted(outcomes))
        return outcomes

    return run


def ended(record: dg.RunRecord) -> Ended:
    """A run that has ended, as telemetry is told of it."""
    run = record.dagster_run
    days = [run.tags[tag] for tag in (RANGE_START, RANGE_END) if tag in run.tags]
    partitions = "/".join(days) or run.tags.get("dagster/partition")
    finished = record.end_time or record.create_timestamp.timestamp()
    return Ended(
        run_id=run.run_id,
        job=run.job_name,
        model=run.tags.get(MODEL_TAG, ""),
        partitions=partitions,
        success=run.status == dg.DagsterRunStatus.SUCCESS,
        started_s=record.start_time or finished,
        ended_s=finished,
    )


def counted(outcomes: Mapping[date, Outcome] | Mapping[str, Outcome]) -> dict[str, int]:
    """Rows of all partitions, by what became of them."""
    found = outcomes.values()
    return {name: sum(getattr(one, name) for one in found) for name in ("rows_in", "rows_out", "quarantined")}
