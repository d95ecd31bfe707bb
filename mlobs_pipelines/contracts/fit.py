"""Whether a delivery as a whole fits a table, by which version of it, and how older rows become present ones.

Columns and types only. What is wrong with single rows is `rows`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches

import polars as pl

from mlobs_pipelines.contracts.coercion import DTYPES, Coerced, coerce
from mlobs_pipelines.contracts.limits import parse_limit
from mlobs_pipelines.contracts.odcs import Column, Kind, Older, Spelling, Table
from mlobs_pipelines.contracts.physical import family
from mlobs_pipelines.contracts.problems import listed

_NUMERIC = frozenset({"integer", "float", "decimal"})
_HOLDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"integer", "decimal"}),
    "integer": frozenset({"integer", "decimal"}),
    "decimal": frozenset({"integer", "decimal"}),
    "float": _NUMERIC,
    "boolean": frozenset({"boolean", "integer"}),
    "timestamp": frozenset({"timestamp"}),
    "date": frozenset({"date", "timestamp"}),
}
_FOREIGN = re.compile(
    r"(large_)?(list|struct|map|array|record|json|binary|bytea|varbinary|blob|fixed_size_(list|binary)|time"
    r"|duration|interval|month_day_nano_interval|object)\b.*|time(32|64).*"
)


@dataclass(frozen=True, slots=True)
class Fit:
    """Which version of a table a delivery is read by.

    Attributes
    ----------
    version
        "" for the present version, otherwise that of `older`.
    table
        The table under that version.
    reason
        Why it fits none that is accepted; "" where it fits.
    older
        The older version, None for the present one.
    """

    version: str
    table: Table
    reason: str
    older: Older | None = None


def fit(table: Table, columns: Mapping[str, str]) -> str:
    """Return why a delivery does not fit a table, "" where it does.

    Parameters
    ----------
    table
        The table of the contract.
    columns
        Every column of the delivery with the type it was delivered as, in the words of its format.

    Returns
    -------
    str
        What is missing, what may have been renamed to what, and which physical types contradict the declared
        ones. Text contradicts none, because its spelling is checked row by row; columns that the contract
        does not know are no reason by themselves.
    """
    extra = [name for name in columns if name not in table.names]
    missing = [name for name in table.names if name not in columns]
    said = [*_twins(table, extra, missing), *_missing(missing, extra), *_contradictions(table, columns)]
    if not said:
        return ""
    unknown = f"; columns that the contract does not know: {listed(extra)}" if extra else ""
    return "; ".join(said) + unknown + ". Deliver the contract's columns, or change the contract"


def _twins(table: Table, extra: list[str], missing: list[str]) -> Iterator[str]:
    """Say which columns the delivery has twice but for upper and lower case."""
    known = {name.casefold(): name for name in table.names if name not in missing}
    for name in extra:
        if name.casefold() in known:
            yield f"columns {known[name.casefold()]} and {name} differ in upper and lower case only"


def _missing(missing: list[str], extra: list[str]) -> Iterator[str]:
    if missing:
        yield "missing columns: " + listed([name + _renamed(name, extra) for name in missing])


def _renamed(name: str, extra: list[str]) -> str:
    same = [other for other in extra if other.casefold() == name.casefold()]
    if same:
        return f" (the delivery has {same[0]}, which differs in upper and lower case)"
    near = get_close_matches(name, extra, n=1, cutoff=0.6)
    return f" (renamed to {near[0]}?)" if near else ""


def _contradictions(table: Table, columns: Mapping[str, str]) -> Iterator[str]:
    for column in table.columns:
        delivered = columns.get(column.name)
        if column.physical and delivered is not None and not _holds(column, delivered):
            yield f"column {column.name} is {delivered}, the contract says {column.physical}"


def _holds(column: Column, delivered: str) -> bool:
    declared, found = family(column.physical), _family(delivered)
    if not declared or found in {"", "text"}:
        return True
    allowed = _HOLDS[declared] | (_NUMERIC if column.spelling.epoch else frozenset())
    return found in allowed


def _family(delivered: str) -> str:
    """Return the family of a delivered type; "" where it is all nulls or not known, so that rows decide."""
    word = " ".join(delivered.lower().split())
    return family(word) or ("foreign" if _FOREIGN.fullmatch(word) else "")


def choose(table: Table, older: tuple[Older, ...], columns: Mapping[str, str], day: date) -> Fit:
    """Return the version of a table that a delivery is read by.

    Parameters
    ----------
    table
        The table under the present version.
    older
        The older versions, newest first.
    columns
        Every column of the delivery with its type.
    day
        Day of the delivery.

    Returns
    -------
    Fit
        The present version where it fits, otherwise the newest older one that fits and is still accepted on
        `day`; where none is, the present one with the reason.
    """
    reason = fit(table, columns)
    if not reason:
        return Fit("", table, "")
    expired = ""
    for version in older:
        old = next((one for one in version.tables if one.name == table.name), None)
        if old is None or fit(old, columns):
            continue
        if version.accepted_until >= day:
            return Fit(version.version, old, "", version)
        expired = expired or _expired(version)
    return Fit("", table, reason + expired)


def _expired(version: Older) -> str:
    return (
        f". It fits version {version.version} of the contract, which was accepted until "
        f"{version.accepted_until.isoformat()}: deliver the present version, or extend acceptedUntil"
    )


def upcast(older: Older, present: Table, frame: pl.DataFrame) -> Coerced:
    """Turn rows typed under an older version into rows of the present one.

    Parameters
    ----------
    older
        The older version.
    present
        The table under the present version.
    frame
        Rows as `coerce` returns them under the older table.

    Returns
    -------
    Coerced
        Rows with the columns and types of the present table. Columns that no upcast fills keep the value of
        the older column of the same name, and are null where there is none.
    """
    how = older.upcasts.get(present.name, {})
    filled = [
        _filled(column, how[column.name]).alias(column.name)
        for column in present.columns
        if column.name in how
    ]
    columns = tuple(
        replace(column, spelling=Spelling()) for column in present.columns
    )  # it is spelled out by now
    return coerce(replace(present, columns=columns), frame.with_columns(filled))


def _filled(column: Column, how: tuple[str | float | int | bool | None, ...]) -> pl.Expr:
    word, what = how[0], how[1]
    if word == "from":
        return pl.col(str(what))
    if word == "factor":
        return pl.col(str(what)) * pl.lit(how[2], pl.Float64)
    if what is not None and column.kind in {Kind.TIMESTAMP, Kind.DATE}:
        return pl.lit(parse_limit(what, column.kind), DTYPES[column.kind])
    return pl.lit(what, DTYPES[column.kind])
