"""How far earlier estimates of quality were off, and what that leaves of a verdict on the next one.

An estimate that fails before any label could contradict it is believed as far as its like were right. How
quality is estimated is `estimation`; how other values are judged is `judging`.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.estimates import Z95
from mlobs_pipelines.core.verdicts import Limits, in_digits
from mlobs_pipelines.core.vocabulary import Estimate, Verdict
from mlobs_pipelines.core.windows import Span, earlier

LOOKED_AT, LEAST = 6, 3  # earlier windows, and how many of them must have been checked
FACT = "track_record"
_DAY = timedelta(days=1)


def record_of(metric: str) -> str:
    """The metric that says how far another one was off; "" where none does."""
    error = f"{metric}_error"
    return error if error in METRICS else ""


def record_steps(span: Span, horizon: timedelta, stride_days: int = 0) -> range:
    """How many windows back the record of a window lies: the nearest whose labels are due when it ends.

    Examples
    --------
    >>> from datetime import date
    >>> from mlobs_pipelines.core.vocabulary import Window
    >>> day = Span(Window.DAY, date(2024, 3, 9), date(2024, 3, 10))
    >>> record_steps(day, timedelta(days=3))
    range(3, 9)
    """
    first = max(1, math.ceil(horizon / (_DAY * (stride_days or span.needed))))
    return range(first, first + LOOKED_AT)


def records(spans: Sequence[Span], horizon: timedelta, stride_days: int, errors: Estimate) -> np.ndarray:
    """What is known of the errors before each window.

    Parameters
    ----------
    spans, errors
        Windows, and how far each was off: (groups, windows), NaN where no label can tell yet.

    Returns
    -------
    (groups, windows) of dict
        Windows whose error is known, and its root mean square where there are any.
    """
    known = {span: index for index, span in enumerate(spans)}
    values = np.where(errors.sufficient, errors.value, np.nan)
    found = np.empty(values.shape, dtype=object)
    for at, span in enumerate(spans):
        before = (earlier(span, step, stride_days) for step in record_steps(span, horizon, stride_days))
        index = [known[one] for one in before if one in known]
        for group, mine in enumerate(values[:, index]):
            found[group, at] = _record(mine[np.isfinite(mine)])
    return found


def _record(errors: np.ndarray) -> dict[str, Any]:
    if not errors.size:
        return {"windows": 0}
    return {"windows": int(errors.size), "rms_error": round(float(np.sqrt(np.mean(errors**2))), 9)}


def tempered(
    metric: str, values: Estimate, limits: Limits, verdicts: np.ndarray, reasons: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Verdicts on estimates in the light of their record: *undecided* where that does not bear a failure out.

    A failure stands if at least 3 of the 6 windows before have been checked against their labels, and the
    value is further beyond its limit than 1.96 times the root mean square of their errors.
    """
    if not record_of(metric):
        return verdicts, reasons
    verdicts, reasons = verdicts.astype(object), reasons.copy()
    for place in zip(*np.nonzero(verdicts == str(Verdict.FAIL)), strict=True):
        distance = abs(float(values.value[place] - np.broadcast_to(limits.limit, values.value.shape)[place]))
        doubt = _doubt((values.facts[place] or {}).get(FACT, {"windows": 0}), distance)
        if doubt:
            verdicts[place], reasons[place] = str(Verdict.UNDECIDED), f"{reasons[place]}; {doubt}"
    return verdicts, reasons


def _doubt(record: dict[str, Any], distance: float) -> str:
    """Why a failure is not believed; "" where it is."""
    checked = record["windows"]
    if checked < LEAST:
        seen = f"only {checked} of {LOOKED_AT} earlier windows could be checked against labels"
        return f"{seen}, it takes {LEAST}"
    reach = Z95 * record["rms_error"]
    if distance > reach:
        return ""
    said = in_digits(record["rms_error"], 4)
    return (
        f"the last {checked} estimates that labels could check were off by {said} (root mean square): the "
        "limit is within the reach of such an error"
    )
