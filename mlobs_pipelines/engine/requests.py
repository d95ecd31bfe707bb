"""Counting requests: how each ended, how long it took and, where the log says so, how long it had waited.

What is counted of the answers themselves is `scan`'s business.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.buckets import Grid
from mlobs_pipelines.core.vocabulary import Flags, Ints
from mlobs_pipelines.engine.arrow import flags_in, of_texts
from mlobs_pipelines.engine.features import NumberPart, numbers
from mlobs_pipelines.engine.groups import Assigned, Groups, Moved, Rows
from mlobs_pipelines.engine.parts import Counted, Part

REQUESTS = "requests"
STATUS, LATENCY, QUEUE = "status", "latency", "queue"  # parts
QUEUE_COLUMN = "queue_ms"  # a log need not have it
STATUS_CODES = {"good": 0, "error": 1, "timeout": 2}


class Requests:
    """Everything counted of requests.

    Batches hold ``status``, ``latency_ms`` and, where the log has it, ``queue_ms``. A status that is declared
    both good and a timeout is good.
    """

    def __init__(self, cuts: int, good: Sequence[str], timeouts: Sequence[str]) -> None:
        self._good, self._timeouts = (of_texts(words) for words in (good, timeouts))
        self._status = Part(cuts, REQUESTS, STATUS)
        self._latency = NumberPart(cuts, Grid(), REQUESTS, LATENCY, states=None)
        self._queue = NumberPart(cuts, Grid(), REQUESTS, QUEUE, states=None)

    def add(self, rows: Assigned, batch: Rows) -> None:
        """Count a batch."""
        self._status.add(rows, self._codes(batch.column("status")))
        self._latency.add(rows, *numbers(batch.column("latency_ms")))
        if QUEUE_COLUMN in batch.schema.names:
            self._queue.add(rows, *numbers(batch.column(QUEUE_COLUMN)))

    def merge(self, other: "Requests", moved: Moved) -> None:
        """Add what was counted elsewhere."""
        self._status.merge(other._status, moved)
        self._latency.merge(other._latency, moved)
        self._queue.merge(other._queue, moved)

    def counted(self, groups: Groups) -> Iterator[Counted]:
        """Every part."""
        for part in (self._status, self._latency, self._queue):
            yield from part.counted(groups)

    def _codes(self, status: pa.ChunkedArray | pa.Array) -> Ints:
        good, late = (_among(status, words) for words in (self._good, self._timeouts))
        bad = np.where(late, STATUS_CODES["timeout"], STATUS_CODES["error"])
        return np.where(good, STATUS_CODES["good"], bad)


def _among(status: pa.ChunkedArray | pa.Array, words: pa.Array) -> Flags:
    return flags_in(pc.is_in(status, words))
