"""The rules of a table as a Pandera schema, and the rows of a delivery that break them.

Failures are rows of (row, rule, column): never a value, because they end up in logs and reports. Types are
`coercion`; rules about the accepted rows of a day are `day_rules` and `expectations`. Pandera is imported
when the first rows are checked, because it brings pandas along and takes as long as all else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlobs_pipelines.contracts.coercion import (
    DTYPES,
    FAILURES,
    Coerced,
    coerce,
    failures_at,
    no_failures,
)
from mlobs_pipelines.contracts.forms import in_form, is_multiple
from mlobs_pipelines.contracts.lean import lean_imports
from mlobs_pipelines.contracts.odcs import Column, Kind, Limit, Table

_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Rows of a delivery after their rules.

    Attributes
    ----------
    typed
        Every row, under the types of the contract.
    failures
        What is wrong with which row: row, rule, column.
    normalised
        How many values were rewritten, by `<what>:<column>`, as `coercion.Coerced` says.
    """

    typed: pl.DataFrame
    failures: pl.DataFrame
    normalised: Mapping[str, int] = field(default_factory=dict)

    @property
    def good(self) -> pl.DataFrame:
        """The typed rows that break no rule, in their order."""
        return self.typed.filter(~self._bad()) if self.failures.height else self.typed

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
        bad = np.zeros(self.typed.height, dtype=np.bool_)
        bad[self.failures["row"].to_numpy()] = True
        return pl.Series(bad)


class Seen:
    """Which values the unique columns of one delivery have had so far, as 64-bit hashes.

    Takes 8 bytes per value. A value whose hash another one has is taken for a repeat: with a million values
    that happens in one of about forty million deliveries.
    """

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[str, list[_Hashes]] = {}

    def again(self, values: pl.Series) -> pl.Series:
        """Return which values came in an earlier call for a column of this name, and keep them all."""
        present = values.is_not_null().to_numpy()
        new, places = np.unique(values.hash().to_numpy(), return_inverse=True)
        runs = self._runs.setdefault(values.name, [])
        again = np.zeros(len(new), dtype=np.bool_)
        for run in runs:
            again |= _within(new, run)
        missing = np.zeros(len(new), dtype=np.bool_)
        missing[places[~present]] = True
        self._keep(runs, new[~(again | missing)])
        return pl.Series(again[places] & present)

    def _keep(self, runs: list[_Hashes], new: _Hashes) -> None:
        """Add a sorted run, and merge runs of like length: few runs to search, little to copy."""
        while runs and len(runs[-1]) <= 2 * len(new):
            new = np.sort(np.concatenate([runs.pop(), new]), kind="stable")
        if len(new):
            runs.append(new)


def _within(values: _Hashes, run: _Hashes) -> npt.NDArray[np.bool_]:
    places = np.searchsorted(run, values)
    return np.equal(run[np.minimum(places, len(run) - 1)], values)


def check_frame(table: Table, frame: pl.DataFrame, seen: Seen | None = None) -> Checked:
    """Type a frame of a delivery and check every row of it.

    Parameters
    ----------
    table
        The table of the contract.
    frame
        Rows as delivered.
    seen
        Of the delivery; given to the calls for all of its frames in their order, it makes `unique` hold
        across them. Without it `unique` holds within the frame.

    Returns
    -------
    Checked
        Rows are numbered within the frame. A value that fails its type is null afterwards; it is not reported
        as missing once more.
    """
    checked = check_rows(table, frame)
    return checked if seen is None else not_seen(table, checked, seen)


def check_rows(table: Table, frame: pl.DataFrame) -> Checked:
    """Type a frame and check every row of it by itself and against the others of the frame."""
    return judge(table, coerce(table, frame))


def not_seen(table: Table, checked: Checked, seen: Seen) -> Checked:
    """Check rows of a frame against those of the frames before it, and remember them."""
    repeated = _repeated(table, checked.typed, seen)
    if not repeated.height:
        return checked
    failures = pl.concat([checked.failures, repeated]).unique()
    return Checked(checked.typed, failures.sort("row", "rule"), checked.normalised)


def judge(table: Table, coerced: Coerced) -> Checked:
    """Check rows that have their types, and put what the types lost beside what the rules say."""
    broken = validate(table, coerced.typed)
    if coerced.failures.height and broken.height:
        lost = coerced.failures.select("row", "column", rule="required:" + pl.col("column"))
        broken = broken.join(lost, on=["row", "rule", "column"], how="anti")
    failures = pl.concat([coerced.failures, broken])
    return Checked(coerced.typed, failures.sort("row", "rule"), coerced.normalised)


def _repeated(table: Table, typed: pl.DataFrame, seen: Seen) -> pl.DataFrame:
    names = [column.name for column in table.columns if column.unique]
    found = [failures_at(seen.again(typed[name]), f"unique:{name}", name) for name in names]
    return pl.concat([no_failures(), *found])


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

    Pandera evaluates all rules in one pass; only where one is broken does it look for the rows.

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
    whole, by_rule = frame_schemas(table.name, table.columns)
    typed = all(frame.schema.get(column.name) == DTYPES[column.kind] for column in table.columns)
    if frame.height and typed and _broken(whole, frame) is None:
        return no_failures()
    cases = _broken(by_rule, frame)
    return no_failures() if cases is None else _failures(table, cases)


