"""The work of a step on some partitions of a model: told as it ends, with what it took and what came of it.

What a step does is not known here.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from mlobs_pipelines.telemetry import spans
from mlobs_pipelines.telemetry.logs import about

_log = logging.getLogger("mlobs.work")


@dataclass(frozen=True, slots=True)
class Work:
    """What is being done, and what has come of it so far.

    Attributes
    ----------
    step
        Name of the step: a table, or a check of one.
    model, run_id, batch_id
        Whose it is.
    partitions
        The days it is about; none for work that is not of days.
    counts
        Rows, by what became of them; filled while the work is done.
    """

    step: str
    model: str
    run_id: str
    batch_id: str
    partitions: Sequence[date] = ()
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str | int | float | None]:
        """What logs say of it."""
        return {
            "model": self.model,
            "step": self.step,
            "partitions": span(self.partitions),
            "partition_count": len(self.partitions) or None,
            "batch_id": self.batch_id,
            "run_id": self.run_id,
        }


def span(days: Sequence[date]) -> str | None:
    """Days as their first and last, or as the one there is."""
    if not days:
        return None
    first, last = min(days), max(days)
    return str(first) if first == last else f"{first}/{last}"


@contextmanager
def working(
    step: str, model: str, commit: Mapping[str, str], partitions: Sequence[date] = ()
) -> Iterator[Work]:
    """Do some work under its name; whoever does it may add to `Work.counts`."""
    work = Work(step, model, commit.get("run_id", ""), commit.get("batch_id", ""), partitions)
    started = time.monotonic()
    with about(**work.facts):
        try:
            with spans.step(step, work.facts, work.counts):
                yield work
        except BaseException as error:
            _tell(work, started, logging.ERROR, type(error).__name__)
            raise
        _tell(work, started, logging.INFO)


def _tell(work: Work, started: float, level: int, error: str | None = None) -> None:
    seconds = time.monotonic() - started
    facts = {**work.counts, "duration_s": round(seconds, 3), "error": error}
    ended = "failed" if error else "done"
    _log.log(level, "%s %s", work.step, ended, extra={"facts": facts})
