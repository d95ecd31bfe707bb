"""From a step's outcomes to what Dagster keeps: metadata per partition, column schema, column lineage.

The one place that writes metadata about data: counts, hashes, names and times, never a value of a row.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import Column, Contract, Privacy
from mlobs_pipelines.defs.words import column_words
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk
from mlobs_pipelines.store.layout import TableLayout

TOUCHED_TAG = "mlobs/touched"  # on a materialization of a day that its run was not about
DATA_VERSION_TAG = "dagster/data_version"
ColumnSources = Mapping[str, Sequence[tuple[str, str]]]


def asset_key(model: str, name: str) -> dg.AssetKey:
    """Key of one of a model's assets."""
    return dg.AssetKey([model, name])


def record(
    context: dg.AssetExecutionContext, walk: Walk, outcomes: Outcomes, columns: Mapping[str, Any]
) -> Iterator[dg.MaterializeResult[None]]:
    """Materialize a run's days with their evidence, and report other days that were written too.

    A day's data version is the hash of its content. Dagster gives all days of a range run one version, so
    the days of such a run, and days that the run was not about, are materialized by events of their own.

    Parameters
    ----------
    columns
        Column schema and lineage, kept with each partition: the declaration may have changed by the next.
    """
    own, told = list(context.partition_keys), _told(walk, outcomes, columns)
    if len(own) == 1:
        context.add_asset_metadata(told.pop(own[0]), partition_key=own[0])
    said = {} if len(own) == 1 else {"range": f"{min(own)} to {max(own)}; each day's evidence follows"}
    yield dg.MaterializeResult(metadata=said, data_version=dg.DataVersion(_joint(outcomes, own)))
    known = _provenance(context, own[-1])
    days = [day for day in sorted(outcomes) if day.isoformat() in told and _is_partition(context, day)]
    for event in events(context.asset_key, {day: outcomes[day] for day in days}, told, known, set(own)):
        context.log_event(event)


def record_some(
    context: dg.AssetExecutionContext, walk: Walk, outcomes: Outcomes, columns: Mapping[str, Any]
) -> None:
    """Materialize some days of a run whose others have failed."""
    own, told = set(context.partition_keys), _told(walk, outcomes, columns)
    days = {day: outcome for day, outcome in sorted(outcomes.items()) if _is_partition(context, day)}
    for event in events(context.asset_key, days, told, {}, own):
        context.log_event(event)


def events(
    key: dg.AssetKey,
    outcomes: Outcomes,
    told: Mapping[str, Mapping[str, Any]],
    tags: Mapping[str, str],
    own: Collection[str],
) -> Iterator[dg.AssetMaterialization]:
    """A materialization per day, with the hash of its content as data version."""
    for day, outcome in outcomes.items():
        partition = day.isoformat()
        touched = {TOUCHED_TAG: "true"} if outcome.version.changed and partition not in own else {}
        version = {DATA_VERSION_TAG: outcome.version.content_hash}
        yield dg.AssetMaterialization(
            key, partition=partition, metadata=told[partition], tags={**tags, **touched, **version}
        )


