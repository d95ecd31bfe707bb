"""One Delta table: opening, creating and evolving it, its live files, and one commit.

What the lake needs of delta-rs and nothing more. Files are found through the log and read by Arrow, never by
``to_pyarrow_table``; nothing is tried again and no contents are compared here.
"""

import json
import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Schema,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError, TableNotFoundError

from mlobs_pipelines.store.layout import LayoutMismatchError, TableLayout, same_type
from mlobs_pipelines.store.selection import Key, predicate

_UNREADABLE_BY_FILE = {"deletionVectors", "columnMapping"}
ROW_GROUP = 131_072  # rows; a larger group is held in memory whole by every writer and reader of it
_LAYOUT_PROPERTY = "mlobs.layout"
_CONFIGURATION: Mapping[str, str | None] = {
    # min/max of columns would copy row values into the log and prune nothing: readers select by partition
    "delta.dataSkippingNumIndexedCols": "0",
    # versions named by a metric row stay readable until retention says otherwise
    "delta.enableExpiredLogCleanup": "false",
}


class LakeError(RuntimeError):
    """The lake cannot do what was asked; the message says why and what to do."""


class TableMissingError(LakeError):
    """No table, or not this version of it, at the place asked for."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A live Parquet file of a table: where it is, its partition, and its size."""

    path: str
    key: Key
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TableState:
    """A table at one of its versions: its columns, and the files that are its rows.

    Attributes
    ----------
    version
        The version.
    schema, keys
        All columns, and the names of the partition columns.
    sort_by, volatile
        Of the layout that it was last written with.
    files
        Live files by partition, then by path.
    """

    version: int
    schema: pa.Schema
    keys: Key
    sort_by: Key
    volatile: Key
    files: tuple[StoredFile, ...]

    def layout(self, name: str) -> TableLayout:
        """The layout that the table was last written with."""
        return TableLayout(name, self.schema, self.keys, self.sort_by, self.volatile)

    def fits(self, layout: TableLayout) -> bool:
        """Whether rows of a layout can be written without a change to the table."""
        mine = (self.schema, self.keys, self.sort_by, self.volatile)
        return mine == (layout.schema, layout.keys, layout.sort_by, layout.volatile)


def open_table(address: str, options: Mapping[str, str], version: int | None = None) -> DeltaTable:
    """Open a table at a version (the latest by default).

    Raises
    ------
    TableMissingError
        If there is no such table or version.
    LakeError
        If another writer turned on a feature under which live files alone are not the table's rows.
    """
    try:
        table = DeltaTable(address, version=version, storage_options=dict(options))
    except TableNotFoundError:
        raise TableMissingError(f"no table at {address}; materialize it, or check the lake's root") from None
    except DeltaError as error:
        wanted = "its latest version" if version is None else f"version {version}"
        raise TableMissingError(f"cannot open {wanted} of the table at {address}; see its history") from error
    check_protocol(address, table)
    return table


def pauses(attempts: int) -> Iterator[float]:
    """Seconds to wait after each attempt that lost to another writer, ever longer and never in step."""
    for attempt in range(attempts):
        yield min(2.0, 0.02 * 2**attempt) * random.uniform(0.5, 1.5)  # noqa: S311 - spreads writers, guards nothing


def check_protocol(address: str, table: DeltaTable) -> None:
    """Refuse a table whose rows are not simply the rows of its live files."""
    features = set(table.protocol().reader_features or ()) & _UNREADABLE_BY_FILE
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")
    if features:
        raise LakeError(
            f"table at {address} uses {', '.join(sorted(features))}, so its files cannot be read directly; "
            "copy it into a table without these features",
        )


def ensure_table(address: str, options: Mapping[str, str], layout: TableLayout) -> DeltaTable:
    """Open a table, creating it or adding nullable columns to it where the layout says so.

    Raises
    ------
    LayoutMismatchError
        If the stored table differs from the layout by more than new nullable columns.
    """
    if not DeltaTable.is_deltatable(address, storage_options=dict(options)):
        _create(address, options, layout)
    table = open_table(address, options)
    _evolve(table, layout)
    return table


def table_schema(table: DeltaTable) -> pa.Schema:
    """The Arrow schema of a table."""
    return pa.schema(table.schema().to_arrow())


