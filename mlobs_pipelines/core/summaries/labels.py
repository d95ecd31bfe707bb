"""Summary of how far labels have come."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats


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
    early, revised, conflicting : (...,)
        Arrived labels that were known before their prediction, that came more than once, and that came with
        different values; the latest value is the one that counts.
    settled : (..., U + 1)
        Of predictions as old as the label horizon, U units: labels that arrived within it, by lag unit.
    young : (..., U)
        Arrived labels of younger predictions, by whole age unit.
    fresh : (..., U)
        Labels that arrived within the last U units, by whole units since.
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
    early: Amounts
    revised: Amounts
    conflicting: Amounts
    settled: Amounts
    young: Amounts
    fresh: Amounts
    unit_h: float
    horizons_h: Floats
    SHOWN: ClassVar[tuple[str, ...]] = (
        "predictions",
        "void",
        "mature",
        "mature_labelled",
        "overdue",
        "aged",
        "early",
        "revised",
        "conflicting",
    )
    FIXED: ClassVar[tuple[str, ...]] = ("unit_h", "horizons_h")
