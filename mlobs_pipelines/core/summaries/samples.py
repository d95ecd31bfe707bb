"""Summary of rows themselves, of all features together: a bounded sample of a window beside its baseline's.

Samples are merged by their hashes, not added up; how rows come to be in one is the engine's business.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary(Additive):
    """The rows of windows whose hashes are smallest, next to those of the baseline.

    Attributes
    ----------
    hashes : (..., K)
        Hash of each sampled row, ascending; what stands where there are fewer than K rows has no meaning.
    weights : (..., K)
        How many rows each stands for; 0 where there is none.
    values : (..., K, F)
        Features of the rows: numbers, or for categories any number per name. NaN for a null.
    baseline_hashes, baseline_weights, baseline_values
        The same of the baseline, without leading axes where all windows have one, else with theirs.
    categorical : (F,)
        Which features are categories.
    names
        The features.
    """

    hashes: Ints
    weights: Floats
    values: Floats
    baseline_hashes: Ints
    baseline_weights: Floats
    baseline_values: Floats
    categorical: Flags
    names: tuple[str, ...]
    FIXED: ClassVar[tuple[str, ...]] = (
        "baseline_hashes",
        "baseline_weights",
        "baseline_values",
        "categorical",
        "names",
    )

    def total(self) -> Self:
        """Merge along the leading axis: of all entries together, the K rows with the smallest hashes."""
        parts, size = self.weights.shape[0], self.weights.shape[-1]
        if not parts:
            return self.select(lambda array: np.zeros(array.shape[1:], array.dtype))
        hashes, weights = (np.concatenate(list(array), axis=-1) for array in (self.hashes, self.weights))
        values = np.concatenate(list(self.values), axis=-2)
        last = np.iinfo(np.int64).max
        order = np.argsort(np.where(weights > 0, hashes, last), axis=-1, kind="stable")[..., :size]
        return replace(
            self,
            hashes=np.take_along_axis(hashes, order, axis=-1),
            weights=np.take_along_axis(weights, order, axis=-1),
            values=np.take_along_axis(values, order[..., np.newaxis], axis=-2),
            once=None if self.once is None else self.once.total(),
            twice=None if self.twice is None else self.twice.total(),
        )
