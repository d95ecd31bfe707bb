"""Which keys of the standard this version understands at each level of a document, and which it refuses.

A key is understood when it is enforced or when it only describes. A key that promises something nobody would
check is refused, so that no promise is ignored in silence. Values are not looked at here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs_schema import stray_keys
from mlobs_pipelines.contracts.problems import KeyPath, Problem, suggestion

_ABOUT = frozenset({"id", "tags", "description", "authoritativeDefinitions", "customProperties"})


@dataclass(frozen=True, slots=True)
class Level:
    """The keys of one level.

    Attributes
    ----------
    understood
        Keys that are enforced or descriptive.
    refused
        Keys of the standard that are not enforced, each with what to do instead.
    """

    understood: frozenset[str]
    refused: Mapping[str, str] = field(default_factory=dict)

    def problems(self, document: Document, path: KeyPath, keys: object) -> Iterator[Problem]:
        """Return the keys that are unknown or refused; nothing for what is not a mapping."""
        for key in keys if isinstance(keys, dict) else ():
            if key in self.refused:
                said = "the standard has this key, but it is not enforced in this version"
                yield document.problem((*path, key), said, self.refused[key])
            elif key not in self.understood:
                yield document.problem((*path, key), "unknown key", suggestion(key, self.understood))


CONTRACT = Level(
    _ABOUT
    | {
        "version",
        "kind",
        "apiVersion",
        "name",
        "tenant",
        "status",
        "servers",
        "dataProduct",
        "domain",
        "context",
    }
    | {"schema", "support", "price", "team", "slaProperties", "contractCreatedTs"},
    {
        "roles": "access is granted where the rows are stored; remove it",
        "slaDefaultElement": "latency is counted from the end of the delivery's day; remove it",
    },
)
DESCRIPTION = Level(
    frozenset({"usage", "purpose", "limitations", "authoritativeDefinitions", "customProperties"})
)
_ROLES = {"roles": "access is granted where the rows are stored; remove it"}
_PLACED = frozenset({"location", "format", "encoding", "delimiter"})
_DATABASE = frozenset({"host", "port", "database", "schema"})
_SERVER_KEYS: Mapping[str, frozenset[str]] = {
    "local": frozenset({"path", "format", "encoding"}),
    "s3": _PLACED | {"endpointUrl"},
    "azure": _PLACED,
    "custom": _PLACED
    | _DATABASE
    | {"path", "endpointUrl", "region", "regionName", "catalog", "warehouse", "account", "serviceName"},
    "oracle": _DATABASE | {"serviceName"},
    "snowflake": _DATABASE | {"account", "warehouse"},
    "trino": _DATABASE | {"catalog"},
    "databricks": frozenset({"host", "catalog", "schema"}),
    "redshift": _DATABASE | {"region", "account"},
}
_SERVER = _ABOUT | {"server", "type", "environment"}
SLA = Level(
    _ABOUT | {"property", "value", "unit", "driver"},
    {
        "valueExt": "write one value",
        "element": "latency is counted from the end of the delivery's day; remove it",
        "scheduler": "the schedule is in monitor.yaml; remove it",
        "schedule": "the schedule is in monitor.yaml; remove it",
    },
)
_ELEMENT = _ABOUT | {
    "name",
    "physicalName",
    "physicalType",
    "businessName",
    "deprecated",
    "synonyms",
    "logicalType",
}
TABLE = Level(
    _ELEMENT | {"dataGranularityDescription", "properties", "quality", "context"},
    {"relationships": "describe it in description; references are not followed"},
)
COLUMN = Level(
    _ELEMENT
    | {
        "primaryKey",
        "primaryKeyPosition",
        "logicalTypeOptions",
        "required",
        "unique",
        "semanticType",
        "quality",
    }
    | {"classification", "enum", "examples", "criticalDataElement"}
    | {"transformSourceObjects", "transformLogic", "transformDescription"},
    {
        "partitioned": "the lake is partitioned by day; remove it",
        "partitionKeyPosition": "the lake is partitioned by day; remove it",
        "encryptedName": "use classification: restricted, which hashes the values",
        "relationships": "describe it in description; references are not followed",
        "properties": "columns are flat; write one column for each",
        "items": "columns are flat; lists are not read",
        "map": "columns are flat; maps are not read",
    },
)
QUALITY = Level(
    _ABOUT
    | {"name", "type", "metric", "arguments", "engine", "implementation", "severity", "dimension", "unit"}
    | {"query", "businessImpact", "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo"}
    | {"mustBeLessThan", "mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween"},
    {
        "rule": "the standard replaced it; write metric",
        "method": "remove it",
        "schedule": "rules run with every delivery; remove it",
        "scheduler": "rules run with every delivery; remove it",
    },
)
_RANGE = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"})
OPTIONS: Mapping[str, Level] = {
    "string": Level(frozenset({"minLength", "maxLength", "pattern", "format"})),
    "integer": Level(_RANGE | {"multipleOf"}),
    "number": Level(_RANGE | {"multipleOf"}),
    "timestamp": Level(_RANGE | {"timezone", "defaultTimezone"}),
    "date": Level(_RANGE),
    "boolean": Level(frozenset()),
}


def key_problems(document: Document) -> list[Problem]:
    """Return every key of the document that is unknown or promises what is not enforced."""
    levels = list(_levels(document.data))
    own = [problem for path, level, keys in levels for problem in level.problems(document, path, keys)]
    covered = {path for path, _, _ in levels}
    return own + [problem for path, problem in stray_keys(document) if path not in covered]


def server_level(server: object) -> Level:
    """Return the keys of a server of its type; those of a database where the type has none of its own."""
    kind = str(server.get("type")) if isinstance(server, dict) else ""
    return Level(_SERVER | _SERVER_KEYS.get(kind, _DATABASE), _ROLES)


def items(parent: object, key: str) -> list[tuple[int, Any]]:
    """Return the numbered items of the list under `key`, none where there is no list."""
    value = parent.get(key) if isinstance(parent, dict) else None
    return list(enumerate(value)) if isinstance(value, list) else []


def _levels(data: dict[str, Any]) -> Iterator[tuple[KeyPath, Level, Any]]:
    yield (), CONTRACT, data
    yield ("description",), DESCRIPTION, data.get("description")
    for place, item in items(data, "servers"):
        yield ("servers", place), server_level(item), item
    for place, item in items(data, "slaProperties"):
        yield ("slaProperties", place), SLA, item
    for place, table in items(data, "schema"):
        yield from _table_levels(("schema", place), table)


def _table_levels(path: KeyPath, table: object) -> Iterator[tuple[KeyPath, Level, Any]]:
    yield path, TABLE, table
    yield from _quality_levels(path, table)
    for place, column in items(table, "properties"):
        here = (*path, "properties", place)
        yield here, COLUMN, column
        yield from _quality_levels(here, column)
        if isinstance(column, dict) and str(column.get("logicalType")) in OPTIONS:
            options = column.get("logicalTypeOptions")
            yield (*here, "logicalTypeOptions"), OPTIONS[column["logicalType"]], options


def _quality_levels(path: KeyPath, element: object) -> Iterator[tuple[KeyPath, Level, Any]]:
    for place, rule in items(element, "quality"):
        yield (*path, "quality", place), QUALITY, rule
