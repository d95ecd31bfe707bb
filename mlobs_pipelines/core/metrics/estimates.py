"""Estimates that many metrics share: shares with Wilson intervals, means with normal ones, quantile ends.

Holds no metric and registers nothing. Division by nothing gives NaN here, never a number and never a warning.
"""

from typing import Any

import numpy as np

from mlobs_pipelines.core.vocabulary import Estimate, Floats

Z95 = 1.959963984540054
MIN_PROPORTION = 200
NEED_PROPORTION = f"at least {MIN_PROPORTION} rows"


def ratio(numerator: Any, denominator: Any) -> Floats:  # noqa: ANN401 - arrays or scalars of any numeric type
    """Divide elementwise; NaN where the denominator is not positive.

    Examples
    --------
    >>> ratio(np.array([1, 2]), np.array([4, 0]))
    array([0.25,  nan])
    """
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    result: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return result


def wilson(hits: Any, n: Any) -> tuple[Floats, Floats]:  # noqa: ANN401 - arrays or scalars
    """Wilson's 95 % score interval of a proportion (Wilson 1927; Brown, Cai and DasGupta 2001).

    Parameters
    ----------
    hits, n : (...,)
        Successes and trials.

    Returns
    -------
    lower, upper : (...,) float64
        NaN where n is 0.

    Examples
    --------
    >>> [round(float(end), 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    share, size = ratio(hits, n), np.asarray(n, np.float64)
    spread = ratio(share * (1 - share), size) + (ratio(Z95, 2 * size)) ** 2
    centre = (share + ratio(Z95**2, 2 * size)) / (1 + ratio(Z95**2, size))
    half = Z95 * np.sqrt(np.maximum(spread, 0)) / (1 + ratio(Z95**2, size))
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)


def proportion(hits: Any, n: Any) -> Estimate:  # noqa: ANN401 - arrays or scalars
    """A share with its Wilson interval; too few rows for a verdict under 200."""
    lower, upper = wilson(hits, n)
    size = np.asarray(n)
    return Estimate(
        ratio(hits, n), size, lower, upper, sufficient=size >= MIN_PROPORTION, need=NEED_PROPORTION
    )


def average(total: Floats, squares: Floats, n: Any, *, ceiling: float = np.inf) -> Estimate:  # noqa: ANN401
    """Mean of values in [0, ceiling] from Σx and Σx², with a normal 95 % interval.

    The interval is NaN for fewer than two rows; under 200 rows it is too few for a verdict.
    """
    size = np.asarray(n)
    mean = ratio(total, size)
    variance = ratio(np.maximum(squares - mean * total, 0), size - 1)
    half = Z95 * np.sqrt(ratio(variance, size))
    lower, upper = np.clip(mean - half, 0, mean), np.clip(mean + half, mean, np.maximum(mean, ceiling))
    return Estimate(mean, size, lower, upper, sufficient=size >= MIN_PROPORTION, need=NEED_PROPORTION)


def quantile_need(level: float) -> int:
    """Rows that a quantile's verdict takes: ten expected beyond it on its thinner side.

    Examples
    --------
    >>> quantile_need(0.5), quantile_need(0.99)
    (20, 1000)
    """
    return round(10 / min(level, 1 - level))
