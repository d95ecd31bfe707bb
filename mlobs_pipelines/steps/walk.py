"""What every step is given (`Walk`), what it returns per day (`Outcome`), and how it says how far it is.

No step's own logic lives here.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.engine.engines import Cluster, Engine, engine_of
from mlobs_pipelines.settings import HashKeys
from mlobs_pipelines.store.lake import Lake, PartitionVersion
from mlobs_pipelines.store.layout import TableLayout

CHUNK_DAYS = 31
_progress = logging.getLogger("mlobs.progress")


@dataclass(frozen=True, slots=True)
class Walk:
    """One model's declaration, and the places its rows walk through.

    Attributes
    ----------
    spec
        The declaration.
    lake
        Where tables are.
    duck
        The SQL engine.
    landing
        The model's landing zone.
    keys
        For hashing identifiers.
    access
        Endpoints and credentials of the contracts' servers, by the server's name.
    commit
        Facts of this run that every commit carries: run id, batch id, code version.
    as_of
        Knowledge time of this run; no step sees what became known later.
    cluster
        Where the cluster engine runs.
    """

    spec: ModelSpec
    lake: Lake
    duck: Duck
    landing: Path
    keys: HashKeys
    access: Mapping[str, Mapping[str, str]] = field(repr=False)
    commit: Mapping[str, str]
    as_of: datetime
    cluster: Cluster = field(default_factory=Cluster)

    @property
    def engine(self) -> Engine:
        """What works on the rows of a partition, as the monitor chooses."""
        return engine_of(self.spec.monitor.engine, self.duck, self.cluster)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.spec.monitor.model


Evidence = str | int | float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did for one partition.

    Attributes
    ----------
    rows_in, rows_out, quarantined
        Rows read, published, and kept aside with a reason.
    version
        The published partition.
    inputs
        Content hash of each input, by ``table`` or ``table/partition``.
    facts
        Further counts and shares to show; no row values.
    note
        What a reader should know; "" if nothing.
    """

    rows_in: int
    rows_out: int
    quarantined: int
    version: PartitionVersion
    inputs: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Evidence] = field(default_factory=dict)
    note: str = ""


Outcomes = dict[date, Outcome]


def parse_as_of(text: str | None) -> datetime | None:
    """Read a knowledge time: an ISO-8601 instant, or a day, which means its first second, UTC.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("as_of is no instant; write it as 2013-06-13 or 2013-06-13T06:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)


def keys(days: Sequence[date]) -> list[tuple[str, ...]]:
    """Partition keys of days."""
    return [(day.isoformat(),) for day in days]


def texts(days: Sequence[date]) -> list[str]:
    """Days as partition values."""
    return [day.isoformat() for day in days]


def chunks(
    step: str, days: Sequence[date], size: int = CHUNK_DAYS, *, gaps: bool = False
) -> Iterator[list[date]]:
    """Cut days into chunks that fit into memory, saying how far the step is.

    Parameters
    ----------
    gaps
        Whether a chunk may span a gap; its days are consecutive otherwise.
    """
    ordered = sorted(days)
    done = 0
    report(step, 0, len(ordered))
    for _, run in groupby(enumerate(ordered), key=lambda pair: gaps or pair[1] - timedelta(days=pair[0])):
        members = [day for _, day in run]
        for start in range(0, len(members), size):
            chunk = members[start : start + size]
            yield chunk
            done += len(chunk)
            report(step, done, len(ordered))


def report(step: str, done: int, total: int) -> None:
    """Say how far a step is, to whoever listens to the logger ``mlobs.progress``."""
    _progress.info("%s: %d of %d", step, done, total, extra={"step": step, "done": done, "total": total})


def published(walk: Walk, layout: TableLayout, days: Sequence[date]) -> dict[str, str]:
    """Content hash of the partitions of a table that exist, by day."""
    if not walk.lake.exists(walk.model, layout.name):
        return {}
    found = walk.lake.partition_versions(walk.model, layout.name, where={"day": texts(days)})
    return {key[0]: version.content_hash for key, version in found.items()}
