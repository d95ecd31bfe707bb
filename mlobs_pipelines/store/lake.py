"""The lake: tables of one model side by side, written by whole partitions and read by them.

A write is one atomic commit, is skipped where it would change nothing, and is done again from its start when
another writer got in between. Layouts come from the caller; what a table means is not known here.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import CommitFailedError

from mlobs_pipelines.store import delta, stream
from mlobs_pipelines.store.content import content_hash
from mlobs_pipelines.store.delta import LakeError, StoredFile, TableMissingError, TableState
from mlobs_pipelines.store.layout import LayoutMismatchError, TableLayout, ordered, prepared
from mlobs_pipelines.store.place import Place
from mlobs_pipelines.store.remembered import Remembered
from mlobs_pipelines.store.seen import SeenStates
from mlobs_pipelines.store.selection import Between, Key, Where, check_filter, checked_keys, matches

if TYPE_CHECKING:  # imports pandas, which takes longer than to read a table
    import pyarrow.dataset as ds

_HASHES = Remembered()
_STATES = SeenStates()

__all__ = [
    "Between",
    "Key",
    "Lake",
    "LakeError",
    "LayoutMismatchError",
    "PartitionVersion",
    "TableLayout",
    "TableMissingError",
    "TableSummary",
    "Where",
]


@dataclass(frozen=True, slots=True)
class PartitionVersion:
    """What one partition holds at one version of its table.

    Attributes
    ----------
    key
        Values of the partition columns.
    rows, bytes
        Size; `bytes` is that of the Parquet files.
    content_hash
        Hash of the rows without volatile columns: equal for equal content, whoever wrote it.
    table_version
        Version of the table to travel to.
    changed
        Whether the write that returned this put new content there; False when only read.
    """

    key: Key
    rows: int
    bytes: int
    content_hash: str
    table_version: int
    changed: bool = False


@dataclass(frozen=True, slots=True)
class TableSummary:
    """Size and content of a whole table; `content_hash` does not depend on the order of commits."""

    table: str
    version: int
    partitions: int
    rows: int
    bytes: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Lake:
    """Delta tables at ``<root>/<model>/<table>/``.

    Parameters
    ----------
    root
        A local folder or the URL of an object store.
    storage_options
        Credentials and endpoint of an object store, under delta-rs's names.
    attempts
        How often a write is tried against other writers of the same partitions.
    """

    root: str
    storage_options: Mapping[str, str] | None = field(default=None, repr=False)
    attempts: int = 10

    @property
    def place(self) -> Place:
        """The root as a place that opens files."""
        return Place(str(self.root), dict(self.storage_options or {}))

    def replace(
        self,
        model: str,
        layout: TableLayout,
        partitions: Sequence[Sequence[str]],
        rows: pa.Table,
        *,
        commit: Mapping[str, str],
    ) -> dict[Key, PartitionVersion]:
        """Make the named partitions hold exactly these rows, in one commit.

        Partitions that already hold them are left alone; a named partition without rows becomes empty.

        Parameters
        ----------
        partitions
            Values of the partition columns, in the layout's order. Rows outside of them are refused.
        rows
            Rows that fit the layout without a lossy cast, in any order.
        commit
            Kept with the commit: run id, batch id, code and contract version.

        Returns
        -------
        dict
            One entry per named partition.

        Raises
        ------
        LayoutMismatchError
            If rows or the stored table do not fit the layout.
        LakeError
            If other writers of the same partitions won every attempt.
        """
        return self.update(model, layout, partitions, lambda: rows, commit=commit)

    def update(
        self,
        model: str,
        layout: TableLayout,
        partitions: Sequence[Sequence[str]],
        compute: Callable[[], pa.Table],
        *,
        commit: Mapping[str, str],
    ) -> dict[Key, PartitionVersion]:
        """Like `replace`, with rows computed after the table's version was read, again on every attempt.

        So rows that lost to a concurrent writer are computed anew from inputs that include that writer's.
        """
        wanted = checked_keys(layout.name, layout.keys, partitions)
        address = self.place.table(model, layout.name)
        for pause_s in delta.pauses(self.attempts):
            try:
                return self._publish(address, layout, wanted, compute, commit)
            except CommitFailedError:
                time.sleep(pause_s)
        raise LakeError(
            f"table {layout.name} of {model}: other runs kept writing the same partitions through "
            f"{self.attempts} attempts; run again when they have ended",
        )

    def stream(
        self,
        model: str,
        layout: TableLayout,
        partition: Sequence[str],
        compute: stream.Compute,
        *,
        commit: Mapping[str, str],
    ) -> PartitionVersion:
        """Like `update`, for one partition that need not fit into memory: `compute` yields its tables.

        Rows keep their order, and the content hash depends on it and on where the tables are cut.
        """
        (key,) = checked_keys(layout.name, layout.keys, [partition])
        target = stream.Target(self.place, self.place.table(model, layout.name), layout, key)
        done = stream.publish(target, compute, commit, delta.pauses(self.attempts))
        return PartitionVersion(
            key, done.rows, done.bytes, done.content_hash, done.table_version, done.changed
        )

    def read(
        self,
        model: str,
        table: str | TableLayout,
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Rows of the matching partitions, by partition and in their stored order.

        Parameters
        ----------
        table
            Name of a table, which must exist, or a layout: then a missing table reads as an empty one, and
            a column that the table does not have yet as nulls.
        where
            Per partition column a value, a collection of values, or a `Between`.
        version
            Version of the table; the latest by default.
        """
        if isinstance(table, TableLayout) and not self.exists(model, table.name):
            return table.empty().select(list(columns or table.schema.names))
        dataset = self.dataset(model, table, where=where, version=version)
        unknown = sorted(set(columns or ()) - set(dataset.schema.names))
        if unknown:
            raise LayoutMismatchError(f"table {_name(table)} of {model} has no column {', '.join(unknown)}")
        try:
            return dataset.to_table(columns=None if columns is None else list(columns))
        except FileNotFoundError:
            raise LakeError(
                f"table {_name(table)} of {model} at version {version}: its files have expired; "
                "read a later version or compute the partition again",
            ) from None

    def dataset(
        self, model: str, table: str | TableLayout, *, where: Where | None = None, version: int | None = None
    ) -> "ds.Dataset":
        """The matching partitions as an Arrow dataset, for scans by column and by batch."""
        state, files = self._select(model, _name(table), where, version)
        schema = table.schema if isinstance(table, TableLayout) else state.schema
        return self._dataset(state.keys, files, schema)

    def files(
        self, model: str, table: str, *, where: Where | None = None, version: int | None = None
    ) -> list[str]:
        """Live Parquet files of the matching partitions, for scans by DuckDB or Spark."""
        return [file.path for file in self._select(model, table, where, version)[1]]

    def exists(self, model: str, table: str) -> bool:
        """Whether the table has been created."""
        return _STATES.exists(self.place, self.place.table(model, table))

    def partitions(
        self, model: str, table: str, *, where: Where | None = None, version: int | None = None
    ) -> dict[Key, int]:
        """Partitions that hold rows, in order, each with how many."""
        files = _by_key(self._select(model, table, where, version)[1])
        return {key: sum(file.rows for file in files[key]) for key in sorted(files)}

    def partition_versions(
        self, model: str, table: str, *, where: Where | None = None, version: int | None = None
    ) -> dict[Key, PartitionVersion]:
        """What each matching partition holds; reads the rows that this process has not seen."""
        state, files = self._select(model, table, where, version)
        layout, grouped = state.layout(table), _by_key(files)
        return {key: self._stored(state.version, layout, key, grouped[key]) for key in grouped}

    def columns(self, model: str, table: str) -> tuple[list[str], list[str]]:
        """Names of the partition columns, and of all columns."""
        state = self._at(model, table)
        return list(state.keys), state.schema.names

    def version(self, model: str, table: str) -> int:
        """The table's latest version."""
        return self._at(model, table).version

    def history(self, model: str, table: str, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits of a table, latest first, each with what its writer gave as `commit`."""
        opened = delta.open_table(self.place.table(model, table), dict(self.place.options))
        return list(opened.history(limit))

    def tables(self, model: str) -> list[str]:
        """Names of a model's tables."""
        return self.place.tables(model)

    def summary(self, model: str) -> list[TableSummary]:
        """Size and content of every table of a model, to compare two lakes; reads all rows."""
        return [self._summary(model, name) for name in self.tables(model)]

    def _at(self, model: str, table: str, version: int | None = None) -> TableState:
        return _STATES.at(self.place, self.place.table(model, table), version)

    def _select(
        self, model: str, table: str, where: Where | None, version: int | None
    ) -> tuple[TableState, list[StoredFile]]:
        state = self._at(model, table, version)
        check_filter(table, state.keys, where or {})
        return state, [file for file in state.files if matches(state.keys, file.key, where or {})]

    def _dataset(self, keys: Key, files: Sequence[StoredFile], schema: pa.Schema) -> "ds.Dataset":
        import pyarrow.dataset as ds  # noqa: PLC0415 - slow, and not needed for what DuckDB reads

        filesystem, form = self.place.filesystem(), ds.ParquetFileFormat()
        fragments = [
            form.make_fragment(self.place.inside(file.path), filesystem, _expression(keys, file.key))
            for file in files
        ]
        return ds.FileSystemDataset(fragments, schema, form, filesystem)

    def _publish(
        self,
        address: str,
        layout: TableLayout,
        wanted: list[Key],
        compute: Callable[[], pa.Table],
        commit: Mapping[str, str],
    ) -> dict[Key, PartitionVersion]:
        state = _STATES.ready(self.place, address, layout)
        given = prepared(compute(), layout, wanted)
        stored = _by_key(state.files, wanted)
        hashes = {key: content_hash(given[key], ignore=layout.volatile) for key in wanted}
        changed = [key for key in wanted if not self._holds(layout, stored[key], given[key], hashes[key])]
        if changed:
            rows, before = pa.concat_tables([given[key] for key in changed]), state.version
            state = _STATES.overwrite(self.place, address, before, layout, changed, rows, commit)
            stored = _by_key(state.files, wanted)
            # After any other commit the files may be another writer's.
            for key in changed if state.version == before + 1 else ():
                _HASHES.put(stored[key], layout, hashes[key])
        return {
            key: PartitionVersion(
                key,
                given[key].num_rows,
                _size(stored[key]),
                hashes[key],
                state.version,
                changed=key in changed,
            )
            for key in wanted
        }

    def _holds(self, layout: TableLayout, files: Sequence[StoredFile], rows: pa.Table, wanted: str) -> bool:
        if sum(file.rows for file in files) != rows.num_rows:
            return False
        return not files or self._hash(layout, files) == wanted

    def _hash(self, layout: TableLayout, files: Sequence[StoredFile]) -> str:
        streamed = stream.streamed_hash(files)
        if streamed is not None:
            return streamed

        def compute() -> str:
            kept = [name for name in layout.schema.names if name not in layout.volatile]
            rows = self._dataset(layout.keys, files, layout.schema).to_table(columns=kept)
            return content_hash(ordered(rows, layout))

        return _HASHES.get(files, layout, compute)

    def _stored(
        self, version: int, layout: TableLayout, key: Key, files: Sequence[StoredFile]
    ) -> PartitionVersion:
        rows = sum(file.rows for file in files)
        return PartitionVersion(key, rows, _size(files), self._hash(layout, files), version)

    def _summary(self, model: str, table: str) -> TableSummary:
        version = self.version(model, table)
        parts = self.partition_versions(model, table, version=version).values()
        said = "\n".join(f"{part.key} {part.rows} {part.content_hash}" for part in parts)
        return TableSummary(
            table,
            version,
            len(parts),
            sum(part.rows for part in parts),
            sum(part.bytes for part in parts),
            hashlib.sha256(said.encode()).hexdigest(),
        )


def _by_key(files: Sequence[StoredFile], keys: Collection[Key] | None = None) -> dict[Key, list[StoredFile]]:
    grouped: dict[Key, list[StoredFile]] = {key: [] for key in keys or ()}
    for file in files:
        if keys is None or file.key in grouped:
            grouped.setdefault(file.key, []).append(file)
    return grouped


def _expression(keys: Sequence[str], values: Key) -> pc.Expression:
    return reduce(and_, (pc.field(name) == value for name, value in zip(keys, values, strict=True)))


def _size(files: Sequence[StoredFile]) -> int:
    return sum(file.bytes for file in files)


def _name(table: str | TableLayout) -> str:
    return table.name if isinstance(table, TableLayout) else table
