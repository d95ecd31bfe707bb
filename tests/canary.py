"""Everything below a folder as text that can be searched, whatever it is stored as; asserts nothing."""

import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


def files(root: Path, leave_out: Iterable[Path] = ()) -> Iterator[Path]:
    """Files below a folder, except those below some others."""
    skipped = [folder.resolve() for folder in leave_out]
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(path.resolve().is_relative_to(folder) for folder in skipped):
            yield path


def decoded(path: Path) -> str:
    """A file's bytes as text, with every column of Parquet and Arrow files and what was compressed."""
    content = path.read_bytes()
    said = [content.decode("utf-8", errors="replace"), content.decode("utf-16-le", errors="ignore")]
    with suppress(pa.ArrowInvalid, pl.exceptions.PolarsError, EOFError):  # a torn file has its bytes only
        said += _columns(content)
    return "\n".join(said)


def _columns(content: bytes) -> list[str]:
    if content.startswith(b"PAR1"):
        source = pa.BufferReader(content)
        return [repr(pq.read_table(source).to_pydict()), str(pq.read_metadata(source))]
    if content.startswith(b"ARROW1"):
        return [repr(pl.read_ipc(io.BytesIO(content)).to_dict(as_series=False))]
    if content.startswith(b"\x1f\x8b"):
        return [gzip.decompress(content).decode("utf-8", errors="replace")]
    return []


def where(root: Path, forms: Iterable[str], leave_out: Iterable[Path] = ()) -> dict[str, list[str]]:
    """Files below a folder that say something they must not, with what they say."""
    wanted = list(forms)
    found = {}
    for path in files(root, leave_out):
        text = decoded(path)
        said = [form for form in wanted if form in text or form in str(path.relative_to(root))]
        if said:
            found[str(path.relative_to(root))] = said
    return found
