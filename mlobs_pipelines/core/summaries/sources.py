"""Summary of labels by where they came from and what they say."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts


@dataclass(frozen=True, slots=True)
class LabelSourceSummary(Additive):
    """Known labels of predictions by source and class.

    Attributes
    ----------
    labels : (..., S, K)
        Labels by source, then by class.
    sources, classes
        Names of the S sources and the K classes.
    """

    labels: Amounts
    sources: tuple[str, ...]
    classes: tuple[str, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("labels",)
    FIXED: ClassVar[tuple[str, ...]] = ("sources", "classes")
