"""Dagster's SQLite storage with connections that stay open: an event costs a third, a partition has sixty.

What is stored, and where, is Dagster's business; `storage` says when SQLite is used.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import (  # no public name, no public seam for its parts
    DagsterSqliteStorage,
    _event_logs_directory,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

KEPT_OPEN = 8  # databases: the index, and those of the runs that were last written to or looked at
BUSY_S = 120


class SteadySqliteStorage(DagsterSqliteStorage):
    """Dagster's storage, but for how the databases of events are opened."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = SteadyEvents(_event_logs_directory(base_dir))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A database that is open: how, the file it was, and the process that opened it."""

    engine: Engine
    file: int
    process: int


class SteadyEvents(SqliteEventLogStorage):
    """Dagster's event log, which opens a database once instead of five times for every event."""

    def __init__(self, base_dir: str) -> None:
        self._open: OrderedDict[str, _Opened] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; tables do not go away."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        with self._db_lock:
            while self._open:
                self._open.popitem()[1].engine.dispose()

    def _engine(self, shard: str) -> Engine:
        path = Path(self.path_for_shard(shard))
        found = self._open.get(shard)
        if found is not None and (found.file, found.process) != (_file(path), os.getpid()):
            self._forget(shard, found)
            found = None
        if found is None:
            self._open[shard] = found = self._opened(shard, path)
        self._open.move_to_end(shard)
        while len(self._open) > KEPT_OPEN:
            self._open.popitem(last=False)[1].engine.dispose()
        return found.engine

    def _opened(self, shard: str, path: Path) -> _Opened:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,  # one connection; the lock keeps threads apart
            connect_args={"timeout": BUSY_S, "check_same_thread": False},
        )
        event.listen(engine, "connect", _relaxed)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return _Opened(engine, _file(path), os.getpid())

    def _forget(self, shard: str, found: _Opened) -> None:
        """Let go of a database that was deleted, or that a parent process has opened."""
        del self._open[shard]
        self._initialized_dbs.discard(shard)
        found.engine.dispose(close=found.process == os.getpid())


def _relaxed(connection: Any, _: object) -> None:  # noqa: ANN401 - SQLAlchemy's own signature
    # With write-ahead logging a crash of the process loses nothing, one of the machine the last moments.
    connection.execute("PRAGMA synchronous=NORMAL")


def _file(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1
