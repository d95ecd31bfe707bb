"""Folders of this machine, listed and hashed."""

import os
from pathlib import Path

from mlobs_pipelines.sources.content import Content, local_content
from mlobs_pipelines.sources.deliveries import Place
from mlobs_pipelines.sources.templates import Folder, Item, PlaceError


class LocalFolders:
    """A local place: lists folders and opens files below them."""

    def __init__(self, place: Place) -> None:
        self._must_exist = place.options.get("root", "")

    def reach(self, root: str) -> None:
        """Raise `PlaceError` unless the folder that everything is below exists."""
        folder = self._must_exist or root or "."
        if not Path(folder).is_dir():
            raise PlaceError(
                f"no folder {folder}: check the landing folder of the settings, the contract's location, and "
                "that the drive is mounted"
            )

    def listing(self, folder: str) -> Folder:
        """List a folder; one that does not exist is empty."""
        found = Folder([], {}, [])
        try:
            with os.scandir(folder or ".") as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    _sort_in(entry, folder, found)
        except (FileNotFoundError, NotADirectoryError):
            return Folder([], {})
        except PermissionError:
            problem = f"folder {folder} may not be listed: give this user the right to read it"
        else:
            return found
        raise PlaceError(problem)

    def content(self, item: Item) -> Content:
        """Hash a file."""
        return local_content(Path(item.path))


def _sort_in(entry: "os.DirEntry[str]", folder: str, found: Folder) -> None:
    if entry.is_dir():
        found.folders.append(entry.name)
        found.links.extend([entry.name] if entry.is_symlink() else [])
    elif entry.is_file():
        found.files[entry.name] = Item(folder + entry.name, entry.stat().st_size)
    elif entry.is_symlink():  # a delivery that leads nowhere is still a delivery
        found.files[entry.name] = Item(folder + entry.name, 0)
