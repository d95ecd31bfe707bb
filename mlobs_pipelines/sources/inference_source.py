"""Where Databricks inference tables lie: in a Delta table, a database, or exported Parquet files.

Finds and reads the stored rows; what a stored row means is `inference_table`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from mlobs_pipelines.sources import delta, files, inference_table, sql
from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot, Source, UnreadableError
from mlobs_pipelines.sources.formats import asking, attempt, guarded
from mlobs_pipelines.sources.registry import FILE_KINDS

FORM = "inference-table"


def deliveries(place: Place, slot: Slot) -> Iterator[Delivery]:
    """Yield what the slot's stored rows are mapped to; see `deliveries.Source`.

    The option `storage` says whether they are stored as delta or parquet. Without it, a location with a date,
    a glob or the suffix .parquet is files and any other a Delta table, which is read by its column
    `request_time` unless the contract declares another watermark.
    """
    stored = Slot(slot.table, slot.day, inference_table.COLUMNS)
    options = {"watermark": "request_time", **place.options}
    form = _storage(place)
    for found in _READERS[form](replace(place, format=form, options=options), stored):
        yield found if found.problem else _mapped(found, place, slot)


def _storage(place: Place) -> str:
    if place.kind not in FILE_KINDS:
        return "sql"
    location = place.location.replace("{table}", "")
    in_files = location.endswith(".parquet") or "{" in location or "*" in location
    return place.options.get("storage") or ("parquet" if in_files else "delta")


_READERS: Mapping[str, Source] = {
    "parquet": files.deliveries,
    "delta": delta.deliveries,
    "sql": sql.deliveries,
}


def _mapped(found: Delivery, place: Place, slot: Slot) -> Delivery:
    try:
        columns = attempt(FORM, lambda: inference_table.columns(found.frames(), place, slot))
    except UnreadableError as error:
        return replace(found, columns={}, frames=Delivery("", "").frames, problem=str(error))
    asked = asking(columns, slot)
    frames = partial(guarded, FORM, lambda: inference_table.map_frames(found.frames(), place, asked))
    return replace(found, columns=columns, frames=frames)
