"""The metric store: one long table of metric values, appended by day and as-of, read as of any instant.

History is kept: a later look at a window adds rows under a later ``as_of``, and "latest" is a query. How a
value is computed or judged is not known here.
"""

import atexit
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Maturity
from mlobs_pipelines.store.lake import (
    Between,
    Key,
    Lake,
    LayoutMismatchError,
    PartitionVersion,
    TableLayout,
    Where,
)
from mlobs_pipelines.store.layout import UTC_MICROSECONDS, conform
from mlobs_pipelines.store.tables import METRIC_COLUMNS, METRICS, as_of_key

_SERIES = (
    *("model_version", "segment", "segment_value", "feature", "metric", "window", "window_start"),
    "maturity",
)
_ORDER = (
    *("model_version", "metric", "window", "window_start", "segment", "segment_value", "feature"),
    *("as_of", "maturity"),
)
ANY = "any"
SMALL = 200_000  # rows of the partitions asked about
# What is known now; what was known at a fixed age is asked for by its name.
_CURRENT = f"(\"maturity\" IN ('{Maturity.MATURE}', '{Maturity.PROVISIONAL}')) IS NOT FALSE"
_VALUES = TableLayout(METRICS.name, METRIC_COLUMNS, keys=("day",))
# DuckDB would read the partition columns as dates, and trip over files from before a column was added
_SCAN = "read_parquet(?, hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"


@dataclass(frozen=True, slots=True)
class MetricStore:
    """Metric values of every model, kept in its lake.

    Parameters
    ----------
    lake
        Where the tables are.
    threads, memory_limit
        What a query may use, as DuckDB writes them.
    spill_directory
        Where a query that needs more memory puts the rest; "" lets it fail instead.
    """

    lake: Lake
    threads: int = 2
    memory_limit: str = "1GB"
    spill_directory: str = ""

    def write(
        self,
        model: str,
        partitions: Sequence[tuple[date, datetime]],
        compute: Callable[[], pa.Table] | pa.Table,
        *,
        commit: Mapping[str, str],
    ) -> dict[Key, PartitionVersion]:
        """Make the named days hold these values as of the named instants, in one commit.

        Parameters
        ----------
        partitions
            Last day of a window and ``as_of``; rows of others are refused, those without rows become empty.
        compute
            Rows with the columns of `METRIC_COLUMNS`, or a function that computes them anew on each attempt;
            NaN is kept as null.
        commit
            Kept with the commit.

        Raises
        ------
        LayoutMismatchError
            If rows do not fit the columns, or hold two values of one series at one ``as_of``.
        ValueError
            For an ``as_of`` with a fraction of a second.
        """
        keys = [(day.isoformat(), as_of_key(as_of)) for day, as_of in partitions]
        rows = compute if callable(compute) else lambda: compute
        return self.lake.update(model, METRICS, keys, lambda: _keyed(rows()), commit=commit)

    def query(  # noqa: PLR0913 - each filter is one optional keyword
        self,
        model: str,
        *,
        metrics: Collection[str] | None = None,
        versions: Collection[str] | None = None,
        windows: Collection[str] | None = None,
        segments: Collection[str] | None = None,
        features: Collection[str] | None = None,
        maturities: Collection[str] | None = None,
        verdicts: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        as_of: datetime | None = None,
        latest: bool = True,
    ) -> pa.Table:
        """Values that match every filter given, in one fixed order.

        Parameters
        ----------
        metrics, versions, windows, segments, features
            Names to keep, each filter on its own; ``""`` in `segments` means all rows, in `features` none.
        maturities
            What the labels had come to: *mature* and *provisional* for those known as of the instant, which
            is the default, an age such as "7d" for those known at that age, *any* for all of them.
        verdicts
            What the values say against their objectives.
        columns
            Names of the columns that are read; all by default.
        first, last
            Last days of the windows, both included.
        as_of
            Leaves out what was computed with knowledge of later instants.
        latest
            Keeps of each version, segment, feature, metric and window only the value with the greatest
            ``as_of``; False keeps the history.

        Returns
        -------
        pyarrow.Table
            Columns of `METRIC_COLUMNS`, or those asked for; no rows where nothing matches or nothing was ever
            written.
        """
        wanted = {
            "metric": metrics,
            "model_version": versions,
            "window": windows,
            "segment": segments,
            "feature": features,
            "maturity": None if maturities and ANY in maturities else maturities,
            "verdict": verdicts,
        }
        given = {name: sorted(names) for name, names in wanted.items() if names is not None}
        shape = METRIC_COLUMNS if columns is None else pa.schema(METRIC_COLUMNS.field(one) for one in columns)
        if not self.lake.exists(model, METRICS.name):
            return shape.empty_table()
        asked = _Asked(_where(first, last, as_of), given, shape, latest=latest, current=maturities is None)
        return self._run(model, asked)

    def _run(self, model: str, asked: "_Asked") -> pa.Table:
        with closing(self._connected(model, asked.where)) as connection:
            source, parameters = self._source(connection, model, asked.where)
            found = connection.sql(_statement(source, asked), params=[*parameters, *asked.given.values()])
            return found.to_arrow_table().cast(asked.shape)

    def _connected(self, model: str, where: Where) -> "duckdb.DuckDBPyConnection":
        """An engine for one question; small ones share theirs: starting it takes longer than they do."""
        limits = self.threads, self.memory_limit, self.spill_directory
        rows = sum(self.lake.partitions(model, METRICS.name, where=where).values())
        return _kept(*limits).cursor() if rows <= SMALL else _started(*limits)

    def _source(
        self, connection: duckdb.DuckDBPyConnection, model: str, where: Where
    ) -> tuple[str, list[list[str]]]:
        files = self.lake.files(model, METRICS.name, where=where) if self.lake.place.is_local else []
        if files:  # three times as fast as through a dataset, which DuckDB needs for an object store
            return _SCAN, [files]
        connection.register("stored", self.lake.dataset(model, METRICS.name, where=where))
        return "stored", []


