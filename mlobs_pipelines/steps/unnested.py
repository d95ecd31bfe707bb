"""Cells of stored statistics unnested all at once, so that those of one part are slices of a few long arrays.

One part after another costs more calls than cells, of which a day has few. What cells mean is `windows`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mlobs_pipelines.core.vocabulary import Ints
from mlobs_pipelines.engine.arrow import numbers_in, of_numbers
from mlobs_pipelines.engine.cells import EXCESS, Flat

MOST_CELLS = 1 << 20  # of a part of all subjects side by side: more of them are looked up one by one
_NUMBERS = ("codes", "counts", "sums", "squares")
LISTS = (*_NUMBERS, "names")
Located = tuple[Flat, Ints, Ints]  # cells, and the group and the day of each
Places = Mapping[tuple[str, str], tuple[int, int]]


class Slices(Mapping[tuple[str, str], pa.Table]):
    """Stored rows by subject and part, taken when they are asked for.

    Parameters
    ----------
    rows
        All of them.
    order
        Order in which those of a part stand together, each part with those of the same name.
    places
        First of each part in that order, and the one after its last.
    """

    def __init__(self, rows: pa.Table, order: Ints, places: Places) -> None:
        self._rows, self._order, self._places = rows, order, places

    def __getitem__(self, key: tuple[str, str]) -> pa.Table:
        """Rows of one part, in the order in which they are stored."""
        first, last = self._places[key]
        return self._rows.take(of_numbers(self._order[first:last]))

    def __contains__(self, key: object) -> bool:
        """Whether there is such a part."""
        return key in self._places

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every subject and part."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many parts there are."""
        return len(self._places)


@dataclass(frozen=True, slots=True)
class _Lists:
    """A column of lists: where each row's begins, one more for the end, and all of them end to end."""

    starts: Ints
    values: np.ndarray | pa.Array


@dataclass(frozen=True, slots=True)
class Daily:
    """Cells of a part of all subjects by group and day: (subjects, groups, days, codes)."""

    subjects: Mapping[str, int]
    counts: Ints
    sums: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True, slots=True)
class Unnested:
    """Stored rows whose parts stand together, beside those of the same name.

    Attributes
    ----------
    places
        First row of each part, and the row after its last one.
    group, day : (n,) int64
        Group and day of each row, as positions.
    shape
        How many groups and days there are.
    lists
        Every column of lists.
    heavy
        Whether any row counts for more than itself.
    """

    places: Places
    group: Ints
    day: Ints
    shape: tuple[int, int]
    lists: Mapping[str, _Lists]
    heavy: bool
    _daily: dict[str, Daily | None] = field(default_factory=dict, compare=False)

    @staticmethod
    def of(
        rows: pa.Table, places: Places, group: Ints, day: Ints, shape: tuple[int, int]
    ) -> "Unnested | None":
        """Unnest rows; None where there are none, or more cells than one array can hold."""
        columns = {name: _array(rows.column(name)) for name in LISTS}
        found = {
            name: _Lists(numbers_in(array.offsets), _values(name, array))
            for name, array in columns.items()
            if array is not None
        }
        heavy = any(part.endswith(EXCESS) for _, part in places)
        return Unnested(places, group, day, shape, found, heavy) if len(found) == len(columns) else None

    def located(self, subject: str, part: str) -> Located:
        """Cells of a part that is there."""
        return self._between(*self.places[subject, part])

    def daily(self, part: str, width: int) -> Daily | None:
        """A part with known codes 0 … width - 1 of all subjects; None where these are too many."""
        if part not in self._daily:
            self._daily[part] = self._added(part, width)
        return self._daily[part]

    def _added(self, part: str, width: int) -> Daily | None:
        mine = {subject: place for (subject, name), place in self.places.items() if name == part}
        shape = (len(mine), *self.shape, width)
        if not mine or np.prod(shape) > MOST_CELLS:
            return None
        first = min(place[0] for place in mine.values())
        sizes = [last - start for start, last in mine.values()]
        subject = np.repeat(np.arange(len(mine)), sizes)
        flat, group, day = self._between(first, first + subject.size)
        at = ((subject.take(flat.row) * shape[1] + group) * shape[2] + day) * width + flat.codes
        found: dict[str, np.ndarray] = {
            "counts": np.zeros(shape, np.int64),
            "sums": np.zeros(shape),
            "squares": np.zeros(shape),
        }
        for name, table in found.items():
            values = getattr(flat, name)
            np.add.at(table.reshape(-1), at[: values.size], values)
        counts, sums, squares = found.values()
        return Daily({name: place for place, name in enumerate(mine)}, counts, sums, squares)

    def _between(self, first: int, last: int) -> Located:
        starts = self.lists["counts"].starts
        row = np.repeat(np.arange(last - first), starts[first + 1 : last + 1] - starts[first:last])
        codes, counts, sums, squares = (self._cut(name, first, last) for name in _NUMBERS)
        names = self._cut("names", first, last)
        flat = Flat(row, codes, names if len(names) else None, counts, sums, squares)
        return flat, self.group[first:last].take(row), self.day[first:last].take(row)

    def _cut(self, name: str, first: int, last: int) -> np.ndarray:
        lists = self.lists[name]
        found: np.ndarray = lists.values[lists.starts[first] : lists.starts[last]]
        return found


def _array(column: pa.ChunkedArray) -> pa.ListArray | None:
    """All lists as one array; None where there are none, or too many."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return whole.chunk(0) if whole.num_chunks == 1 else None
    return whole if len(whole) else None


def _values(name: str, lists: pa.ListArray) -> np.ndarray | pa.Array:
    return lists.values if name == "names" else numbers_in(lists.values)
