"""The rules of a table as a Pandera schema, and the rows of a delivery that break them.

Failures are rows of (row, rule, column): never a value, because they end up in logs and reports. Types are
`coercion`; rules about a delivery as a whole are `expectations`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.config import ValidationDepth, config_context

from mlobs_pipelines.contracts.coercion import DTYPES, FAILURES, coerce, no_failures
from mlobs_pipelines.contracts.odcs import Column, Table


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A delivery after its row rules.

    Attributes
    ----------
    typed
        Every row of the delivery, under the types of the contract.
    failures
        What is wrong with which row: row, rule, column.
    """

    typed: pl.DataFrame
    failures: pl.DataFrame

    @property
    def good(self) -> pl.DataFrame:
        """The typed rows that break no rule, in their order."""
        return self.typed.filter(~self._bad())

    @property
    def bad(self) -> pl.DataFrame:
        """The typed rows that break a rule, in their order; one for each row of `reasons`."""
        return self.typed.filter(self._bad())

    @property
    def reasons(self) -> pl.DataFrame:
        """The bad rows with their reasons: row, rules (list), columns (list), in the order of rows."""
        lists = (pl.col("rule").sort().alias("rules"), pl.col("column").unique().sort().alias("columns"))
        return self.failures.group_by("row").agg(lists).sort("row")

    @property
    def counts(self) -> dict[str, int]:
        """How many rows break each rule, by rule."""
        counted = self.failures.group_by("rule").len().sort("rule")
        return dict(counted.iter_rows())

    def _bad(self) -> pl.Series:
        rows = self.failures["row"].unique()
        return pl.int_range(self.typed.height, eager=True).is_in(rows.implode())


def check_rows(table: Table, frame: pl.DataFrame) -> Checked:
    """Type a delivery and check every row of it.

    A value that fails its type is null afterwards; it is not reported as missing once more.
    """
    typed, untyped = coerce(table, frame)
    broken = validate(table, typed)
    lost = untyped.select("row", "column", rule="required:" + pl.col("column"))
    broken = broken.join(lost, on=["row", "rule", "column"], how="anti")
    return Checked(typed, pl.concat([untyped, broken]).sort("row", "rule"))


def missing_columns(table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the contract's columns that a delivery does not have, in the order of the contract."""
    present = set(columns)
    return tuple(name for name in table.names if name not in present)


def extra_columns(table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a delivery that its contract does not name; they are kept out of the lake."""
    known = set(table.names)
    return tuple(name for name in columns if name not in known)


def validate(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the failures of a typed frame: row, rule, column, in the order of rows.

    Parameters
    ----------
    table
        The table of the contract.
    frame
        A frame as `coerce` returns it.

    Raises
    ------
    TypeError
        If the frame is lazy (Pandera would look at its schema only) or not of the contract's types.
    """
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a LazyFrame cannot be validated: its rows would not be looked at; collect it first")
    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            frame_schema(table).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        return _failures(table, errors.failure_cases)
    return no_failures()


def _failures(table: Table, cases: pl.DataFrame) -> pl.DataFrame:
    """Keep where and what of Pandera's cases, and leave the values behind."""
    placeless = cases.filter(pl.col("index").is_null())
    if placeless.height:
        named = sorted(
            {f"{column}: {check}" for column, check in placeless.select("column", "check").iter_rows()}
        )
        raise TypeError(
            f"table {table.name!r} is not of its contract's types ({'; '.join(named)}); coerce it first"
        )
    found = cases.select(row=pl.col("index"), rule=pl.col("check"), column=pl.col("column"))
    return found.cast(FAILURES).sort("row", "rule")


def frame_schema(table: Table) -> Any:  # noqa: ANN401 - Pandera is untyped here
    """Return the Pandera schema (`pandera.polars.DataFrameSchema`) of a table.

    Every rule is a check named `<rule>:<column>`, so that a failure names itself.
    """
    keys = table.primary_key
    return pa.DataFrameSchema(
        {
            column.name: pa.Column(
                DTYPES[column.kind],
                checks=[_check(rule, good) for rule, good in _rules(column, keys)],
                nullable=True,  # `required` is a check of its own, named like the others
            )
            for column in table.columns
        },
        name=table.name,
        strict=False,
    )


def _check(rule: str, good: pl.Expr) -> Any:  # noqa: ANN401 - Pandera is untyped here
    # Nulls and NaN reach the expression: by default Pandera drops them, and a rule about nulls always passes.
    select: Callable[[Any], pl.LazyFrame] = lambda data: data.lazyframe.select(good)  # noqa: E731
    return pa.Check(select, name=rule, ignore_na=False)


def _rules(column: Column, keys: tuple[str, ...]) -> list[tuple[str, pl.Expr]]:
    """Return the named rules of one column, each true where a row keeps it; null keeps all but `required`."""
    rules = [(f"{rule}:{column.name}", good.fill_null(value=True)) for rule, good in _value_rules(column)]
    if column.required:
        rules.append((f"required:{column.name}", pl.col(column.name).is_not_null()))
    if column.unique:
        rules.append((f"unique:{column.name}", _first((column.name,))))
    if keys and column.name == keys[0]:
        rules.append((f"primary_key:{'+'.join(keys)}", _first(keys)))
    return rules


def _value_rules(column: Column) -> list[tuple[str, pl.Expr]]:
    value, rules = pl.col(column.name), []
    dtype = DTYPES[column.kind]
    low, high = (pl.lit(end, dtype) if end is not None else None for end in (column.minimum, column.maximum))
    if low is not None or high is not None:
        rules.append(("range", _between(value, low, high)))
    if column.min_length is not None or column.max_length is not None:
        rules.append(("length", _between(value.str.len_chars(), column.min_length, column.max_length)))
    if column.pattern is not None:
        rules.append(("pattern", value.str.contains(rf"\A(?:{column.pattern})\z")))
    if column.allowed:
        rules.append(("allowed", value.is_in(column.allowed)))
    return rules


def _between(value: pl.Expr, low: pl.Expr | int | None, high: pl.Expr | int | None) -> pl.Expr:
    above = pl.lit(value=True) if low is None else value >= low
    below = pl.lit(value=True) if high is None else value <= high
    return above & below


def _first(keys: tuple[str, ...]) -> pl.Expr:
    """Return where a key is whole and seen for the first time, or not whole (which `required` reports)."""
    key = pl.col(keys[0]) if len(keys) == 1 else pl.struct(keys)
    return key.is_first_distinct() | pl.any_horizontal(pl.col(keys).is_null())
