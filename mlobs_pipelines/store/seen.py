"""States of tables as this process has seen them: a table that nobody has written to is not opened again.

The log's files are numbered by version, so two of them tell whether a state is still the latest. What a log
says, and how it is written, is `delta`.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock

import pyarrow as pa
from deltalake import DeltaTable

from mlobs_pipelines.store import delta
from mlobs_pipelines.store.delta import TableState
from mlobs_pipelines.store.layout import TableLayout
from mlobs_pipelines.store.place import Place
from mlobs_pipelines.store.selection import Key

MOST = 200
_Mark = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SeenStates:
    """The latest states that were seen, by the table's address and what opens it."""

    _seen: OrderedDict[tuple[object, ...], tuple[_Mark, TableState]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def exists(self, place: Place, address: str) -> bool:
        """Whether there is a table."""
        if self._latest(place, address) is not None:
            return True
        return bool(DeltaTable.is_deltatable(address, storage_options=dict(place.options)))

    def at(self, place: Place, address: str, version: int | None = None) -> TableState:
        """A table at a version (the latest by default); raises as `delta.open_table` does."""
        seen = self._latest(place, address)
        if seen is not None and version in (None, seen.version):
            return seen
        opened = delta.open_table(address, dict(place.options), version)
        return self._put(place, address, opened)

    def ready(self, place: Place, address: str, layout: TableLayout) -> TableState:
        """The latest state of a table, made as `delta.ensure_table` does, to which rows can be written."""
        seen = self._latest(place, address)
        if seen is not None and seen.fits(layout):
            return seen
        return self._put(place, address, delta.ensure_table(address, dict(place.options), layout))

    def overwrite(
        self,
        place: Place,
        address: str,
        version: int,
        layout: TableLayout,
        partitions: Collection[Key],
        rows: pa.Table,
        commit: Mapping[str, str],
    ) -> TableState:
        """Replace partitions as `delta.overwrite` does, against a version; the state thereafter."""
        opened = delta.open_table(address, dict(place.options), version)
        delta.overwrite(opened, layout, partitions, rows, commit)
        return self._put(place, address, opened)

    def _latest(self, place: Place, address: str) -> TableState | None:
        """The latest state of a table; None where it has to be opened for that."""
        found = self._seen.get(_key(place, address))
        if found is None:
            return None
        mark, state = found
        return state if _mark(place, address, state.version) == mark else None

    def _put(self, place: Place, address: str, opened: DeltaTable) -> TableState:
        """Remember what was just opened or written, if it is the latest; the oldest is forgotten."""
        state = delta.state_of(opened, address)
        mark = _mark(place, address, state.version)
        if mark is not None:
            with self._lock:
                self._seen[_key(place, address)] = mark, state
                self._seen.move_to_end(_key(place, address))
                if len(self._seen) > MOST:
                    self._seen.popitem(last=False)
        return state


def _key(place: Place, address: str) -> tuple[object, ...]:
    return address, *sorted(place.options.items())


def _mark(place: Place, address: str, version: int) -> _Mark | None:
    """Size and time of the commit that made a version; None where another one follows or it is gone."""
    # A table can be removed and made again, up to the same version: then these differ.
    log = place.inside(f"{address}/_delta_log")
    numbered = [f"{log}/{number:020}.json" for number in (version, version + 1)]
    commit, following = place.filesystem().get_file_info(numbered)
    if not commit.is_file or following.is_file:
        return None
    return int(commit.size), int(commit.mtime_ns)