def _told(walk: Walk, outcomes: Outcomes, columns: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {day.isoformat(): {**evidence(walk, one), **columns} for day, one in outcomes.items()}


def _joint(outcomes: Outcomes, own: Sequence[str]) -> str:
    hashes = "|".join(outcomes[date.fromisoformat(key)].version.content_hash for key in sorted(own))
    return hashes if len(own) == 1 else hashlib.sha256(hashes.encode()).hexdigest()


def _provenance(context: dg.AssetExecutionContext, partition: str) -> Mapping[str, str]:
    """What Dagster has just said of the run's inputs, which staleness is told from."""
    record = context.instance.get_latest_data_version_record(context.asset_key, partition_key=partition)
    event = record.asset_materialization if record and record.run_id == context.run.run_id else None
    return (event.tags if event else None) or {}


def _is_partition(context: dg.AssetExecutionContext, day: date) -> bool:
    """Whether Dagster knows the day: a running month's window ends on a day that may lie ahead."""
    known = context.assets_def.partitions_def
    return known is not None and known.has_partition_key(day.isoformat())


def evidence(walk: Walk, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    """What one partition's materialization shows."""
    version = outcome.version
    # Shown in this order, and a note says what went wrong: it comes first.
    found: dict[str, dg.MetadataValue] = (
        {"note": dg.MetadataValue.md(f"**{outcome.note}**")} if outcome.note else {}
    )
    found |= {
        "dagster/partition_row_count": dg.MetadataValue.int(outcome.rows_out),
        "rows_in": dg.MetadataValue.int(outcome.rows_in),
        "rows_out": dg.MetadataValue.int(outcome.rows_out),
        "quarantined": dg.MetadataValue.int(outcome.quarantined),
        "bytes": dg.MetadataValue.int(version.bytes),
        "content_hash": dg.MetadataValue.text(version.content_hash),
        "table_version": dg.MetadataValue.int(version.table_version),
        "changed": dg.MetadataValue.bool(version.changed),
        "as_of": dg.MetadataValue.text(walk.as_of.isoformat()),
        "batch_id": dg.MetadataValue.text(walk.commit["batch_id"]),
        "code_version": dg.MetadataValue.text(walk.commit["code_version"]),
        "declaration_hash": dg.MetadataValue.text(walk.spec.hash),
    }
    if outcome.inputs:
        found["inputs"] = dg.MetadataValue.json(dict(outcome.inputs))
    for name, value in outcome.facts.items():
        if value is not None:
            found[name] = _value(value)
    return found


def _value(value: str | float) -> dg.MetadataValue:
    if isinstance(value, str):
        return dg.MetadataValue.text(value)
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(value)


def described(
    spec: ModelSpec, layout: TableLayout, contract: Contract | None, lineage: ColumnSources | None = None
) -> dict[str, Any]:
    """Definition metadata of an asset that is a table: column schema, column lineage, owner's runbook."""
    found: dict[str, Any] = {
        "dagster/column_schema": _schema(spec, layout.schema, contract),
        "dagster/table_name": f"{spec.monitor.model}/{layout.name}",
        "runbook": dg.MetadataValue.url(spec.monitor.runbook),
        "partitioned_by": dg.MetadataValue.text(", ".join(layout.keys)),
    }
    if contract is not None:
        found["contract"] = dg.MetadataValue.text(f"{contract.id} {contract.version}")
        found["contract_hash"] = dg.MetadataValue.text(contract.hash)
    if lineage:
        columns = {
            column: [dg.TableColumnDep(asset_key(spec.monitor.model, asset), name) for asset, name in sources]
            for column, sources in lineage.items()
        }
        found["dagster/column_lineage"] = dg.TableColumnLineage(columns)
    return found


def columns_of(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an asset's definition metadata that is about its columns."""
    return {name: value for name, value in declared.items() if name.startswith("dagster/column_")}


def _schema(spec: ModelSpec, schema: pa.Schema, contract: Contract | None) -> dg.TableSchema:
    own = _columns(contract) if contract else {}
    known = {**_columns(spec.labels), **_columns(spec.features), **_columns(spec.predictions), **own}
    return dg.TableSchema(
        [_column(field, known.get(field.name), promised=field.name in own) for field in schema]
    )


def _columns(contract: Contract) -> dict[str, Column]:
    return {column.name: column for table in contract.tables for column in table.columns}


def _column(field: pa.Field, column: Column | None, *, promised: bool) -> dg.TableColumn:
    """Describe a column as its contract does, also where a later step carries it on."""
    tags = {"classification": column.classification} if column and column.classification else {}
    if column and column.restricted:
        tags["stored_as"] = "keyed_hash" if column.privacy is Privacy.HASH else str(column.privacy)
    required = promised and column is not None and column.required
    said = column.description if column and column.description else column_words(field.name)
    constraints = dg.TableColumnConstraints(nullable=not required)
    return dg.TableColumn(field.name, str(field.type), said, constraints=constraints, tags=tags)


def summary(outcomes: Mapping[str, Outcome]) -> dict[str, dg.MetadataValue]:
    """Row counts of an unpartitioned asset's parts."""
    return {f"{name}_rows": dg.MetadataValue.int(outcome.rows_out) for name, outcome in outcomes.items()}
