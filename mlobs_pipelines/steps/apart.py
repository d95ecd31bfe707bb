"""A step that fails: for which of its days, so that the others are not held back by them.

What the days' outcomes become in Dagster is `defs`' business; trying again is the next run's.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from mlobs_pipelines.steps.bins import BaselineError
from mlobs_pipelines.steps.expired import Step
from mlobs_pipelines.steps.walk import Outcomes, Walk

HOPELESS = 3  # days that fail before any has gone well: what is wrong is not about days
FULL = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EMFILE}


@dataclass(slots=True)
class Apart:
    """What became of a step's days: outcomes of those that went well, errors of those that failed."""

    outcomes: Outcomes = field(default_factory=dict)
    failed: dict[date, Exception] = field(default_factory=dict)


def apart(walk: Walk, step: Step, days: Sequence[date]) -> Apart:
    """Run a step; where it fails, by halves, until only days that fail by themselves are left out.

    Raises
    ------
    Exception
        What the step raised, if it failed for another reason than one of its days.
    """
    found = Apart()
    try:
        found.outcomes = step(walk, days)
    except Exception as error:
        if not _of_days(error):
            raise
        _halved(walk, step, days, error, found)
        if not found.outcomes and len(days) > 1:
            raise
    return found


def _halved(walk: Walk, step: Step, days: Sequence[date], error: Exception, found: Apart) -> None:
    if len(days) == 1:
        found.failed[days[0]] = error
        return
    middle = len(days) // 2
    for some in (days[:middle], days[middle:]):
        if len(found.failed) >= HOPELESS and not found.outcomes:
            return
        try:
            found.outcomes |= step(walk, some)
        except Exception as inner:
            if not _of_days(inner):
                raise
            _halved(walk, step, some, inner, found)


def _of_days(error: Exception) -> bool:
    """Whether an error may be about some of the days only."""
    full = isinstance(error, OSError) and error.errno in FULL
    return not full and not isinstance(error, BaselineError | MemoryError)
