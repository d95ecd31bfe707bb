"""Mergeable statistics as values: what a metric function receives.

Each class holds additive counts and sums with any number of leading axes (days, windows); `total` adds over
the first of them, which is what merging means here. Where rows have weights, the fields are weighted, and the
same sums by rows seen and by squared weights go along. Nothing in this module reads rows or knows a window.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats, Ints

S = TypeVar("S", bound="Additive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Additive:
    """A dataclass whose array fields add up, except those named in ``FIXED``.

    Attributes
    ----------
    once, twice
        None where every row counts for itself. Otherwise every field is a sum over rows times their weight,
        and these hold the same sums with no weight, and with its square: what an honest row number and an
        honest variance take.
    """

    FIXED: ClassVar[tuple[str, ...]] = ()
    once: Self | None = None
    twice: Self | None = None

    @property
    def seen(self) -> Self:
        """The same sums with every row counted once: how many rows were really seen."""
        return self if self.once is None else self.once

    @property
    def squared(self) -> Self:
        """The same sums with every row times its squared weight: the spread of the weighted sums."""
        return self if self.twice is None else self.twice

    def total(self) -> Self:
        """Merge along the leading axis: the summary of all its entries together."""
        return self.select(lambda array: array.sum(axis=0))

    def select(self, change: Callable[[Amounts], Amounts]) -> Self:
        """Apply `change` to every additive array and keep the fixed ones."""
        values: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None or item.name in self.FIXED:
                values[item.name] = value
            else:
                values[item.name] = value.select(change) if isinstance(value, Additive) else change(value)
        return type(self)(**values)


def weighted(once: S, *layers: S) -> S:
    """Put the sums of one set of rows together: by rows seen and, where rows have weights, by w and by w²."""
    if not layers:
        return once
    total, twice = layers
    return replace(total, once=once, twice=twice)


@dataclass(frozen=True, slots=True)
class FeatureSummary(Additive):
    """One feature (or the score) in windows, next to its baseline.

    Attributes
    ----------
    n, nulls, nonfinite : (...,)
        Rows, missing rows, NaN or infinite rows.
    bins : (..., B)
        Counts over the baseline-pinned drift bins, the NULL bin (and OTHER for categories) included.
    cells : (..., C)
        Counts over the finest cells in ascending order of value (numeric); for categories one per category.
    atom : (C,)
        True where every row of a cell shares one exact value, so that the cell has no inner order.
    ordered
        True for a numeric feature: cells have an order, KS is defined.
    baseline_n, baseline_nulls, baseline_bins, baseline_cells
        The same of the baseline, without leading axes where all windows have one, else with theirs.
    low, high : (C,)
        Edges of the cells in the feature's unit, both the value itself for an atom; None for categories.
    """

    n: Amounts
    nulls: Amounts
    nonfinite: Amounts
    bins: Amounts
    cells: Amounts
    atom: Flags
    ordered: bool
    baseline_n: Amounts | int
    baseline_nulls: Amounts | int
    baseline_bins: Ints
    baseline_cells: Ints
    low: Floats | None = None
    high: Floats | None = None
    FIXED: ClassVar[tuple[str, ...]] = (
        "atom",
        "ordered",
        "baseline_n",
        "baseline_nulls",
        "baseline_bins",
        "baseline_cells",
        "low",
        "high",
    )


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


@dataclass(frozen=True, slots=True)
class PanelSummary(Additive):
    """The drift bins of all features of a window side by side.

    Attributes
    ----------
    bins : (..., F, B)
        Counts over each feature's drift bins, filled up with zeros to the most bins a feature has.
    baseline_bins : (..., F, B)
        The same of the baseline; leading axes broadcast against those of `bins`.
    width : (F,)
        How many bins each feature has.
    importance : (F,)
        Importance of each feature in the baseline; NaN where unknown.
    names
        The features.
    """

    bins: Amounts
    baseline_bins: Amounts
    width: Ints
    importance: Floats
    names: tuple[str, ...]
    FIXED: ClassVar[tuple[str, ...]] = ("baseline_bins", "width", "importance", "names")


@dataclass(frozen=True, slots=True)
class LabelSummary(Additive):
    """How far the labels of a window have come, as of one moment.

    Attributes
    ----------
    predictions : (...,)
        Predictions that should get a label.
    arrived, pending : (..., L)
        Arrived labels by whole lag unit (index i: lag in (i-1, i] units, index 0: lag 0), and predictions
        still waiting by whole age unit (index i: age in [i, i+1) units). The last index holds all beyond.
    void : (...,)
        Arrived labels that say there is no outcome; counted as arrived, never as negatives.
    mature, mature_labelled : (..., H)
        Predictions with age >= horizon h, and those of them labelled within h, per declared horizon.
    overdue : (...,)
        Predictions older than the label horizon and still without a label.
    aged : (...,)
        Predictions older than the label horizon.
    unit_h : float
        Hours per lag unit.
    horizons_h : (H,)
        Declared horizons in hours, ascending; the last one is the label horizon.
    """

    predictions: Amounts
    arrived: Amounts
    pending: Amounts
    void: Amounts
    mature: Amounts
    mature_labelled: Amounts
    overdue: Amounts
    aged: Amounts
    unit_h: float
    horizons_h: Floats
    FIXED: ClassVar[tuple[str, ...]] = ("unit_h", "horizons_h")


@dataclass(frozen=True, slots=True)
class OperationSummary(Additive):
    """Requests of a window.

    Attributes
    ----------
    requests, errors : (...,)
        All requests, and those whose status is not one of the declared good ones.
    latency : (..., C)
        Counts over latency cells, ascending.
    low_ms, high_ms : (C,)
        Edges of the cells in milliseconds.
    hours : (...,)
        Hours of the windows' days that had requests.
    """

    requests: Amounts
    errors: Amounts
    latency: Amounts
    low_ms: Floats
    high_ms: Floats
    hours: Floats = field(default_factory=lambda: np.array(24.0))
    FIXED: ClassVar[tuple[str, ...]] = ("low_ms", "high_ms", "hours")


@dataclass(frozen=True, slots=True)
class SkewSummary(Additive):
    """One feature as served against the same feature recomputed point-in-time, row by row.

    Attributes
    ----------
    pairs : (...,)
        Rows where at least one of the two values is present.
    mismatched, missing, extra : (...,)
        Rows with two different values; recomputed only (serving lost it); served only.
    absolute_delta, absolute_sum : (...,)
        Σ|a-b| and Σ(|a|+|b|) over rows with both values (0 for categories).
    numeric
        Whether the values are numbers, so that the two sums mean something.
    """

    pairs: Amounts
    mismatched: Amounts
    missing: Amounts
    extra: Amounts
    absolute_delta: Floats
    absolute_sum: Floats
    numeric: bool = True
    FIXED: ClassVar[tuple[str, ...]] = ("numeric",)


Summary = (
    FeatureSummary
    | PanelSummary
    | ScoreSummary
    | ShiftSummary
    | DecisionSummary
    | GroupSummary
    | LabelSummary
    | OperationSummary
    | SkewSummary
)
