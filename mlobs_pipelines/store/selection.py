"""Which partitions a reader or a writer means, by the values of their partition columns.

Only names of partitions are compared here; rows and files are not known.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlobs_pipelines.store.layout import LayoutMismatchError


@dataclass(frozen=True, slots=True)
class Between:
    """A range of partition values, both ends included; None leaves an end open."""

    first: str | None = None
    last: str | None = None

    def __contains__(self, value: str) -> bool:
        return (self.first is None or self.first <= value) and (self.last is None or value <= self.last)


Where = Mapping[str, str | Between | Collection[str]]
Key = tuple[str, ...]


def matches(keys: Sequence[str], values: Key, where: Where) -> bool:
    """Whether a partition lies in a filter; a partition column without a filter always does."""
    named = dict(zip(keys, values, strict=True))
    return all(_allows(allowed, named[name]) for name, allowed in where.items())


def check_filter(table: str, keys: Sequence[str], where: Where) -> None:
    """Refuse a filter on something that is not a partition column."""
    unknown = sorted(set(where) - set(keys))
    if unknown:
        raise LayoutMismatchError(
            f"table {table} is not partitioned by {', '.join(unknown)}; filter by {', '.join(keys)}",
        )


def checked_keys(table: str, keys: Sequence[str], partitions: Iterable[Sequence[str]]) -> list[Key]:
    """Partitions to write, each once and in order.

    Raises
    ------
    LayoutMismatchError
        For a partition with another number of values than partition columns, or an empty value (which Delta
        cannot tell from null).
    """
    wanted = sorted({tuple(partition) for partition in partitions})
    for values in wanted:
        if len(values) != len(keys) or not all(values):
            raise LayoutMismatchError(
                f"table {table}: a partition needs one non-empty value for each of {', '.join(keys)}"
            )
    return wanted


def predicate(keys: Sequence[str], partitions: Collection[Key]) -> str:
    """The SQL predicate that holds in exactly these partitions.

    Examples
    --------
    >>> predicate(("day", "as_of_key"), [("d1", "a"), ("d2", "a"), ("d2", "b")])
    "(as_of_key = 'a' AND day IN ('d1', 'd2')) OR (as_of_key = 'b' AND day IN ('d2'))"
    """
    groups: dict[Key, list[str]] = {}
    for first, *rest in partitions:
        groups.setdefault(tuple(rest), []).append(first)
    return " OR ".join(_conjunction(keys, rest, firsts) for rest, firsts in groups.items())


def _conjunction(keys: Sequence[str], rest: Key, firsts: list[str]) -> str:
    equal = [f"{name} = {_quoted(value)}" for name, value in zip(keys[1:], rest, strict=True)]
    among = f"{keys[0]} IN ({', '.join(map(_quoted, firsts))})"
    return f"({' AND '.join([*equal, among])})"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _allows(allowed: str | Between | Collection[str], value: str) -> bool:
    return value == allowed if isinstance(allowed, str) else value in allowed
