"""How alike two incidents are, by what failed and what was suspected; which values failed does not count.

Where incidents are kept is not known here.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

LEAST = 0.25


class Alike(NamedTuple):
    """An earlier incident, and how alike it is, from 0 to 1."""

    incident: str
    score: float


def jaccard(one: AbstractSet[str], other: AbstractSet[str]) -> float:
    """Share of what either has that both have (Jaccard 1901); 0 where neither has anything.

    Examples
    --------
    >>> jaccard({"a", "b"}, {"b", "c"})
    0.3333333333333333
    """
    either = len(one | other)
    return len(one & other) / either if either else 0.0


def alike(mine: AbstractSet[str], others: Mapping[str, AbstractSet[str]], most: int = 5) -> list[Alike]:
    """Of others the most alike first, of equals the one with the greater name, which is the later one.

    Returns
    -------
    list of Alike
        None under `LEAST`.
    """
    found = [Alike(name, jaccard(mine, marks)) for name, marks in others.items()]
    kept: Iterable[Alike] = (one for one in found if one.score >= LEAST)
    return sorted(sorted(kept, key=lambda one: one.incident, reverse=True), key=lambda one: -one.score)[:most]
