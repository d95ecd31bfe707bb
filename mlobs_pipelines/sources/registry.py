"""Which kinds of places and which formats there are, each by the one module that knows it.

A new source is a module and a line here; the conformance tests run on every line. Modules are imported when a
place needs them.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot, Source
from mlobs_pipelines.sources.formats import Look, Opened, Readable

_PACKAGE = "mlobs_pipelines.sources."
BINARY = frozenset({"parquet"})
"""Formats whose files are not compressed as a whole."""


def _format(module: str) -> Look:
    def look(opened: Opened, place: Place, slot: Slot) -> Readable:
        readable: Readable = import_module(_PACKAGE + module).look(opened, place, slot)
        return readable

    return look


def _source(module: str) -> Source:
    def deliveries(place: Place, slot: Slot) -> Iterator[Delivery]:
        found = _OWN_SOURCES.get(place.format, module)
        yield from import_module(_PACKAGE + found).deliveries(place, slot)

    return deliveries


_OWN_SOURCES = {"delta": "delta"}

FORMATS: Mapping[str, Look] = {
    "parquet": _format("parquet"),
    "csv": _format("delimited"),
    "jsonl": _format("json_lines"),
}
"""By the format of a place."""

SOURCES: Mapping[str, Source] = {
    "local": _source("files"),
    "s3": _source("files"),
    "gcs": _source("files"),
    "azure": _source("files"),
    "memory": _source("files"),
}
"""By the kind of a place."""
