"""Folders of object stores: S3 and what speaks like it, Google, Azure, and one in memory for tests.

An object is copied to a nameless temporary file while it is hashed. No message carries an endpoint's answer
or a credential.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

from mlobs_pipelines.sources.content import Content, spooled_content
from mlobs_pipelines.sources.deliveries import Place
from mlobs_pipelines.sources.templates import Folder, Item, PlaceError

_STORE = re.compile(r"(?:https?://[^/]+/[^/]+|[a-z0-9+]+://[^/]+)/?")
_CHUNK = 8 * 1024 * 1024
_PATIENCE: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


class ObjectFolders:
    """An object store's bucket: lists folders and copies objects."""

    def __init__(self, place: Place) -> None:
        found = _STORE.match(place.location)
        if found is None:
            raise PlaceError(f"location of a {place.kind} server must begin like s3://bucket/")
        self._kind = place.kind
        self._base = found.group().rstrip("/") + "/"
        self._store = _store(place, self._base)
        self._listed: dict[str, Folder] = {}

    def reach(self, root: str) -> None:
        """Nothing to do: a listing tells a missing bucket from an empty folder."""

    def listing(self, folder: str) -> Folder:
        """List a folder; one that does not exist is empty."""
        if folder not in self._listed:
            self._listed[folder] = self._list(folder)
        return self._listed[folder]

    def _list(self, folder: str) -> Folder:
        import obstore  # noqa: PLC0415 -- only for places that need it

        try:
            found = obstore.list_with_delimiter(self._store, self._key(folder) or None)
        except (obstore.exceptions.BaseError, OSError) as error:
            cause = error
        else:
            return _folder(self._base, found)
        raise self._lost(cause)

    def content(self, item: Item) -> Content:
        """Copy an object, hashing it."""
        import obstore  # noqa: PLC0415 -- only for places that need it

        try:
            return spooled_content(self._chunks(item))
        except FileNotFoundError:
            raise
        except (obstore.exceptions.BaseError, OSError) as error:
            cause = error
        raise self._lost(cause)

    def _chunks(self, item: Item) -> Iterator[bytes]:
        import obstore  # noqa: PLC0415 -- only for places that need it

        got = obstore.get(self._store, self._key(item.path))
        yield from map(bytes, got.stream(min_chunk_size=_CHUNK))

    def _key(self, path: str) -> str:
        return path.removeprefix(self._base)

    def _lost(self, error: BaseException) -> PlaceError:
        kind = type(error).__name__
        what = "check that the bucket exists, the endpoint, the region and the network"
        if isinstance(error, FileNotFoundError):
            what = "there is no such bucket: check the contract's location"
        if isinstance(error, PermissionError) or kind in {"PermissionDeniedError", "UnauthenticatedError"}:
            what = "it refuses this user: check the credentials in the settings and the bucket's policy"
        return PlaceError(f"{self._base} cannot be read ({kind}): {what}")


def _folder(base: str, found: Any) -> Folder:  # noqa: ANN401 -- a typed dict of obstore
    folders = [path.rstrip("/").rsplit("/", 1)[-1] for path in found["common_prefixes"]]
    files = {
        item["path"].rsplit("/", 1)[-1]: Item(base + item["path"], item["size"]) for item in found["objects"]
    }
    return Folder(sorted(folders), dict(sorted(files.items())))


def _store(place: Place, base: str) -> Any:  # noqa: ANN401 -- one class per kind of store
    from obstore.exceptions import BaseError  # noqa: PLC0415 -- only for places that need it
    from obstore.store import from_url  # noqa: PLC0415 -- as above

    if place.kind == "memory":
        return memory_store(base)
    config: Any = {name: place.options[name] for name in ("endpoint", "region") if place.options.get(name)}
    config |= place.access
    client: Any = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(minutes=5)}
    client["allow_http"] = config.get("endpoint", "").startswith("http://")
    try:
        return from_url(base, config=config, client_options=client, retry_config=_PATIENCE)
    except (BaseError, ValueError, TypeError, OSError) as error:
        kind = type(error).__name__
    names = ", ".join(sorted(config)) or "none"
    raise PlaceError(
        f"{base} cannot be set up ({kind}): check the location and the access settings ({names})"
    )


@cache
def memory_store(base: str) -> Any:  # noqa: ANN401, ARG001 -- the name is the key; obstore comes late
    """Return the store in this process' memory that has this name."""
    from obstore.store import MemoryStore  # noqa: PLC0415 -- as above

    return MemoryStore()
