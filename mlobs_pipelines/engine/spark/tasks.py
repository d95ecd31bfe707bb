"""What runs within a task of the cluster: the kernel over the batches of a part of the rows.

A part's scan goes back as bytes and is merged by whoever asked for it; nothing of Spark is known here.
"""

import pickle
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from mlobs_pipelines.engine.champions import beside_champion
from mlobs_pipelines.engine.scan import LabelScan, LogScan, ScanPlan

STATES = pa.schema([("place", pa.int64()), ("state", pa.binary())])
STATES_DDL = "place bigint, state binary"


def count_log(plan: ScanPlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Count prediction-log rows; yields how many there were and the scan, or nothing where there are none."""
    scan, rows = LogScan(plan), 0
    for batch in batches:
        scan.add(batch)
        rows += batch.num_rows
    if rows:
        yield _state(rows, scan)


def count_labels(plan: ScanPlan, key: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Count labelled rows, ascending by prediction and no prediction in two parts; yields as `count_log`."""
    scan, rows = LabelScan(plan), 0
    for batch in beside_champion(batches, key, plan.scores.columns):
        scan.add(batch)
        rows += batch.num_rows
    if rows:
        yield _state(rows, scan)


def do_each(work: Callable[[Any], object], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Do a work on whatever the rows hold as bytes; yields each one's place and result."""
    for batch in batches:
        for place, state in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _state(place, work(opened(state)))


def packed(value: object) -> bytes:
    """A value as bytes."""
    return zlib.compress(pickle.dumps(value), level=1)


def opened(state: bytes) -> Any:  # noqa: ANN401 - whatever was packed
    """The value that bytes stand for."""
    return pickle.loads(zlib.decompress(state))  # noqa: S301 - bytes of our own tasks


def _state(place: int, value: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"place": [place], "state": [packed(value)]}, schema=STATES)
