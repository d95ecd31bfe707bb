"""The rules of a contract about a day as a whole, judged on the rows that were published.

A failed rule of severity error holds the day: the steps that follow do not read it, see `steps.walk`.
"""

from collections.abc import Sequence
from dataclasses import asdict

import polars as pl
import pyarrow as pa

from mlobs_pipelines.contracts.day_rules import run_day_rules
from mlobs_pipelines.contracts.expectations import run_expectations
from mlobs_pipelines.contracts.odcs import Table
from mlobs_pipelines.contracts.rule_results import RuleResult
from mlobs_pipelines.steps.ingest.publication import Batch
from mlobs_pipelines.steps.privacy import stored_table
from mlobs_pipelines.store.tables import RULE_RESULTS


def judge(batch: Batch, days: Sequence[str]) -> None:
    """Run the rules of every table on every day, and publish what they say."""
    lake, model = batch.walk.lake, batch.walk.model
    ruled = any(table.expectations or table.day_rules for table in batch.contract.tables)
    # A contract that has dropped its last rule must not leave days held by what that rule has said.
    if not ruled and not lake.exists(model, RULE_RESULTS.name):
        return

    def compute() -> pa.Table:
        found = [
            {"dataset": batch.contract.dataset, "day": day, "table": table.name, **_plain(result)}
            for day in days
            for table in batch.contract.tables
            for result in _results(batch, table, day)
        ]
        return pa.Table.from_pylist(found, schema=RULE_RESULTS.schema)

    partitions = [(batch.contract.dataset, day) for day in days]
    lake.update(model, RULE_RESULTS, partitions, compute, commit=batch.commit)


def _results(batch: Batch, table: Table, day: str) -> tuple[RuleResult, ...]:
    if not (table.expectations or table.day_rules):
        return ()
    rows = _rows(batch, table, day)
    kept = stored_table(table)
    return (*run_day_rules(kept, rows), *(run_expectations(kept, rows) if rows.height else ()))


def _rows(batch: Batch, table: Table, day: str) -> pl.DataFrame:
    stored = [name for name in table.names if name in batch.layout.schema.names]
    view = ["view"] if "view" in batch.layout.schema.names else []
    read = batch.walk.lake.read(batch.walk.model, batch.layout, where={"day": day}, columns=[*view, *stored])
    rows = pl.DataFrame(read)
    return rows.filter(pl.col("view") == table.name).drop("view") if view else rows


def _plain(result: RuleResult) -> dict[str, object]:
    return {name: list(value) if name == "columns" else value for name, value in asdict(result).items()}
