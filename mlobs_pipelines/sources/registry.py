"""Which kinds of places and which formats there are, each by the one module that knows it.

A new source is a module with `deliveries` and a line here, a new format one with `look`; the conformance
tests run on every line. Modules are imported when a place needs them.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot, Source
from mlobs_pipelines.sources.formats import Look, Opened, Readable, asking

_PACKAGE = "mlobs_pipelines.sources."
BINARY = frozenset({"parquet"})
"""Formats whose files are not compressed as a whole."""
TABLES: Mapping[str, str] = {"delta": "delta", "inference-table": "inference_source"}
"""Formats that are more than one file, by the module that reads them wherever they lie."""


def _format(module: str) -> Look:
    def look(opened: Opened, place: Place, slot: Slot) -> Readable:
        readable: Readable = import_module(_PACKAGE + module).look(opened, place, slot)
        return readable

    return look


def _log(module: str) -> Look:
    def look(opened: Opened, place: Place, slot: Slot) -> Readable:
        mapped = import_module(_PACKAGE + module)
        with opened() as file:
            columns = mapped.columns(file, place, slot)
        asked = asking(columns, slot)
        return Readable(columns, lambda: mapped.frames(opened(), place, asked))

    return look


def _source(module: str) -> Source:
    def deliveries(place: Place, slot: Slot) -> Iterator[Delivery]:
        found = TABLES.get(place.format, module)
        if module == "sql" and found == "delta":
            found = module
        yield from import_module(_PACKAGE + found).deliveries(place, slot)

    return deliveries


FORMATS: Mapping[str, Look] = {
    "parquet": _format("parquet"),
    "csv": _format("delimited"),
    "jsonl": _format("json_lines"),
    "sagemaker-data-capture": _log("sagemaker"),
    "kserve": _log("kserve"),
    "seldon": _log("kserve"),
}
"""Formats of one file, by the format of a place."""

FILE_KINDS = ("local", "s3", "gcs", "azure", "memory")
_FILES, _SQL = _source("files"), _source("sql")
DATABASES = (
    "sqlite",
    "mariadb",
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
SOURCES: Mapping[str, Source] = {
    **dict.fromkeys(FILE_KINDS, _FILES),
    **dict.fromkeys(DATABASES, _SQL),
}
"""By the kind of a place."""
