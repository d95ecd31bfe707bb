"""Which values of a segment have statistics of their own, and which are counted together as one.

What is kept is known before a row is counted, so that neither the order of the rows nor a neighbouring day
moves a value in or out. Assigning rows to groups is `groups`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

CROSS = "+"
OTHER = "__other__"
UNKNOWN = "__null__"
Segment = tuple[str, str]  # a version, and the name of a segment or a cross


@dataclass(frozen=True, slots=True)
class Kept:
    """Values of one segment, or cross, of one version that have statistics of their own.

    Attributes
    ----------
    values
        Those that always have: of the training set.
    room
        How many other values of one scan have too if there are no more of these; else all are folded.
    """

    values: frozenset[str]
    room: int = 0


class Folding:
    """Folds values of segments that are not kept.

    Parameters
    ----------
    kept
        What is kept, by version and segment; a segment that is not named keeps every value.
    cuts
        Columns of every segment and cross.

    Attributes
    ----------
    full
        Segments with more other values than there is room for: what was counted of them is to be counted
        again, with no room.
    """

    def __init__(self, kept: Mapping[Segment, Kept], cuts: Sequence[tuple[str, ...]]) -> None:
        self._kept, self.full = kept, set[Segment]()
        self._others: dict[Segment, set[str]] = {key: set() for key in kept}
        self._folded: dict[str, set[int]] = {}
        names = {column: [CROSS.join(cut) for cut in cuts if column in cut] for cut in cuts for column in cut}
        self._named = {column: _components(kept, some) for column, some in names.items()}
        self._segments = names

    def value(self, version: str, segment: str, values: Sequence[str]) -> str:
        """What a row with these values of the segment's columns is counted under."""
        text, key = CROSS.join(values), (version, segment)
        kept = self._kept.get(key)
        if kept is None or text in kept.values or text == UNKNOWN:
            return text
        if OTHER not in values and self._fits(key, kept, text):
            return text
        if OTHER not in values:
            self._folded.setdefault(segment, set()).add(_hash(text))
        return OTHER

    def _fits(self, key: Segment, kept: Kept, text: str) -> bool:
        others = self._others[key]
        if len(others) <= kept.room:
            others.add(text)
        if len(others) > kept.room:
            self.full |= {key} if kept.room else set()
            return False
        return True

    def column(self, name: str, values: list[str]) -> list[str]:
        """Values of a column; those that no version keeps in any segment are folded before rows are grouped.

        This is what bounds memory where a column has a value per row.
        """
        named = self._named.get(name)
        if named is None:
            return values
        gone = {value for value in values if value not in named and value != UNKNOWN}
        if not gone:
            return values
        for segment in self._segments[name]:
            self._folded.setdefault(segment, set()).update(map(_hash, gone))
        return [OTHER if value in gone else value for value in values]

    def merge(self, other: "Folding") -> None:
        """Take in what was folded elsewhere, under the same rules."""
        self.full |= other.full
        for segment, values in other._folded.items():
            self._folded.setdefault(segment, set()).update(values)

    def folded(self) -> dict[str, int]:
        """How many different values were folded, by segment; of a cross at least so many."""
        return {segment: len(values) for segment, values in self._folded.items()}


def _hash(text: str) -> int:
    # Python's own hash of a text differs from process to process, and sets of several are put together.
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _components(kept: Mapping[Segment, Kept], segments: Sequence[str]) -> frozenset[str] | None:
    """Values that a column may have in what is kept of its segments; None where others may be counted too."""
    mine = [one for (_, segment), one in kept.items() if segment in segments]
    named = {segment for _, segment in kept}
    if not mine or not set(segments) <= named or any(one.room for one in mine):
        return None
    return frozenset(part for one in mine for text in one.values for part in _parts(text))


def _parts(text: str) -> list[str]:
    """A value, and whatever may be one of two that were joined to it."""
    cuts = [at for at, letter in enumerate(text) if letter == CROSS]
    return [text, *(text[:at] for at in cuts), *(text[at + 1 :] for at in cuts)]
