"""The server of a document: what must be said so that a place can be read, and the `Server` that comes of it.

Reading from the place is not done here. Credentials are no part of a contract: they come from the settings.
"""

import json
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

from mlobs_pipelines.contracts.custom_properties import customs, name_problems, values
from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.odcs import Dataset, Server
from mlobs_pipelines.contracts.odcs_keys import items
from mlobs_pipelines.contracts.problems import KeyPath, Problem, listed, suggestion, typo
from mlobs_pipelines.contracts.server_options import (
    CHECKS,
    DELIMITED,
    DELTA_WATERMARKS,
    FITS,
    FORMATS,
    LOGS,
    column_names,
    mapping,
)

CUSTOM = ("gcs", "sqlite", "mariadb")  # what is read though the standard has no word for it
FILES = ("local", "s3", "azure", "custom")
SQL = (
    "postgresql",
    "postgres",
    "mysql",
    "sqlserver",
    "oracle",
    "redshift",
    "snowflake",
    "trino",
    "duckdb",
    "databricks",
)
_PLACEHOLDERS = ("landing", "table", "date", "year", "month", "day", "hour")
_OPTIONS: Mapping[str, str] = {
    "encoding": "encoding",
    "delimiter": "delimiter",
    "separator": "delimiter",
    "quote": "quote",
    "endpointUrl": "endpoint",
    "region": "region",
    "regionName": "region",
    "watermarkColumn": "watermark",
    "watermarkType": "watermark_type",
    "query": "query",
    "schema": "schema",
    "database": "database",
    "catalog": "catalog",
    "host": "host",
    "port": "port",
    "account": "account",
    "warehouse": "warehouse",
    "serviceName": "service_name",
    "storage": "storage",
}
_PROPERTIES = frozenset(
    {"encoding", *DELIMITED, "region", "watermarkColumn", "watermarkType", "query", "table", "mapping"}
    | {"type", "format", "storage", "features", "order"}
)
_SECRET = re.compile(
    r"(?i)user(_?name)?|.*(passw|pwd|secret|token|credential|(api|access|private|account|sas)_?key).*"
)
_SECRET_URL = re.compile(r"(?i)://[^/@\s]*:[^/@\s]*@|[?&](sig|token|x-amz-(signature|credential))=")
_OF_DATABASES = frozenset({"query", "table", "order", "format"})


def servers_problems(document: Document, dataset: Dataset) -> Iterator[Problem]:
    """Return what keeps the servers of a document from being one place that can be read."""
    servers = items(document.data, "servers")
    if len(servers) != 1:
        said = f"{len(servers)} servers are declared"
        yield document.problem(("servers",), said, "declare the one place that rows are read from")
    for place, server in servers:
        if isinstance(server, dict):
            path: KeyPath = ("servers", place)
            yield from _secrets(document, path, server)
            yield from _server(document, path, server, dataset)


def read_server(data: Mapping[str, Any]) -> Server:
    """Return the server of a document without problems."""
    _, server = items(data, "servers")[0]
    form = str(server.get("format") or values(server).get("format") or "")
    return Server(server["server"], _kind(server), form, _location(server, values(server)), _options(server))


def _options(server: Mapping[str, Any]) -> dict[str, str]:
    said = values(server)
    options = {_OPTIONS[key]: str(value) for key, value in {**server, **said}.items() if key in _OPTIONS}
    if "watermark" in options:
        options.setdefault("watermark_type", "timestamp")
    if "mapping" in said:
        options["mapping"] = json.dumps(mapping(said["mapping"]), sort_keys=True)
    for key in said.keys() & {"features", "order"}:
        options[key] = ",".join(said[key])
    if server.get("format") == "inference-table" and _filed(server):
        options["storage"] = "delta" if _in_delta(server) else "parquet"
    if options.get("delimiter") in ("tab", "\\t"):
        options["delimiter"] = "\t"
    return options


def _kind(server: Mapping[str, Any]) -> str:
    """Return the type of a server: the custom one where the standard has no word for it."""
    kind = str(server.get("type"))
    if kind == "custom":
        return str(values(server).get("type", ""))
    return "postgresql" if kind == "postgres" else kind


def _filed(server: Mapping[str, Any]) -> bool:
    """Whether rows lie in files; a custom place has files if it has a format."""
    kind = server.get("type")
    return kind in FILES and (kind != "custom" or "format" in server)