def _started(threads: int, memory_limit: str, spill_directory: str) -> "duckdb.DuckDBPyConnection":
    limits: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": memory_limit,
        "temp_directory": spill_directory,
    }
    return duckdb.connect(config=limits)


_kept = lru_cache(maxsize=1)(_started)
# What is left of the engine's library at the end of a process is complained of: an engine, or a type in an
# annotation of the functions above.
atexit.register(_kept.cache_clear)


def _keyed(rows: pa.Table) -> pa.Table:
    values = conform(rows, _VALUES)
    _check_single(values)
    for index, field in enumerate(values.schema):
        if pa.types.is_floating(field.type):
            values = values.set_column(index, field, _undefined_as_null(values.column(index)))
    instants = values.column("as_of").unique().to_pylist()
    coded = pc.index_in(values.column("as_of"), pa.array(instants, UTC_MICROSECONDS))
    keys = pa.array([as_of_key(at) for at in instants], pa.string())
    return values.append_column("as_of_key", keys.take(coded.combine_chunks()))


def _check_single(values: pa.Table) -> None:
    repeated = values.num_rows - values.group_by([*_SERIES, "as_of"]).aggregate([]).num_rows
    if repeated:
        raise LayoutMismatchError(
            f"table {METRICS.name}: {repeated} values repeat another of the same {', '.join(_SERIES)} and "
            "as_of; write one value for each",
        )


def _undefined_as_null(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_nan(numbers), None, numbers)


def _where(first: date | None, last: date | None, as_of: datetime | None) -> Where:
    known = as_of_key(as_of.replace(microsecond=0)) if as_of else None
    return {"day": Between(_iso(first), _iso(last)), "as_of_key": Between(None, known)}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a query is to return: which partitions, values of columns, columns, and whose history."""

    where: Where
    given: Mapping[str, list[str]]
    shape: pa.Schema
    latest: bool
    current: bool


def _statement(source: str, asked: _Asked) -> str:
    equal = [f"{_named([name])} = ANY(?)" for name in asked.given]
    conditions = " AND ".join([*equal, _CURRENT if asked.current else "true"])
    # A window is scored whole at a moment: what its newest scoring does not say is not so any more.
    window = _named(["window", "window_start"])
    newest = f"AND ({window}, as_of) IN (SELECT {window}, max(as_of) FROM kept GROUP BY {window})"  # noqa: S608 - as below
    return (
        f"WITH kept AS NOT MATERIALIZED (SELECT * FROM {source}) "  # noqa: S608 - names of our own
        f"SELECT {_named(asked.shape.names)} FROM kept WHERE {conditions} "
        f"{newest if asked.latest else ''} ORDER BY {_named(_ORDER)}"
    )


def _named(columns: Collection[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
