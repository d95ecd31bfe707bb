"""The embedded SQL engine: DuckDB over Arrow tables, bounded in memory and threads.

A large question gets an engine of its own, whose memory goes with it. Small ones share one, because starting
it takes longer than they do. Queries live beside the step they serve (`joins`); no table is ever stored.
"""

import atexit
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa

SMALL = 4 << 20  # bytes of input


@dataclass(frozen=True, slots=True)
class Duck:
    """Limits of the embedded engine.

    Attributes
    ----------
    memory
        Upper bound of working memory in DuckDB's notation; what exceeds it spills to `spill`.
    threads
        Worker threads.
    spill
        Folder for spilled data.
    """

    memory: str
    threads: int
    spill: Path

    def query(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Run one query over Arrow tables.

        Parameters
        ----------
        sql
            A query that names the keys of `tables`; its ORDER BY decides the order of the result.
        tables
            Inputs by name.

        Returns
        -------
        pyarrow.Table
        """
        self.spill.mkdir(parents=True, exist_ok=True)
        with self._connected(sum(table.nbytes for table in tables.values())) as connection:
            for name, table in tables.items():
                connection.register(name, table)
            return connection.sql(sql).to_arrow_table()

    def _connected(self, size: int) -> "AbstractContextManager[duckdb.DuckDBPyConnection]":
        limits = self.memory, self.threads, str(self.spill)
        return _kept(*limits).cursor() if size <= SMALL else _started(*limits)


def _started(memory: str, threads: int, spill: str) -> "duckdb.DuckDBPyConnection":
    return duckdb.connect(config={"memory_limit": memory, "threads": threads, "temp_directory": spill})


_kept = lru_cache(maxsize=1)(_started)
# What is left of the engine's library at the end of a process is complained of: an engine, or, above, a type
# in an annotation.
atexit.register(_kept.cache_clear)


def identifier(name: str) -> str:
    """Quote a column name for SQL."""
    return '"' + name.replace('"', '""') + '"'