def _broken(schema: Any, frame: pl.DataFrame) -> pl.DataFrame | None:  # noqa: ANN401 - Pandera is untyped here
    config, whole = _pandera().config, _pandera().config.ValidationDepth.SCHEMA_AND_DATA
    try:
        with config.config_context(validation_enabled=True, validation_depth=whole):
            schema.validate(frame, lazy=True)
    except _pandera().errors.SchemaErrors as errors:
        cases: pl.DataFrame = errors.failure_cases
        return cases
    return None


@cache
def _pandera() -> Any:  # noqa: ANN401 - Pandera is untyped here
    with lean_imports():
        import pandera.polars  # noqa: PLC0415 - slow, and not needed where no rows are checked
    return pandera


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


@lru_cache(maxsize=64)
def frame_schemas(name: str, columns: tuple[Column, ...]) -> tuple[Any, Any]:
    """Return two Pandera schemas (`pandera.polars.DataFrameSchema`) of a table.

    The first has all rules in one check and says only whether all are kept by columns of the right types; the
    second has every rule as a check of its own, named `<rule>:<column>`, so that a failure names itself.
    """
    rules = [good for column in columns for _, good in _rules(column)]
    together = [_check("all", pl.all_horizontal([good.all() for good in rules]))] if rules else []
    return (
        _schema(name, (), {}, together),
        _schema(name, columns, {column.name: tuple(_rules(column)) for column in columns}, []),
    )


def _schema(
    name: str,
    columns: tuple[Column, ...],
    rules: Mapping[str, tuple[tuple[str, pl.Expr], ...]],
    checks: list[Any],
) -> Any:  # noqa: ANN401 - Pandera is untyped here
    return _pandera().polars.DataFrameSchema(
        {
            column.name: _pandera().polars.Column(
                DTYPES[column.kind],
                checks=[_check(rule, good) for rule, good in rules[column.name]],
                nullable=True,  # `required` is a check of its own, named like the others
            )
            for column in columns
        },
        checks=checks,
        name=name,
        strict=False,
    )


def _check(rule: str, good: pl.Expr) -> Any:  # noqa: ANN401 - Pandera is untyped here
    # Nulls and NaN reach the expression: by default Pandera drops them, and a rule about nulls always passes.
    select: Callable[[Any], pl.LazyFrame] = lambda data: data.lazyframe.select(good)  # noqa: E731
    return _pandera().polars.Check(select, name=rule, ignore_na=False)


def _rules(column: Column) -> list[tuple[str, pl.Expr]]:
    """Return the named rules of one column, each true where a row keeps it; null keeps all but `required`."""
    rules = [(f"{rule}:{column.name}", good.fill_null(value=True)) for rule, good in _value_rules(column)]
    value = pl.col(column.name)
    if column.required:
        rules.append((f"required:{column.name}", _given(column, value)))
    if column.unique:
        rules.append((f"unique:{column.name}", value.is_first_distinct() | value.is_null()))
    return rules


def _given(column: Column, value: pl.Expr) -> pl.Expr:
    """A value is there; an empty text identifies nothing."""
    there = value.is_not_null()
    return (
        there & (value != "").fill_null(value=True)
        if column.primary_key and column.kind is Kind.STRING
        else there
    )


def _value_rules(column: Column) -> list[tuple[str, pl.Expr]]:
    value, dtype = pl.col(column.name), DTYPES[column.kind]
    rules = _limits(column, value)
    if column.multiple_of is not None:
        whole = dtype == pl.Int64
        rules.append(("multiple_of", is_multiple(value, column.multiple_of, whole=whole)))
    if column.single:
        rules.append(("single", value.cast(pl.Float32).cast(pl.Float64) == value))
    if column.pattern is not None:
        rules.append(("pattern", value.str.contains(rf"\A(?:{column.pattern})\z")))
    if column.form:
        rules.append(("form", in_form(value, column.form)))
    if column.allowed:
        rules.append(("allowed", value.is_in(pl.Series(column.allowed, dtype=dtype, strict=False).implode())))
    return rules


def _limits(column: Column, value: pl.Expr) -> list[tuple[str, pl.Expr]]:
    rules = []
    low, high = (
        _end(column.kind, end) if end is not None else None for end in (column.minimum, column.maximum)
    )
    if low is not None or high is not None:
        rules.append(("range", _between(value, low, high)))
    if column.min_length is not None or column.max_length is not None:
        rules.append(("length", _between(value.str.len_chars(), column.min_length, column.max_length)))
    return rules


def _end(kind: Kind, end: Limit) -> pl.Expr:
    """Return a limit under its column's type; one that no integer of 64 bits reaches still limits."""
    if kind is Kind.INTEGER and isinstance(end, int) and not -(2**63) <= end < 2**63:
        return pl.lit(max(-(2**126), min(end, 2**126)), pl.Int128)
    return pl.lit(end, DTYPES[kind])


def _between(value: pl.Expr, low: pl.Expr | int | None, high: pl.Expr | int | None) -> pl.Expr:
    above = pl.lit(value=True) if low is None else value >= low
    below = pl.lit(value=True) if high is None else value <= high
    return above & below
