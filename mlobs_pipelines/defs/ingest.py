"""Ingest in Dagster: the three datasets as assets, and what their deliveries say as checks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS, Dataset
from mlobs_pipelines.defs.assets import Part, table_asset
from mlobs_pipelines.defs.checks import Finding, Look, partitioned_check
from mlobs_pipelines.defs.deliveries import DAY, judge_deliveries, judge_privacy
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.ingest import LAYOUTS, ingest
from mlobs_pipelines.steps.layouts import repeats_layout
from mlobs_pipelines.steps.walk import Outcomes, Walk, texts
from mlobs_pipelines.store.lake import Between, Where
from mlobs_pipelines.store.tables import DELIVERIES, QUARANTINE, RULE_RESULTS

SAYS = {
    "predictions": "Predictions as logged by serving, under contract: one row per prediction and version.",
    "features": "Feature rows of every view, under contract: what was known of each entity, and since when.",
    "labels": "Outcomes by day of arrival, under contract: every revision is kept.",
}


def ingest_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Assets and checks of the ingest step."""
    for dataset in DATASETS:
        contract = spec.contract(dataset)
        layout = LAYOUTS[dataset](spec)
        yield table_asset(
            site, spec, _step(dataset), layout, SAYS[dataset], contract=contract, kinds={"polars"}
        )
        says = (
            f"Every delivery is there and keeps the contract {contract.id} {contract.version}: "
            "columns, types, row rules, each row once."
        )
        yield partitioned_check(site, spec, dataset, "contract", says, _contract(dataset))
        if any(table.expectations or table.day_rules for table in contract.tables):
            says = (
                "The contract's rules about a day as a whole hold; one of severity error holds the day back."
            )
            yield partitioned_check(site, spec, dataset, "rules", says, _rules(dataset))
        says = "No column that is not classified so looks like personal data or secrets."
        yield partitioned_check(site, spec, dataset, "privacy", says, _privacy(dataset))


def _step(dataset: Dataset) -> Callable[[Walk, Sequence[date]], Outcomes]:
    def step(walk: Walk, days: Sequence[date]) -> Outcomes:
        return ingest(walk, dataset, days)

    return step


def _records(walk: Walk, dataset: Dataset, first: date, last: date) -> pl.DataFrame:
    span = Between(first.isoformat(), last.isoformat())
    return pl.DataFrame(walk.lake.read(walk.model, DELIVERIES, where={"dataset": dataset, "day": span}))


def _contract(dataset: Dataset) -> Look:
    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        contract = walk.spec.contract(dataset)
        since = min(days) - (contract.frequency_days or 0) * DAY
        records = _records(walk, dataset, since, max(days))
        where: Where = {"dataset": [dataset], "day": texts(days)}
        aside = pl.DataFrame(walk.lake.read(walk.model, QUARANTINE, where=where, columns=["day", "rules"]))
        rules = aside.explode("rules").group_by("day", "rules").len().sort("day", "rules")
        beaten = _beaten(walk, dataset, records)
        return {day: judge_deliveries(contract, day, walk.as_of, records, rules, beaten) for day in days}

    return look


def _beaten(walk: Walk, dataset: Dataset, records: pl.DataFrame) -> pl.DataFrame:
    """Rows that stand back, by day of their delivery and reason."""
    layout = repeats_layout(LAYOUTS[dataset](walk.spec))
    reached = records.filter(pl.col("repeated") > 0).get_column("event_days").explode().drop_nulls()
    where: Where = {"day": sorted(set(reached))}
    rows = walk.lake.read(walk.model, layout, where=where, columns=["delivered_on", "reason"])
    return pl.DataFrame(rows).group_by("delivered_on", "reason").len().sort("delivered_on", "reason")


def _privacy(dataset: Dataset) -> Look:
    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        records = _records(walk, dataset, min(days), max(days))
        return {day: judge_privacy(day, records) for day in days}

    return look


def _rules(dataset: Dataset) -> Look:
    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        where: Where = {"dataset": [dataset], "day": texts(days)}
        results = pl.DataFrame(walk.lake.read(walk.model, RULE_RESULTS, where=where))
        return {day: _judge_rules(results.filter(pl.col("day") == day.isoformat())) for day in days}

    return look


def _judge_rules(results: pl.DataFrame) -> Finding:
    looked_at = results.filter(pl.col("rows") > 0)
    failed = results.filter(pl.col("outcome") != "pass")
    if results.is_empty() or (looked_at.is_empty() and failed.is_empty()):
        return Finding(passed=True, undecided=True, description="No rows to hold the rules against.")
    shown = [dg.TableRecord(_shown(row)) for row in results.iter_rows(named=True)]
    metadata = {"rules": dg.MetadataValue.table(shown)}
    if failed.is_empty():
        return Finding(passed=True, description=f"All {results.height} rules hold.", metadata=metadata)
    severe = "error" in failed.get_column("severity").to_list()
    said = "; ".join(f"{name}: {why}" for name, why in failed.select("rule", "reason").iter_rows())
    held = " The day is held back: no step reads it." if severe and looked_at.height else ""
    text = f"{failed.height} of {results.height} rules failed: {said}.{held}"
    return Finding(passed=False, description=text, severe=severe, metadata=metadata)


def _shown(row: Mapping[str, object]) -> dict[str, str | int | float | bool | None]:
    names = (
        "table",
        "rule",
        "outcome",
        "severity",
        "reason",
        "count",
        "rows",
        "share",
        "description",
        "runbook",
    )
    shown: dict[str, str | int | float | bool | None] = {}
    for name in names:
        value = row[name]
        shown[name] = value if isinstance(value, int | float | str) else None
    return shown
