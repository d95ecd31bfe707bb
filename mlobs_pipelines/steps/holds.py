"""Days that a contract holds back: a rule of severity error failed, so no step after ingest reads them.

The rules are judged by the ingest step; here their results are asked.
"""

from collections.abc import Collection, Sequence
from datetime import date

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.odcs import Dataset
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import RULE_RESULTS


def held(walk: Walk, dataset: Dataset, days: Sequence[date]) -> dict[str, str]:
    """The days among some that are held back, each with the reason.

    Parameters
    ----------
    days
        At least one; every day from the first to the last is looked at.
    """
    span = Between(min(days).isoformat(), max(days).isoformat())
    where = {"dataset": dataset, "day": span}
    columns = ["day", "table", "rule", "severity", "outcome", "reason", "rows"]
    found = pl.DataFrame(walk.lake.read(walk.model, RULE_RESULTS, where=where, columns=columns))
    broken = found.filter(
        (pl.col("severity") == "error") & (pl.col("outcome") != "pass") & (pl.col("rows") > 0)
    )
    reasons: dict[str, str] = {}
    for day, table, rule, reason in broken.select("day", "table", "rule", "reason").iter_rows():
        said = f"{table}: {rule}: {reason}"
        reasons[day] = f"{reasons[day]}; {said}" if day in reasons else said
    return reasons


def released(rows: pa.Table, held_days: Collection[str]) -> pa.Table:
    """Rows of a table with a column ``day``, without those of the days that are held back."""
    if not held_days:
        return rows
    return rows.filter(pc.invert(pc.is_in(rows.column("day"), pa.array(sorted(held_days), pa.string()))))
