"""Join in Dagster: predictions with the labels known as of the run, and what is odd about those labels."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.assets import Part, Upstream, table_asset
from mlobs_pipelines.defs.checks import Finding, Looks, partitioned_check
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.labelled import known_rows
from mlobs_pipelines.steps.layouts import labelled_layout
from mlobs_pipelines.steps.walk import Walk

ODD = {"early": "known before the prediction was made", "conflict": "with two different outcomes"}


def join_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Asset and check of the join step."""
    horizon = -(-spec.monitor.labels.horizon // timedelta(days=1))
    label = [("labels", name) for name in ("label", "arrived_at", "prediction_id")]
    scores = spec.monitor.score_columns
    names = ("prediction_id", "predicted_at", "model_version", "role", *scores, *spec.monitor.segments)
    yield table_asset(
        site,
        spec,
        join,
        labelled_layout(spec),
        "Each prediction with the label known as of the run: labelled, void or pending, with lag and age.",
        upstream=[Upstream("prediction_log"), Upstream("labels", before=EARLY_REACH_DAYS, after=horizon)],
        lineage={
            **{name: [("prediction_log", name)] for name in names},
            **dict.fromkeys(("label", "outcome", "state", "arrived_at", "lag_s"), label),
        },
        kinds={"duckdb"},
    )
    for name, (says, look) in join_looks().items():
        yield partitioned_check(site, spec, "labelled_predictions", name, says, look)


def join_looks() -> Looks:
    """The checks of the join."""
    return {"labels": ("No label is older than its prediction, and no prediction has two outcomes.", _labels)}


def _labels(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    rows = known_rows(walk, days, ("day", "state", "early", "conflict"))
    frame = pl.DataFrame(rows)
    return {day: _judge(frame.filter(pl.col("day") == day.isoformat())) for day in days}


def _judge(rows: pl.DataFrame) -> Finding:
    states = dict(rows.group_by("state").len().sort("state").iter_rows())
    odd = {name: int(rows.get_column(name).sum()) for name in ODD}
    counts = {**states, **odd}
    metadata = {name: dg.MetadataValue.int(count) for name, count in counts.items()}
    found = [f"{count} labels {ODD[name]}" for name, count in odd.items() if count]
    if found:
        text = f"{'; '.join(found)}. The latest revision counts; ask the label's producer."
        return Finding(passed=False, description=text, severe=False, metadata=metadata)
    return Finding(passed=True, description="No early and no conflicting labels.", metadata=metadata)
