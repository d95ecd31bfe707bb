"""A monitor's `guard`: by how much a candidate may be worse than the champion, and what it must keep to.

The defaults stand here, for every task; how a candidate is held against them is the business of the steps.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import Field, StrictInt

from mlobs_pipelines.contracts.durations import Duration
from mlobs_pipelines.contracts.sections import Columns, Name, Number, Section, Text

Size = Annotated[Number, Field(ge=0)]
# By how much a candidate may be worse than the champion on the same predictions, in the metric's unit.
MARGINS: Mapping[str, Mapping[str, float]] = {
    "binary": {"auc": 0.01, "accuracy": 0.01, "brier_score": 0.005, "log_loss": 0.02, "ece": 0.02},
    "multiclass": {"accuracy": 0.01, "brier_score": 0.01, "log_loss": 0.02, "ece": 0.02},
    "regression": {"mae": 0.02, "mse": 0.04, "bias": 0.05},
}
OPERATIONS = {"error_share": 0.005, "latency_p95": 0.5}
# Margins of these are shares of the champion's own value; that of the bias is one of its mean absolute error.
RELATIVE = ("mae", "mse", "bias", "latency_p95")
LIMITS: Mapping[str, float] = {"psi": 0.25, "skew_smape": 0.05, "skew_mismatch_share": 0.02}
_ABSOLUTE = ("latency_p50", "latency_p95", "latency_p99", "error_share", "timeout_share", "ece")


class Hook(Section):
    """What is run when going back to an earlier version is advised and somebody says so.

    Attributes
    ----------
    command
        Words of the command, run in the model's folder; ``python`` is the interpreter in use. It gets the
        advice as JSON on its standard input.
    timeout
        After which it is ended.
    """

    command: Annotated[tuple[Text, ...], Field(min_length=1)]
    timeout: Duration = timedelta(minutes=1)


class Guard(Section):
    """What a candidate must keep to, to become the champion.

    Attributes
    ----------
    days
        How many of the latest days are judged on which it ran beside the champion.
    min_days
        Days under which nothing is said of drift, quality and calibration: a week has days of all kinds.
    margins
        By metric, how much worse than the champion it may be; None to leave the metric out. Those of
        `RELATIVE` metrics are shares of the champion's value.
    group_factor
        How many times as much it may be worse in a single group, where chance is larger.
    limits
        By metric, the value that it must not exceed whatever the champion does; None for no limit. Where
        nothing is said the constant limit of an objective holds, else the default of `LIMITS`.
    min_importance
        Features that carry less than this share of the importance of all may drift; where the importances are
        not known, none may.
    segments
        Segments whose values are judged each on its own; None for all that are declared.
    small_groups
        Which share of a segment's rows may lie in groups that are too small to judge.
    min_pairs
        Labelled pairs under which nothing is said, beside the minimum of each metric.
    rollback
        What is run to go back to an earlier version.
    """

    days: Annotated[StrictInt, Field(ge=1, le=366)] = 28
    min_days: Annotated[StrictInt, Field(ge=1, le=366)] = 7
    margins: dict[Name, Size | None] = Field(default_factory=dict)
    group_factor: Annotated[Number, Field(ge=1)] = 3
    limits: dict[Name, Size | None] = Field(default_factory=dict)
    min_importance: Annotated[Number, Field(ge=0, le=1)] = 0.1
    segments: Columns | None = None
    small_groups: Annotated[Number, Field(ge=0, le=1)] = 0.05
    min_pairs: Annotated[StrictInt, Field(ge=1)] = 200
    rollback: Hook | None = None

    def margin(self, metric: str, task: str) -> float | None:
        """How much worse the candidate may be; None where the metric is left out."""
        return self.margins.get(metric, {**MARGINS[task], **OPERATIONS}.get(metric))

    def unknown(self, task: str) -> tuple[str, str, tuple[str, ...]] | None:
        """The first key of `margins` or `limits` that the task has not, with those it has."""
        margins = (*MARGINS[task], *OPERATIONS)
        limits = (*LIMITS, *_ABSOLUTE)
        for key, given, valid in (("margins", self.margins, margins), ("limits", self.limits, limits)):
            for name in given:
                if name not in valid:
                    return key, name, valid
        return None
