"""Summary of a multiclass model's scores with the labels known so far."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class MulticlassSummary(Additive):
    """Scores of a model of K classes with the labels known so far.

    The predicted class is the one of the largest score; ties go to the class declared first.

    Attributes
    ----------
    confusion : (..., K, K)
        Labelled rows by true class, then by predicted class.
    positives, negatives : (..., K, B)
        Labelled rows whose label is, or is not, class k, per cell of the score of class k, ascending in
        score; every row of a cell counts as tied.
    unlabelled : (...,)
        Scored rows without a label (pending or void).
    log_loss, log_loss_sq : (...,)
        Σ and Σ² of the exact per-row -ln(score of the true class).
    squared_error, squared_error_sq : (...,)
        Σ and Σ² of the exact per-row Σ_k (score of class k - [label is k])².
    bin_n, bin_correct : (..., 15)
        Labelled rows, and those predicted rightly, per equal-width bin of the top score.
    bin_score, bin_score_sq, bin_score_correct : (..., 15)
        Σ top score, Σ top score², and Σ top score over the rightly predicted rows, per bin.
    classes
        Names of the K classes, in the order declared.
    low, high : (B,)
        Edges of the score cells, which all classes share.
    """

    confusion: Amounts
    positives: Amounts
    negatives: Amounts
    unlabelled: Amounts
    log_loss: Floats
    log_loss_sq: Floats
    squared_error: Floats
    squared_error_sq: Floats
    bin_n: Amounts
    bin_correct: Amounts
    bin_score: Floats
    bin_score_sq: Floats
    bin_score_correct: Floats
    classes: tuple[str, ...]
    low: Floats
    high: Floats
    SHOWN: ClassVar[tuple[str, ...]] = (
        "confusion",
        "unlabelled",
        "log_loss",
        "log_loss_sq",
        "squared_error",
        "squared_error_sq",
        "bin_n",
        "bin_correct",
        "bin_score",
        "bin_score_sq",
        "bin_score_correct",
    )
    FIXED: ClassVar[tuple[str, ...]] = ("classes", "low", "high")

    @property
    def bin_positives(self) -> Amounts:
        """What the top score speaks of: that the predicted class is the right one."""
        return self.bin_correct

    @property
    def bin_score_positives(self) -> Floats:
        """Σ top score where it came true."""
        return self.bin_score_correct
