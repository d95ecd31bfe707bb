"""What goes from a table with time: expired partitions, files that no version needs any more, small files.

How long anything is kept is the caller's to say. A writer at work is never harmed: who comes second to a
partition starts again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from pyarrow import fs

from mlobs_pipelines.store import delta
from mlobs_pipelines.store.delta import LakeError, StoredFile
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.layout import ordered
from mlobs_pipelines.store.selection import Key, predicate

SMALL = 128 << 20  # bytes; several files of a partition that are smaller together become one
_DAY = "day"
T = TypeVar("T")
_AGES = ("delta.deletedFileRetentionDuration", "delta.logRetentionDuration")


@dataclass(frozen=True, slots=True)
class Rule:
    """How long partitions of a table are kept.

    Attributes
    ----------
    table
        Its name.
    before
        The first day that is kept; None where all are.
    why
        Who says so, for people.
    dataset
        The only value of the column ``dataset`` that is meant, for tables that have one; "" for all.
    kept_days
        What `before` follows from; None where it does not follow from a number of days.
    """

    table: str
    before: date | None
    why: str
    dataset: str = ""
    kept_days: int | None = None

    def means(self, columns: Sequence[str], key: Key) -> bool:
        """Whether a partition is one of those that the rule is about."""
        return not self.dataset or dict(zip(columns, key, strict=True)).get("dataset") == self.dataset

    def expires(self, columns: Sequence[str], file: StoredFile) -> bool:
        """Whether a file's partition goes: because of its age, or because it is empty."""
        day = dict(zip(columns, file.key, strict=True)).get(_DAY, "")
        return bool(self.before and day and day < self.before.isoformat()) or file.rows == 0


