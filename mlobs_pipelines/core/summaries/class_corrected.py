"""Summary of known labels of several classes that stand for those of their class still to come."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class ClassCorrectedSummary(Additive):
    """Known labels of a multiclass model, weighted by 1 ÷ the chance that they have arrived (`core.arrival`).

    Attributes
    ----------
    known : (..., K, K)
        The labels as they are, of the days that are used, by true class, then by predicted class.
    stood, spread : (..., K, K)
        The same with each label counted as its weight, and as its squared weight.
    shifts : (..., S, K, K)
        What a standard error of the lag curves changes in `stood`, in independent directions.
    classes
        Names of the K classes, in the order declared.
    """

    known: Amounts
    stood: Floats
    spread: Floats
    shifts: Floats
    classes: tuple[str, ...]
    FIXED: ClassVar[tuple[str, ...]] = ("classes",)