def _in_delta(server: Mapping[str, Any]) -> bool:
    """Whether rows lie in a Delta table; an inference table does if its location names no files."""
    if server.get("format") != "inference-table":
        return server.get("format") == "delta"
    location = str(server.get("location") or server.get("path"))
    for filled in ("{landing}", "{table}"):
        location = location.replace(filled, "")
    in_files = location.endswith(".parquet") or "{" in location or "*" in location
    return bool(values(server).get("storage", "parquet" if in_files else "delta") == "delta")


def _location(server: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    if _filed(server):
        return str(server["path"] if "path" in server else server["location"])
    parts = (server.get("catalog"), server.get("schema"), "{table}")
    return str(said.get("table") or ".".join(str(part) for part in parts if part))


def _secrets(document: Document, path: KeyPath, server: Mapping[str, Any]) -> Iterator[Problem]:
    own = [((*path, key), key, value) for key, value in server.items() if key != "customProperties"]
    added = [
        ((*path, "customProperties", place), key, value) for key, (place, value) in customs(server).items()
    ]
    for here, key, value in (*own, *added):
        if _SECRET.fullmatch(key) or (isinstance(value, str) and _SECRET_URL.search(value)):
            said = "a credential does not belong into a contract"
            yield document.problem(here, said, "remove it and set it in the environment of this installation")
        elif isinstance(value, str) and "${" in value:
            yield document.problem(here, "variables are not filled in", "write the value itself")


def _server(
    document: Document, path: KeyPath, server: Mapping[str, Any], dataset: Dataset
) -> Iterator[Problem]:
    kind = server.get("type")
    if kind not in (*FILES, *SQL):
        said = f"servers of type {kind} are not read in this version"
        if kind is not None:
            yield document.problem((*path, "type"), said, f"valid: {', '.join((*FILES, *SQL))}")
        return
    known = _PROPERTIES if kind == "custom" else _PROPERTIES - {"type"}
    yield from name_problems(document, path, server, known)
    if kind == "custom":
        yield from _custom(document, path, server)
    for name, (place, value) in customs(server).items():
        here = (*path, "customProperties", place)
        if not (name in known or kind == "custom" or _SECRET.fullmatch(name) or typo(name, known)):
            yield document.problem((*here, "property"), f"{name} is not read", suggestion(name, known))
        elif name in CHECKS and (wrong := CHECKS[name](value)):
            yield document.problem((*here, "value"), f"{name}: {wrong[0]}", wrong[1])
    check = _file_place if _filed(server) else _sql_place
    yield from check(document, path, server, dataset)


def _custom(document: Document, path: KeyPath, server: Mapping[str, Any]) -> Iterator[Problem]:
    if values(server).get("type") not in CUSTOM:
        said = "a custom server needs the custom property type, one that is read"
        yield document.problem(path, said, f"add {{property: type, value: …}}; valid: {', '.join(CUSTOM)}")


def _file_place(
    document: Document, path: KeyPath, server: Mapping[str, Any], dataset: Dataset
) -> Iterator[Problem]:
    kind, form = str(server.get("type")), server.get("format")
    if form not in FORMATS:
        said = "unknown format" if form else "the key is missing"
        yield document.problem((*path, "format"), said, suggestion(form, FORMATS))
        return
    key = "path" if kind == "local" or (kind == "custom" and "location" not in server) else "location"
    if not isinstance(server.get(key), str):
        yield document.problem((*path, key), "the key is missing", "write where the files lie")
        return
    delta = _in_delta(server)
    needed = {"table"} if dataset == "features" else set()
    known = ("landing", "table") if delta else _PLACEHOLDERS
    needed |= set() if delta else {"date"}
    yield from _template(document, (*path, key), server[key], needed, known)
    if kind != "local" and "{landing}" in server[key]:
        said = "{landing} is a folder of this machine"
        yield document.problem((*path, key), said, "write the address, as in s3://bucket/folder")
    yield from _addressed(document, (*path, key), kind, server[key])
    yield from _file_options(document, path, server, str(form), delta=delta)


_ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "s3": ("s3://", "s3a://"),
    "azure": ("az://", "abfs://", "abfss://", "azure://", "adl://", "https://"),
}


def _addressed(document: Document, path: KeyPath, kind: str, location: str) -> Iterator[Problem]:
    known = _ADDRESSES.get(kind, ())
    if known and not location.startswith(known):
        said = f"no address of type {kind}"
        yield document.problem(path, said, f"it starts with {' or '.join(known)}")


