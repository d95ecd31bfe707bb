"""Summary of how long labels take, by what they say."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts


@dataclass(frozen=True, slots=True)
class ClassLagSummary(Additive):
    """Lags of labels by class, of predictions at least as old as the label horizon.

    Attributes
    ----------
    arrived : (..., K, L)
        Labels of each class by whole lag unit up to the horizon (index i: lag in (i-1, i] units, index 0:
        lag 0). Labels without an outcome are of no class.
    classes
        Names of the K classes; "0" and "1" for a binary model.
    unit_h
        Hours per lag unit.
    """

    arrived: Amounts
    classes: tuple[str, ...]
    unit_h: float
    FIXED: ClassVar[tuple[str, ...]] = ("classes", "unit_h")
