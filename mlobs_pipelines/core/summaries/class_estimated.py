"""Summary of a multiclass model's top scores whose labels may still be to come, beside those of a cohort."""

from dataclasses import dataclass
from typing import ClassVar

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts


@dataclass(frozen=True, slots=True)
class ClassEstimatedSummary(Additive):
    """Top scores of a model of several classes, labelled or not, beside a matured cohort of the version.

    Attributes
    ----------
    scored : (..., B)
        Scored rows per bin of the top score, ascending.
    unsure : (..., B)
        Those of them in a cell that reaches into the next bin, to which some of them may belong.
    known, right : (..., B)
        Labelled rows of the cohort per bin, and those whose predicted class is the right one; leading axes
        broadcast against those of `scored`. Where rows have weights, adding up to as many rows of equal
        weight as say as much.
    labelled, hits : (...,)
        Rows of the window whose label is known, and those predicted rightly.
    """

    scored: Amounts
    unsure: Amounts
    known: Amounts
    right: Amounts
    labelled: Amounts
    hits: Amounts
    SHOWN: ClassVar[tuple[str, ...]] = ("scored", "unsure", "labelled", "hits")
    FIXED: ClassVar[tuple[str, ...]] = ("known", "right")
