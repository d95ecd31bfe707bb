"""Join in Dagster: predictions with the labels known as of the run, and what is odd about those labels."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.metrics.estimates import wilson
from mlobs_pipelines.defs.assets import Part, Upstream, table_asset
from mlobs_pipelines.defs.checks import Finding, Looks, partitioned_check
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.engine.joins import EARLY_REACH_DAYS
from mlobs_pipelines.steps.arrivals import orphans
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.labelled import known_rows
from mlobs_pipelines.steps.layouts import labelled_layout
from mlobs_pipelines.steps.walk import Walk, texts

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
    for name, (says, look) in {**join_looks(), **_arrival_looks()}.items():
        yield partitioned_check(site, spec, "labelled_predictions", name, says, look)


def join_looks() -> Looks:
    """The checks of the join."""
    return {"labels": ("No label is older than its prediction, and no prediction has two outcomes.", _labels)}


def _arrival_looks() -> Looks:
    """The checks of labels by the day on which they came; a day that is joined again does not change them."""
    return {"orphans": ("Almost every label that came that day is about a known prediction.", _orphans)}


def _orphans(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    found, limit = orphans(walk, days), walk.spec.monitor.labels.orphan_limit
    return {
        day: judged_orphans(found.labels.get(text, 0), found.orphans.get(text, 0), limit)
        for day, text in zip(days, texts(days), strict=True)
    }


def judged_orphans(labels: int, orphaned: int, limit: float) -> Finding:
    """Hold a day's share of labels without a prediction against what is declared."""
    if not labels:
        return Finding(passed=True, undecided=True, description="No label came on this day.")
    lower, upper = (float(end) for end in wilson(orphaned, labels))
    numbers = {"orphan_share": orphaned / labels, "lower": lower, "upper": upper, "limit": limit}
    metadata: dict[str, dg.MetadataValue] = {
        "labels": dg.MetadataValue.int(labels),
        "orphan_labels": dg.MetadataValue.int(orphaned),
        **{name: dg.MetadataValue.float(number) for name, number in numbers.items()},
    }
    says = f"{orphaned} of {labels} labels ({orphaned / labels:.1%}) have no prediction"
    if orphaned / labels <= limit:
        return Finding(passed=True, description=f"{says}; {limit:.1%} may.", metadata=metadata)
    if lower <= limit:
        text = f"{says}, more than {limit:.1%}, which so few labels may be by chance."
        return Finding(passed=True, undecided=True, description=text, metadata=metadata)
    text = (
        f"{says}, more than {limit:.1%}. They are kept, and count once their predictions come: look for "
        "deliveries of predictions that are missing or refused, and for ids that are written differently on "
        "both sides."
    )
    return Finding(passed=False, description=text, severe=False, metadata=metadata)


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