@dataclass(frozen=True, slots=True)
class Size:
    """How much a set of partitions is."""

    partitions: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Expiry:
    """What a rule means for a table at one of its versions.

    Attributes
    ----------
    rule
        The rule.
    version
        The version that was looked at.
    gone, kept
        What goes and what stays, of what the rule is about.
    first, last
        Days of what goes; "" where nothing does.
    """

    rule: Rule
    version: int
    gone: Size
    kept: Size
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was, or would be, put in order in a table beside expiry.

    Attributes
    ----------
    version
        The table's version before.
    merged
        Partitions whose small files become one.
    files, bytes
        Files that no version needs any more: replaced, expired, or left behind by a run that was killed.
    """

    version: int
    merged: int
    files: int
    bytes: int


def look(lake: Lake, model: str, rule: Rule) -> Expiry:
    """What a rule would do now."""
    return _expiry(lake, model, rule)[1]


def expire(
    lake: Lake, model: str, rule: Rule, tell: Callable[[Expiry], None], commit: Mapping[str, str]
) -> Expiry:
    """Delete the partitions that a rule lets go, in one commit.

    Parameters
    ----------
    tell
        Is told what goes before it goes, again where another writer made the table another meanwhile.
    commit
        Kept with the commit.

    Raises
    ------
    LakeError
        If other writers of the same partitions won every attempt.
    """

    def act() -> Expiry:
        opened, expiry, keys = _expiry(lake, model, rule)
        if keys:
            tell(expiry)
            said = CommitProperties(custom_metadata={**commit, "why": rule.why})
            opened.delete(predicate(opened.metadata().partition_columns, keys), commit_properties=said)
        return expiry

    return _persistent(lake, f"table {rule.table} of {model}", act)


def tidy(
    lake: Lake, model: str, table: str, keep: timedelta, commit: Mapping[str, str], *, dry_run: bool
) -> Tidied:
    """Merge small files of a partition, and remove the files that no version of the last days needs.

    Parameters
    ----------
    keep
        How long a replaced or expired partition can still be read by version; at least a day, so that no
        file of a writer at work is taken for one that was left behind.

    Raises
    ------
    LakeError
        If other writers of the same partitions won every attempt.
    ValueError
        If less than a day is to be kept.
    """
    if keep < timedelta(days=1):
        raise ValueError("versions of a table are kept for a day at least")
    name = f"table {table} of {model}"
    version, merged = _persistent(lake, name, lambda: _merge(lake, model, table, commit, dry_run=dry_run))
    if not dry_run:
        _persistent(lake, name, lambda: _remember(_open(lake, model, table), keep))
    opened, hours = _open(lake, model, table), int(keep / timedelta(hours=1))
    paths = opened.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
    found = _bytes(lake, model, table, paths)
    if paths and not dry_run:
        opened.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    if (paths or merged) and not dry_run:
        _shorten(_open(lake, model, table))
    return Tidied(version, merged, len(paths), found)


def _persistent(lake: Lake, name: str, act: Callable[[], T]) -> T:
    """Do something to a table again and again until no other writer comes first."""
    for pause_s in delta.pauses(lake.attempts):
        try:
            return act()
        except CommitFailedError:
            time.sleep(pause_s)
    raise LakeError(
        f"{name}: other runs kept writing the same partitions through {lake.attempts} attempts; "
        "run again when they have ended"
    )


def _shorten(opened: DeltaTable) -> None:
    """Let the log begin with a checkpoint, and drop what is older than the versions that are kept."""
    opened.create_checkpoint()
    opened.cleanup_metadata()


def _open(lake: Lake, model: str, table: str) -> DeltaTable:
    return delta.open_table(lake.place.table(model, table), dict(lake.storage_options or {}))


def _files(lake: Lake, model: str, opened: DeltaTable, table: str) -> list[StoredFile]:
    return delta.live_files(opened, lake.place.table(model, table))


def _expiry(lake: Lake, model: str, rule: Rule) -> tuple[DeltaTable, Expiry, list[Key]]:
    opened = _open(lake, model, rule.table)
    columns = opened.metadata().partition_columns
    mine = [file for file in _files(lake, model, opened, rule.table) if rule.means(columns, file.key)]
    # An empty file beside others is not an empty partition.
    alive = {file.key for file in mine if not rule.expires(columns, file)}
    keys = sorted({file.key for file in mine} - alive)
    days = sorted(dict(zip(columns, key, strict=True)).get(_DAY, "") for key in keys)
    gone = _size([file for file in mine if file.key in set(keys)])
    kept = _size([file for file in mine if file.key not in set(keys)])
    ends = (days[0], days[-1]) if days else ("", "")
    return opened, Expiry(rule, int(opened.version()), gone, kept, *ends), keys


def _size(files: Sequence[StoredFile]) -> Size:
    rows = sum(max(file.rows, 0) for file in files)
    return Size(len({file.key for file in files}), rows, sum(file.bytes for file in files))


def _merge(
    lake: Lake, model: str, table: str, commit: Mapping[str, str], *, dry_run: bool
) -> tuple[int, int]:
    """Write each partition of several small files as one, in its order; return version and partitions."""
    opened = _open(lake, model, table)
    state = delta.state_of(opened, lake.place.table(model, table))
    layout, keys = state.layout(table), _several(state.files)
    for key in [] if dry_run else keys:
        where = dict(zip(layout.keys, key, strict=True))
        rows = ordered(lake.read(model, table, where=where, version=opened.version()), layout)
        delta.overwrite(opened, layout, [key], rows, {**commit, "why": "small files become one"})
    return state.version, len(keys)


def _several(files: Sequence[StoredFile]) -> list[Key]:
    found: dict[Key, list[StoredFile]] = {}
    for file in files:
        found.setdefault(file.key, []).append(file)
    return [key for key, some in found.items() if len(some) > 1 and sum(file.bytes for file in some) < SMALL]


def _remember(opened: DeltaTable, keep: timedelta) -> None:
    """Tell the table how long its versions are kept: Delta would forget what was replaced after a week."""
    wanted = dict.fromkeys(_AGES, f"interval {keep.days} days")
    known = opened.metadata().configuration
    if any(known.get(name) != value for name, value in wanted.items()):
        opened.alter.set_table_properties(wanted, raise_if_not_exists=False)


def _bytes(lake: Lake, model: str, table: str, paths: Sequence[str]) -> int:
    address = lake.place.inside(lake.place.table(model, table))
    found: list[fs.FileInfo] = lake.place.filesystem().get_file_info(
        [f"{address}/{unquote(path)}" for path in paths]
    )
    return sum(info.size or 0 for info in found)
