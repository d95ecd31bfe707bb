"""The embedded SQL engine: one short-lived DuckDB connection per query, bounded in memory and threads.

Queries live beside the step they serve (`joins`); no table is ever stored in DuckDB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa


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
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self.memory,
            "threads": self.threads,
            "temp_directory": str(self.spill),
        }
        with duckdb.connect(config=config) as connection:
            for name, table in tables.items():
                connection.register(name, table)
            return connection.sql(sql).to_arrow_table()


def identifier(name: str) -> str:
    """Quote a column name for SQL."""
    return '"' + name.replace('"', '""') + '"'
