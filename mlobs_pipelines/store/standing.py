"""Incidents as they stood last, out of the table that has a row for each of their days.

How incidents come about and end is not known here.
"""

from datetime import date
from typing import Any

from mlobs_pipelines.store.lake import Between, Lake
from mlobs_pipelines.store.tables import INCIDENTS


def current(
    lake: Lake, model: str, first: date | None = None, last: date | None = None
) -> list[dict[str, Any]]:
    """Every incident as it stood on its last day within a stretch, the one that was opened last first."""
    span = Between(first.isoformat() if first else None, last.isoformat() if last else None)
    rows = lake.read(model, INCIDENTS, where={"day": span}).to_pylist()
    newest = {row["incident"]: row for row in sorted(rows, key=lambda row: row["day"])}
    return sorted(newest.values(), key=lambda row: (row["opened_on"], row["incident"]), reverse=True)
