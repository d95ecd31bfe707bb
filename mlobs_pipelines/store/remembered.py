"""Content hashes that this process has computed: files of a table never change, so neither does their hash.

Whoever writes a partition has hashed its rows; who asks for the hash in the same process need not read them.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from mlobs_pipelines.store.content import type_name
from mlobs_pipelines.store.delta import StoredFile
from mlobs_pipelines.store.layout import TableLayout

MOST = 50_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """The latest hashes, by the files and by what of them is hashed in which order."""

    _known: OrderedDict[tuple[object, ...], str] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def put(self, files: Sequence[StoredFile], layout: TableLayout, content_hash: str) -> None:
        """Remember what was just written or read; the oldest is forgotten."""
        with self._lock:
            self._known[_key(files, layout)] = content_hash
            if len(self._known) > MOST:
                self._known.popitem(last=False)

    def get(self, files: Sequence[StoredFile], layout: TableLayout, compute: Callable[[], str]) -> str:
        """The hash of files, computed if it is not known."""
        found = self._known.get(_key(files, layout))
        if found is None:
            found = compute()
            self.put(files, layout, found)
        return found


def _key(files: Sequence[StoredFile], layout: TableLayout) -> tuple[object, ...]:
    hashed = frozenset((f.name, type_name(f.type)) for f in layout.schema if f.name not in layout.volatile)
    # The size guards against a file that somebody put in the place of another.
    return tuple((file.path, file.bytes) for file in files), layout.keys, layout.sort_by, hashed
