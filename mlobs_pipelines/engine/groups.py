"""Who is counted with whom: rows assigned to day, version and role, and to these crossed with each segment.

Every row belongs to one joint group, the finest cut of all columns; the groups of a segment are unions of
joint groups. What is counted in them is the business of `parts`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlobs_pipelines.core.tally import run_starts
from mlobs_pipelines.core.vocabulary import Flags, Floats, Ints
from mlobs_pipelines.engine.arrow import flags_in, numbers_in, of_empty
from mlobs_pipelines.engine.folding import CROSS, UNKNOWN, Folding, Kept, Segment

GROUP_COLUMNS = ("day", "model_version", "role", "segment", "segment_value")
WEIGHT = "sample_weight"
_LARGEST = 1 << 60
_TWO_BYTES = 1 << 16
_BASE = ("day", "model_version", "role")

Rows: TypeAlias = pa.Table | pa.RecordBatch
Key = tuple[str, ...]


class Groups:
    """The groups of all rows that were seen so far, in order of their first row.

    Parameters
    ----------
    segments
        Segment columns. The first segmentation is always that of all rows (segment ``""``).
    crosses
        Segments of several columns each, whose values are told apart together.
    kept
        Values that have groups of their own, by version and segment; all, where a segment is not named.
    """

    def __init__(
        self,
        segments: Sequence[str] = (),
        crosses: Sequence[Sequence[str]] = (),
        kept: Mapping[Segment, Kept] | None = None,
    ) -> None:
        self._cuts: list[Key] = [(), *((name,) for name in segments), *(tuple(cross) for cross in crosses)]
        self._columns = list(dict.fromkeys([*_BASE, *(name for cut in self._cuts for name in cut)]))
        self._joint: dict[Key, int] = {}
        self._keys: list[dict[Key, int]] = [{} for _ in self._cuts]
        self._unions: list[list[int]] = [[] for _ in self._cuts]
        self.heavy: list[set[int]] = [set() for _ in self._cuts]
        self.folding = Folding(kept or {}, self._cuts[1:])

    @property
    def cuts(self) -> int:
        """How many segmentations there are."""
        return len(self._cuts)

    def assign(self, rows: Rows) -> "Assigned":
        """Find the group of each row.

        Raises
        ------
        ValueError
            If a weight is not a finite number of at least 1.
        """
        codes, names = zip(*(coded(rows.column(name)) for name in self._columns), strict=True)
        codes, names = zip(*map(self._folded, self._columns, codes, names), strict=True)
        first, local = _distinct(_combined(codes, [len(words) for words in names]))
        picked = (
            [words[code] for code in some[first].tolist()] for some, words in zip(codes, names, strict=True)
        )
        joint = np.array([self._id(key) for key in zip(*picked, strict=True)], dtype=np.int64)
        assigned = Assigned(joint.take(local), [np.array(u, np.int64) for u in self._unions], _weights(rows))
        for heavy, ids in zip(self.heavy, assigned.heavy_groups(), strict=True):
            heavy.update(ids)
        return assigned

    def _folded(
        self, column: str, codes: NDArray[np.integer], names: list[str]
    ) -> tuple[NDArray[np.integer], list[str]]:
        """The values of a column without those that are folded whatever they are crossed with."""
        values = self.folding.column(column, names)
        if values is names:
            return codes, names
        distinct = list(dict.fromkeys(values))
        place = {value: at for at, value in enumerate(distinct)}
        return np.array([place[value] for value in values]).take(codes), distinct

    def merge(self, other: "Groups") -> "Moved":
        """Take in the groups that were found elsewhere, cut the same way; tell where each is here."""
        joint = np.array([self._id(key) for key in other._joint], dtype=np.int64)
        self.folding.merge(other.folding)
        unions, cuts = self.unions(), []
        for union, known, heavy, more in zip(unions, other.unions(), self.heavy, other.heavy, strict=True):
            place = np.zeros(int(known.max(initial=-1)) + 1, dtype=np.int64)
            place[known] = union[joint]
            heavy.update(place[list(more)].tolist())
            cuts.append(place)
        return Moved(other, unions, joint, cuts)

    def keys(self, cut: int) -> list[Key]:
        """(day, version, role, segment, segment value) of each group of a segmentation."""
        name = CROSS.join(self._cuts[cut])
        return [(*key[:3], name, CROSS.join(key[3:])) for key in self._keys[cut]]

    def unions(self) -> list[Ints]:
        """Group of each joint group, by segmentation."""
        return [np.array(union, np.int64) for union in self._unions]

    def _id(self, key: Key) -> int:
        if key not in self._joint:
            self._joint[key] = len(self._joint)
            value = dict(zip(self._columns, key, strict=True))
            for cut, keys, union in zip(self._cuts, self._keys, self._unions, strict=True):
                base, own = ([value[name] for name in names] for names in (_BASE, cut))
                segment = (self.folding.value(value["model_version"], CROSS.join(cut), own),) if cut else ()
                union.append(keys.setdefault((*base, *segment), len(keys)))
        return self._joint[key]


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the groups of one count are in another one that takes it in.

    Attributes
    ----------
    there
        Groups of the count that is taken in.
    unions
        Group of each joint group here, by segmentation.
    joint : (j,) int64
        Joint group here of each joint group there.
    cuts
        Group here of each group there, by segmentation.
    """

    there: Groups
    unions: list[Ints]
    joint: Ints
    cuts: list[Ints]

    def place(self, cut: int) -> Ints:
        """Group here of each group there; of the joint groups where `cut` is -1."""
        return self.joint if cut < 0 else self.cuts[cut]

    def known(self, cut: int) -> int:
        """How many groups of a segmentation are known here; of joint groups where `cut` is -1."""
        return self.unions[0].size if cut < 0 else int(self.unions[cut].max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows of one batch put in the order of their groups, where each group is one run.

    Attributes
    ----------
    groups : (r,) int64
        Group of each run, ascending.
    starts : (r,) int64
        First row of each run.
    order : (n,) int64 or None
        Row that stands at each place; None where rows stand in that order already.
    place : (n,) int64 or None
        Place of each row.
    """

    groups: Ints
    starts: Ints
    order: Ints | None = None
    place: Ints | None = None

    @staticmethod
    def of(groups: Ints) -> "Runs":
        """Order rows by their group; those of a group keep their order."""
        order = place = None
        if np.any(groups[1:] < groups[:-1]):
            # Numbers of two bytes are sorted in one go instead of by comparison.
            narrow = groups.astype(np.uint16) if groups.max() < _TWO_BYTES else groups
            order = np.argsort(narrow, kind="stable")
            place = np.empty_like(order)
            place[order] = np.arange(order.size)
            groups = groups.take(order)
        starts = run_starts(groups)
        return Runs(groups[starts], starts, order, place)


class Assigned:
    """Rows of one batch with their groups.

    Attributes
    ----------
    joint : (n,) int64
        Joint group of each row.
    unions
        Group of each joint group, by segmentation.
    weights : (n,) float64 or None
        How many rows each row stands for; None where all stand for themselves.
    """

    def __init__(self, joint: Ints, unions: list[Ints], weights: Floats | None = None) -> None:
        self.joint, self.unions, self.weights = joint, unions, weights
        self.sizes = [int(union.max(initial=-1)) + 1 for union in unions]
        self._scaled: dict[tuple[int, int], Ints] = {}
        self._runs: dict[int, Runs] = {}
        self._scratch: dict[int, Ints] = {}

    @property
    def joints(self) -> int:
        """How many joint groups are known."""
        return self.unions[0].size

    @property
    def scratch(self) -> Ints:
        """A number per row, to be written over; every thread has its own."""
        own = threading.get_ident()
        if own not in self._scratch:
            self._scratch[own] = np.empty(self.joint.size, dtype=np.int64)
        return self._scratch[own]

    @cached_property
    def heavy(self) -> Ints:
        """Positions of the rows that stand for more than themselves."""
        return np.flatnonzero(self.weights != 1) if self.weights is not None else np.empty(0, np.int64)

    def heavy_groups(self) -> list[list[int]]:
        """Groups of those rows, by segmentation."""
        joint = np.unique(self.joint[self.heavy])
        return [np.unique(union[joint]).tolist() for union in self.unions]

    def known(self, cut: int) -> int:
        """How many groups of a segmentation are known; of joint groups where `cut` is -1."""
        return self.joints if cut < 0 else self.sizes[cut]

    def runs(self, cut: int) -> Runs:
        """Rows in the order of their groups; of their joint groups where `cut` is -1."""
        if cut not in self._runs:
            self._runs[cut] = Runs.of(self.joint if cut < 0 else self.unions[cut].take(self.joint))
        return self._runs[cut]

    def scaled(self, cut: int, width: int) -> Ints:
        """Group of each row times a width; of the joint group where `cut` is -1."""
        if (cut, width) not in self._scaled:
            table = np.arange(self.joints) if cut < 0 else self.unions[cut]
            self._scaled[cut, width] = (table * width).take(self.joint)
        return self._scaled[cut, width]

    def kept(self, mask: Flags) -> "Assigned":
        """Only the rows that are marked."""
        weights = None if self.weights is None else self.weights[mask]
        return Assigned(self.joint[mask], self.unions, weights)


def coded(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.integer], list[str]]:
    """Texts of a column as codes and what each stands for; a null is ``UNKNOWN``."""
    encoded = dictionary(column)
    names = [UNKNOWN if name is None else name for name in encoded.dictionary.to_pylist()]
    return positions(encoded, len(names)), [*names, UNKNOWN]


def positions(encoded: pa.DictionaryArray, null: int) -> NDArray[np.integer]:
    """Position of each value in the dictionary."""
    indices = numbers_in(encoded.indices)
    if encoded.indices.null_count == 0:
        return indices
    return np.where(flags_in(encoded.indices.is_valid()), indices, null)


def dictionary(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """Encode a column as one dictionary of texts."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of no chunks, or of more than one array can hold
        column = pa.concat_arrays(column.chunks) if column.num_chunks else of_empty(column.type)
    return pa.DictionaryArray.from_arrays(column.indices, column.dictionary.cast(pa.string()))


def _combined(columns: Sequence[NDArray[np.integer]], sizes: Sequence[int]) -> Ints:
    """One number per row that differs where any of its codes differs."""
    combined, bound = np.zeros(columns[0].size, dtype=np.int64), 1
    for codes, size in zip(columns, sizes, strict=True):
        bound *= size
        if bound > _LARGEST:
            _, combined = np.unique(combined, return_inverse=True)
            bound = combined.size * size
        combined = combined * size + codes
    return combined


def _distinct(combined: Ints) -> tuple[Ints, Ints]:
    """First row of each distinct number, and which of these each row has."""
    top = int(combined.max(initial=0)) + 1
    if top > 4 * combined.size + 65_536:
        _, first, local = np.unique(combined, return_index=True, return_inverse=True)
        return first, local
    first_of = np.full(top, -1, dtype=np.int64)
    first_of[combined[::-1]] = np.arange(combined.size)[::-1]
    present = np.flatnonzero(first_of >= 0)
    position = np.empty(top, dtype=np.int64)
    position[present] = np.arange(present.size)
    return first_of[present], position.take(combined)


def _weights(rows: Rows) -> Floats | None:
    """Inverse inclusion probability of each row, 1 where none is given; None where every one is 1."""
    if WEIGHT not in rows.schema.names:
        return None
    column = rows.column(WEIGHT).cast(pa.float64())
    weights: Floats = pc.fill_null(column, 1.0).to_numpy(zero_copy_only=False)
    wrong = int(np.count_nonzero(~(np.isfinite(weights) & (weights >= 1))))
    if wrong:
        raise ValueError(
            f"column {WEIGHT}: {wrong:,} of {weights.size:,} rows hold no finite number of at least 1; "
            "a weight is one divided by the share of rows that were kept"
        )
    return None if bool(np.all(weights == 1)) else weights
