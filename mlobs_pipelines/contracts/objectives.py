"""One line of a monitor's `objectives`: where the limit of a metric comes from, and when it counts.

What the limit of a window then is, is arithmetic: `core.limits`. Whether the metric fits the rule is told
when the metrics are known: `rule_problem`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from mlobs_pipelines.contracts.problems import listed
from mlobs_pipelines.contracts.sections import Columns, Name, Number, Role, Section
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.vocabulary import Window

Size = Annotated[Number, Field(ge=0)]
CONSTANTS = ("fail_above", "fail_below")
CHANGES = (
    "fail_above_change",
    "fail_below_change",
    "fail_above_change_ratio",
    "fail_below_change_ratio",
)
_NOT_IN_TRAINING = ("skew", "label_lag", "operations")


class Failing(Section):
    """How many of the latest windows must fail before the objective does.

    Attributes
    ----------
    of
        Windows looked at: the judged one and those before it, none overlapping another.
    at_least
        How many of them must fail.
    """

    of: Annotated[StrictInt, Field(ge=2, le=366)]
    at_least: Annotated[StrictInt, Field(ge=1)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.at_least > self.of:
            raise ValueError(f"at_least is {self.at_least} of {self.of} windows; write at most {self.of}")
        return self


class Objective(Section):
    """One line that a metric is held against; it judges the check of the metric's family.

    Attributes
    ----------
    metric
        Name of a registered metric.
    window
        The window that is judged.
    fail_above, fail_below
        A constant limit; exactly one rule is given: one of these, one of the changes, or `sigmas`.
    relative_to
        What a change is measured from: the metric of the baseline, of the window before, or of the champion
        in the same window.
    fail_above_change, fail_below_change
        How much the metric may rise, or fall, from there.
    fail_above_change_ratio, fail_below_change_ratio
        The same as a share of what it is changed from: 0.2 for 20 %.
    sigmas
        How many standard deviations from the mean of earlier windows; an improvement never fails.
    reference_windows
        How many earlier windows, none of which overlaps the judged one.
    seasonal
        `weekday`: only earlier days of the same weekday.
    min_n
        Rows under which a window is undecided, beside the metric's own minimum.
    failing
        How many of the latest windows must fail; None to let every window speak for itself.
    segments
        Whether the rows of segments are judged too.
    roles
        The roles whose predictions are judged.
    features
        The features that are judged; None for all.
    min_importance
        Features under this importance are not judged.
    severity
        Whether a failure stops what depends on it.
    why
        What a person is told about the choice.
    """

    metric: Name
    window: Window
    fail_above: Number | None = None
    fail_below: Number | None = None
    relative_to: Literal["baseline", "previous", "champion"] | None = None
    fail_above_change: Size | None = None
    fail_below_change: Size | None = None
    fail_above_change_ratio: Size | None = None
    fail_below_change_ratio: Size | None = None
    sigmas: Annotated[Number, Field(gt=0)] | None = None
    reference_windows: Annotated[StrictInt, Field(ge=7, le=366)] = 8
    seasonal: Literal["weekday"] | None = None
    min_n: Annotated[StrictInt, Field(ge=1)] | None = None
    failing: Failing | None = None
    segments: bool = False
    roles: tuple[Role, ...] = ("champion", "shadow")
    features: Columns | None = None
    min_importance: Annotated[Number, Field(ge=0)] | None = None
    severity: Literal["error", "warn"] = "error"
    why: str = ""

    @property
    def rule(self) -> str:
        """The key that gives the limit."""
        return self._rules()[0]

    @property
    def change(self) -> float | None:
        """Size of the change that passes; None for another rule."""
        return next((size for name in CHANGES if (size := getattr(self, name)) is not None), None)

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        rules = self._rules()
        if not rules and self.relative_to is not None:
            raise ValueError(f"relative_to is set without a change; set one of {listed(CHANGES)}")
        if not rules:
            raise ValueError("neither fail_above nor fail_below is set; set exactly one")
        if len(rules) > 1:
            both = "both " + " and ".join(rules) if len(rules) == 2 else listed(rules)
            raise ValueError(f"{both} are set; set exactly one")
        return self

    @model_validator(mode="after")
    def _words_of_the_rule(self) -> Self:
        rule = self.rule
        if rule in CHANGES and self.relative_to is None:
            raise ValueError(f"{rule} is set without relative_to; valid: baseline, previous, champion")
        if rule not in CHANGES and self.relative_to is not None:
            raise ValueError(f"relative_to does not go with {rule}; set one of {listed(CHANGES)}")
        if rule != "sigmas" and self.model_fields_set & {"reference_windows", "seasonal"}:
            raise ValueError(f"reference_windows and seasonal do not go with {rule}; set sigmas instead")
        if self.seasonal and self.window is not Window.DAY:
            raise ValueError(f"seasonal does not go with the window {self.window}; write window: 1d")
        return self

    def _rules(self) -> list[str]:
        return [name for name in (*CONSTANTS, *CHANGES, "sigmas") if getattr(self, name) is not None]


def rule_problem(objective: Objective, metric: Metric, *, training: bool) -> tuple[str, str, str] | None:
    """Return why the rule makes no sense for its metric: the key, what is wrong, and what would be valid.

    Parameters
    ----------
    metric
        The metric that the objective names.
    training
        Whether any version is compared with its training set.
    """
    better = {1: "above", -1: "below"}.get(metric.direction, "neither")
    if objective.change is not None and f"fail_{better}" in objective.rule:
        worse = objective.rule.replace(better, {"above": "below", "below": "above"}[better])
        said = f"a change of {metric.name} to {better} is an improvement"
        return objective.rule, said, f"write {worse}"
    if objective.relative_to == "baseline" and metric.family == "drift":
        return "relative_to", f"{metric.name} measures from the baseline already", "write fail_above"
    if objective.relative_to == "baseline" and training and metric.family in _NOT_IN_TRAINING:
        said = f"a training set has no {metric.name}"
        return "relative_to", said, "write previous, or compare the versions with a window"
    return None
