"""Estimates that many metrics share: shares with Wilson intervals, means with normal ones, quantile ends.

Holds no metric and registers nothing. Division by nothing gives NaN here, never a number and never a warning.
Where rows have weights, values come from weighted sums, intervals from the spread that weights cause, and n
stays the number of rows seen.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlobs_pipelines.core.summaries import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Estimate, Floats

Z95 = 1.959963984540054
MIN_PROPORTION = 200


def ratio(numerator: Any, denominator: Any) -> Floats:  # noqa: ANN401 - arrays or scalars of any numeric type
    """Divide elementwise; NaN where the denominator is not positive.

    Examples
    --------
    >>> ratio(np.array([1, 2]), np.array([4, 0]))
    array([0.25,  nan])
    """
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    result: Floats = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=result, where=bottom > 0)
    return result


def dot(left: Amounts, right: Amounts) -> Floats:
    """Σ left x right over the last axis.

    A running sum adds cell by cell: cells that are empty here but not in another window change no bit.
    """
    running = np.cumsum(left * np.asarray(right, np.float64), axis=-1)
    return np.asarray(running[..., -1]) if running.shape[-1] else np.zeros(running.shape[:-1])


def wilson(
    hits: Any,  # noqa: ANN401 - arrays or scalars
    n: Any,  # noqa: ANN401 - arrays or scalars
    size: Any = None,  # noqa: ANN401 - arrays or scalars
    z: Any = Z95,  # noqa: ANN401 - arrays or scalars
) -> tuple[Floats, Floats]:
    """Wilson's 95 % score interval of a proportion (Wilson 1927; Brown, Cai and DasGupta 2001).

    Parameters
    ----------
    hits, n : (...,)
        Successes and trials.
    size : (...,), optional
        How many trials of equal weight say as much as these (Korn and Graubard 1998); n by default.
    z : optional
        Normal quantile of another confidence.

    Returns
    -------
    lower, upper : (...,) float64
        NaN where n is 0.

    Examples
    --------
    >>> [round(float(end), 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    share, size = ratio(hits, n), np.asarray(n if size is None else size, np.float64)
    spread = ratio(share * (1 - share), size) + (ratio(z, 2 * size)) ** 2
    centre = (share + ratio(z**2, 2 * size)) / (1 + ratio(z**2, size))
    half = z * np.sqrt(np.maximum(spread, 0)) / (1 + ratio(z**2, size))
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)


def effective(total: Any, squares: Any) -> Floats:  # noqa: ANN401 - arrays or scalars
    """How many rows of equal weight a mean of these rows is worth: (Σw)² ÷ Σw² (Kish 1965, section 11.7).

    Examples
    --------
    >>> round(float(effective(100 + 50 * 10, 100 + 50 * 100)), 1)
    70.6
    """
    if total is squares:
        return np.asarray(total, np.float64)
    total, squares = np.asarray(total, np.float64), np.asarray(squares, np.float64)
    return np.where(total == squares, total, np.nan_to_num(ratio(total * total, squares)))[()]


def share_size(share: Floats, total: Any, hits_squared: Any, squares: Any) -> Floats:  # noqa: ANN401 - arrays
    """How many rows of equal weight say as much about one share as these rows do.

    Unlike `effective` it knows on which side of the share the heavy rows are: share (1 - share) over the
    variance of the ratio Σ w hit ÷ Σ w, which is [(1 - share)² Σ w² hit + share² Σ w² miss] ÷ (Σ w)²
    (Särndal, Swensson and Wretman 1992, section 5.6). `effective` where there is no hit, or no miss.
    """
    spread = (1 - share) ** 2 * hits_squared + share**2 * np.maximum(squares - hits_squared, 0)
    size = ratio(share * (1 - share) * np.square(np.asarray(total, np.float64)), spread)
    usual = effective(total, squares)
    return np.where((np.asarray(total) == squares) | ~(size > 0), usual, size)


def enough(size: Floats, least: int) -> dict[str, Any]:
    """The minimum-sample rule of an estimate, held against how many rows of equal weight it rests on."""
    return {"sufficient": size >= least, "need": f"at least {least:,} rows", "effective": size}


Share = Callable[[Any], tuple[Any, Any]]
Sums = Callable[[Any], tuple[Any, Any, Any]]


def layers(summary: Additive, sums: Callable[[Any], Any]) -> tuple[Any, Any, Any]:
    """Sums weighted, by squared weight, and by rows seen: one and the same where rows have no weights."""
    found = sums(summary)
    if summary.twice is None:
        return found, found, found
    return found, sums(summary.squared), sums(summary.seen)


def proportion(summary: Additive, share: Share) -> Estimate:
    """A share with its Wilson interval; too few rows for a verdict under 200.

    Parameters
    ----------
    share
        From sums to successes and trials; both must be sums over rows.
    """
    (hits, n), (hits_squared, squares), (_, seen) = layers(summary, share)
    value = ratio(hits, n)
    size = n if squares is n else share_size(value, n, hits_squared, squares)
    lower, upper = wilson(hits, n, size)
    return Estimate(value, np.asarray(seen), lower, upper, **enough(effective(n, squares), MIN_PROPORTION))


def average(summary: Additive, sums: Sums, *, floor: float = 0.0, ceiling: float = np.inf) -> Estimate:
    """Mean of values in [floor, ceiling] from Σx and Σx², with a normal 95 % interval.

    The interval is NaN for fewer than two rows; under 200 rows it is too few for a verdict. Its variance is
    that of the ratio Σ wx ÷ Σ w.

    Parameters
    ----------
    sums
        From sums to Σx, Σx² and rows; all must be sums over rows.
    """
    (total, _, n), (first, second, squares), (*_, seen) = layers(summary, sums)
    mean = ratio(total, n)
    skewed = 0 if squares is n else np.where(n == squares, 0, mean * (first - mean * squares))
    variance = ratio(np.maximum(second - mean * first - skewed, 0), n - ratio(squares, n))
    half = Z95 * np.sqrt(ratio(variance, n))
    lower = np.clip(mean - half, np.minimum(floor, mean), mean)
    upper = np.clip(mean + half, mean, np.maximum(mean, ceiling))
    return Estimate(mean, np.asarray(seen), lower, upper, **enough(effective(n, squares), MIN_PROPORTION))


def change(now: Estimate, before: Estimate) -> Estimate:
    """An estimate minus another one of other rows.

    The 95 % interval comes from the ends of both (Zou and Donner 2008; for two shares Newcombe 1998, method
    10). Rows, and the rule on how few are too few, are those of `now`; the baseline must suffice too.
    """
    value = now.value - before.value
    lower = value - np.hypot(now.value - now.lower, before.upper - before.value)
    upper = value + np.hypot(now.upper - now.value, before.value - before.lower)
    return Estimate(
        value,
        np.broadcast_to(now.n, value.shape),
        lower,
        upper,
        now.bound + before.bound,
        sufficient=now.sufficient & before.sufficient,
        need=f"{now.need}, in the baseline too",
        effective=now.effective,
    )


def amount(summary: Additive, rows: Callable[[Any], Any], among: Callable[[Any], Any]) -> Estimate:
    """How many rows there are of a kind: exact where all were kept, else estimated with a 95 % interval.

    The lower end is normal, for rows kept or not each on its own: variance V = Σ w (w - 1) (Horvitz and
    Thompson 1952). The upper end lies d above the value, where d² = z² (V + c d): c, the mean of w - 1 over
    all that the rows are counted among, speaks for rows of the kind that by chance were not kept. Where none
    was seen, d is z² c. Both ends are NaN where every row stands for itself.

    Parameters
    ----------
    rows, among
        From sums to the rows of the kind, and to all rows that could have been.
    """
    total, squares, seen = (np.asarray(found, np.float64) for found in layers(summary, rows))
    whole, whole_squares, n = layers(summary, among)
    cost = np.where(np.asarray(whole_squares) > whole, ratio(whole_squares, whole) - 1, np.nan) * Z95**2
    spread = Z95**2 * np.maximum(squares - total, 0)
    lower, upper = total - np.sqrt(spread), total + (cost + np.sqrt(cost**2 + 4 * spread)) / 2
    return Estimate(total, np.asarray(n), np.where(cost > 0, np.maximum(lower, seen), np.nan), upper)


def quantile_need(level: float) -> int:
    """Rows that a quantile's verdict takes: ten expected beyond it on its thinner side.

    Examples
    --------
    >>> quantile_need(0.5), quantile_need(0.99)
    (20, 1000)
    """
    return round(10 / min(level, 1 - level))
