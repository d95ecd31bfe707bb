"""The engine itself: tables are read by their files at a version, work is dealt to tasks, results come back.

What a task does is `tasks`, what is joined `queries`; nothing is written here: results are committed by
whoever asked, as those of the embedded engine are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own documentation has it

from mlobs_pipelines.engine.engines import Cluster, CountedDay, DayRows, Given, Result, Rows
from mlobs_pipelines.engine.joins import View, microseconds, told_by
from mlobs_pipelines.engine.scan import LabelScan, LogScan, ScanPlan
from mlobs_pipelines.engine.spark import queries, tasks
from mlobs_pipelines.engine.spark.queries import quoted
from mlobs_pipelines.engine.spark.session import session_of
from mlobs_pipelines.engine.stored import Stored

_Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class Spark:
    """Works on rows in the tasks of a Spark session.

    Attributes
    ----------
    cluster
        Where Spark runs.
    """

    cluster: Cluster

    @property
    def session(self) -> SparkSession:
        """The session that rows are worked on in."""
        return session_of(self.cluster)

    def count(self, plan: ScanPlan, day: DayRows) -> CountedDay:
        """Count a day's rows once: a scan per task, merged in the order of the tasks."""
        log, labels, rows = LogScan(plan), LabelScan(plan), 0
        session = self.session
        if day.log is not None and day.log.files():
            for found, scan in _states(_log(session, day), partial(tasks.count_log, plan)):
                log.merge(scan)
                rows += found
        if day.labelled is not None:
            frame = _frame(session, day.labelled)
            # Rows of one prediction stay together, so that every pair with the champion is seen.
            frame = frame.repartition(quoted(day.key)).sortWithinPartitions(quoted(day.key), "model_version")
            for _, scan in _states(frame, partial(tasks.count_labels, plan, day.key)):
                labels.merge(scan)
        return CountedDay(log, labels, rows)

    def point_in_time(self, predictions: pa.Table, rows: Rows, view: View) -> pa.Table:
        """Look features up as of predictions; see `joins.point_in_time`."""
        session = self.session
        query = queries.point_in_time(view)
        found = session.sql(query, predictions=_frame(session, predictions), rows=_frame(session, rows))
        return found.toArrow().sort_by("prediction_id")

    def join_labels(self, log: Rows, labels: Rows, as_of: datetime, carried: Sequence[str]) -> pa.Table:
        """Join labels known as of a moment to predictions; see `joins.join_labels`."""
        session = self.session
        query = queries.join_labels(as_of, carried, told_by(labels.schema))
        found = session.sql(query, log=_frame(session, log), labels=_frame(session, labels))
        return found.toArrow().sort_by([("prediction_id", "ascending"), ("model_version", "ascending")])

    def each(self, work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[tuple[Given, Result]]:
        """Do the same work on each of some frames, as many at once as there are tasks."""
        waiting, session = iter(given), self.session
        at_once = session.sparkContext.defaultParallelism
        while True:
            some, failed = _taken(waiting, at_once)
            yield from zip(some, _done(session, work, some), strict=True)
            if failed is not None:
                raise failed
            if len(some) < at_once:
                return


def _taken(waiting: Iterator[Given], size: int) -> tuple[list[Given], Exception | None]:
    """The next few; what stopped them is raised once those before it are done, as if one came at a time."""
    some: list[Given] = []
    try:
        for one in islice(waiting, size):
            some.append(one)  # noqa: PERF402 - those before an error are kept
    except Exception as error:  # noqa: BLE001 - raised by whoever asked
        return some, error
    return some, None


def _done(session: SparkSession, work: Callable[[Given], Result], some: Sequence[Given]) -> list[Result]:
    if not some:
        return []
    states = {"place": range(len(some)), "state": map(tasks.packed, some)}
    table = pa.table({name: list(values) for name, values in states.items()}, schema=tasks.STATES)
    frame = session.createDataFrame(table).repartition(len(some))
    return [result for _, result in sorted(_states(frame, partial(tasks.do_each, work)), key=_place)]


def _place(state: tuple[int, Any]) -> int:
    return state[0]


def _states(frame: DataFrame, task: _Task) -> Iterator[tuple[int, Any]]:
    """What a task yields from each part of a frame, in the order of the parts."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return task(batches)

    found = frame.mapInArrow(run, tasks.STATES_DDL).toArrow()
    for place, state in zip(*(column.to_pylist() for column in found.columns), strict=True):
        yield place, tasks.opened(state)


def _log(session: SparkSession, day: DayRows) -> DataFrame:
    """The day's predictions made by the moment, with recomputed features beside the served ones."""
    log = _frame(session, day.log).where(F.unix_micros("predicted_at") <= microseconds(day.moment))
    if not day.recomputed:
        return log
    if day.snapshots is None:
        return log.select(
            "*", *(F.lit(None).cast(log.schema[n].dataType).alias(new) for n, new in day.recomputed.items())
        )
    columns = [F.col(quoted(name)).alias(new) for name, new in day.recomputed.items()]
    others = _frame(session, day.snapshots).select(quoted(day.key), *columns)
    return log.join(others, on=day.key, how="left")


def _frame(session: SparkSession, rows: Rows | None) -> DataFrame:
    """Rows as Spark sees them: read from their files by its tasks, or handed over."""
    if not isinstance(rows, Stored):
        return session.createDataFrame(rows)
    files = rows.files()
    if not files:
        return session.createDataFrame(rows.schema.empty_table()).select(_named(rows))
    texts = [pa.field(name, pa.string()) for name in rows.only if name not in rows.schema.names]
    wanted = session.createDataFrame(pa.schema([*rows.schema, *texts]).empty_table()).schema
    reader = session.read.schema(wanted).option("basePath", _root(files))
    frame = reader.parquet(*map(_for_hadoop, files))
    for name, value in rows.only.items():
        frame = frame.where(F.col(quoted(name)) == value)
    return frame.select(_named(rows))


def _named(rows: Stored) -> list[Column]:
    return [F.col(quoted(name)).alias(rows.names.get(name, name)) for name in rows.schema.names]


def _root(files: dict[str, Any]) -> str:
    """Folder of the table: a file lies in one folder per partition column below it."""
    address, keys = next(iter(files.items()))
    scheme, _, path = _for_hadoop(address).rpartition("://")
    root = str(PurePosixPath(path).parents[len(keys)])
    return f"{scheme}://{root}" if scheme else root


def _for_hadoop(address: str) -> str:
    return address.replace("s3://", "s3a://", 1) if address.startswith("s3://") else address
