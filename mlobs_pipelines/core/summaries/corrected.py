"""Summary of known labels that stand for those of their class still to come."""

from dataclasses import dataclass, replace

from mlobs_pipelines.core.summaries.additive import Additive, weighted
from mlobs_pipelines.core.summaries.scores import ScoreSummary


@dataclass(frozen=True, slots=True)
class CorrectedSummary(Additive):
    """Known labels of a binary model, weighted by 1 ÷ the chance that they have arrived (`core.arrival`).

    The exact log loss is not kept by label: it is NaN in all of them.

    Attributes
    ----------
    known
        The labels as they are, of the days that are used.
    scores, spread
        The same with each label counted as its weight, and as its squared weight.
    shifts
        What a standard error of the lag curves changes in `scores`, in independent directions: every array
        has one axis more, in front of that of cells.
    """

    known: ScoreSummary
    scores: ScoreSummary
    spread: ScoreSummary
    shifts: ScoreSummary

    @property
    def outcome(self) -> ScoreSummary:
        """The weighted labels with what the weights make of their certainty."""
        parts = (self.seen.known, self.scores, self.squared.spread)
        return weighted(*(replace(part, once=None, twice=None) for part in parts))
