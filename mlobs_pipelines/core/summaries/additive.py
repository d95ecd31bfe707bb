"""What every summary is: a dataclass of counts and sums that add up, with what weights make of them."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

from mlobs_pipelines.core.vocabulary import Amounts

S = TypeVar("S", bound="Additive")


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Additive:
    """A dataclass whose array fields add up, except those named in ``FIXED``.

    Attributes
    ----------
    once, twice
        None where every row counts for itself. Otherwise every field is a sum over rows times their weight,
        and these hold the same sums with no weight, and with its square: what an honest row number and an
        honest variance take.
    """

    FIXED: ClassVar[tuple[str, ...]] = ()
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
        return self.select(lambda array: array.sum(axis=0))

    def select(self, change: Callable[[Amounts], Amounts]) -> Self:
        """Apply `change` to every additive array and keep the fixed ones."""
        values: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None or item.name in self.FIXED:
                values[item.name] = value
            else:
                values[item.name] = value.select(change) if isinstance(value, Additive) else change(value)
        return type(self)(**values)


def weighted(once: S, *layers: S) -> S:
    """Put the sums of one set of rows together: by rows seen and, where rows have weights, by w and by w²."""
    if not layers:
        return once
    total, twice = layers
    return replace(total, once=once, twice=twice)
