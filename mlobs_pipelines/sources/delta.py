"""A Delta table that somebody else writes: the rows of one day by a watermark column, as one delivery.

Live files are found through the table's log and read as Parquet, one after the other, of one version. The
delivery's digest is of the rows, so that compaction or other days' commits make no new delivery.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa

from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot, UnreadableError
from mlobs_pipelines.sources.formats import attempt, guarded, wanted
from mlobs_pipelines.sources.local_folders import LocalFolders
from mlobs_pipelines.sources.object_folders import ObjectFolders
from mlobs_pipelines.sources.parquet import look
from mlobs_pipelines.sources.row_digest import RowDigest
from mlobs_pipelines.sources.templates import Item, PlaceError

if TYPE_CHECKING:
    from deltalake import DeltaTable

_BY_LOG = {"deletionVectors", "columnMapping"}
_EPOCHS = {"epoch-s": 1, "epoch-ms": 10**3, "epoch-us": 10**6, "epoch-ns": 10**9}
_TYPES = ("timestamp", "date", "string", "integer-day", *_EPOCHS)


@dataclass(frozen=True, slots=True)
class _File:
    """A live file: its path from the place's root, its bytes, and the values its partition gives its rows."""

    item: Item
    partition: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Window:
    """One day of a table at one version."""

    place: Place
    slot: Slot
    schema: pa.Schema
    names: tuple[str, ...]
    watermark: str
    files: tuple[_File, ...]


def deliveries(place: Place, slot: Slot) -> Iterator[Delivery]:
    """Yield the rows of one day as one delivery; none if there are none.

    Parameters
    ----------
    place
        `location` is the table's root, with `{table}` for the contract's table; `options["watermark"]` is
        the column that says when a row was written, `options["watermark_type"]` how: timestamp (the default;
        UTC where it has no zone), date, string (ISO 8601 in UTC), integer-day (20130621) or epoch-s, -ms, -us
        and -ns. Rows without a watermark are in no day:
        where the table's statistics tell of any, a second delivery says so.

    Raises
    ------
    PlaceError
        If there is no such table or it cannot be reached.
    """
    address = place.location.replace("{table}", slot.table).rstrip("/")
    table = _open(place, address)
    name = f"{address.rsplit('/', 1)[-1]}@v{table.version()}"
    try:
        window, undated = attempt("Delta", lambda: _window(table, place, slot, address))
        digest = attempt("Delta", lambda: _digest(window))
    except UnreadableError as error:
        yield Delivery(name, "", problem=str(error))
        return
    columns = {field.name: str(field.type) for field in window.schema}
    if digest.rows:
        size = sum(file.item.size for file in window.files)
        frames = partial(guarded, "Delta", partial(_frames, window))
        yield Delivery(name, digest.hexdigest(), size, columns, frames)
    if undated:
        problem = (
            f"{undated:,} rows have no {window.watermark}, and belong to no day; fill it in at the source"
        )
        yield Delivery(f"{name}:undated", f"undated-{undated}", 0, columns, problem=problem)


def _open(place: Place, address: str) -> "DeltaTable":
    from deltalake import DeltaTable  # noqa: PLC0415 -- only for places that need it
    from deltalake.exceptions import DeltaError  # noqa: PLC0415 -- as above

    options = {name: place.options[name] for name in ("endpoint", "region") if place.options.get(name)}
    options |= place.access
    if options.get("endpoint", "").startswith("http://"):
        options["allow_http"] = "true"
    try:
        return DeltaTable(address, storage_options=options)
    except (DeltaError, OSError, ValueError) as error:
        kind = type(error).__name__
    raise PlaceError(
        f"no Delta table can be opened at {address} ({kind}): check the contract's location, that the table "
        "exists, the endpoint and the credentials"
    )


def _window(table: "DeltaTable", place: Place, slot: Slot, address: str) -> tuple[_Window, int]:
    _refuse_rows_by_log(table)
    schema = pa.schema(table.schema().to_arrow())
    watermark = place.options.get("watermark", "")
    if watermark not in schema.names:
        raise UnreadableError(
            f"the table has no column {watermark or '(no watermark declared)'}, which should say when a row "
            f"was written; its columns are {', '.join(schema.names)}: mend watermark in the contract"
        )
    if place.options.get("watermark_type", "timestamp") not in _TYPES:
        raise UnreadableError(
            f"watermark_type of a Delta table is one of {', '.join(_TYPES)}; mend the contract"
        )
    kept = wanted(dict.fromkeys(schema.names, ""), slot)
    files, undated = _live_files(table, place, slot, address)
    return _Window(place, slot, schema, tuple(kept), watermark, files), undated


