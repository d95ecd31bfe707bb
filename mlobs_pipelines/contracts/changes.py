"""What differs between two versions of a contract's tables, and which differences break those who rely on it.

A difference breaks where something promised is promised no longer, or rows that were fine are so no longer.
Rules about whole days judge and do not shape rows: they are not compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlobs_pipelines.contracts.odcs import Column, Limit, Table
from mlobs_pipelines.contracts.problems import listed


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes
    ----------
    table
        The table it is in.
    column
        The column it is in; "" where the whole table is.
    breaking
        Whether producers or readers of the older version must act.
    text
        What differs, in one line.
    """

    table: str
    column: str
    breaking: bool
    text: str


def diff(old_tables: Sequence[Table], new_tables: Sequence[Table]) -> tuple[Change, ...]:
    """Return the differences from the older tables to the newer ones, in the order of the newer document."""
    old, new = ({table.name: table for table in tables} for tables in (old_tables, new_tables))
    found = [
        Change(name, "", breaking=True, text=f"the table {name} is gone") for name in old if name not in new
    ]
    for name, table in new.items():
        if name in old:
            found += _table(old[name], table)
        else:
            found.append(Change(name, "", breaking=False, text=f"the table {name} is new"))
    return tuple(found)


def _table(old: Table, new: Table) -> Iterator[Change]:
    before, after = ({column.name: column for column in table.columns} for table in (old, new))
    for name, column in before.items():
        if name not in after:
            renamed = _renamed(column, [later for later in new.columns if later.name not in before])
            hint = f" (renamed to {renamed}?)" if renamed else ""
            yield Change(new.name, name, breaking=True, text=f"{new.name}.{name} is gone{hint}")
    for name, column in after.items():
        if name not in before:
            word = "new and required" if column.required else "new"
            yield Change(new.name, name, breaking=column.required, text=f"{new.name}.{name} is {word}")
        else:
            for breaking, text in _column(before[name], column):
                yield Change(new.name, name, breaking=breaking, text=f"{new.name}.{name}: {text}")
    if old.primary_key != new.primary_key:
        said = f"{new.name}: primary key {_keys(old.primary_key)} became {_keys(new.primary_key)}"
        yield Change(new.name, "", breaking=True, text=said)
    if old.correction != new.correction:
        said = f"{new.name}: correction {old.correction or 'none'} became {new.correction or 'none'}"
        yield Change(new.name, "", breaking=True, text=said)


def _keys(names: tuple[str, ...]) -> str:
    return listed(names) or "none"


def _renamed(column: Column, added: list[Column]) -> str:
    """Return the only new column that could be the one that is gone, empty where none or several could."""
    alike = [later.name for later in added if (later.kind, later.required) == (column.kind, column.required)]
    return alike[0] if len(alike) == 1 else ""


def _column(old: Column, new: Column) -> Iterator[tuple[bool, str]]:
    if old.kind is not new.kind:
        yield True, f"{old.kind} became {new.kind}"
        return
    for flag, words in (("required", "required"), ("unique", "unique"), ("single", "exact in 32 bits")):
        if getattr(old, flag) != getattr(new, flag):
            stricter = bool(getattr(new, flag))
            yield stricter, f"is {'now' if stricter else 'no longer'} {words}"
    for name, words in (("spelling", "spelling"), ("privacy", "privacy"), ("bucket", "width of its buckets")):
        if getattr(old, name) != getattr(new, name):
            yield True, f"the {words} changed"
    if old.physical != new.physical:
        yield bool(new.physical), f"{old.physical or 'any physical type'} became {new.physical or 'any'}"
    if old.restricted != new.restricted:
        yield new.restricted, f"is {'now' if new.restricted else 'no longer'} classified as identifying"
    yield from _rules(old, new)


def _rules(old: Column, new: Column) -> Iterator[tuple[bool, str]]:
    for name in ("pattern", "form", "multiple_of"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield bool(after), f"{name} changed" if after else f"{name} was removed"
    for name, upwards in (("minimum", True), ("min_length", True), ("maximum", False), ("max_length", False)):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            stricter = _stricter(before, after, upwards=upwards)
            yield stricter, f"{name} is {'stricter' if stricter else 'looser'}"
    if set(old.allowed) != set(new.allowed):
        fewer = bool(new.allowed) and (not old.allowed or not set(old.allowed) <= set(new.allowed))
        yield fewer, "fewer values are valid" if fewer else "more values are valid"


def _stricter(old: Limit | None, new: Limit | None, *, upwards: bool) -> bool:
    if old is None or new is None:
        return new is not None
    return bool(new > old) if upwards else bool(new < old)  # type: ignore[operator]  # one kind, one type
