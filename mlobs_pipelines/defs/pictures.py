"""Small pictures in check metadata, where one says more than a table: of the last day that a run looked at.

How they are drawn is `destinations.plots`; it is imported by the check that draws, because that takes longer
than making all definitions of a model.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import polars as pl

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.defs.checks import Finding
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.metric_store import ANY, MetricStore
from mlobs_pipelines.store.tables import SLO_STATUS

BEFORE = timedelta(days=27)
TRIANGLE = "label_coverage"


def of_family(family: str, walk: Walk, rows: pl.DataFrame, last: date) -> bytes | None:
    """A reliability curve, bars of drift, the triangle of label coverage; None where there is none to draw.

    Parameters
    ----------
    rows
        Metric rows of the family of the last day.
    """
    from mlobs_pipelines.destinations.plots import drift_picture, reliability_picture  # noqa: PLC0415 - slow

    if family == "label_lag":
        return _triangle(walk, last)
    draw = {"calibration": reliability_picture, "drift": drift_picture}.get(family)
    whole = rows.filter(pl.col("segment") == "")
    return None if draw is None or whole.is_empty() else draw(whole.to_arrow())


def of_budgets(walk: Walk, last: date) -> bytes | None:
    """What was left of every budget in the four weeks to the last day; None without any."""
    from mlobs_pipelines.destinations.plots import budget_picture  # noqa: PLC0415 - slow, as all of plots

    rows = latest(walk.lake, walk.model, SLO_STATUS, last - BEFORE, last, walk.as_of)
    return budget_picture(rows) if rows.num_rows else None


def with_picture(
    found: Mapping[date, Finding], last: date, png: bytes | None, about: str
) -> Mapping[date, Finding]:
    """The findings, with a picture in the metadata of the last day's."""
    from mlobs_pipelines.destinations.plots import markdown_image  # noqa: PLC0415 - slow, as all of plots

    if png is None:
        return found
    shown = {**found[last].metadata, "picture": dg.MetadataValue.md(markdown_image(png, about))}
    return {**found, last: replace(found[last], metadata=shown)}


def _triangle(walk: Walk, last: date) -> bytes | None:
    """Four weeks of the version that has the most days with values at fixed maturities."""
    from mlobs_pipelines.destinations.plots import triangle_picture  # noqa: PLC0415 - slow, as all of plots

    rows = pl.DataFrame(
        MetricStore(walk.lake).query(
            walk.model,
            metrics=[TRIANGLE],
            windows=[str(Window.DAY)],
            segments=[""],
            maturities=[ANY],
            first=last - BEFORE,
            last=last,
            as_of=walk.as_of,
        )
    )
    aged = rows.filter(pl.col("maturity").is_in(["mature", "provisional"]).not_())
    if aged.is_empty():
        return None
    ranked = aged.group_by("model_version").len().sort("len", "model_version", descending=True)
    version = ranked.item(0, "model_version")
    return triangle_picture(aged.filter(pl.col("model_version") == version).to_arrow())