def state_of(table: DeltaTable, address: str) -> TableState:
    """What readers need of an open table; it stays as it is when the table is written to."""
    metadata = table.metadata()
    kept = json.loads(metadata.configuration.get(_LAYOUT_PROPERTY, "{}"))
    return TableState(
        int(table.version()),
        table_schema(table),
        tuple(metadata.partition_columns),
        tuple(kept.get("sort_by", ())),
        tuple(kept.get("volatile", ())),
        tuple(live_files(table, address)),
    )


def live_files(table: DeltaTable, address: str) -> list[StoredFile]:
    """Files of a table by partition, then by path.

    Paths are made from the log, where they are percent-encoded, because `file_uris` leaves them so and a
    lake under a folder with a space could not be opened.
    """
    # not pa.table, which imports pandas: that takes longer than to read a small table
    actions = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()
    keys = zip(*(_partition_values(actions, key) for key in table.metadata().partition_columns), strict=True)
    paths = [f"{address}/{unquote(path)}" for path in actions.column("path").to_pylist()]
    rows = [-1 if count is None else count for count in actions.column("num_records").to_pylist()]
    sizes = actions.column("size_bytes").to_pylist()
    files = [StoredFile(*parts) for parts in zip(paths, keys, rows, sizes, strict=True)]
    return sorted(files, key=lambda file: (file.key, file.path))


def overwrite(
    table: DeltaTable,
    layout: TableLayout,
    partitions: Collection[Key],
    rows: pa.Table,
    commit: Mapping[str, str],
) -> None:
    """Replace whole partitions by rows in one commit, against the version the table was opened at.

    Raises
    ------
    deltalake.exceptions.CommitFailedError
        If another writer has committed to one of these partitions since.
    """
    write_deltalake(
        table,
        rows,
        mode="overwrite",
        predicate=predicate(layout.keys, partitions),
        commit_properties=CommitProperties(custom_metadata=dict(commit)),
        writer_properties=_parquet(layout.schema),
    )


def _parquet(schema: pa.Schema) -> WriterProperties:
    # a dictionary of floats is seldom smaller than the floats and takes most of the time of writes and scans
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(
        compression="SNAPPY", max_row_group_size=ROW_GROUP, column_properties=dict.fromkeys(floats, plain)
    )


def _create(address: str, options: Mapping[str, str], layout: TableLayout) -> None:
    DeltaTable.create(
        address,
        layout.schema,
        mode="ignore",
        partition_by=list(layout.keys),
        configuration={**_CONFIGURATION, **_layout_property(layout)},
        storage_options=dict(options),
        raise_if_key_not_exists=False,
    )


def _layout_property(layout: TableLayout) -> dict[str, str]:
    return {_LAYOUT_PROPERTY: json.dumps({"sort_by": layout.sort_by, "volatile": layout.volatile})}


def _evolve(table: DeltaTable, layout: TableLayout) -> None:
    stored = table_schema(table)
    _check_compatible(stored, tuple(table.metadata().partition_columns), layout)
    added = [field for field in layout.schema if field.name not in stored.names]
    if added:
        table.alter.add_columns(Schema.from_arrow(pa.schema(added)).fields)
    wanted = _layout_property(layout)
    if table.metadata().configuration.get(_LAYOUT_PROPERTY) != wanted[_LAYOUT_PROPERTY]:
        table.alter.set_table_properties(wanted, raise_if_not_exists=False)


def _check_compatible(stored: pa.Schema, keys: Key, layout: TableLayout) -> None:
    problems = [
        f"{field.name} is stored as {field.type}" for field in stored if _retyped(field, layout.schema)
    ]
    problems += [
        f"{name} is stored but not in the layout" for name in stored.names if name not in layout.schema.names
    ]
    problems += [
        f"{field.name} is new and not nullable"
        for field in layout.schema
        if field.name not in stored.names and not field.nullable
    ]
    if keys != layout.keys:
        problems.append(f"it is partitioned by {', '.join(keys)}, not by {', '.join(layout.keys)}")
    if problems:
        raise LayoutMismatchError(
            f"table {layout.name} does not fit its layout: {'; '.join(problems)}. Only nullable columns can "
            "be added; for anything else rebuild the table under a new name or move the old one away",
        )


def _retyped(field: pa.Field, wanted: pa.Schema) -> bool:
    return field.name in wanted.names and not same_type(field.type, wanted.field(field.name).type)


def _partition_values(actions: pa.Table, key: str) -> list[Any]:
    return list(actions.column(f"partition.{key}").to_pylist())