def _file_options(
    document: Document, path: KeyPath, server: Mapping[str, Any], form: str, *, delta: bool
) -> Iterator[Problem]:
    said, written = values(server), _written(path, server)
    for key in FITS.keys() & written.keys():
        if form not in FITS[key]:
            valid = f"it fits {', '.join(FITS[key])}"
            yield document.problem(written[key], f"{key} does not fit {form}", valid)
    for key in ("encoding", "delimiter"):
        if key in server and (wrong := CHECKS[key](server[key])):
            yield document.problem((*path, key), *wrong)
    for key in sorted(_OF_DATABASES & said.keys()):
        yield document.problem(written[key], f"{key} fits databases only", "remove it")
    yield from _file_watermark(document, path, server, form, delta=delta)
    for key in said.keys() & {"mapping", "features"}:
        yield from _mapped(document, written[key], column_names(said[key]))


def _file_watermark(
    document: Document, path: KeyPath, server: Mapping[str, Any], form: str, *, delta: bool
) -> Iterator[Problem]:
    said, written = values(server), _written(path, server)
    if form == "delta" and "watermarkColumn" not in said:
        yield document.problem(path, *_NO_WATERMARK)
    if delta and said.get("watermarkType", "timestamp") not in DELTA_WATERMARKS:
        valid = f"valid: {listed(DELTA_WATERMARKS)}"
        yield document.problem(written["watermarkType"], "a type that Delta tables do not have", valid)
    for key in sorted({"watermarkColumn", "watermarkType"} & said.keys()) if not delta else ():
        yield document.problem(written[key], f"{key} fits databases and delta only", "remove it")


def _written(path: KeyPath, server: Mapping[str, Any]) -> dict[str, KeyPath]:
    """Return where each key and custom property of a server is written."""
    added = {name: (*path, "customProperties", place) for name, (place, _) in customs(server).items()}
    return {key: (*path, key) for key in server} | added


_NO_WATERMARK = (
    "nothing says which rows are new",
    "add the custom property watermarkColumn, a column that tells when a row was written",
)


def _mapped(document: Document, path: KeyPath, names: list[Any]) -> Iterator[Problem]:
    known = sorted(
        {
            str(column.get("name"))
            for _, table in items(document.data, "schema")
            for _, column in items(table, "properties")
            if isinstance(column, dict)
        }
    )
    for name in names:
        if name not in known:
            yield document.problem(path, f"no table has a column {name!r}", suggestion(name, known))


def _sql_place(
    document: Document, path: KeyPath, server: Mapping[str, Any], dataset: Dataset
) -> Iterator[Problem]:
    said, places = values(server), customs(server)
    if "watermarkColumn" not in said and said.get("format") != "inference-table":
        yield document.problem(path, *_NO_WATERMARK)
    for key in ("mapping", "features", *DELIMITED, "encoding"):
        if key in places and said.get("format") not in LOGS:
            here = (*path, "customProperties", places[key][0])
            yield document.problem(here, f"{key} does not fit a database", "remove it")
    needed = {"table"} if dataset == "features" else set()
    if isinstance(said.get("table"), str) and "query" not in said:
        here = (*path, "customProperties", places["table"][0], "value")
        yield from _template(document, here, said["table"], needed, ("table",))
    if needed and "{table}" not in str(said.get("query", "{table}")):
        here = (*path, "customProperties", places["query"][0], "value")
        yield document.problem(here, "{table} is missing", "each feature view has its own rows")


def _template(
    document: Document,
    path: KeyPath,
    template: str,
    needed: set[str],
    known: tuple[str, ...],
) -> Iterator[Problem]:
    try:
        parts = [(name, form, turn) for _, name, form, turn in string.Formatter().parse(template)]
    except ValueError:
        yield document.problem(path, "braces that do not match", f"placeholders: {_braced(known)}")
        return
    named = {name for name, _, _ in parts if name is not None}
    for name in sorted(named - set(known)):
        yield document.problem(path, f"unknown placeholder {{{name}}}", suggestion(name, known))
    if any(form or turn for _, form, turn in parts):
        yield document.problem(path, "a placeholder with a format", "write {date}; it is YYYY-MM-DD")
    dated = "date" in named or {"year", "month", "day"} <= named
    if "date" in needed and not dated:
        why = "each day has its own files"
        yield document.problem(path, "{date} is missing", f"{why}; or write {{year}}, {{month}} and {{day}}")
    if "table" in needed - named:
        yield document.problem(path, "{table} is missing", "each feature view has its own place")


def _braced(words: tuple[str, ...]) -> str:
    return listed([f"{{{word}}}" for word in words])
