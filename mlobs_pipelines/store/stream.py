"""A partition too large for memory, written table by table into one file and published in one commit.

It promises what `Lake.replace` does: atomic, skipped where nothing changes, computed anew when a writer of
the same partition came first. Rows keep the order they come in; the file is named after its content's hash.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction
from pyarrow import fs

from mlobs_pipelines.store import delta
from mlobs_pipelines.store.content import content_hash, is_text
from mlobs_pipelines.store.delta import LakeError, StoredFile
from mlobs_pipelines.store.layout import TableLayout, conform
from mlobs_pipelines.store.place import Place
from mlobs_pipelines.store.selection import Key

_NAME = re.compile(r"stream-([0-9a-f]{64})-[0-9a-f]{32}\.parquet")
_DISTINCT = 0.2  # above this share of distinct values a dictionary costs more than it saves

Compute = Callable[[], Iterator[pa.Table]]


@dataclass(frozen=True, slots=True)
class _Staged:
    name: str
    rows: int
    bytes: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a streamed write left behind: the stored file, the table's version, and whether it is new."""

    rows: int
    bytes: int
    content_hash: str
    table_version: int
    changed: bool


def streamed_hash(files: Sequence[StoredFile]) -> str | None:
    """The content hash of a partition that was streamed, read off its file's name; None for any other."""
    found = _NAME.search(files[0].path) if len(files) == 1 else None
    return found.group(1) if found else None


@dataclass(frozen=True, slots=True)
class Target:
    """The partition that is written.

    Attributes
    ----------
    place, address
        The lake, and the table's address in it.
    layout, key
        The table, and the partition's values.
    """

    place: Place
    address: str
    layout: TableLayout
    key: Key

    @property
    def values(self) -> dict[str, str]:
        """The partition's values by column."""
        return dict(zip(self.layout.keys, self.key, strict=True))

    @property
    def folder(self) -> str:
        """The partition's folder below the table's address."""
        return "/".join(f"{name}={quote(value)}" for name, value in self.values.items())

    def files(self, opened: DeltaTable) -> list[StoredFile]:
        """Live files of the partition."""
        return [file for file in delta.live_files(opened, self.address) if file.key == self.key]

    def inside(self, name: str) -> str:
        """A file below the table's address, as the filesystem names it."""
        return self.place.inside(f"{self.address}/{name}")

    def open(self) -> DeltaTable:
        """The table at its latest version."""
        return delta.open_table(self.address, dict(self.place.options))


def publish(target: Target, compute: Compute, commit: Mapping[str, str], pauses: Iterator[float]) -> Streamed:
    """Make one partition hold exactly the rows that `compute` yields.

    Parameters
    ----------
    compute
        Yields tables that fit the layout, all of the target's partition; called again after a lost race.
    pauses
        Seconds to wait after each lost race; when they end, so do the attempts.

    Raises
    ------
    LakeError
        If other writers of the partition won every attempt.
    """
    for pause_s in pauses:
        with suppress(CommitFailedError):  # two runs created the table at once
            done = _attempt(target, compute, commit)
            if done is not None:
                return done
        time.sleep(pause_s)
    raise LakeError(
        f"table {target.layout.name}: other runs kept writing partition {'/'.join(target.key)}; "
        "run again when they have ended"
    )


def _attempt(target: Target, compute: Compute, commit: Mapping[str, str]) -> Streamed | None:
    opened = delta.ensure_table(target.address, dict(target.place.options), target.layout)
    before = target.files(opened)
    staged = _stage(target, compute())
    if streamed_hash(before) == staged.content_hash or not (before or staged.rows):
        _discard(target, staged.name)
        kept = sum(file.bytes for file in before)
        return Streamed(staged.rows, kept, staged.content_hash, opened.version(), changed=False)
    published = _commit(target, opened, before, staged, commit)
    if published is None:
        _discard(target, staged.name)
        return None
    return Streamed(staged.rows, staged.bytes, staged.content_hash, published, changed=True)


def _stage(target: Target, tables: Iterator[pa.Table]) -> _Staged:
    filesystem = target.place.filesystem()
    if target.place.is_local:  # an object store has no folders, only objects that look like one
        filesystem.create_dir(target.inside(target.folder), recursive=True)
    aside = f"{target.folder}/stream-{uuid.uuid4().hex}.tmp"
    try:
        rows, digest = _write(filesystem, target.inside(aside), target.layout, tables)
        name = f"{target.folder}/stream-{digest}-{uuid.uuid4().hex}.parquet"
        filesystem.move(target.inside(aside), target.inside(name))
    except BaseException:
        _discard(target, aside)
        raise
    return _Staged(name, rows, filesystem.get_file_info(target.inside(name)).size, digest)


def _write(
    filesystem: fs.FileSystem, path: str, layout: TableLayout, tables: Iterator[pa.Table]
) -> tuple[int, str]:
    schema = pa.schema([item for item in layout.schema if item.name not in layout.keys])
    digest, rows, writer = hashlib.sha256(), 0, None
    with filesystem.open_output_stream(path) as sink, ExitStack() as opened:
        beside = opened.enter_context(ThreadPoolExecutor(1))  # hashing and writing both leave Python alone
        for table in tables:
            fitting = conform(table, layout)
            hashed = beside.submit(content_hash, fitting, ignore=layout.volatile)
            kept, rows = fitting.select(schema.names), rows + fitting.num_rows
            writer = writer or opened.enter_context(_writer(sink, schema, kept))
            writer.write_table(kept, row_group_size=delta.ROW_GROUP)
            digest.update(hashed.result().encode())
        if writer is None:
            opened.enter_context(_writer(sink, schema, schema.empty_table()))
    return rows, digest.hexdigest()


def _writer(sink: pa.NativeFile, schema: pa.Schema, sample: pa.Table) -> pq.ParquetWriter:
    coded = [item.name for item in schema if is_text(item.type) and _repeats(sample.column(item.name))]
    return pq.ParquetWriter(sink, schema, compression="snappy", use_dictionary=coded or False)


def _repeats(values: pa.ChunkedArray) -> bool:
    head = values.slice(0, 20_000)
    return len(head.unique()) <= _DISTINCT * max(len(head), 1)


def _commit(
    target: Target, opened: DeltaTable, before: list[StoredFile], staged: _Staged, commit: Mapping[str, str]
) -> int | None:
    """Commit until it holds; None where another writer has changed this very partition.

    The log cannot tell an overwrite of one partition from one of the table, so a commit to another
    partition refuses this one too; then nothing needs to be computed again.
    """
    while True:
        try:
            opened.create_write_transaction(
                [_action(target, staged)],
                "overwrite",
                Schema.from_arrow(target.layout.schema),
                partition_by=list(target.layout.keys),
                partition_filters=[(name, "=", value) for name, value in target.values.items()],
                commit_properties=CommitProperties(custom_metadata=dict(commit)),
            )
            return int(target.open().version())
        except CommitFailedError:
            opened = target.open()
            if target.files(opened) != before:
                return None


def _action(target: Target, staged: _Staged) -> AddAction:
    return AddAction(
        path=staged.name,
        size=staged.bytes,
        partition_values=target.values,
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": staged.rows}),
    )


def _discard(target: Target, name: str) -> None:
    with suppress(FileNotFoundError):
        target.place.filesystem().delete_file(target.inside(name))
