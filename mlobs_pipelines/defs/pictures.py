"""Small pictures in check metadata, where one says more than a table."""

import base64

import dagster as dg
import polars as pl

from mlobs_pipelines.destinations.plots import drift_picture, reliability_picture


def picture(family: str, rows: pl.DataFrame) -> dg.MetadataValue | None:
    """A reliability curve for calibration, a bar chart for drift, nothing for other families or no rows."""
    draw = {"calibration": reliability_picture, "drift": drift_picture}.get(family)
    whole = rows.filter(pl.col("segment") == "")
    if draw is None or whole.is_empty():
        return None
    encoded = base64.b64encode(draw(whole.to_arrow())).decode()
    return dg.MetadataValue.md(f"![{family}](data:image/png;base64,{encoded})")
