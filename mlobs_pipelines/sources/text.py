"""Files of text as a stream of blocks: decoded by the declared encoding, without a byte-order mark.

What stands in the text is the business of `delimited` and `json_lines`. Offsets are told, bytes never.
"""

import codecs
from collections.abc import Iterator, Mapping
from typing import IO

from mlobs_pipelines.sources.deliveries import UnreadableError

BLOCK = 4 * 1024 * 1024
LONGEST = 64 * 1024 * 1024
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def encoding_of(options: Mapping[str, str]) -> str:
    """Return the declared encoding of a place's text files, UTF-8 by default.

    Raises
    ------
    UnreadableError
        If Python has no such text encoding.
    """
    name = options.get("encoding") or "utf-8"
    try:
        "a".encode(name)
    except (LookupError, UnicodeError, ValueError):
        name = ""
    if not name:
        raise UnreadableError(
            "its contract declares an encoding that Python does not know; mend the contract"
        )
    return name


def text_blocks(file: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield a file's text in blocks that are not empty, save for one that was a byte-order mark alone.

    Raises
    ------
    UnreadableError
        At bytes that the encoding does not have, with their offset.
    """
    decoder, first, at = codecs.getincrementaldecoder(encoding)(), True, 0
    while True:
        block = file.read(BLOCK)
        if not at and block[:2] in _UTF16_MARKS and codecs.lookup(encoding).name == "utf-8":
            raise UnreadableError("it begins with a byte-order mark of UTF-16; declare encoding utf-16")
        text = _decoded(decoder, block, encoding, at)
        at += len(block)
        if text:
            yield text.removeprefix("\ufeff") if first else text
            first = False
        if not block:
            return


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, encoding: str, at: int) -> str:
    kept = decoder.getstate()[0]
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        offset = at - len(kept) + error.start
    except UnicodeError:
        offset = at
    raise UnreadableError(
        f"byte {offset:,} is not {encoding}: deliver it in {encoding}, or declare the encoding it has"
    )
