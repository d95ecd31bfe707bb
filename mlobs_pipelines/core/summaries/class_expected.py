"""Summary of a multiclass model's scores of every class, labels still to come, beside those of a cohort."""

from dataclasses import dataclass, replace
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive, weighted
from mlobs_pipelines.core.summaries.multiclass import MulticlassSummary
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class ClassExpectedSummary(Additive):
    """Scores of all K classes, of rows labelled or not, beside a matured cohort of the version.

    Attributes
    ----------
    scored : (..., K, K, B)
        Rows by class, by predicted class and by the cell of the score of the first, ascending: every row is
        in one cell of each class.
    losses, losses_sq : (..., K, B)
        Σ and Σ² of -ln(score of the class) per cell: what a row loses if the class comes true.
    positives, negatives : (..., K, B)
        Labelled rows of the cohort whose label is, or is not, the class, per cell of its score; leading axes
        broadcast against those of `scored`. Where rows have weights, as many as they are worth.
    low, high : (B,)
        Edges of the cells, which all classes share.
    realised
        The same scores with the labels that are known.
    """

    scored: Amounts
    losses: Floats
    losses_sq: Floats
    positives: Amounts
    negatives: Amounts
    low: Floats
    high: Floats
    realised: MulticlassSummary
    FIXED: ClassVar[tuple[str, ...]] = ("positives", "negatives", "low", "high")

    @property
    def outcome(self) -> MulticlassSummary:
        """The known labels with what weights make of them."""
        plain = replace(self.realised, once=None, twice=None)
        return plain if self.twice is None else weighted(self.seen.realised, plain, self.twice.realised)
