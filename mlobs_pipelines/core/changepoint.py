"""When a daily series began to lie elsewhere, and for how long: the stretch of days that differs most.

Exact least squares over every stretch that is asked about, with a bound on the probability of chance.
What a series measures, and what its change means, is not known here.
"""

from dataclasses import dataclass

import numpy as np

from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints

LEAST_BEFORE = 7
_ALIKE = 1e-9  # of the largest value: what rounding may make of a constant


@dataclass(frozen=True, slots=True)
class Changes:
    """The stretch of each series that differs most from its other days; every array has the shape (S,).

    Attributes
    ----------
    first, end
        Positions of its first day and of the day after its last; -1 where no stretch can be told.
    before, during
        Means of the other days, and of the stretch.
    p
        Bound on the probability that chance shows as large a difference somewhere; 1 where there is none.
    """

    first: Ints
    end: Ints
    before: Floats
    during: Floats
    p: Floats


@dataclass(frozen=True, slots=True)
class _Stretches:
    """Means of every stretch [a, b) of every series, and of the days outside it: (S, stretches)."""

    a: Ints
    b: Ints
    inside: Floats
    outside: Floats
    weight: Floats
    possible: Flags


def changes(
    series: Floats, begins: tuple[int, int], side: Ints | int = 0, spread: Floats | float = 0.0
) -> Changes:
    """Find the stretch [a, b) of consecutive days whose mean differs most from that of the other days.

    The stretch with the largest t of a comparison of two means is that of least squares with one level
    inside and one outside (the epidemic alternative of Levin and Kline 1985; with b at the end, a step), of
    those whose first day is nearer to the inside. The probability is the sum over all stretches that were
    looked at (Bonferroni), so it errs on the side of chance; t is made smaller where one day resembles the
    next, by the residuals' autocorrelation of lag one.

    Parameters
    ----------
    series : (S, D)
        Consecutive days; NaN where a day has no value.
    begins
        Positions between which a stretch may begin, both included.
    side : (S,)
        1 where only a rise counts, -1 a fall, 0 both.
    spread : (S,)
        Standard deviation that days have at least, as far as it is known: of sampling, say.

    Examples
    --------
    >>> days = np.array([[1.0, 2, 1, 2, 1, 2, 1, 2, 9, 8, 9, 1, 2]])
    >>> found = changes(days, (7, 12))
    >>> int(found.first[0]), int(found.end[0]), bool(found.p[0] < 1e-6)
    (8, 11, True)
    """
    known = np.isfinite(series)
    values = np.where(known, series, 0.0)
    sides = np.broadcast_to(np.asarray(side), series.shape[:1])
    found = _stretches(values, known, begins)
    gap = found.inside - found.outside
    possible = found.possible & (gap * sides[:, np.newaxis] >= 0)
    looks = possible.sum(axis=1)
    possible &= _belongs(values, found)
    explained = np.where(possible, found.weight * gap**2, -np.inf)
    if not explained.shape[1]:
        return _none(series.shape[0])
    place = (np.arange(series.shape[0]), explained.argmax(axis=1))
    there = possible[place]
    one = (found.a[place[1]], found.b[place[1]], found.inside[place], found.outside[place])
    noise, shrink = _noise(values, known, one, np.asarray(spread))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.sqrt(np.where(there, explained[place], 0.0)) / noise * shrink
    p = _bound(t, known.sum(axis=1) - 2, np.where(sides == 0, 2, 1) * looks)
    first, end = (np.where(there, position, -1) for position in one[:2])
    during, before = (np.where(there, mean, np.nan) for mean in one[2:])
    return Changes(first, end, before, during, np.where(there, p, 1.0))


def _none(size: int) -> Changes:
    nowhere, nothing = np.full(size, -1), np.full(size, np.nan)
    return Changes(nowhere, nowhere, nothing, nothing, np.ones(size))


def _stretches(values: Floats, known: Flags, begins: tuple[int, int]) -> _Stretches:
    days = values.shape[1]
    a, b = np.triu_indices(days + 1, 1)
    asked = (a >= max(begins[0], 0)) & (a <= begins[1])
    a, b = a[asked], b[asked]
    sums, counts = (_running(array) for array in (values, known.astype(np.float64)))
    m, inside = counts[:, b] - counts[:, a], sums[:, b] - sums[:, a]
    k, outside = counts[:, -1:] - m, sums[:, -1:] - inside
    possible = (m > 0) & (counts[:, a] >= LEAST_BEFORE) & known[:, np.minimum(a, days - 1)]
    possible &= known[:, b - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Stretches(a, b, inside / m, outside / k, m * k / (m + k), possible & (k > 0))


def _belongs(values: Floats, found: _Stretches) -> Flags:
    """Whether the first day of a stretch is nearer to its mean than to that of the other days."""
    if not found.a.size:
        return found.possible
    start = values[:, np.minimum(found.a, values.shape[1] - 1)]
    return np.asarray(np.abs(start - found.inside) <= np.abs(start - found.outside))


def _running(values: Floats) -> Floats:
    return np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)


def _noise(
    values: Floats, known: Flags, best: tuple[Ints, Ints, Floats, Floats], spread: Floats
) -> tuple[Floats, Floats]:
    """Standard deviation about the two levels, and by how much alike days shrink t."""
    a, b, inside, outside = best
    at = np.arange(values.shape[1])
    within = (at >= a[:, np.newaxis]) & (at < b[:, np.newaxis])
    level = np.where(within, inside[:, np.newaxis], outside[:, np.newaxis])
    rest = np.where(known, values - level, 0.0)
    free = np.maximum(known.sum(axis=1) - 2, 1)
    total = (rest**2).sum(axis=1)
    least = np.maximum(spread, _ALIKE * np.abs(values).max(axis=1, initial=0.0))
    noise = np.maximum(np.sqrt(total / free), least)
    next_to = (rest[:, 1:] * rest[:, :-1]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Residuals about two fitted levels look less alike than the days are, by about 2 / n (Kendall 1954).
        alike = np.where(total > 0, next_to / total, 0.0) + 2 / np.maximum(known.sum(axis=1), 1)
    alike = np.where(total > 0, np.clip(alike, 0.0, 0.9), 0.0)
    return noise, np.sqrt((1 - alike) / (1 + alike))


def _bound(t: Floats, free: Ints, looks: Ints) -> Floats:
    from scipy.special import stdtr  # noqa: PLC0415 - costs more to import than the rest of core

    with np.errstate(invalid="ignore"):
        tail = stdtr(np.maximum(free, 1), -np.abs(t))
    enough = (free > 0) & np.isfinite(tail)
    return np.where(enough, np.minimum(1.0, tail * looks), np.where(np.isinf(t) & (free > 0), 0.0, 1.0))
