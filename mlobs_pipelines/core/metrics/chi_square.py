"""The χ² distribution with a whole number of degrees of freedom, by its closed form.

scipy has it for any number of them, and takes a sixth of a second to import: too long for the one number that
every noise point of PSI needs.
"""

from functools import lru_cache
from math import erfc, exp, fsum, lgamma, log, sqrt

_Z99 = 2.3263478740408408
_STEPS = 30


def tail(freedom: int, x: float) -> float:
    """Probability of more than x > 0 (Abramowitz and Stegun 26.4.4 and 26.4.5).

    Examples
    --------
    >>> round(tail(9, 21.666), 4)
    0.01
    """
    odd, half = freedom % 2, x / 2
    powers = (j + odd / 2 for j in range(freedom // 2))
    return fsum([erfc(sqrt(half)) * odd, *(exp(p * log(half) - half - lgamma(p + 1)) for p in powers)])


@lru_cache(maxsize=4096)
def point_01(freedom: int) -> float:
    """The number that is exceeded with a probability of 1 %: Newton's method from Wilson and Hilferty's.

    Examples
    --------
    >>> round(point_01(9), 3)
    21.666
    """
    part = 2 / (9 * freedom)
    x = freedom * (1 - part + _Z99 * sqrt(part)) ** 3
    for _ in range(_STEPS):
        density = exp((freedom / 2 - 1) * log(x / 2) - x / 2 - lgamma(freedom / 2)) / 2
        step = (tail(freedom, x) - 0.01) / density
        x += step
        if abs(step) <= 1e-14 * x:
            break
    return x
