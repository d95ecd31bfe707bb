"""The bytes of a delivery: hashed once, opened as often as wanted, and the same bytes every time.

Small local files are read into memory and compared with their hash, large ones watched for changes, remote
objects copied to a nameless temporary file. What the bytes mean is not known here.
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlobs_pipelines.sources.deliveries import UnreadableError

SMALL = 64 * 1024 * 1024
CHANGED = "it changed while it was read; deliver files under another name and rename them when they are whole"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were hashed.

    Attributes
    ----------
    open
        Opens them at their beginning.
    settle
        Raises `UnreadableError` if what was read since cannot be what was hashed; called after the last byte.
    """

    sha256: str
    size: int
    open: Callable[[], IO[bytes]]
    settle: Callable[[], None]


def local_content(path: Path) -> Content:
    """Hash a file.

    Raises
    ------
    OSError
        If it cannot be opened or read.
    UnreadableError
        If it changed meanwhile.
    """
    with path.open("rb") as file:
        before = _identity(os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _identity(os.fstat(file.fileno())) != before or file.tell() != before[0]:
            raise UnreadableError(CHANGED)
    if before[0] <= SMALL:
        return Content(digest, before[0], lambda: _same_bytes(path, digest), _nothing_to_settle)
    return Content(digest, before[0], lambda: _watched(path, before), lambda: _unchanged(path, before))


def spooled_content(chunks: Iterable[bytes]) -> Content:
    """Copy chunks to a temporary file that has no name and is gone with this process, hashing them."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as its delivery
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        spool.write(chunk)
    spool.flush()
    return Content(digest.hexdigest(), spool.tell(), lambda: _reopened(spool), _nothing_to_settle)


def _reopened(spool: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(_At(spool))


class _At(io.RawIOBase):
    """An independent reading position in a file that has no name to be opened by again."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._file.fileno()).st_size}
        self._at = start[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # any writable buffer
        self._file.seek(self._at)
        read: int = self._file.readinto(buffer)  # type: ignore[attr-defined]  # a binary file has it
        self._at += read
        return read


def _nothing_to_settle() -> None:
    return None


def _identity(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _same_bytes(path: Path, digest: str) -> IO[bytes]:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise UnreadableError(CHANGED)
    return io.BytesIO(data)


def _watched(path: Path, before: tuple[int, int, int]) -> IO[bytes]:
    _unchanged(path, before)
    return path.open("rb")


def _unchanged(path: Path, before: tuple[int, int, int]) -> None:
    if _identity(path.stat()) != before:
        raise UnreadableError(CHANGED)
