"""Summaries of what models that are not binary predict, and of what comes true, beside the baseline's."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts


@dataclass(frozen=True, slots=True)
class PredictedSummary(Additive):
    """Predicted classes of all scored rows, whether or not their label is known.

    Attributes
    ----------
    classes : (..., K)
        Rows per predicted class.
    baseline_classes : (..., K)
        The same of the baseline: its leading axes broadcast against those of `classes`.
    """

    classes: Amounts
    baseline_classes: Amounts
    FIXED: ClassVar[tuple[str, ...]] = ("baseline_classes",)


@dataclass(frozen=True, slots=True)
class OutcomeSummary(Additive):
    """Labels known so far: by class, or by the drift bin that a number lies in.

    Attributes
    ----------
    outcomes : (..., K)
        Labelled rows per class, or per bin.
    baseline_outcomes : (..., K)
        The same of the baseline: its leading axes broadcast against those of `outcomes`.
    """

    outcomes: Amounts
    baseline_outcomes: Amounts
    FIXED: ClassVar[tuple[str, ...]] = ("baseline_outcomes",)
