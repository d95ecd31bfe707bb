"""The words every floor shares: verdicts, windows, and the estimate a metric returns.

Nothing here computes a metric, knows a frame or touches a file.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Amounts = NDArray[Any]  # int64 rows, or float64: how many rows they stand for

_NAN, _ZERO, _TRUE, _NOTHING = (np.array(one) for one in (np.nan, 0.0, True, None))
_USUAL = {id(array): array for array in (_NAN, _ZERO, _TRUE, _NOTHING)}


class Verdict(StrEnum):
    """What a metric value says once it is held against its objective."""

    PASS = "pass"  # noqa: S105 - a verdict, not a secret
    FAIL = "fail"
    UNDECIDED = "undecided"
    NONE = "none"


class Window(StrEnum):
    """A half-open, UTC, calendar-aligned span of days that a metric covers."""

    DAY = "1d"
    WEEK = "7d"
    FOUR_WEEKS = "28d"
    MONTH = "1mo"


class Maturity(StrEnum):
    """Whether a window's labels have reached their coverage target at the label horizon."""

    MATURE = "mature"
    PROVISIONAL = "provisional"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of one window, or of many windows at once, with what is known of its error.

    Every array has the same shape: the leading (window) axes of the summary it came from, plus one last
    axis for a metric that is a curve.

    Attributes
    ----------
    value
        The metric; NaN where it is not defined.
    n
        Rows seen that the value rests on.
    lower, upper
        Ends of the 95 % interval; NaN where the metric has none.
    bound
        Largest possible distance to the exact value of the same rows, 0 for an exact metric.
    noise
        The value that a stable window would stay under with 99 % probability; NaN where it has no meaning.
    sufficient
        False where the rows are too few for a verdict (FORMULAS: minimum samples).
    need
        The minimum-sample rule in words, for a reason a person reads.
    effective
        How many rows of equal weight would say as much, which is what the minimum-sample rule asks for; NaN
        where that is `n`.
    facts
        What else a reader of a judged value should see of how it came about, as a mapping that JSON can hold;
        None where there is nothing.
    """

    value: Floats
    n: Ints
    lower: Floats = field(default_factory=lambda: _NAN)
    upper: Floats = field(default_factory=lambda: _NAN)
    bound: Floats = field(default_factory=lambda: _ZERO)
    noise: Floats = field(default_factory=lambda: _NAN)
    sufficient: Flags = field(default_factory=lambda: _TRUE)
    need: str = ""
    effective: Floats = field(default_factory=lambda: _NAN)
    facts: NDArray[np.object_] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        """Broadcast every array to the shape of the value."""
        shape = np.shape(self.value)
        for name in ("value", "n", "lower", "upper", "bound", "noise", "sufficient", "effective", "facts"):
            given = getattr(self, name)
            if type(given) is np.ndarray and given.shape == shape:
                continue
            array = np.asarray(given)
            if array.shape != shape:
                usual = id(array) in _USUAL
                array = _filled(id(array), shape) if usual else np.broadcast_to(array, shape)
            object.__setattr__(self, name, array)


@lru_cache(maxsize=256)
def _filled(usual: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """What stands for nothing said, in some shape; making it anew would take half of an estimate's time."""
    return np.broadcast_to(_USUAL[usual], shape)
