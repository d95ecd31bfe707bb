"""Who wrote a partition last: the run, the code and the table's version, from the commits of its table.

A commit names the partitions that it replaced and carries the facts of its run; no row is read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlobs_pipelines.store.lake import Lake

_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Writer:
    """The commit that wrote a partition last.

    Attributes
    ----------
    table_version
        The table as it was then; reading it at this version gives what was written.
    """

    table_version: int
    run_id: str
    code_version: str
    batch_id: str


@dataclass(frozen=True, slots=True)
class Commits:
    """Commits of a table, the latest first, each with the values of the keys that it replaced."""

    found: tuple[tuple[frozenset[str], Writer], ...]

    @classmethod
    def of(cls, lake: Lake, model: str, table: str) -> "Commits":
        """All that the table's log still holds; none for a table that is not there."""
        if not lake.exists(model, table):
            return cls(())
        return cls(tuple(_read(lake.history(model, table))))

    def writer(self, *keys: str) -> Writer | None:
        """The last commit that replaced a partition with these values of its keys."""
        return next((one for replaced, one in self.found if replaced.issuperset(keys)), None)

    @property
    def codes(self) -> dict[str, str]:
        """Code version of each run."""
        return {one.run_id: one.code_version for _, one in reversed(self.found) if one.run_id}


def _read(history: Iterable[Mapping[str, Any]]) -> Iterable[tuple[frozenset[str], Writer]]:
    for commit in history:
        predicate = (commit.get("operationParameters") or {}).get("predicate") or ""
        names = ("run_id", "code_version", "batch_id")
        facts = {name: str(commit.get(name, "")) for name in names}
        yield frozenset(_QUOTED.findall(predicate)), Writer(int(commit["version"]), **facts)
