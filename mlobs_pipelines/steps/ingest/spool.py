"""Frames that wait between being checked and being published, in memory or, past a budget, in files.

What is in them is not known here.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

BUDGET = 192 * 1024 * 1024


@dataclass(slots=True)
class Room:
    """Where frames wait.

    Attributes
    ----------
    folder
        For frames that no longer fit into the budget; its owner removes it.
    budget
        Bytes of frames kept in memory.
    used, files
        Bytes in memory and files written so far.
    """

    folder: Path
    budget: int = BUDGET
    used: int = 0
    files: int = 0

    def keep(self, frame: pl.DataFrame) -> pl.DataFrame | Path:
        """Take a frame, or write it to a file and take that."""
        size = int(frame.estimated_size())
        if self.used + size <= self.budget:
            self.used += size
            return frame
        path = self.folder / f"frame-{self.files:06d}.arrow"
        self.files += 1
        frame.write_ipc(path, compression="uncompressed")
        return path


@contextmanager
def waiting_room(parent: Path) -> Iterator[Room]:
    """A room in a folder of its own, which is gone afterwards; those that ended processes left go too.

    A running process holds a lock in its folder, so a folder without one is nobody's.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("ingest-*/lock"):
        with left.open("wb") as lock:
            if _locked(lock.fileno()):
                shutil.rmtree(left.parent, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=parent) as name:
        folder = Path(name)
        with (folder / "lock").open("wb") as lock:
            _locked(lock.fileno())
            yield Room(folder)


def _locked(file: int) -> bool:
    """Whether a file could be locked; a process that ends, however it ends, gives its locks back."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@dataclass(slots=True)
class Spool:
    """Frames of one kind in their order.

    Attributes
    ----------
    room
        Where they wait.
    rows
        How many rows they have together.
    """

    room: Room
    rows: int = 0
    _kept: list[pl.DataFrame | Path] = field(default_factory=list)

    def append(self, frame: pl.DataFrame) -> None:
        """Add a frame; one without rows is not kept."""
        if frame.height:
            self._kept.append(self.room.keep(frame))
            self.rows += frame.height

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The frames, one in memory at a time where they lie in files; all columns by default."""
        for kept in self._kept:
            if isinstance(kept, Path):
                yield pl.read_ipc(kept, columns=None if columns is None else list(columns))
            else:
                yield kept if columns is None else kept.select(columns)
