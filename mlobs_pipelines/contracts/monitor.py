"""`monitor.yaml`: what is watched about one model, and what is held against it.

What a single document can say about itself is checked here; what needs the
contracts beside it is `crosscheck`.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from mlobs_pipelines.contracts.cron import check_cron
from mlobs_pipelines.contracts.durations import Duration
from mlobs_pipelines.contracts.problems import suggestion
from mlobs_pipelines.core.vocabulary import Window

Role = Literal["champion", "shadow", "canary"]
_INSTANT = "an instant with its zone, as in 2014-02-01T00:00:00Z"
_OWNER = re.compile(r"team:.+|[^@\s]+@[^@\s]+\.[^@\s]+")


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number; write it without quotes")  # noqa: TRY004 - pydantic reports ValueError
    return value


def _day(value: object) -> object:
    return value if isinstance(value, date) else _iso(value, date.fromisoformat, "a day, as in 2013-03-01")


def _instant(value: object) -> object:
    return value if isinstance(value, datetime) else _iso(value, datetime.fromisoformat, _INSTANT)


def _iso(value: object, parse: Callable[[str], object], wanted: str) -> object:
    """Parse ISO text only: pydantic would take a number for seconds since 1970."""
    try:
        return parse(value) if isinstance(value, str) else parse("")
    except ValueError:
        raise ValueError(f"{value!r} is no ISO 8601 time; write {wanted}") from None


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError(f"{value!r} is no owner; write an e-mail address or team:<name>")
    return value


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is no time zone; {suggestion(value, available_timezones())}")
    return value


def _template(value: str) -> str:
    if set("{}") & set(value.replace("{landing}", "", 1)):
        raise ValueError(f"{value!r} has a placeholder that is unknown; valid: {{landing}}")
    return value


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"written twice: {', '.join(twice)}; write each once")
    return values


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
VersionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=63)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Rate = Annotated[Number, Field(gt=0, le=1)]
Category = StrictStr | StrictInt | StrictBool
Day = Annotated[date, BeforeValidator(_day)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
Owner = Annotated[str, AfterValidator(_owner)]
Columns = Annotated[tuple[ColumnName, ...], AfterValidator(_distinct)]
Template = Annotated[str, StringConstraints(min_length=1), AfterValidator(_template)]


class Section(BaseModel):
    """A frozen piece of a monitor that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Feature(Section):
    """One feature of the model.

    Attributes
    ----------
    name
        Its column in the predictions and, with `view`, in the feature view.
    kind
        How its distribution is counted.
    view
        The feature view it is served from; None for a value that comes with the request.
    """

    name: ColumnName
    kind: Literal["numeric", "categorical"]
    view: Name | None = None


class FeatureView(Section):
    """How one feature view is looked up as of a prediction.

    Attributes
    ----------
    entity
        The column that names the entity, in the view and in the predictions.
    ttl
        How old a value may be when it is served.
    event_time, created_at
        The view's columns for when a value held and when it could be known.
    """

    entity: ColumnName
    ttl: Duration
    event_time: ColumnName = "observed_at"
    created_at: ColumnName = "available_at"


class Labels(Section):
    """When labels come and when a window counts as mature.

    Attributes
    ----------
    horizon
        Age at which a prediction without a label is overdue.
    unit
        The step in which lags are counted.
    horizons
        Fixed maturities at which label coverage is kept; contains `horizon`.
    coverage_target
        Share of labels known at the horizon from which a window is mature.
    """

    horizon: Duration
    unit: Duration = timedelta(hours=1)
    horizons: tuple[Duration, ...]
    coverage_target: Annotated[Number, Field(gt=0, le=1)] = 0.95

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.horizon not in self.horizons:
            raise ValueError("horizon is missing from horizons; add it there")
        if list(self.horizons) != sorted(set(self.horizons)):
            raise ValueError("horizons are not in rising order; write each once, the shortest first")
        if any(horizon % self.unit for horizon in self.horizons):
            raise ValueError("a horizon is not a whole number of units; choose a unit that divides them all")
        return self


class Version(Section):
    """One version of the model.

    Attributes
    ----------
    baseline
        Path template of its training rows (Parquet).
    facts
        Path template of what its training knew: sizes, cut, feature importance.
    threshold
        Score from which the version says yes.
    """

    baseline: Template
    facts: Template
    threshold: Share = 0.5


