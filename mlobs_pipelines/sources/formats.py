"""What a record format is, and what all of them share: columns and frames of one file, and when to give up.

A format looks at a file's plain bytes and knows nothing of places. Which ones there are is `registry`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol, TypeVar

import polars as pl
import pyarrow as pa

from mlobs_pipelines.sources.deliveries import Place, Slot, UnreadableError
from mlobs_pipelines.sources.templates import PlaceError

Opened = Callable[[], IO[bytes]]
Frames = Callable[[], Iterator[pl.DataFrame]]
_T = TypeVar("_T")
# what readers give up with at damaged bytes; anything else is a mistake of this program and stays visible
GIVEN_UP: tuple[type[BaseException], ...] = (
    pa.ArrowException,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    EOFError,
    MemoryError,
    OSError,
    OverflowError,
    RecursionError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Readable:
    """A file that has been looked at: its columns with the types they came in, and its rows."""

    columns: Mapping[str, str]
    frames: Frames


class Look(Protocol):
    """How a format looks at a file: `opened` gives its plain bytes, as often as it is called."""

    def __call__(self, opened: Opened, place: Place, slot: Slot) -> Readable:
        """Return the file's columns and frames.

        Raises
        ------
        UnreadableError
            If the file cannot be read at all; other exceptions are taken for the same.
        """
        ...


def wanted(columns: Mapping[str, str], slot: Slot) -> list[str]:
    """Return those columns that the slot asks for; all if it asks for none, or for none there is."""
    known = [] if slot.every else [name for name in columns if name in set(slot.columns)]
    return known or list(columns)


def asking(columns: Mapping[str, str], slot: Slot) -> Slot:
    """Return the slot narrowed, or opened, to the columns that frames of a file with `columns` have."""
    return Slot(slot.table, slot.day, tuple(wanted(columns, slot)))


def repeated(names: Sequence[str]) -> str:
    """Return what is wrong with column names that occur more than once; "" if none does."""
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if not twice:
        return ""
    return f"column {', '.join(twice[:5])} occurs more than once; deliver each column once"


def empty(form: str) -> str:
    """Return the problem of a file without a byte."""
    return f"the file is empty (0 bytes), and not even a {form} without rows; deliver it again"


def damaged(form: str, error: BaseException) -> str:
    """Return the problem of a file that its reader gave up on, without a word of what the reader quoted."""
    if isinstance(error, FileNotFoundError):
        return "it was there and is gone, or it is a link that leads nowhere; deliver it again"
    if isinstance(error, PermissionError):
        return "it may not be read: give this user the right to"
    return (
        f"the file cannot be read as {form} ({type(error).__name__}): it is truncated, damaged or of another "
        "format; deliver it again"
    )


def attempt(form: str, act: Callable[[], _T]) -> _T:
    """Return what `act` returns; whatever a reader gives up with becomes `UnreadableError`."""
    try:
        return act()
    except PlaceError:
        raise  # the place is lost, not the file
    except GIVEN_UP as error:
        problem = damaged(form, error)
    raise UnreadableError(problem)


def guarded(form: str, frames: Frames) -> Iterator[pl.DataFrame]:
    """Yield frames; whatever a reader gives up with becomes `UnreadableError` without the reader's words."""
    try:
        yield from frames()
    except PlaceError:
        raise
    except GIVEN_UP as error:
        problem = damaged(form, error)
    else:
        return
    raise UnreadableError(problem)
