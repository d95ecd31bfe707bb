"""Summaries of features: one beside its baseline, and all of them side by side."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from mlobs_pipelines.core.distinct import Registers
from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Flags, Floats, Ints


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
        The same of the baseline: any leading axes broadcast against those of the windows, as one baseline of
        each group does for all its windows.
    low, high : (C,)
        Edges of the cells in the feature's unit, both the value itself for an atom; None for categories.
    distance, distance_sq : (...,)
        Σd and Σd² of each present finite value's distance d from `location`; None where only cells are known.
    least, greatest : (...,)
        Extremes of these values; infinite where there is none, None where only cells are known.
    location
        A value near the feature's middle.
    registers : (..., 4096) uint8
        Of `core.distinct`, for windows in which more categories occur than were counted apart; 0 for others,
        None where there is no such window.
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
    distance: Floats | None = None
    distance_sq: Floats | None = None
    least: Floats | None = None
    greatest: Floats | None = None
    location: float = 0.0
    registers: Registers | None = None
    LEAST: ClassVar[tuple[str, ...]] = ("least",)
    GREATEST: ClassVar[tuple[str, ...]] = ("greatest", "registers")
    SHOWN: ClassVar[tuple[str, ...]] = (
        "n",
        "nulls",
        "nonfinite",
        "bins",
        "baseline_n",
        "baseline_nulls",
        "baseline_bins",
    )
    FIXED: ClassVar[tuple[str, ...]] = (
        "atom",
        "ordered",
        "baseline_n",
        "baseline_nulls",
        "baseline_bins",
        "baseline_cells",
        "low",
        "high",
        "location",
    )
    BASELINE: ClassVar[tuple[str, ...]] = ("baseline_n", "baseline_nulls", "baseline_bins", "baseline_cells")

    def part(self, at: slice, windows: Ints | None = None) -> "FeatureSummary":
        """Some entries of the first axis, and of the second, each with its own baseline.

        The baselines must have the first axis too, and the second where windows are chosen.
        """

        def cut(array: Amounts) -> Amounts:
            some = np.asarray(array[at])
            return some if windows is None else np.asarray(some[:, windows])

        kept = {name: np.asarray(getattr(self, name))[at] for name in self.BASELINE}
        if windows is not None:  # a baseline that is one for all windows stays so
            kept = {name: array if array.shape[1] == 1 else array[:, windows] for name, array in kept.items()}
        before: dict[str, Any] = kept
        once, twice = (
            None if layer is None else layer.part(at, windows) for layer in (self.once, self.twice)
        )
        return replace(replace(self, once=None, twice=None).select(cut), **before, once=once, twice=twice)


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
