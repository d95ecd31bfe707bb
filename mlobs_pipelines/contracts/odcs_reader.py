"""A document without problems into a `Contract`. What a problem is, is decided in `odcs_checks`."""

from collections.abc import Mapping
from typing import Any

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.limits import limits
from mlobs_pipelines.contracts.odcs import Column, Contract, Dataset, Kind, Server, Table
from mlobs_pipelines.contracts.odcs_checks import DAYS, HOURS, contract_problems
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.odcs_quality import column_rules, expectations, min_rows
from mlobs_pipelines.contracts.problems import Problem


def read_contract(document: Document, dataset: Dataset) -> tuple[Contract | None, list[Problem]]:
    """Return the contract that a document writes down, or None and what keeps it from being one."""
    problems = contract_problems(document, dataset)
    return (None, problems) if problems else (_contract(document, dataset), [])


def _contract(document: Document, dataset: Dataset) -> Contract:
    data = document.data
    latency, retention = _promised(data, "latency", HOURS), _promised(data, "retention", DAYS)
    server = data["servers"][0]
    return Contract(
        dataset=dataset,
        id=data["id"],
        version=data["version"],
        hash=document.hash,
        description=_description(data),
        owner=data["team"]["name"],
        support=tuple(item.get("url") or item["channel"] for _, item in items(data, "support")),
        tables=tuple(_table(item) for _, item in items(data, "schema")),
        server=Server(server["format"], server["path"]),
        latency_h=latency,
        retention_days=None if retention is None else int(retention),
        file=document.file,
    )


def _description(data: Mapping[str, Any]) -> str:
    said = data.get("description") or {}
    return " ".join(said[key] for key in ("purpose", "usage", "limitations") if said.get(key))


def _promised(data: Mapping[str, Any], name: str, units: Mapping[str, int]) -> float | None:
    for _, item in items(data, "slaProperties"):
        if item["property"] == name:
            return float(item["value"] * units[item["unit"]])
    return None


def _table(item: Mapping[str, Any]) -> Table:
    columns = [column for _, column in items(item, "properties")]
    under_columns = [rule for column in columns for rule in expectations(column, column["name"])]
    return Table(
        name=item["name"],
        description=item.get("description", ""),
        columns=tuple(_column(column) for column in columns),
        expectations=(*expectations(item), *under_columns),
        min_rows_per_day=min_rows(item),
    )


def _column(item: Mapping[str, Any]) -> Column:
    options, kind = item.get("logicalTypeOptions") or {}, Kind(item["logicalType"])
    minimum, maximum = limits(options, kind)
    key = item.get("primaryKey", False)
    declared = {
        "required": item.get("required", False) or key,
        "unique": item.get("unique", False),
        "pattern": options.get("pattern"),
        "allowed": tuple(value["value"] for _, value in items(item, "enum")),
    }
    return Column(
        name=item["name"],
        kind=kind,
        primary_key=key,
        classification=item.get("classification", ""),
        minimum=minimum,
        maximum=maximum,
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        description=item.get("description", ""),
        **(declared | column_rules(item)),
    )
