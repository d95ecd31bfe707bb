"""The seam between steps and what works on rows: an engine counts a day, joins, and checks frames.

Two engines keep it: `embedded`, within this process, and `spark`, on a cluster. Which one is the monitor's
choice; steps never ask which they were given.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import pyarrow as pa

from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.joins import View
from mlobs_pipelines.engine.scan import LabelScan, LogScan, ScanPlan
from mlobs_pipelines.engine.stored import Stored

Given = TypeVar("Given")
Result = TypeVar("Result")
Rows: TypeAlias = Stored | pa.Table


class EngineError(RuntimeError):
    """An engine that cannot be started; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the cluster engine runs.

    Attributes
    ----------
    master
        A Spark master such as ``local[*]``, ``spark://…``, ``yarn`` or ``k8s://…``.
    conf
        File of further properties, as ``spark-defaults.conf`` is written; None for none.
    """

    master: str = "local[*]"
    conf: Path | None = None


@dataclass(frozen=True, slots=True)
class DayRows:
    """What is counted of one day.

    Attributes
    ----------
    log
        Its predictions; None where there are none.
    snapshots
        Features as they were known, one row per prediction; None where there are none.
    recomputed
        New name of each column of the snapshots that stands beside a prediction.
    labelled
        Its predictions with their labels; None where there are none.
    key
        Column that names the prediction.
    moment
        Predictions made later are left out of the log's counts.
    """

    log: Stored | None
    snapshots: Stored | None
    recomputed: Mapping[str, str]
    labelled: Rows | None
    key: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class CountedDay:
    """Scans that have seen a day's log and labels, and how many rows the log has."""

    log: LogScan
    labels: LabelScan
    rows: int


class Engine(Protocol):
    """What works on the rows of a partition."""

    def count(self, plan: ScanPlan, day: DayRows) -> CountedDay:
        """Count a day's rows once."""

    def point_in_time(self, predictions: pa.Table, rows: Rows, view: View) -> pa.Table:
        """Look features up as of predictions; see `joins.point_in_time`."""

    def join_labels(self, log: Rows, labels: Rows, as_of: datetime, carried: Sequence[str]) -> pa.Table:
        """Join labels known as of a moment to predictions; see `joins.join_labels`."""

    def each(self, work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[tuple[Given, Result]]:
        """Do the same work on each of some frames; in their order, and no sooner than asked for.

        The work and what it is given must survive pickling.
        """


def engine_of(name: str, duck: Duck, cluster: Cluster) -> Engine:
    """The engine of a name that a monitor may choose.

    Raises
    ------
    EngineError
        If what the engine needs is not installed here.
    """
    if name == "embedded":
        from mlobs_pipelines.engine.embedded import Embedded  # noqa: PLC0415 - it knows this module

        return Embedded(duck)
    try:
        from mlobs_pipelines.engine.spark.engine import Spark  # noqa: PLC0415 - most runs do without
    except ModuleNotFoundError as missing:
        raise EngineError(
            f"engine: spark needs {missing.name}, which is not installed here: pip install "
            "'mlobs-pipelines[spark]', or write engine: embedded in monitor.yaml"
        ) from None
    return Spark(cluster)
