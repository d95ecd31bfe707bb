"""A document without problems into a `Contract`. What a problem is, is decided in `odcs_checks`."""

from collections.abc import Mapping
from typing import Any

from mlobs_pipelines.contracts.custom_properties import privacy, spelling, values
from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.limits import limits
from mlobs_pipelines.contracts.odcs import Column, Contract, Dataset, Kind, Table
from mlobs_pipelines.contracts.odcs_checks import DAYS, HOURS, contract_problems
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.odcs_quality import column_rules, table_rules
from mlobs_pipelines.contracts.odcs_servers import read_server
from mlobs_pipelines.contracts.problems import Problem


def read_contract(document: Document, dataset: Dataset) -> tuple[Contract | None, list[Problem]]:
    """Return the contract that a document writes down, or None and what keeps it from being one."""
    problems = contract_problems(document, dataset)
    return (None, problems) if problems else (_contract(document, dataset), [])


def _contract(document: Document, dataset: Dataset) -> Contract:
    data = document.data
    return Contract(
        dataset=dataset,
        id=data["id"],
        version=data["version"],
        hash=document.hash,
        description=_description(data),
        owner=data["team"]["name"],
        support=tuple(item.get("url") or item["channel"] for _, item in items(data, "support")),
        tables=tuple(read_table(item) for _, item in items(data, "schema")),
        server=read_server(data),
        latency_h=_promised(data, "latency", HOURS),
        retention_days=_days(data, "retention"),
        file=document.file,
        frequency_days=_days(data, "frequency"),
    )


def _description(data: Mapping[str, Any]) -> str:
    said = data.get("description") or {}
    return " ".join(said[key] for key in ("purpose", "usage", "limitations") if said.get(key))


def _promised(data: Mapping[str, Any], name: str, units: Mapping[str, int]) -> float | None:
    for _, item in items(data, "slaProperties"):
        if item["property"] == name:
            return float(item["value"] * units[item["unit"]])
    return None


def _days(data: Mapping[str, Any], name: str) -> int | None:
    promised = _promised(data, name, DAYS)
    return None if promised is None else int(promised)


def read_table(item: Mapping[str, Any]) -> Table:
    """Return one table of a document without problems."""
    expectations, day_rules = table_rules(item)
    return Table(
        name=item["name"],
        description=item.get("description", ""),
        columns=tuple(_column(column) for _, column in items(item, "properties")),
        expectations=expectations,
        day_rules=day_rules,
        correction=values(item).get("correction", ""),
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
    } | column_rules(item)
    declared["allowed"] = tuple(_plain(value, kind) for value in declared["allowed"])
    return Column(
        name=item["name"],
        kind=kind,
        physical=" ".join(item.get("physicalType", "").lower().split()),
        primary_key=key,
        classification=item.get("classification", ""),
        spelling=spelling(item, kind),
        minimum=minimum,
        maximum=maximum,
        multiple_of=_step(options.get("multipleOf"), kind),
        single=options.get("format") == "f32",
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        form=options.get("format", "") if kind is Kind.STRING else "",
        description=item.get("description", ""),
        **declared,
        **privacy(item),
    )


def _plain(value: Any, kind: Kind) -> Any:  # noqa: ANN401 - any value that a document can list
    if kind is Kind.NUMBER:
        return float(value)
    return int(value) if kind is Kind.INTEGER else value


def _step(step: float | None, kind: Kind) -> float | int | None:
    return int(step) if step is not None and kind is Kind.INTEGER else step
