"""Summary of predicted numbers whose labels may still be to come, beside the errors of a matured cohort."""

from dataclasses import dataclass, replace
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive, weighted
from mlobs_pipelines.core.summaries.regression import RegressionSummary
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class ValueEstimatedSummary(Additive):
    """Predicted numbers of a regression model, labelled or not, beside a matured cohort of the same version.

    Attributes
    ----------
    scored : (..., B)
        Rows per cell of the predicted number, ascending.
    known : (..., B)
        Labelled rows of the cohort per cell; leading axes broadcast against those of `scored`. Where rows
        have weights, adding up to as many rows of equal weight as say as much.
    absolute, error_sq, error_4 : (..., B)
        Σ|e|, Σe² and Σe⁴ of the same rows.
    low, high : (B,)
        Edges of the cells.
    realised
        The errors of the window's rows whose label is known.
    """

    scored: Amounts
    known: Amounts
    absolute: Floats
    error_sq: Floats
    error_4: Floats
    low: Floats
    high: Floats
    realised: RegressionSummary
    FIXED: ClassVar[tuple[str, ...]] = ("known", "absolute", "error_sq", "error_4", "low", "high")

    @property
    def outcome(self) -> RegressionSummary:
        """The known labels with what weights make of them."""
        plain = replace(self.realised, once=None, twice=None)
        return plain if self.twice is None else weighted(self.seen.realised, plain, self.twice.realised)