class Objective(Section):
    """One line that a metric is held against; it judges the check of the metric's family.

    Attributes
    ----------
    metric
        Name of a registered metric.
    window
        The window that is judged.
    fail_above, fail_below
        The limit; exactly one of them.
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
    segments: bool = False
    roles: tuple[Role, ...] = ("champion", "shadow")
    features: Columns | None = None
    min_importance: Annotated[Number, Field(ge=0)] | None = None
    severity: Literal["error", "warn"] = "error"
    why: str = ""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.fail_above is None) == (self.fail_below is None):
            if self.fail_above is None:
                raise ValueError("neither fail_above nor fail_below is set; set exactly one")
            raise ValueError("both fail_above and fail_below are set; set exactly one")
        return self


class Kept(Section):
    """Predictions that sampling never leaves out.

    Attributes
    ----------
    status
        Values of `status`, such as those of errors.
    labelled
        Whether those whose label is there when they are ingested are kept.
    segments
        By column, the values that are too rare to be sampled.
    """

    status: Annotated[tuple[Text, ...], AfterValidator(_distinct)] = ()
    labelled: bool = False
    segments: dict[ColumnName, Annotated[tuple[Category, ...], Field(min_length=1)]] = {}


class Sampling(Section):
    """Which share of the predictions is ingested, chosen by a hash of the correlation id.

    Attributes
    ----------
    rate
        Probability with which a prediction is kept.
    keep
        What is kept whatever the rate.
    rates
        By column and value, another rate; where several hold for a row, the highest.
    seed
        Part of the hash: another seed is another sample.
    """

    rate: Rate
    keep: Kept = Kept()
    rates: dict[ColumnName, Annotated[dict[Category, Rate], Field(min_length=1)]] = {}
    seed: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose values decide on the rate of a row."""
        return tuple(dict.fromkeys([*self.keep.segments, *self.rates]))


class Schedule(Section):
    """When the model's day is processed and for how long windows are scored again.

    Attributes
    ----------
    cron
        Five-field cron expression.
    timezone
        The zone the expression is read in.
    rescore
        How long a window is scored again as labels arrive.
    """

    cron: Annotated[str, AfterValidator(check_cron)]
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    rescore: Duration = timedelta(days=7)


class Monitor(Section):
    """Everything that is watched about one model.

    Attributes
    ----------
    model
        Its name, which is also the name of the folder.
    description, task, owners, runbook
        What it is, who answers for it, and what to do when it fails.
    start_date, end_date
        The first day, and the last day of a replayed history.
    replay_as_of
        Fixed clock for data of the past; None for the wall clock.
    good_status
        Values of `status` that count as served.
    entities
        Entity columns that are kept in the prediction log beside the features.
    segments
        Columns whose values split every metric.
    features, feature_views
        What the model reads and where it is served from.
    labels
        When labels come.
    versions
        Its versions and their baselines.
    windows
        The windows every metric is computed over.
    objectives
        What is held against the metrics.
    schedule
        When it runs.
    sampling
        Which share of the predictions is ingested; None for all.
    """

    model: Name
    description: Text
    task: Literal["binary"]
    owners: Annotated[tuple[Owner, ...], Field(min_length=1)]
    runbook: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    start_date: Day
    end_date: Day | None = None
    replay_as_of: Instant | None = None
    good_status: Annotated[tuple[Text, ...], Field(min_length=1)] = ("ok",)
    entities: Columns = ()
    segments: Columns = ()
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    feature_views: dict[Name, FeatureView] = {}
    labels: Labels
    versions: Annotated[dict[VersionName, Version], Field(min_length=1)]
    windows: Annotated[tuple[Window, ...], Field(min_length=1), AfterValidator(_distinct)]
    objectives: tuple[Objective, ...] = ()
    schedule: Schedule
    sampling: Sampling | None = None

    @model_validator(mode="after")
    def _sampled_by_what_is_known(self) -> Self:
        known = (*self.segments, *self.feature_names)
        for name in self.sampling.columns if self.sampling else ():
            if name not in known:
                raise ValueError(
                    f"sampling names {name!r}, no segment and no feature; {suggestion(name, known)}"
                )
        return self

    @model_validator(mode="after")
    def _rescored_until_mature(self) -> Self:
        if self.schedule.rescore < self.labels.horizon:
            raise ValueError(
                "schedule.rescore is shorter than labels.horizon: no day would be scored again once its "
                "labels are due; write at least the horizon"
            )
        return self

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.end_date is not None and self.end_date < self.start_date:
            raise ValueError("end_date is before start_date; swap or mend them")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the document."""
        return tuple(feature.name for feature in self.features)
