"""Delivered values into the types of a contract, with nothing coerced in silence.

A value that its column's type cannot represent exactly becomes null here and a failure beside it; a value
that was rewritten is counted. Spellings are `spelling` and `instants`; which values are valid is `rows`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from mlobs_pipelines.contracts.instants import to_days, to_instants, why_no_day, why_no_instant
from mlobs_pipelines.contracts.odcs import Column, Kind, Table
from mlobs_pipelines.contracts.spelling import (
    Reasons,
    clean,
    composed,
    is_ascii,
    nothing,
    padded,
    to_booleans,
    to_integers,
    to_numbers,
    to_text,
    undecoded,
    why_no_boolean,
    why_no_integer,
    why_no_number,
    why_no_text,
)

FAILURES = pl.Schema({"row": pl.Int64(), "rule": pl.String(), "column": pl.String()})
DTYPES: Mapping[Kind, pl.DataType] = {
    Kind.STRING: pl.String(),
    Kind.INTEGER: pl.Int64(),
    Kind.NUMBER: pl.Float64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.TIMESTAMP: pl.Datetime("us", "UTC"),
    Kind.DATE: pl.Date(),
}
_NESTED = (pl.List, pl.Array, pl.Struct, pl.Object)
_Cast = Callable[[Column, pl.Series], pl.Series]
_Why = Callable[[Column, pl.Series], Reasons]
_CASTS: Mapping[Kind, tuple[_Cast, _Why]] = {
    Kind.STRING: (to_text, why_no_text),
    Kind.INTEGER: (to_integers, why_no_integer),
    Kind.NUMBER: (to_numbers, why_no_number),
    Kind.BOOLEAN: (to_booleans, why_no_boolean),
    Kind.TIMESTAMP: (to_instants, why_no_instant),
    Kind.DATE: (to_days, why_no_day),
}


@dataclass(frozen=True, slots=True, eq=False)
class Coerced:
    """Rows under the types of a contract.

    Attributes
    ----------
    typed
        The columns of the contract in their order, and every row that was delivered.
    failures
        Values that their column cannot hold: row, rule, column, in the order of rows.
    normalised
        How many values were rewritten, by `<what>:<column>`: `trimmed`, `null_text` (a text that means null),
        `unicode` (into NFC), `as_text` (integers under a column of texts), `decoded` (bytes under one).
    """

    typed: pl.DataFrame
    failures: pl.DataFrame
    normalised: Mapping[str, int]


def coerce(table: Table, frame: pl.DataFrame) -> Coerced:
    """Give every column of a delivery the type that its contract declares.

    Parameters
    ----------
    table
        The table of the contract.
    frame
        The delivery as read, text or typed. Columns that the contract does not name are left out; a column
        that is missing becomes null.

    Returns
    -------
    Coerced
        Failures are called `<rule>:<column>`; the value is null in the typed rows, but for the last two:

        - `type`: the type cannot represent it;
        - `finite`: a NaN or an infinity;
        - `precision`: a float that may have lost digits of an id or an integer, an integer or a number with
          more digits than a float keeps, a time finer than microseconds;
        - `ambiguous_time`, `nonexistent_time`: a local time that a change of the clocks repeats or skips;
        - `encoding`: bytes that are no UTF-8 text, or a text with the character U+FFFD;
        - `padded`: white space around the text of a key, where the contract does not say to trim it.
    """
    columns: dict[str, pl.Series] = {}
    failures, normalised = [no_failures()], dict[str, int]()
    for column in table.columns:
        if column.name in frame.columns:
            typed, found, counts = _coerced(column, frame[column.name])
            columns[column.name] = typed
            failures += found
            normalised |= {f"{what}:{column.name}": count for what, count in counts.items()}
        else:
            columns[column.name] = nothing(pl.Series(column.name, range(frame.height)), DTYPES[column.kind])
    result = pl.DataFrame([series.alias(name) for name, series in columns.items()])
    return Coerced(result, pl.concat(failures).sort("row", "rule"), normalised)


def no_failures() -> pl.DataFrame:
    """Return failures with no rows."""
    return pl.DataFrame(schema=FAILURES)


def failures_at(bad: pl.Series, rule: str, column: str) -> pl.DataFrame:
    """Return one failure of `rule` for every row where `bad` is true."""
    rows = bad.arg_true().cast(pl.Int64).alias("row").to_frame()
    return rows.with_columns(rule=pl.lit(rule, pl.String), column=pl.lit(column, pl.String))


def _coerced(column: Column, values: pl.Series) -> tuple[pl.Series, list[pl.DataFrame], dict[str, int]]:
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
    if values.dtype == pl.Null:
        return values.cast(DTYPES[column.kind]), [], {}
    if isinstance(values.dtype, _NESTED):
        typed = nothing(values, DTYPES[column.kind])
        return typed, [failures_at(values.is_not_null(), f"type:{column.name}", column.name)], {}
    if column.kind is Kind.STRING:
        return _text(column, values)
    counts: dict[str, int] = {}
    if values.dtype == pl.String:
        values, counts = clean(column, values)
    cast, why = _CASTS[column.kind]
    typed = cast(column, values)
    return typed, _lost(column, values, typed, why), counts


def _text(column: Column, values: pl.Series) -> tuple[pl.Series, list[pl.DataFrame], dict[str, int]]:
    """Take text for text, and count what had to be rewritten for it."""
    typed = to_text(column, values)
    failures = _lost(column, values, typed, why_no_text)
    counts: dict[str, int] = {}
    if values.dtype != pl.String and typed.null_count() < len(typed):
        counts["decoded" if values.dtype == pl.Binary else "as_text"] = len(typed) - typed.null_count()
    text, changed = clean(column, typed)
    counts |= changed
    if (column.primary_key or column.unique) and padded(text).any():
        failures.append(failures_at(padded(text), f"padded:{column.name}", column.name))
    if is_ascii(text):
        return text, failures, counts
    text, recomposed = composed(text)
    if undecoded(text).any():
        failures.append(failures_at(undecoded(text), f"encoding:{column.name}", column.name))
    return text, failures, counts | ({"unicode": recomposed} if recomposed else {})


def _lost(column: Column, values: pl.Series, typed: pl.Series, why: _Why) -> list[pl.DataFrame]:
    """Name the failure of every value that the cast lost: the first reason that holds, or the type."""
    if typed.null_count() == values.null_count():
        return []
    rows = (typed.is_null() & values.is_not_null()).arg_true()
    lost = values.gather(rows)
    rule = pl.lit("type")
    for name, holds in reversed(why(column, lost)):
        rule = pl.when(holds.fill_null(value=False)).then(pl.lit(name)).otherwise(rule)
    named = pl.DataFrame({"row": rows.cast(pl.Int64)}).with_columns(
        rule=rule + f":{column.name}", column=pl.lit(column.name)
    )
    return [named]
