"""Rows from quarantine under today's contract: read back as they were delivered, hashes apart, checked again.

Nothing is read or written here. What cannot be known of a hash any more is not guessed: such a row stays.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from mlobs_pipelines.contracts.fit import Fit, fit
from mlobs_pipelines.contracts.odcs import Column, Contract, Older, Privacy, Table
from mlobs_pipelines.contracts.rows import Seen, frame_schemas
from mlobs_pipelines.steps.ingest.intake import ROW, check_under, event_time, stray
from mlobs_pipelines.steps.ingest.json_values import from_json
from mlobs_pipelines.steps.privacy import stored_table, to_current
from mlobs_pipelines.steps.walk import Walk

REASONS = pl.Schema({"place": pl.Int64(), "reason": pl.String()})
_DECLARED = frozenset(
    {"range", "length", "multiple_of", "single", "pattern", "form", "allowed", "unique", "required"}
)
_AGAIN = "ingest the delivery again instead, while its source still has it"


@dataclass(frozen=True, slots=True, eq=False)
class Rechecked:
    """Rows of one delivery after they were checked again.

    Attributes
    ----------
    good
        Typed rows that break no rule, with the row number they had in their delivery.
    reasons
        Why the others do: place among the rows that were given, reason. Rule names and columns, no values.
    """

    good: pl.DataFrame
    reasons: pl.DataFrame


def recheck(
    walk: Walk,
    contract: Contract,
    table: Table,
    day: date,
    rows: pl.DataFrame,
    seen: Seen,
    pairs: Callable[[], pl.DataFrame],
) -> Rechecked:
    """Check rows of one delivery again.

    Parameters
    ----------
    table, day
        What they are rows of, and the day they were delivered on.
    rows
        Rows of the table `quarantine`.
    seen
        Values that columns which are unique have had in the delivery so far.
    pairs
        Gives the pairs of hashes of all rotations.

    Notes
    -----
    A rule about a column of which a hash, a bucket or nothing is kept holds or not for a value that nobody
    knows any more. Where such a rule put a row into quarantine and still stands, the row stays there; one
    that was added since is not asked of such columns.
    """
    numbered = rows.with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64))
    good, reasons = [], [pl.DataFrame(schema=REASONS)]
    for part in numbered.partition_by("contract_version", "row_types", "key_id", maintain_order=True):
        checked = _part(walk, contract, table, day, part, seen, pairs)
        good.append(checked.good)
        reasons.append(checked.reasons)
    return Rechecked(pl.concat(good, how="diagonal"), pl.concat(reasons).unique(maintain_order=True))


def _part(
    walk: Walk,
    contract: Contract,
    table: Table,
    day: date,
    part: pl.DataFrame,
    seen: Seen,
    pairs: Callable[[], pl.DataFrame],
) -> Rechecked:
    """Rows of one version of the contract, of the same types and under the same key."""
    types = json.loads(part.item(0, "row_types") or "{}")
    chosen = _version(contract, table, day, part.item(0, "contract_version"), types)
    if chosen.reason:
        return _all_bad(part, chosen.reason)
    frame = _read_back(part, types)
    hashed = [column.name for column in table.columns if column.privacy is Privacy.HASH]
    if part.item(0, "key_id") != walk.keys.current.key_id:
        frame = to_current(frame, hashed, pairs(), walk.keys)
    checked = check_under(chosen, stored_table(table), frame, seen)
    strays = stray(walk, event_time(walk, contract, table), checked.typed, day)
    known = [key.key_id for key in (walk.keys.current, walk.keys.previous) if key is not None]
    bad = pl.concat(
        [
            checked.failures.select("row", reason="rule"),
            strays.select("row", reason="rule"),
            _strange(checked.typed, [name for name in hashed if name in checked.typed.columns], known),
            _unknowable(part, table),
        ]
    )
    places = part.get_column("place")
    reasons = bad.select(place=places[bad.get_column("row")], reason="reason")
    typed = checked.typed.with_columns(part.get_column("row_number").alias(ROW))
    fine = ~pl.int_range(pl.len(), dtype=pl.Int64).is_in(bad.get_column("row").unique().implode())
    return Rechecked(typed.filter(fine), reasons.cast(REASONS))


def _all_bad(part: pl.DataFrame, reason: str) -> Rechecked:
    return Rechecked(pl.DataFrame(), part.select("place", reason=pl.lit(reason)).cast(REASONS))


def _read_back(part: pl.DataFrame, types: Mapping[str, str]) -> pl.DataFrame:
    rows = [json.loads(text) for text in part.get_column("row_json")]
    columns = [from_json([row.get(name) for row in rows], kind).alias(name) for name, kind in types.items()]
    return pl.DataFrame(columns)


def _version(contract: Contract, table: Table, day: date, version: str, types: Mapping[str, str]) -> Fit:
    """The version that rows are read by: the one they were delivered under while it is accepted."""
    columns = dict.fromkeys(types, "")  # their types are held against the contract value by value
    for older in contract.older:
        old = next((one for one in older.tables if one.name == table.name), None)
        if older.version == version and old is not None:
            stored = _stored_as(old, table)
            return Fit(version, stored, _expired(older, day) or fit(stored, columns), older)
    stored = stored_table(table)
    return Fit("", stored, fit(stored, columns))


def _stored_as(old: Table, present: Table) -> Table:
    """An older table as its rows are in quarantine: hidden by the policy of the present one."""
    now = {column.name: column for column in present.columns}
    hidden = tuple(
        replace(column, privacy=now[column.name].privacy, bucket=now[column.name].bucket)
        for column in old.columns
        if column.name in now
    )
    kept = {column.name: column for column in stored_table(replace(old, columns=hidden)).columns}
    gone = {column.name for column in hidden} - set(kept)
    return replace(old, columns=tuple(kept.get(c.name, c) for c in old.columns if c.name not in gone))


def _expired(older: Older, day: date) -> str:
    if older.accepted_until >= day:
        return ""
    return f"version {older.version} of the contract was accepted until {older.accepted_until.isoformat()}"


def _strange(typed: pl.DataFrame, hashed: list[str], known: list[str]) -> pl.DataFrame:
    """Hashes under a key that is neither the present nor the previous one would never be joined."""
    found = [pl.DataFrame(schema={"row": pl.Int64(), "reason": pl.String()})]
    for name in hashed:
        bad = ~typed.get_column(name).str.slice(0, 8).is_in(known).fill_null(value=True)
        said = f"key:{name} (hashed under a key that is not set: set MLOBS_HMAC_PREVIOUS_KEY to it)"
        rows = bad.arg_true().cast(pl.Int64).alias("row").to_frame()
        found.append(rows.with_columns(reason=pl.lit(said)))
    return pl.concat(found)


def _unknowable(part: pl.DataFrame, table: Table) -> pl.DataFrame:
    rules = part.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("row"), reason="rules").explode("reason")
    hidden = {column.name: column for column in table.columns if column.privacy is not Privacy.KEEP}
    lost = [rule for rule in rules.get_column("reason").unique() if _is_lost(rule, table, hidden)]
    said = pl.col("reason") + f" (of this column no value is kept that could be checked: {_AGAIN})"
    return rules.filter(pl.col("reason").is_in(lost)).with_columns(reason=said)


def _is_lost(rule: str, table: Table, hidden: Mapping[str, Column]) -> bool:
    """Whether a broken rule stands today and what is kept of the value does not say if it is kept."""
    kind, _, name = rule.partition(":")
    if name not in hidden:
        return False
    checks = frame_schemas(table.name, table.columns)[1].columns[name].checks
    if kind in _DECLARED and rule not in {check.name for check in checks}:
        return False
    asked_again = {Privacy.HASH: {"required", "unique"}, Privacy.BUCKET: {"required"}}
    return kind not in asked_again.get(hidden[name].privacy, set())
