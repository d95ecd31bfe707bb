"""Summaries of the predictions that both the champion and another version scored, one per task.

Every field counts pairs; differences are the version's own minus the champion's.
"""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints


@dataclass(frozen=True, slots=True)
class ClassPairSummary(Additive):
    """Pairs of what a version and the champion said of the same prediction's class.

    Attributes
    ----------
    unlabelled : (...,)
        Pairs without a label (pending or void).
    both, own_only, champion_only, neither : (...,)
        Labelled pairs by whose decision was right.
    log_loss, log_loss_sq : (...,)
        Σ and Σ² of the exact difference of the two log losses.
    squared_error, squared_error_sq : (...,)
        Σ and Σ² of the exact difference of the two squared errors, as a Brier score takes them.
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

    @property
    def labelled(self) -> Amounts:
        """Pairs with a label."""
        return self.both + self.own_only + self.champion_only + self.neither


@dataclass(frozen=True, slots=True)
class PairSummary(ClassPairSummary):
    """Pairs of a binary model's probabilities; a decision is made at each version's own threshold.

    Attributes
    ----------
    own_positives, own_negatives : (..., B)
        Labelled pairs per cell of the version's own score, ascending; the rows of a cell count as tied.
    champion_positives, champion_negatives : (..., B)
        The same pairs per cell of the champion's score.
    joint_positives, joint_negatives : (..., J)
        The same pairs by both scores at once, in coarser cells.
    own_range, champion_range : (J, 2)
        Positions among the B cells of the first, and after the last, that the scores of a joint cell lie in.
    """

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


@dataclass(frozen=True, slots=True)
class ValuePairSummary(Additive):
    """Pairs of numbers that a regression model and its champion predicted.

    Attributes
    ----------
    labelled, unlabelled : (...,)
        Pairs with a label, and those without (pending or void).
    absolute_error, absolute_error_sq : (...,)
        Σ and Σ² of the difference of the two |prediction - label|.
    squared_error, squared_error_sq : (...,)
        Σ and Σ² of the difference of the two (prediction - label)².
    """

    labelled: Amounts
    unlabelled: Amounts
    absolute_error: Floats
    absolute_error_sq: Floats
    squared_error: Floats
    squared_error_sq: Floats


PAIRS = (PairSummary, ClassPairSummary, ValuePairSummary)
