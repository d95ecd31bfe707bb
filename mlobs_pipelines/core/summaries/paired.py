"""Summary of the predictions that both the champion and another version scored."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints


@dataclass(frozen=True, slots=True)
class PairSummary(Additive):
    """Pairs of a version's score and the champion's score of the same prediction.

    Every field counts pairs; differences are the version's own minus the champion's.

    Attributes
    ----------
    unlabelled : (...,)
        Pairs without a label (pending or void).
    both, own_only, champion_only, neither : (...,)
        Labelled pairs by whose decision, each at its own threshold, was right.
    log_loss, log_loss_sq : (...,)
        Σ and Σ² of the exact difference of the two log losses.
    squared_error, squared_error_sq : (...,)
        Σ and Σ² of the exact difference of the two (score - label)².
    own_positives, own_negatives : (..., B)
        Labelled pairs per cell of the version's own score, ascending; the rows of a cell count as tied.
    champion_positives, champion_negatives : (..., B)
        The same pairs per cell of the champion's score.
    joint_positives, joint_negatives : (..., J)
        The same pairs by both scores at once, in coarser cells.
    own_range, champion_range : (J, 2)
        Positions among the B cells of the first, and after the last, that the scores of a joint cell lie in.
    """

    unlabelled: Amounts
    both: Amounts
    own_only: Amounts
    champion_only: Amounts
    neither: Amounts
    log_loss: Floats
    log_loss_sq: Floats
    squared_error: Floats
    squared_error_sq: Floats
    own_positives: Amounts
    own_negatives: Amounts
    champion_positives: Amounts
    champion_negatives: Amounts
    joint_positives: Amounts
    joint_negatives: Amounts
    own_range: Ints
    champion_range: Ints
    SHOWN: ClassVar[tuple[str, ...]] = (
        "unlabelled",
        "both",
        "own_only",
        "champion_only",
        "neither",
        "log_loss",
        "log_loss_sq",
        "squared_error",
        "squared_error_sq",
    )
    FIXED: ClassVar[tuple[str, ...]] = ("own_range", "champion_range")

    @property
    def labelled(self) -> Amounts:
        """Pairs with a label."""
        return self.both + self.own_only + self.champion_only + self.neither
