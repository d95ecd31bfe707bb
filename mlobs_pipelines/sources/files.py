"""Day files in a folder: Parquet, CSV (gzip too) and JSON lines, one delivery per table and day.

Reads a file as it is, text where the format has no types. Contracts are enforced by the ingest step.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file as found.

    Attributes
    ----------
    name
        File name, without its folders.
    sha256, size
        Of the file's bytes; "" and 0 where there is no file.
    frame
        Its rows; None where it is missing or unreadable.
    problem
        Why it could not be read; "" otherwise. Never quotes the file.
    """

    name: str
    sha256: str = ""
    size: int = 0
    frame: pl.DataFrame | None = None
    problem: str = ""

    @property
    def missing(self) -> bool:
        """Whether there is no file at all."""
        return not self.sha256


def read_file(path: Path, kind: str) -> Delivery:
    """Read one day file.

    Parameters
    ----------
    path
        Where it should be.
    kind
        parquet, csv or jsonl.

    Returns
    -------
    Delivery
        Also for a missing, empty, truncated or otherwise unreadable file, which says so in `problem`.
    """
    if not path.is_file():
        return Delivery(path.name)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if not content:
        return Delivery(path.name, digest, 0, None, "the file is empty (0 bytes); deliver it again")
    try:
        frame = READERS[kind](content)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        return Delivery(path.name, digest, len(content), None, _unreadable(kind, error))
    return Delivery(path.name, digest, len(content), frame)


def _unreadable(kind: str, error: Exception) -> str:
    name = {"parquet": "Parquet", "csv": "CSV", "jsonl": "JSON lines"}[kind]
    return (
        f"the file cannot be read as {name} ({type(error).__name__}): it is truncated, damaged or of another "
        "format; deliver it again"
    )


def _parquet(content: bytes) -> pl.DataFrame:
    return pl.read_parquet(content, hive_partitioning=False)


def _csv(content: bytes) -> pl.DataFrame:
    return pl.read_csv(content, infer_schema=False)


def _json_lines(content: bytes) -> pl.DataFrame:
    return pl.read_ndjson(content, infer_schema_length=None)


# Readers take the bytes that were hashed: a file replaced meanwhile cannot be taken for the one on record.
READERS: Mapping[str, Callable[[bytes], pl.DataFrame]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _json_lines,
}