def _refuse_rows_by_log(table: "DeltaTable") -> None:
    features = set(table.protocol().reader_features or ()) & _BY_LOG
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")
    if features:
        raise UnreadableError(
            f"the table uses {', '.join(sorted(features))}, so its files are not its rows; turn that off "
            "and rewrite the table, or deliver a copy without it"
        )


def _live_files(table: "DeltaTable", place: Place, slot: Slot, address: str) -> tuple[tuple[_File, ...], int]:
    watermark, keys = place.options["watermark"], table.metadata().partition_columns
    files, undated = [], 0
    for action in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        undated += _undated(action, watermark, keys)
        if _may_have(action, watermark, slot.day):
            # the log has paths percent-encoded
            item = Item(f"{address}/{unquote(action['path'])}", action["size_bytes"])
            files.append(_File(item, {key: action[f"partition.{key}"] for key in keys}))
    return tuple(sorted(files, key=lambda file: file.item.path)), undated


def _undated(action: dict[str, Any], watermark: str, keys: list[str]) -> int:
    if watermark in keys:
        return (action["num_records"] or 1) if action[f"partition.{watermark}"] is None else 0
    return action.get(f"null_count.{watermark}") or 0


def _may_have(action: dict[str, Any], watermark: str, day: date) -> bool:
    """Whether a file can have rows of a day, as far as its partition and statistics say."""
    if f"partition.{watermark}" in action:
        exact = _day(action[f"partition.{watermark}"])
        return exact is None or exact == day
    low, high = _day(action.get(f"min.{watermark}")), _day(action.get(f"max.{watermark}"))
    return (low is None or low <= day) and (high is None or high >= day)


def _day(value: object) -> date | None:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).date()
    return value if isinstance(value, date) else None


def _digest(window: _Window) -> RowDigest:
    digest = RowDigest()
    for frame in _frames(window):
        digest.add(frame)
    return digest


def _frames(window: _Window) -> Iterator[pl.DataFrame]:
    for file in window.files:
        yield from _rows(window, file)


def _rows(window: _Window, file: _File) -> Iterator[pl.DataFrame]:
    place, names = window.place, dict.fromkeys((*window.names, window.watermark))
    folders = LocalFolders(place) if place.kind == "local" else ObjectFolders(place)
    content = folders.content(file.item)
    seen = look(content.open, place, Slot(window.slot.table, window.slot.day, tuple(names)))
    for frame in seen.frames():
        whole = frame.select(_cell(window, file, frame, name) for name in names)
        found = whole.filter(_in_day(whole.schema[window.watermark], window)).select(window.names)
        if found.height:
            yield found
    content.settle()


def _cell(window: _Window, file: _File, frame: pl.DataFrame, name: str) -> pl.Expr:
    """A column as the table has it: from the file, from its partition, or null where the file is older."""
    dtype = pl.DataFrame(pl.from_arrow(window.schema.empty_table().select([name]))).schema[name]
    if name in file.partition:
        return pl.lit(file.partition[name]).cast(dtype).alias(name)
    if name not in frame.columns:
        return pl.lit(None, dtype).alias(name)
    return pl.col(name).cast(dtype)


def _in_day(dtype: pl.DataType, window: _Window) -> pl.Expr:
    value, day = pl.col(window.watermark), window.slot.day
    kind = window.place.options.get("watermark_type", "timestamp")
    if not _fits(dtype, kind):
        problem = f"column {window.watermark} does not hold values of type {kind}"
        raise UnreadableError(f"{problem}; mend watermark_type in the contract")
    if kind == "string":
        return value.str.starts_with(day.isoformat())
    if kind == "date":
        return value == day
    if kind == "integer-day":
        return value == int(f"{day:%Y%m%d}")
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if kind in _EPOCHS:
        first = int(start.timestamp()) * _EPOCHS[kind]
        return (value >= first) & (value < first + 86_400 * _EPOCHS[kind])
    zoned = value if getattr(dtype, "time_zone", None) else value.dt.replace_time_zone("UTC")
    return (zoned >= start) & (zoned < start + timedelta(days=1))


def _fits(dtype: pl.DataType, kind: str) -> bool:
    if kind in ("string", "date"):
        return dtype == (pl.String if kind == "string" else pl.Date)
    return isinstance(dtype, pl.Datetime) if kind == "timestamp" else dtype.is_numeric()
