"""Summary of a regression model's errors on the rows whose label is known."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class RegressionSummary(Additive):
    """Errors e = predicted - actual of a regression model, of the rows whose label y is known.

    Attributes
    ----------
    n : (...,)
        Labelled rows.
    unlabelled : (...,)
        Predicted rows without a label (pending or void).
    error, error_sq, error_4 : (...,)
        Σe, Σe², Σe⁴.
    absolute : (...,)
        Σ|e|.
    label, label_sq : (...,)
        Σ(y - c) and Σ(y - c)² about the fixed `centre` c.
    cross : (...,)
        Σ(y - c)e.
    relative, relative_sq : (...,)
        Σ|e / y| and Σ(e / y)² over the rows with y ≠ 0.
    zero : (...,)
        Rows with y = 0.
    errors : (..., C)
        Counts of |e| over ascending cells.
    centre
        A constant near the labels of the baseline, in the label's unit.
    low, high : (C,)
        Edges of the cells, in the label's unit.
    cross_sq, label_3, label_4, error_sq_label : (...,)
        Σ((y - c)e)², Σ(y - c)³, Σ(y - c)⁴ and Σe²(y - c), which the interval of R² takes; all None where they
        were not counted.
    """

    n: Amounts
    unlabelled: Amounts
    error: Floats
    error_sq: Floats
    error_4: Floats
    absolute: Floats
    label: Floats
    label_sq: Floats
    cross: Floats
    relative: Floats
    relative_sq: Floats
    zero: Amounts
    errors: Amounts
    centre: float
    low: Floats
    high: Floats
    cross_sq: Floats | None = None
    label_3: Floats | None = None
    label_4: Floats | None = None
    error_sq_label: Floats | None = None
    SHOWN: ClassVar[tuple[str, ...]] = (
        "n",
        "unlabelled",
        "error",
        "error_sq",
        "error_4",
        "absolute",
        "label",
        "label_sq",
        "cross",
        "cross_sq",
        "label_3",
        "label_4",
        "error_sq_label",
        "relative",
        "relative_sq",
        "zero",
    )
    FIXED: ClassVar[tuple[str, ...]] = ("centre", "low", "high")
