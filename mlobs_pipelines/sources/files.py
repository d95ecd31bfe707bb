"""Files in folders, local or in an object store: one delivery per file of the slot, in the order of names.

Finds files, hashes them and hands their plain bytes to the format of the place. Contracts are enforced by the
ingest step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol

import polars as pl

from mlobs_pipelines.sources.compressed import decompressed
from mlobs_pipelines.sources.content import Content
from mlobs_pipelines.sources.deliveries import Delivery, Place, Slot, UnreadableError
from mlobs_pipelines.sources.formats import Look, Readable, attempt, damaged, empty, guarded
from mlobs_pipelines.sources.local_folders import LocalFolders
from mlobs_pipelines.sources.object_folders import ObjectFolders
from mlobs_pipelines.sources.registry import BINARY, FORMATS
from mlobs_pipelines.sources.templates import Folder, Item, PlaceError, hive_values, template, walk


class Folders(Protocol):
    """Something that has folders of files."""

    def reach(self, root: str) -> None:
        """Raise `PlaceError` if the place is not there."""
        ...

    def listing(self, folder: str) -> Folder:
        """List a folder, given with its final slash; one that does not exist is empty."""
        ...

    def content(self, item: Item) -> Content:
        """Hash a file; `PlaceError` where the place is lost, another `OSError` where the file is."""
        ...


def deliveries(place: Place, slot: Slot) -> Iterator[Delivery]:
    """Yield a delivery for each file of the slot; see `deliveries.Source`."""
    if place.format not in FORMATS:
        raise PlaceError(f"no format {place.format!r}; those known are {', '.join(FORMATS)}")
    where = template(place.location, slot, compressible=place.format not in BINARY)
    folders: Folders = LocalFolders(place) if place.kind == "local" else ObjectFolders(place)
    folders.reach(where.root)
    found = {item.path: item for item in walk(folders.listing, where.root, where.segments)}
    for path in sorted(found):
        yield _File(place, slot, path.removeprefix(where.root)).delivery(folders, found[path])


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a slot, and how it is read."""

    place: Place
    slot: Slot
    name: str

    def delivery(self, folders: Folders, item: Item) -> Delivery:
        try:
            content = folders.content(item)
        except PlaceError:
            raise
        except UnreadableError as error:
            return Delivery(self.name, "", item.size, problem=str(error))
        except OSError as error:
            return Delivery(self.name, "", item.size, problem=damaged(self.place.format, error))
        return self._looked_at(content)

    def _looked_at(self, content: Content) -> Delivery:
        form = self.place.format
        look: Look = FORMATS[form]
        opened = partial(self._opened, content)
        if not content.size:
            return Delivery(self.name, content.sha256, problem=empty(form))
        try:
            seen = self._with_hive(attempt(form, lambda: look(opened, self.place, self.slot)))
        except UnreadableError as error:
            return Delivery(self.name, content.sha256, content.size, problem=str(error))
        frames = partial(_settled, form, seen, content)
        return Delivery(self.name, content.sha256, content.size, seen.columns, frames)

    def _opened(self, content: Content) -> IO[bytes]:
        return decompressed(content.open(), self.name)

    def _with_hive(self, seen: Readable) -> Readable:
        """Add what the path says of columns that the contract names and the file does not have."""
        values = hive_values(self.name)
        added = {
            name: values[name] for name in values if name in self.slot.columns and name not in seen.columns
        }
        if not added:
            return seen
        columns = {**seen.columns, **dict.fromkeys(added, "text")}
        return Readable(columns, lambda: _extended(seen.frames(), added))


def _extended(frames: Iterator[pl.DataFrame], values: Mapping[str, str | None]) -> Iterator[pl.DataFrame]:
    for frame in frames:
        yield frame.with_columns(pl.lit(value, pl.String).alias(name) for name, value in values.items())


def _settled(form: str, seen: Readable, content: Content) -> Iterator[pl.DataFrame]:
    try:
        yield from guarded(form, seen.frames)
    except UnreadableError:
        content.settle()  # a file that was replaced meanwhile is not damaged
        raise
    content.settle()
