"""Summaries of feature attributions, such as SHAP values: of one feature, and of all side by side.

What counts is how far a feature moved the score of a row, in either direction: |attribution|.
"""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class AttributionSummary(Additive):
    """What one feature did to the scores of windows.

    Attributes
    ----------
    n : (...,)
        Rows with an attribution of the feature.
    size, size_sq : (...,)
        Σ and Σ² of the size of the feature's attribution.
    whole : (...,)
        Σ of the sizes of all features' attributions.
    cells : (..., C)
        Rows over cells of the size, ascending.
    low, high : (C,)
        Edges of the cells.
    """

    n: Amounts
    size: Floats
    size_sq: Floats
    whole: Floats
    cells: Amounts
    low: Floats
    high: Floats
    FIXED: ClassVar[tuple[str, ...]] = ("low", "high")


@dataclass(frozen=True, slots=True)
class AttributionPanel(Additive):
    """Attributions of all features of windows, next to how much each weighs in the baseline.

    Attributes
    ----------
    n, size, size_sq : (..., F)
        Rows, Σ and Σ² of the size of each feature's attribution.
    baseline : (..., F)
        Mean size of each feature's attribution in the baseline, or its importance there where the baseline
        has no attributions; NaN where unknown. Leading axes broadcast against those of `n`.
    names
        The features.
    """

    n: Amounts
    size: Floats
    size_sq: Floats
    baseline: Floats
    names: tuple[str, ...]
    FIXED: ClassVar[tuple[str, ...]] = ("baseline", "names")
