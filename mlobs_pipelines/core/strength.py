"""How well one column alone ranks labels: 0 says nothing, 1 knows them.

|2 AUC - 1| against a class (Gini coefficient), the size of Spearman's rank correlation with a number. Which
strength is too good to be true is not decided here.
"""

import numpy as np

from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints


def ranks(values: Floats) -> Floats:
    """Mean rank of each value, from 1 on; a NaN is below every number.

    Examples
    --------
    >>> ranks(np.array([3.0, 1.0, np.nan, 3.0])).tolist()
    [3.5, 2.0, 1.0, 3.5]
    """
    filled = np.where(np.isnan(values), -np.inf, values)
    _, place, counts = np.unique(filled, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], np.float64)


def class_strength(values: Floats, own: Flags) -> float:
    """|2 AUC - 1| of values for rows of a class against all others; NaN without rows of both."""
    n, m = int(own.sum()), int((~own).sum())
    if not (n and m):
        return np.nan
    area = (float(ranks(values)[own].sum()) - n * (n + 1) / 2) / (n * m)
    return abs(2 * area - 1)


def number_strength(values: Floats, label: Floats) -> float:
    """|Spearman's rank correlation| of values and labels; NaN where either does not vary."""
    one, other = (side - side.mean() for side in (ranks(values), ranks(label)))
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return abs(float((one * other).sum())) / scale if scale > 0 else np.nan


def encoded(codes: Ints, target: Floats) -> Floats:
    """Mean target of rows with the same code in the other half of the rows; of all where none has it.

    A row's own target is not in its value: a category of one row would know its label.
    """
    half, size = np.arange(codes.size) % 2, int(codes.max(initial=0)) + 1
    found = np.full(codes.size, target.mean() if target.size else np.nan)
    for side in (0, 1):
        learn, use = half != side, half == side
        n = np.bincount(codes[learn], minlength=size)
        total = np.bincount(codes[learn], weights=target[learn], minlength=size)
        mean = np.divide(total, n, out=np.full(size, found[0] if found.size else np.nan), where=n > 0)
        found[use] = mean[codes[use]]
    return found
