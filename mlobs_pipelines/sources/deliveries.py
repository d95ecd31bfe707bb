"""What a source hands over, and what it is told: a place, a slot of time, and deliveries of bounded frames.

The only words that sources and the ingest step share. How a kind of place is read is that kind's own file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import polars as pl

BATCH_ROWS = 131_072


class UnreadableError(Exception):
    """A delivery that cannot be read to its end; its text never quotes a row."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dataset's rows lie, as its contract and this installation say.

    Attributes
    ----------
    kind
        The contract's server type: local, s3, postgresql and so on.
    format
        How records are written: parquet, csv, jsonl, delta or a log format; "" where the kind implies it.
    location
        Template of a path, URL or table, with its placeholders still in it.
    options
        What the contract says about reading: encoding, separator, watermark column and so on.
    access
        Endpoint and credentials, from the settings; never shown.
    """

    kind: str
    format: str
    location: str
    options: Mapping[str, str] = field(default_factory=dict)
    access: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """One table's deliveries of one day.

    Attributes
    ----------
    table
        Name of the contract's table.
    day
        UTC day of the deliveries.
    columns
        Columns the contract knows.
    every
        Whether frames have every other column too; `Delivery.columns` always names all of them.
    """

    table: str
    day: date
    columns: tuple[str, ...]
    every: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file, or one window of a table.

    Attributes
    ----------
    name
        Unique within its slot: a path below the place, or a query's name. No row values, no credentials.
    sha256
        Of its bytes, or of its rows where there are no bytes; "" where it could not be opened.
    size
        Bytes; 0 where unknown.
    columns
        Every column it has, whether or not the contract knows it, with the type it was delivered as.
    frames
        Opens it and yields its rows in their order, each frame at most `BATCH_ROWS` rows and with the same
        columns. May be called again. Raises `UnreadableError` at any frame.
    problem
        Why it cannot be read at all; "" otherwise.
    """

    name: str
    sha256: str
    size: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    frames: Callable[[], Iterator[pl.DataFrame]] = field(default=lambda: iter(()), repr=False)
    problem: str = ""


class Source(Protocol):
    """A kind of place rows come from."""

    def __call__(self, place: Place, slot: Slot) -> Iterator[Delivery]:
        """Yield the slot's deliveries by name; none where nothing was delivered.

        Raises
        ------
        OSError
            If the place itself cannot be reached: nothing may be concluded about the day.
        """
        ...
