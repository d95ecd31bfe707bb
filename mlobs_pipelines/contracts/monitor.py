"""`monitor.yaml`: what is watched about one model, and what is held against it.

What a single document can say about itself is checked here; what needs others beside it is `crosscheck`.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, StringConstraints, model_validator

from mlobs_pipelines.contracts.cron import check_cron
from mlobs_pipelines.contracts.durations import Duration
from mlobs_pipelines.contracts.objectives import Objective
from mlobs_pipelines.contracts.problems import suggestion
from mlobs_pipelines.contracts.release_rules import Guard
from mlobs_pipelines.contracts.samplings import Multivariate, Sampling
from mlobs_pipelines.contracts.sections import (
    ColumnName,
    Columns,
    Day,
    Instant,
    Name,
    Number,
    Owner,
    PerFeature,
    Section,
    Share,
    Template,
    Text,
    Timezone,
    VersionName,
    Words,
    distinct,
)
from mlobs_pipelines.contracts.slos import IncidentRules, Slo
from mlobs_pipelines.core.vocabulary import Window


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
    orphan_limit
        Share of the labels of a day that may have no prediction.
    """

    horizon: Duration
    unit: Duration = timedelta(hours=1)
    horizons: tuple[Duration, ...]
    coverage_target: Annotated[Number, Field(gt=0, le=1)] = 0.95
    orphan_limit: Annotated[Number, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.horizon not in self.horizons:
            raise ValueError("horizon is missing from horizons; add it there")
        if list(self.horizons) != sorted(set(self.horizons)):
            raise ValueError("horizons are not in rising order; write each once, the shortest first")
        if any(horizon % self.unit for horizon in self.horizons):
            raise ValueError("a horizon is not a whole number of units; choose a unit that divides them all")
        return self


class Comparison(Section):
    """What windows are compared with; written as a word, as `{from, to}` or as `{days}`.

    Attributes
    ----------
    kind
        The version's training set, fixed days, the days before each window, the window before it, or the
        champion in the same window.
    start, end
        First and last of the fixed days; written `from` and `to`.
    days
        How many days before each window.
    """

    kind: Literal["training", "window", "rolling", "previous", "champion"]
    start: Annotated[Day | None, Field(alias="from")] = None
    end: Annotated[Day | None, Field(alias="to")] = None
    days: Annotated[StrictInt, Field(ge=1, le=366)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return {"kind": value}
        named: dict[Any, Any] = dict(value)
        if "kind" not in named and named:
            named["kind"] = "rolling" if "days" in named else "window"
        return named

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name in ("start", "end", "days") if getattr(self, name) is not None}
        if given != {"window": {"start", "end"}, "rolling": {"days"}}.get(self.kind, set()):
            raise ValueError(
                "neither fixed days nor days before each window; write {from: 2013-03-01, to: 2013-03-31}, "
                "{days: 28} or a word: training, previous, champion"
            )
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("to is before from; swap or mend them")
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
        Score from which a binary model's version says yes.
    compared_with
        What its windows are compared with, where that is not what the monitor says.
    """

    baseline: Template
    facts: Template
    threshold: Share = 0.5
    compared_with: Comparison | None = None


Cron = Annotated[str, AfterValidator(check_cron)]


class Cadence(Section):
    """When the jobs after ingestion look for days that they have not done yet.

    Attributes
    ----------
    join
        Days that are ingested: snapshots, the log and the join with labels.
    quality
        Days that are joined: statistics, metrics of every family, error budgets, incidents.
    label_lag
        Days whose labels are still coming in, joined and measured again with those of another day.
    calibration
        Days whose labels have become due, once: what is said of them then stays.
    """

    join: Cron = "5 * * * *"
    quality: Cron = "20 * * * *"
    label_lag: Cron = "35 * * * *"
    calibration: Cron = "50 * * * *"


class Schedule(Section):
    """When the model's jobs run, and for how long windows are scored again.

    Attributes
    ----------
    cron
        Five-field cron expression of ingestion.
    timezone
        The zone that all expressions are read in; days are UTC days in any.
    cut_off
        How long after the end of a day its deliveries may still come: it is not ingested before.
    catch_up
        How far back days that no job has done, because nothing ran, are asked for by themselves.
    rescore
        How long a window is scored again as labels arrive.
    cadence
        When the other jobs run.
    """

    cron: Cron
    timezone: Timezone = "UTC"
    cut_off: Duration = timedelta()
    catch_up: Duration = timedelta(days=30)
    rescore: Duration = timedelta(days=7)
    cadence: Cadence = Cadence()


class Monitor(Section):
    """Everything that is watched about one model.

    Attributes
    ----------
    model
        Its name, which is also the name of the folder.
    description, owners, runbook
        What it is, who answers for it, and what to do when it fails.
    task
        What it predicts: the probability of one of two outcomes, a class, or a number.
    classes
        Score column of each class of a multiclass model. The class of the largest score is the predicted
        one; of equal scores the class declared first.
    start_date, end_date
        The first day, and the last day of a replayed history.
    replay_as_of
        Fixed clock for data of the past; None for the wall clock.
    good_status, timeout_status
        Values of `status` that count as served, and as given up for taking too long; any other is an error.
    entities
        Entity columns that are kept in the prediction log beside the features.
    segments, crosses
        Columns whose values split every metric, and pairs of them whose combined values do too.
    segment_cap
        How many values of a segment, or of a cross, have metrics of their own: the most frequent ones of each
        version's training set; the others are one, `__other__`.
    attributions
        How the columns of predictions are named that hold each feature's attribution, such as its SHAP value;
        None where the log has none.
    features, feature_views
        What the model reads and where it is served from.
    labels
        When labels come.
    versions
        Its versions and their baselines.
    compared_with
        What windows are compared with: by default each version's training set.
    custom_metrics
        Modules in the model's folder that register metrics of its own.
    windows
        The windows every metric is computed over.
    engine
        What works on the rows of a day: this process, or Spark with the same results.
    objectives, slos, incidents
        What is held against the metrics, how often that may fail over a period, and when failures are over.
    guard
        What a candidate must keep to, to become the champion.
    schedule
        When it runs.
    sampling
        Which share of the predictions is ingested; None for all.
    multivariate
        How drift of all features together is measured; None for not at all.
    """

    model: Name
    description: Text
    task: Literal["binary", "multiclass", "regression"]
    classes: dict[Text, ColumnName] = Field(default_factory=dict)
    owners: Annotated[tuple[Owner, ...], Field(min_length=1)]
    runbook: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    start_date: Day
    end_date: Day | None = None
    replay_as_of: Instant | None = None
    good_status: Annotated[tuple[Text, ...], Field(min_length=1)] = ("ok",)
    timeout_status: Words = ("timeout",)
    entities: Columns = ()
    segments: Columns = ()
    crosses: tuple[Annotated[Columns, Field(min_length=2, max_length=2)], ...] = ()
    segment_cap: Annotated[int, Field(ge=1, le=100_000)] = 200
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    feature_views: dict[Name, FeatureView] = Field(default_factory=dict)
    attributions: PerFeature | None = None
    labels: Labels
    versions: Annotated[dict[VersionName, Version], Field(min_length=1)]
    compared_with: Comparison = Comparison(kind="training")
    custom_metrics: Annotated[tuple[Name, ...], AfterValidator(distinct)] = ()
    windows: Annotated[tuple[Window, ...], Field(min_length=1), AfterValidator(distinct)]
    engine: Literal["embedded", "spark"] = "embedded"
    objectives: tuple[Objective, ...] = ()
    slos: tuple[Slo, ...] = ()
    incidents: IncidentRules = IncidentRules()
    guard: Guard = Guard()
    schedule: Schedule
    sampling: Sampling | None = None
    multivariate: Multivariate | None = None

    @model_validator(mode="after")
    def _of_more_than_one(self) -> Self:
        without = self.multivariate.without if self.multivariate else ()
        for name in without:
            if name not in self.feature_names:
                raise ValueError(
                    f"multivariate leaves out {name!r}, no feature; {suggestion(name, self.feature_names)}"
                )
        if self.multivariate and len(self.features) - len(without) < 2:
            raise ValueError("multivariate is left with less than two features; leave fewer out")
        return self

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
    def _guarded_by_what_is_known(self) -> Self:
        unknown = self.guard.unknown(self.task)
        if unknown:
            key, name, valid = unknown
            raise ValueError(f"guard.{key} names {name!r}; {suggestion(name, valid)}")
        for name in self.guard.segments or ():
            if name not in self.segments:
                raise ValueError(f"guard names {name!r}, no segment; {suggestion(name, self.segments)}")
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
    def _timeouts_are_not_served(self) -> Self:
        both = [word for word in self.timeout_status if word in self.good_status]
        if both and "timeout_status" in self.model_fields_set:
            raise ValueError(f"{both[0]!r} is in good_status and in timeout_status; keep one")
        return self

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.end_date is not None and self.end_date < self.start_date:
            raise ValueError("end_date is before start_date; swap or mend them")
        return self

    def comparison(self, version: str) -> Comparison:
        """What the windows of a version are compared with."""
        return self.versions[version].compared_with or self.compared_with

    @property
    def attribution_columns(self) -> dict[str, str]:
        """Column of the attributions by feature; none where the log has no attributions."""
        if self.attributions is None:
            return {}
        return {name: self.attributions.format(feature=name) for name in self.feature_names}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the document."""
        return tuple(feature.name for feature in self.features)

    @property
    def score_columns(self) -> tuple[str, ...]:
        """Columns of the predictions that hold what the model said."""
        return tuple(self.classes.values()) or ("score",)
