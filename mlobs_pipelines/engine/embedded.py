"""The embedded engine: rows are read batch by batch and counted in this process, SQL is DuckDB's.

A day of any size takes the same memory. What is counted is `scan`, what is joined `joins`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.engine import joins
from mlobs_pipelines.engine.champions import beside_champion
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.engines import CountedDay, DayRows, Given, Result, Rows
from mlobs_pipelines.engine.joins import View
from mlobs_pipelines.engine.reading import BATCH_ROWS, beside
from mlobs_pipelines.engine.scan import LabelScan, LogScan, ScanPlan
from mlobs_pipelines.engine.stored import Stored


@dataclass(frozen=True, slots=True)
class Embedded:
    """Works on rows within this process.

    Attributes
    ----------
    duck
        The SQL engine.
    """

    duck: Duck

    def count(self, plan: ScanPlan, day: DayRows) -> CountedDay:
        """Count a day's rows once."""
        log, labels, rows = LogScan(plan), LabelScan(plan), 0
        for batch in _log_batches(day):
            log.add(batch)
            rows += batch.num_rows
        for batch in beside_champion(_batches(day.labelled, day.key), day.key, plan.scores.columns):
            labels.add(batch)
        return CountedDay(log, labels, rows)

    def point_in_time(self, predictions: pa.Table, rows: Rows, view: View) -> pa.Table:
        """Look features up as of predictions; see `joins.point_in_time`."""
        return joins.point_in_time(self.duck, predictions, _read(rows), view)

    def join_labels(self, log: Rows, labels: Rows, as_of: datetime, carried: Sequence[str]) -> pa.Table:
        """Join labels known as of a moment to predictions; see `joins.join_labels`."""
        return joins.join_labels(self.duck, _read(log), _read(labels), as_of, carried)

    def each(self, work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[tuple[Given, Result]]:
        """Do the same work on each of some frames, one after the other."""
        return ((one, work(one)) for one in given)


def _log_batches(day: DayRows) -> Iterator[pa.RecordBatch]:
    """The day's predictions made by the moment, with recomputed features beside the served ones."""
    log, others = _batches(day.log, day.key), _batches(day.snapshots, day.key)
    moment = pa.scalar(day.moment, pa.timestamp("us", tz="UTC"))
    for batch in beside(log, others, day.key, day.recomputed) if day.recomputed else log:
        seen = pc.less_equal(batch.column("predicted_at"), moment)
        yield batch if pc.all(seen).as_py() else batch.filter(seen)


def _batches(rows: Rows | None, key: str) -> Iterator[pa.RecordBatch]:
    if isinstance(rows, Stored):
        yield from rows.batches(key)
    elif rows is not None:
        yield from rows.to_batches(max_chunksize=BATCH_ROWS)


def _read(rows: Rows) -> pa.Table:
    return rows.table() if isinstance(rows, Stored) else rows
