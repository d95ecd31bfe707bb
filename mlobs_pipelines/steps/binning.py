"""How features of a version are binned, as values: what windows and baselines are both counted by.

Reading and writing them is `bins`; fitting them on statistics is `fitting`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mlobs_pipelines.core.buckets import Codes, Grid

SCORE = "score"
LABELLED = {"binary": "positive", "multiclass": "confusion", "regression": "label_cells"}  # part with labels
RARE = 0.01  # categories under this share of the baseline have no drift bin of their own


@dataclass(frozen=True, slots=True)
class FeatureBaseline:
    """How one feature of one version is binned.

    Attributes
    ----------
    grid
        Cells of a numeric feature, or of predicted numbers; None for a categorical one, and for a score that
        is a probability, whose cells are fixed.
    edges
        Drift edges in bucket codes.
    categories
        Categories with a drift bin of their own.
    importance
        Permutation importance in the training set; NaN where unknown.
    """

    grid: Grid | None
    edges: Codes
    categories: tuple[str, ...]
    importance: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """The measured training set of one version."""

    baseline_id: str
    features: Mapping[str, FeatureBaseline]
