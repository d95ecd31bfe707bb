"""One entry of a monitor's `slos`, shaped like OpenSLO, and its `incidents`: when failures are over.

Whether the indicator fits its metric is told when the metrics are known: `slo_problem`. How a budget is spent
is arithmetic: `core.budgets`.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, StringConstraints, model_validator

from mlobs_pipelines.contracts.durations import Duration
from mlobs_pipelines.contracts.objectives import Objective
from mlobs_pipelines.contracts.problems import listed
from mlobs_pipelines.contracts.routes import Route
from mlobs_pipelines.contracts.sections import (
    ColumnName,
    Name,
    Owner,
    Role,
    Section,
    Share,
    VersionName,
    distinct,
)
from mlobs_pipelines.core import budgets, incidents
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.vocabulary import Window

DAY = timedelta(days=1)
LEAST_OCCURRENCES = 100
_SUFFIXES, _COUNTED = ("_share", "_coverage"), ("availability", "accuracy")
_NOT_OF_EVENTS = ("drifted_share",)


class Indicator(Section):
    """What an SLO counts: a metric of one window, of some versions, roles and segments.

    Attributes
    ----------
    metric, window
        The metric; occurrences are counted from its days.
    feature
        The feature it is about; "" where it is about none.
    segment
        Column whose values each have a budget of their own; None for all rows together.
    versions
        Versions that count; None for all, each with its own budget.
    roles
        Roles in which they count.
    """

    metric: Name
    window: Window = Window.DAY
    feature: str = ""
    segment: ColumnName | None = None
    versions: Annotated[tuple[VersionName, ...], Field(min_length=1), AfterValidator(distinct)] | None = None
    roles: Annotated[tuple[Role, ...], Field(min_length=1), AfterValidator(distinct)] = ("champion",)


class Slo(Section):
    """A service level objective: what share of events or windows is to be good over a period.

    Attributes
    ----------
    name, description
        What it is called, and what it is for.
    sli
        What is counted.
    budgeting
        `occurrences`: the events that a share is of, such as requests. `timeslices`: windows, each good or
        bad by the verdict of the objective on the same metric.
    target
        Share that is to be good.
    period
        Over which; rolling, ends with each day.
    min_events
        Events under which nothing is said; by default 100 occurrences, or one window.
    page, ticket
        Share of the budget that a day, or seven, must spend before somebody is told at once, or in time. A
        window longer than a day moves slowly: it never pages.
    owners, runbook
        Where they are others than the model's.
    """

    name: Name
    description: str = ""
    sli: Indicator
    budgeting: Literal["occurrences", "timeslices"]
    target: Share
    period: Duration = timedelta(days=28)
    min_events: Annotated[StrictInt, Field(ge=1)] | None = None
    page: Share = 0.1
    ticket: Share = 0.25
    owners: Annotated[tuple[Owner, ...], Field(min_length=1)] | None = None
    runbook: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        if self.period % DAY or not 7 <= self.period // DAY <= 366:
            raise ValueError("period is no number of days from 7 to 366; write it as in 28d")
        return self

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.budgeting == "occurrences" and self.sli.window is not Window.DAY:
            raise ValueError("occurrences are counted by day; write window: 1d, or budgeting: timeslices")
        if self.sli.window is Window.MONTH:
            raise ValueError("a calendar month ends once in a period; write window: 1d, 7d or 28d")
        return self

    @property
    def objective(self) -> budgets.Objective:
        """The same as arithmetic takes it."""
        least = self.min_events or (LEAST_OCCURRENCES if self.budgeting == "occurrences" else 1)
        pages = self.sli.window is Window.DAY
        return budgets.Objective(self.target, self.period // DAY, least, self.page, self.ticket, pages)


class IncidentRules(Section):
    """When failures that belong together are over.

    Attributes
    ----------
    recover
        How many windows each of them must pass, one after the other.
    reopen
        For how long after that a failure of the same cause opens the incident again, not a new one.
    routes
        Who is told.
    """

    recover: Annotated[StrictInt, Field(ge=1, le=28)] = 3
    reopen: Duration = timedelta(days=7)
    routes: tuple[Route, ...] = ()

    @property
    def recovery(self) -> incidents.Recovery:
        """The same as the fold takes it."""
        return incidents.Recovery(self.recover, self.reopen // DAY)


def counts_events(metric: Metric) -> bool:
    """Whether a metric is the share of good or bad events among `n`."""
    named = metric.name.endswith(_SUFFIXES) or metric.name in _COUNTED
    return named and metric.direction != 0 and metric.name not in _NOT_OF_EVENTS


def slo_problem(
    slo: Slo, metric: Metric, objectives: Sequence[Objective]
) -> tuple[tuple[str, ...], str, str] | None:
    """Return why an SLO cannot be counted: the key, what is wrong, and what would be valid."""
    if slo.budgeting == "occurrences":
        if counts_events(metric):
            return None
        return ("budgeting",), f"{metric.name} is no share of events", "write budgeting: timeslices"
    fitting = [one for one in objectives if one.metric == metric.name and one.window is slo.sli.window]
    if not fitting:
        said = f"no objective judges {metric.name} over {slo.sli.window}, so no window is good or bad"
        return ("sli", "metric"), said, "add the objective, with its limit"
    if slo.sli.segment and not any(one.segments for one in fitting):
        said = f"no objective judges {metric.name} in segments"
        return ("sli", "segment"), said, "write segments: true in the objective"
    left = sorted(set(slo.sli.roles) - {role for one in fitting for role in one.roles})
    if left:
        said = f"no objective judges {metric.name} of the role {listed(left)}"
        return ("sli", "roles"), said, "add the role to the objective"
    return None
