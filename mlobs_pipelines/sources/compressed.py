"""Compressed files as streams: gzip, bzip2, xz and Zstandard, by suffix.

Reads members one after the other and refuses a truncated one and anything that follows the last, which the
readers of the standard library pass over in silence.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import IO, Any

from mlobs_pipelines.sources.deliveries import UnreadableError

_BLOCK = 1 << 20
_MEMBERS: Mapping[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
}
DAMAGED = "its compression is damaged or its end is missing; deliver it again"


def decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    """Open a file's plain bytes; the suffix of its name says how they were compressed."""
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix == ".zst":
        return _zstandard(file)
    if suffix in _MEMBERS:
        return io.BufferedReader(_Members(file, _MEMBERS[suffix]), _BLOCK)
    return file


def _zstandard(file: IO[bytes]) -> IO[bytes]:
    import pyarrow as pa  # noqa: PLC0415 -- only for files that need it

    return io.BufferedReader(_Arrow(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")), _BLOCK)


class _Arrow(io.RawIOBase):
    """An Arrow stream as a file."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 -- pyarrow has no types
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # any writable buffer
        try:
            data = self._stream.read(len(buffer))
        except OSError:
            data = None
        if data is None:
            raise UnreadableError(DAMAGED)
        buffer[: len(data)] = data
        return len(data)


class _Members(io.RawIOBase):
    """The members of a compressed file, one after the other, with nothing before, between or behind them."""

    def __init__(self, file: IO[bytes], opened: Callable[[], Any]) -> None:
        self._file = file
        self._opened = opened
        self._member = opened()
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # any writable buffer
        while not self._at_end():
            data = self._some(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0

    def _at_end(self) -> bool:
        if not self._member.eof:
            return False
        self._waiting = self._waiting or self._file.read(_BLOCK)
        if self._waiting:
            self._member = self._opened()
        return not self._waiting

    def _some(self, size: int) -> bytes:
        hungry = getattr(self._member, "needs_input", True)
        given = (self._waiting or self._file.read(_BLOCK)) if hungry else b""
        try:
            data: bytes | None = self._member.decompress(given, size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            data = None
        ended = hungry and not given and not data and not self._member.eof
        if data is None or ended:
            raise UnreadableError(DAMAGED)
        # zlib hands back what it has not taken; the others keep it until their member ends
        rest = getattr(self._member, "unconsumed_tail", b"")
        self._waiting = self._member.unused_data if self._member.eof else rest
        return data
