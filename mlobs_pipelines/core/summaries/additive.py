"""What every summary is: a dataclass of counts and sums that add up, with what weights make of them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from mlobs_pipelines.core.vocabulary import Amounts

S = TypeVar("S", bound="Additive")


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Additive:
    """A dataclass whose array fields add up, except those named in ``FIXED``, ``LEAST`` and ``GREATEST``.

    Fixed ones stay as they are; of the others the merged value is the least or the greatest.

    Those named in ``SHOWN`` are few enough to stand beside a judged value, which can be computed again by
    hand; how many numbers they are does not depend on the windows that are computed at once.

    Attributes
    ----------
    once, twice
        None where every row counts for itself. Otherwise every field is a sum over rows times their weight,
        and these hold the same sums with no weight, and with its square: what an honest row number and an
        honest variance take.
    """

    FIXED: ClassVar[tuple[str, ...]] = ()
    LEAST: ClassVar[tuple[str, ...]] = ()
    GREATEST: ClassVar[tuple[str, ...]] = ()
    SHOWN: ClassVar[tuple[str, ...]] = ()
    once: Self | None = None
    twice: Self | None = None

    @property
    def seen(self) -> Self:
        """The same sums with every row counted once: how many rows were really seen."""
        return self if self.once is None else self.once

    @property
    def squared(self) -> Self:
        """The same sums with every row times its squared weight: the spread of the weighted sums."""
        return self if self.twice is None else self.twice

    def total(self) -> Self:
        """Merge along the leading axis: the summary of all its entries together."""

        def merged(name: str, value: Any) -> Any:  # noqa: ANN401 - an array, or a summary in the summary
            if isinstance(value, Additive):
                return value.total()
            if name in self.LEAST:
                return np.minimum.reduce(value, axis=0, initial=np.inf)
            if name in self.GREATEST:
                least = 0 if np.issubdtype(value.dtype, np.unsignedinteger) else -np.inf
                return np.maximum.reduce(value, axis=0, initial=least)
            return value.sum(axis=0)

        return self._each(merged)

    def select(self, change: Callable[[Amounts], Amounts]) -> Self:
        """Apply `change` to every array that merges and keep the fixed ones."""
        return self._each(
            lambda _, value: value.select(change) if isinstance(value, Additive) else change(value)
        )

    def _each(self, change: Callable[[str, Any], Any]) -> Self:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        kept = {name for name, value in values.items() if value is None or name in self.FIXED}
        return type(self)(
            **{name: value if name in kept else change(name, value) for name, value in values.items()}
        )


def weighted(once: S, *layers: S) -> S:
    """Put the sums of one set of rows together: by rows seen and, where rows have weights, by w and by w²."""
    if not layers:
        return once
    total, twice = layers
    return replace(total, once=once, twice=twice)
