"""Text and foreign types into the types of a contract, with nothing coerced in silence.

A value that its column's type cannot represent exactly becomes null here and a failure beside it. Which typed
values are valid is `rows`.
"""

from collections.abc import Callable, Mapping

import polars as pl

from mlobs_pipelines.contracts.odcs import Column, Kind, Table

FAILURES = pl.Schema({"row": pl.Int64(), "rule": pl.String(), "column": pl.String()})
DTYPES: Mapping[Kind, pl.DataType] = {
    Kind.STRING: pl.String(),
    Kind.INTEGER: pl.Int64(),
    Kind.NUMBER: pl.Float64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.TIMESTAMP: pl.Datetime("us", "UTC"),
    Kind.DATE: pl.Date(),
}
_OFFSET = r"(?:[+-]\d{2}:?\d{2})$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::[0-5]\d(?:\.\d{1,6}0*)?)?(?:[Zz]|[+-]\d{2}:?\d{2})?$"
_WHOLE = r"^[+-]?\d+$"
_BIGGEST = 2.0**63
_ROW = "row number"  # no column of a contract can have a space in its name


def coerce(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give every column of a delivery the type that its contract declares.

    Parameters
    ----------
    table
        The table of the contract.
    frame
        The delivery as read, text or typed. Instants are ISO 8601 text or datetimes; without a zone they are
        UTC. Columns that the contract does not name are left out; a column that is missing becomes null.

    Returns
    -------
    tuple
        The typed frame, with the columns of the contract in their order and every row of `frame`; and the
        failures (row, rule, column), in the order of rows. Rules are `type:<column>` for a value that the
        type cannot represent and `finite:<column>` for a NaN or an infinity; such values are null in the
        typed frame.
    """
    typed = [_typed(column, frame).alias(column.name) for column in table.columns]
    result = frame.select(pl.int_range(pl.len()).alias(_ROW), *typed).drop(_ROW)
    return _finite(table, result, _type_failures(table, frame, result))


def no_failures() -> pl.DataFrame:
    """Return failures with no rows."""
    return pl.DataFrame(schema=FAILURES)


def failures_at(bad: pl.Series, rule: str, column: str) -> pl.DataFrame:
    """Return one failure of `rule` for every row where `bad` is true."""
    rows = bad.arg_true().cast(pl.Int64).alias("row").to_frame()
    return rows.with_columns(rule=pl.lit(rule, pl.String), column=pl.lit(column, pl.String))


def _type_failures(table: Table, frame: pl.DataFrame, result: pl.DataFrame) -> list[pl.DataFrame]:
    present = [name for name in table.names if name in frame.columns]
    lost = [name for name in present if result[name].null_count() > frame[name].null_count()]
    return [
        failures_at(result[name].is_null() & frame[name].is_not_null(), f"type:{name}", name) for name in lost
    ]


def _finite(
    table: Table, result: pl.DataFrame, failures: list[pl.DataFrame]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    numbers = [column.name for column in table.columns if column.kind is Kind.NUMBER]
    odd = result.select(pl.col(numbers).is_finite().not_().fill_null(value=False))
    found = [name for name in numbers if odd[name].any()]
    failures += [failures_at(odd[name], f"finite:{name}", name) for name in found]
    cleaned = result.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in found)
    return cleaned, pl.concat([no_failures(), *failures]).sort("row", "rule")


def _typed(column: Column, frame: pl.DataFrame) -> pl.Expr:
    if column.name not in frame.columns:
        return pl.lit(None, DTYPES[column.kind])
    source = frame.schema[column.name]
    if source == pl.Null:
        return pl.col(column.name).cast(DTYPES[column.kind])
    return _CASTS[column.kind](pl.col(column.name), source)


def _string(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source == pl.String or isinstance(source, pl.Categorical | pl.Enum):
        return value.cast(pl.String)
    return pl.lit(None, pl.String)


def _integer(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source.is_integer():
        return value.cast(pl.Int64, strict=False)
    if source.is_float():
        whole = (value == value.floor()) & (value >= -_BIGGEST) & (value < _BIGGEST)
        return pl.when(whole).then(value).cast(pl.Int64, strict=False)
    if source.is_decimal():
        cast = value.cast(pl.Int64, strict=False)
        return pl.when(cast.cast(source, strict=False) == value).then(cast)
    if source == pl.String:
        return (
            pl.when(value.str.contains(_WHOLE)).then(value.str.strip_prefix("+")).cast(pl.Int64, strict=False)
        )
    return pl.lit(None, pl.Int64)


def _number(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    cast = value.cast(pl.Float64, strict=False)
    if source.is_integer():  # beyond 2**53 neighbours share a float
        return pl.when(cast.cast(source, strict=False) == value).then(cast)
    if source.is_numeric() or source == pl.String:
        return cast
    return pl.lit(None, pl.Float64)


def _boolean(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source == pl.Boolean:
        return value
    if source == pl.String:
        words = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
        return value.replace_strict(words, default=None, return_dtype=pl.Boolean)
    return pl.lit(None, pl.Boolean)


def _timestamp(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if isinstance(source, pl.Datetime):
        whole = value if source.time_unit != "ns" else pl.when(value.dt.nanosecond() % 1000 == 0).then(value)
        return _utc(whole.dt.cast_time_unit("us"), source)
    if source == pl.String:
        return _instant(value)
    return pl.lit(None, DTYPES[Kind.TIMESTAMP])


def _utc(value: pl.Expr, source: pl.Datetime) -> pl.Expr:
    if source.time_zone is None:
        return value.dt.replace_time_zone("UTC")
    return value.dt.convert_time_zone("UTC")


def _instant(value: pl.Expr) -> pl.Expr:
    """Parse ISO 8601 text; the pattern refuses what the parser would round or guess."""
    text = (
        pl.when(value.str.contains(_INSTANT)).then(value).str.replace(r"[t ]", "T").str.replace(r"[Zz]$", "")
    )
    zoned = pl.when(text.str.contains(_OFFSET)).then(text).otherwise(text + "+00:00")
    formats = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
    parsed = [zoned.str.to_datetime(form, time_unit="us", strict=False) for form in formats]
    return pl.coalesce(parsed).dt.convert_time_zone("UTC")


def _date(value: pl.Expr, source: pl.DataType) -> pl.Expr:
    if source == pl.Date:
        return value
    if isinstance(source, pl.Datetime) and source.time_zone is None:
        day = value.cast(pl.Date)
        return pl.when(day.cast(source) == value).then(day)
    if source == pl.String:
        whole = pl.when(value.str.contains(r"^\d{4}-\d{2}-\d{2}$")).then(value)
        return whole.str.to_date("%Y-%m-%d", strict=False)
    return pl.lit(None, pl.Date)


_CASTS: Mapping[Kind, Callable[[pl.Expr, pl.DataType], pl.Expr]] = {
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.DATE: _date,
}
