"""Whether a run takes unusually long, by what runs of its kind took: median and median absolute deviation.

What a kind of run is, and which runs there were, is not known here.
"""

from collections.abc import Sequence
from statistics import median

LEAST = 5  # fewer runs say nothing
DEVIATIONS, FACTOR = 6.0, 2.0
_NORMAL = 1.4826  # makes the deviation that of a normal distribution (Rousseeuw and Croux, 1993)


def usual_limit_s(history: Sequence[float]) -> float | None:
    """How long a run may take before it is unusual; None where too few runs say what is usual.

    The median and six deviations, but never less than twice the median: runs that always take the same time
    are not unusual when they take a second more.

    Parameters
    ----------
    history
        Durations of runs of the same kind, in seconds, in any order.

    Returns
    -------
    float or None
        In seconds.

    Examples
    --------
    >>> usual_limit_s([10, 10, 10, 10, 10])
    20.0
    >>> usual_limit_s([10, 11]) is None
    True
    """
    if len(history) < LEAST:
        return None
    middle = median(history)
    spread = _NORMAL * median(abs(one - middle) for one in history)
    return float(max(FACTOR * middle, middle + DEVIATIONS * spread))
