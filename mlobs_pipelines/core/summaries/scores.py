"""Summaries of a binary model's scores: with labels, beside the baseline's, as decisions, by group."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive, weighted
from mlobs_pipelines.core.vocabulary import Amounts, Floats, Ints


@dataclass(frozen=True, slots=True)
class ScoreSummary(Additive):
    """Scores of a binary model with the labels known so far.

    Attributes
    ----------
    positives, negatives : (..., B)
        Labelled rows per score cell, ascending in score; every row of a cell counts as tied.
    unlabelled : (...,)
        Scored rows without a label (pending or void).
    tp, fp, tn, fn : (...,)
        Exact confusion counts at the model's own threshold.
    log_loss, log_loss_sq : (...,)
        Σ and Σ² of the exact per-row log loss.
    squared_error, squared_error_sq : (...,)
        Σ and Σ² of the exact per-row (score - label)².
    bin_n, bin_positives : (..., K)
        Labelled rows and positives per equal-width reliability bin.
    bin_score, bin_score_sq, bin_score_positives : (..., K)
        Σ score, Σ score², and Σ score over the positives, per reliability bin.
    low, high : (B,)
        Edges of the score cells.
    """

    positives: Amounts
    negatives: Amounts
    unlabelled: Amounts
    tp: Amounts
    fp: Amounts
    tn: Amounts
    fn: Amounts
    log_loss: Floats
    log_loss_sq: Floats
    squared_error: Floats
    squared_error_sq: Floats
    bin_n: Amounts
    bin_positives: Amounts
    bin_score: Floats
    bin_score_sq: Floats
    bin_score_positives: Floats
    low: Floats
    high: Floats
    SHOWN: ClassVar[tuple[str, ...]] = (
        "tp",
        "fp",
        "tn",
        "fn",
        "unlabelled",
        "log_loss",
        "log_loss_sq",
        "squared_error",
        "squared_error_sq",
        "bin_n",
        "bin_positives",
        "bin_score",
        "bin_score_sq",
        "bin_score_positives",
    )
    FIXED: ClassVar[tuple[str, ...]] = ("low", "high")


@dataclass(frozen=True, slots=True)
class ShiftSummary(Additive):
    """Scores with the labels known so far, next to those of the baseline.

    Attributes
    ----------
    now
        Of the windows.
    before
        Of the baseline: its leading axes broadcast against those of `now`.
    """

    now: ScoreSummary
    before: ScoreSummary
    FIXED: ClassVar[tuple[str, ...]] = ("before",)

    @property
    def scores(self) -> ScoreSummary:
        """The windows' scores with what weights make of them."""
        return self.now if self.twice is None else weighted(self.seen.now, self.now, self.twice.now)


@dataclass(frozen=True, slots=True)
class DecisionSummary(Additive):
    """Predicted classes of all scored rows, whether or not their label is known, next to the baseline's.

    Attributes
    ----------
    classes : (..., K)
        Rows per predicted class; for a binary model those under the threshold, then those that reach it.
    unsure : (...,)
        Rows in the one score cell that the threshold cuts, which are all counted on its nearer side.
    baseline_classes : (..., K)
        Rows of the baseline per predicted class.
    """

    classes: Amounts
    unsure: Amounts
    baseline_classes: Amounts
    SHOWN: ClassVar[tuple[str, ...]] = ("classes", "unsure", "baseline_classes")
    FIXED: ClassVar[tuple[str, ...]] = ("baseline_classes",)


@dataclass(frozen=True, slots=True)
class GroupSummary(Additive):
    """What a model decided in every group of every declared segment.

    Attributes
    ----------
    scored, selected : (..., V)
        Scored rows, and those whose score reaches the threshold, labelled or not.
    positives, hits : (..., V)
        Rows whose label is 1, and those of them that were selected.
    negatives, false_alarms : (..., V)
        Rows whose label is 0, and those of them that were selected.
    segment : (V,)
        Index of the segment that each group is a value of.
    names
        The segments.
    """

    scored: Amounts
    selected: Amounts
    positives: Amounts
    hits: Amounts
    negatives: Amounts
    false_alarms: Amounts
    segment: Ints
    names: tuple[str, ...]
    FIXED: ClassVar[tuple[str, ...]] = ("segment", "names")
