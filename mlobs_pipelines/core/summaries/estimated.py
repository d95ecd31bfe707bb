"""Summary of scores whose labels may still be to come, beside those of a matured cohort."""

from dataclasses import dataclass, replace
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive, weighted
from mlobs_pipelines.core.summaries.scores import ScoreSummary
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats


@dataclass(frozen=True, slots=True)
class EstimatedSummary(Additive):
    """Scores of a binary model, labelled or not, beside a matured cohort of the same version.

    Attributes
    ----------
    scored : (..., B)
        Scored rows per score cell, ascending in score; every row of a cell counts as tied.
    unsure : (...,)
        Rows in the one cell that the threshold cuts, which are all counted on its nearer side.
    positives, negatives : (..., B)
        Labelled rows of the cohort per score cell; leading axes broadcast against those of `scored`. Where
        rows have weights, adding up to as many rows of equal weight as say as much.
    selected : (B,)
        True for cells whose rows are predicted positive.
    low, high : (B,)
        Edges of the score cells.
    realised
        The same scores with the labels that are known.
    """

    scored: Amounts
    unsure: Amounts
    positives: Amounts
    negatives: Amounts
    selected: Flags
    low: Floats
    high: Floats
    realised: ScoreSummary
    FIXED: ClassVar[tuple[str, ...]] = ("positives", "negatives", "selected", "low", "high")

    @property
    def outcome(self) -> ScoreSummary:
        """The known labels with what weights make of them."""
        plain = replace(self.realised, once=None, twice=None)
        return plain if self.twice is None else weighted(self.seen.realised, plain, self.twice.realised)
