"""Ingest in Dagster: the three datasets as assets, their contracts and expectations as checks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.expectations import ExpectationResult, run_expectations
from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS, Contract, Dataset
from mlobs_pipelines.defs.assets import Part, table_asset
from mlobs_pipelines.defs.checks import Finding, Look, partitioned_check
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.ingest import LAYOUTS, ingest
from mlobs_pipelines.steps.walk import Outcomes, Walk, texts
from mlobs_pipelines.store.lake import Where
from mlobs_pipelines.store.tables import DELIVERIES, QUARANTINE

SAYS = {
    "predictions": "Predictions as logged by serving, under contract: one row per prediction and version.",
    "features": "Feature rows of every view, under contract: what was known of each entity, and since when.",
    "labels": "Outcomes by day of arrival, under contract: every revision is kept.",
}


def ingest_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Assets and checks of the ingest step."""
    for dataset in DATASETS:
        contract: Contract = getattr(spec, dataset)
        yield table_asset(
            site,
            spec,
            _step(dataset),
            LAYOUTS[dataset](spec),
            SAYS[dataset],
            contract=contract,
            kinds={"polars"},
        )
        says = (
            f"Every delivery keeps the contract {contract.id} {contract.version}: columns, types, row rules."
        )
        yield partitioned_check(site, spec, dataset, "contract", says, _contract(dataset))
        if any(table.expectations for table in contract.tables):
            says = "The Great Expectations rules of the contract hold for the accepted rows."
            yield partitioned_check(site, spec, dataset, "expectations", says, _expectations(dataset))


def _step(dataset: Dataset) -> Callable[[Walk, Sequence[date]], Outcomes]:
    def step(walk: Walk, days: Sequence[date]) -> Outcomes:
        return ingest(walk, dataset, days)

    return step


def _contract(dataset: Dataset) -> Look:
    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        where: Where = {"dataset": [dataset], "day": texts(days)}
        deliveries = pl.DataFrame(walk.lake.read(walk.model, DELIVERIES, where=where))
        aside = pl.DataFrame(walk.lake.read(walk.model, QUARANTINE, where=where, columns=["day", "rules"]))
        rules = aside.explode("rules").group_by("day", "rules").len().sort("day", "rules")
        return {day: _judge_deliveries(deliveries, rules, day) for day in days}

    return look


def _judge_deliveries(deliveries: pl.DataFrame, rules: pl.DataFrame, day: date) -> Finding:
    mine = deliveries.filter(pl.col("day") == day.isoformat())
    totals = {name: int(mine.get_column(name).sum()) for name in ("rows_in", "accepted", "quarantined")}
    states = dict(mine.group_by("state").len().sort("state").iter_rows())
    broken = dict(rules.filter(pl.col("day") == day.isoformat()).select("rules", "len").iter_rows())
    reasons = [text for text in mine.get_column("reason").to_list() if text]
    metadata: dict[str, dg.MetadataValue] = {
        **{name: dg.MetadataValue.int(value) for name, value in totals.items()},
        **{f"deliveries_{state}": dg.MetadataValue.int(count) for state, count in states.items()},
    }
    if broken:
        metadata["rows_by_rule"] = dg.MetadataValue.table(
            [dg.TableRecord({"rule": rule, "rows": count}) for rule, count in broken.items()]
        )
    if reasons:
        metadata["reasons"] = dg.MetadataValue.text("; ".join(reasons))
    return _contract_finding(totals, states, reasons, metadata)


def _contract_finding(
    totals: Mapping[str, int],
    states: Mapping[str, int],
    reasons: Sequence[str],
    metadata: Mapping[str, dg.MetadataValue],
) -> Finding:
    if states.get("refused"):
        return Finding(passed=False, description=f"Refused: {'; '.join(reasons)}.", metadata=metadata)
    if totals["quarantined"]:
        text = (
            f"{totals['quarantined']} of {totals['rows_in']} rows broke the contract and are in quarantine "
            f"({'; '.join(reasons)}); the other {totals['accepted']} flow on."
        )
        return Finding(passed=False, description=text, severe=False, metadata=metadata)
    if not totals["rows_in"]:
        return Finding(
            passed=True, description="No delivery, or an empty one: an empty day.", metadata=metadata
        )
    return Finding(
        passed=True, description=f"All {totals['rows_in']} rows keep the contract.", metadata=metadata
    )


def _expectations(dataset: Dataset) -> Look:
    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        layout = LAYOUTS[dataset](walk.spec)
        rows = walk.lake.read(walk.model, layout, where={"day": texts(days)})
        frame = pl.DataFrame(rows)
        return {day: _expect(walk, dataset, frame.filter(pl.col("day") == day.isoformat())) for day in days}

    return look


def _expect(walk: Walk, dataset: Dataset, rows: pl.DataFrame) -> Finding:
    if rows.is_empty():
        return Finding(passed=True, undecided=True, description="No rows to hold the expectations against.")
    contract: Contract = getattr(walk.spec, dataset)
    results: list[ExpectationResult] = []
    for table in contract.tables:
        mine = rows.filter(pl.col("view") == table.name) if "view" in rows.columns else rows
        results += run_expectations(table, mine)
    failed = [result for result in results if result.outcome != "pass"]
    records = [
        dg.TableRecord(
            {
                "expectation": result.type,
                "columns": ", ".join(result.columns),
                "outcome": result.outcome,
                "severity": result.severity,
                "reason": result.reason,
            }
        )
        for result in results
    ]
    names = ", ".join(sorted({result.type for result in failed}))
    text = (
        f"{len(failed)} of {len(results)} expectations failed: {names}"
        if failed
        else f"All {len(results)} hold."
    )
    return Finding(
        passed=not failed,
        description=text,
        severe=any(result.severity == "error" for result in failed),
        metadata={"expectations": dg.MetadataValue.table(records)},
    )
