"""The table `audit` of a model: who did what to its data, when, and why.

Only counts, names and versions are kept, never what is in a row. Nothing in here is ever changed or deleted;
who is asked for, and what is worth an entry, is known by the callers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from mlobs_pipelines.store.lake import Between, Lake
from mlobs_pipelines.store.tables import AUDIT

Detail = str | int | float | bool | None
_SAME = ("at", "who", "action", "object")


@dataclass(frozen=True, slots=True)
class Entry:
    """One act.

    Attributes
    ----------
    at
        When.
    who
        User of the operating system, or the schedule or sensor that asked for it.
    action
        What was done, as in ``retention.delete``.
    object
        To what: a table, a range of days, a file.
    details
        Counts and names that say more.
    """

    at: datetime
    who: str
    action: str
    object: str
    details: Mapping[str, Detail] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """The partition it is kept in."""
        return self.at.astimezone(UTC).date().isoformat()

    def row(self) -> dict[str, Any]:
        """The entry as it is kept."""
        details = json.dumps(dict(self.details))
        return {"day": self.day, "details": details} | {name: getattr(self, name) for name in _SAME}


def append(lake: Lake, model: str, entry: Entry, commit: Mapping[str, str]) -> None:
    """Add an entry, whoever adds others at the same time.

    One that says the same act again, in a second attempt, takes the place of the first.
    """
    row = entry.row()

    def compute() -> pa.Table:
        known = lake.read(model, AUDIT, where={"day": entry.day}).to_pylist()
        others = [one for one in known if any(one[name] != row[name] for name in _SAME)]
        return pa.Table.from_pylist([*others, row], schema=AUDIT.schema)

    lake.update(model, AUDIT, [(entry.day,)], compute, commit=commit)


def entries(
    lake: Lake,
    model: str,
    *,
    first: date | None = None,
    last: date | None = None,
    actions: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """What was done from one day to another, earliest first, as rows with the columns of `audit`."""
    ends = [end.isoformat() if end else None for end in (first, last)]
    rows: list[dict[str, Any]] = lake.read(model, AUDIT, where={"day": Between(*ends)}).to_pylist()
    chosen = [row for row in rows if actions is None or row["action"] in actions]
    return sorted(chosen, key=lambda row: tuple(str(row[name]) for name in _SAME))
