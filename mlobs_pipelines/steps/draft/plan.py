"""What a draft says of a model, as values: columns, task, features, labels, versions, each with its reason.

Working it out from samples is `planning` and `truth`; writing it down is `documents` and `monitor`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from mlobs_pipelines.steps.draft.columns import Described

HORIZONS = (1, 3, 7, 14, 30, 60, 90, 180, 365)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user said.

    Attributes
    ----------
    columns
        Column of prediction_id, predicted_at, score and label, where it was named.
    task, positive
        Where they were named; `positive` is the label that a binary model's score is the probability of.
    label_delay
        When labels are known that come without a time of their own.
    """

    model: str
    owner: str
    columns: Mapping[str, str] = field(default_factory=dict)
    task: str | None = None
    positive: str | None = None
    label_delay: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a column of a contract comes from: a column of the sample, or one value for all rows."""

    column: str = ""
    constant: str | float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Labels:
    """Where labels come from, and when they come.

    Attributes
    ----------
    inside
        Whether they are in the file of the predictions.
    sources
        prediction_id, label, arrived_at and revision.
    horizon, coverage
        Days after which nearly all have come, and the share that has come by then.
    """

    inside: bool
    sources: Mapping[str, Source]
    horizon: int
    coverage: float
    why: str


@dataclass(frozen=True, slots=True)
class View:
    """Rows of feature values by entity and time."""

    name: str
    entity: str
    event_time: str
    created_at: str
    features: tuple[str, ...]
    columns: tuple[Described, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the draft says.

    Attributes
    ----------
    classes
        Score column of each class; none for other tasks.
    label_words
        Of a binary model whose labels are no numbers: what means yes.
    sources
        Columns that every model has.
    others
        All other columns of the predictions.
    features
        Those of them that the model reads; the view of each that has one.
    segments
        Columns whose values have metrics of their own.
    days
        First and last day of the predictions.
    """

    asked: Asked
    task: str
    task_why: str
    classes: Mapping[str, str]
    label_words: str
    sources: Mapping[str, Source]
    others: tuple[Described, ...]
    features: tuple[Described, ...]
    segments: tuple[str, ...]
    labels: Labels | None
    views: tuple[View, ...]
    versions: tuple[str, ...]
    days: tuple[date, date]
    rows: int
    known_until: datetime

    @property
    def view_of(self) -> dict[str, str]:
        """View of each feature that is served from one."""
        return {name: view.name for view in self.views for name in view.features}
