"""How a metric is registered and found. Holds no metric of its own."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlobs_pipelines.core.summaries import Summary
from mlobs_pipelines.core.vocabulary import Estimate

Function = Callable[[Any], Estimate]
Takes = Literal["any", "numbers", "categories"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A registered metric.

    Attributes
    ----------
    name
        Snake-case name in the metric store.
    functions
        From one summary to one estimate, by the class of summary it takes, which decides on which rows of the
        statistics it runs. Where tasks share a name, as binary and multiclass models do `accuracy`, there is
        one for each; all else is the same for all of them.
    family
        drift, skew, quality, calibration, label_lag, operations or volume: the check that reports it.
    unit
        "1" for plain numbers and shares, "h", "ms", "rows", "label" for that of the label.
    direction
        +1 where more is better, -1 where less is better, 0 where neither is.
    labels
        For a curve, names of the entries of the last axis given the summary; None for a single number.
    takes
        Features it has a meaning for: all, those that are numbers (the score is one), or categories.
    detail
        True for a metric that only says more of what another one says: unless an objective names it, it is
        written for all rows together and over long windows, not for every segment and day.
    """

    name: str
    functions: Mapping[type[Summary], Function]
    family: str
    unit: str
    direction: int
    labels: Callable[[Any], list[str]] | None = None
    takes: Takes = "any"
    detail: bool = False

    def function(self, summary: Summary) -> Estimate:
        """Compute the metric, as is right for the summary's class."""
        return self.functions[type(summary)](summary)

    @property
    def definition(self) -> str:
        """What it is and where its formula comes from, in the words of its functions."""
        told = (inspect.getdoc(function) or "" for function in self.functions.values())
        return "\n\n".join(dict.fromkeys(filter(None, told)))

    def suits(self, *, numeric: bool) -> bool:
        """Whether the metric has a meaning for a feature that is, or is not, a number."""
        return self.takes in ("any", "numbers" if numeric else "categories")


METRICS: dict[str, Metric] = {}


def metric(  # noqa: PLR0913 - all that is said about a metric is said here
    name: str,
    summary: type[Summary],
    *,
    family: str,
    unit: str = "1",
    direction: int = 0,
    labels: Callable[[Any], list[str]] | None = None,
    takes: Takes = "any",
    detail: bool = False,
) -> Callable[[Function], Function]:
    """Register the decorated function as the metric `name` of one class of summary.

    Raises
    ------
    ValueError
        If the name is taken for that class, or means something of another family, unit or direction.
    """

    def register(function: Function) -> Function:
        new = Metric(name, {summary: function}, family, unit, direction, labels, takes, detail)
        known = METRICS.get(name, new)
        if known is not new and summary in known.functions:
            raise ValueError(f"metric {name!r} is registered twice")
        if replace(known, functions=new.functions) != new:
            raise ValueError(f"metric {name!r} is registered with another family, unit, direction or form")
        METRICS[name] = replace(new, functions={**known.functions, summary: function})
        return function

    return register
