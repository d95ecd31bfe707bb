"""Values made coarse: numbers, times and texts replaced by the bucket they lie in.

Buckets of a number are [k*width, (k+1)*width), named by their left edge. A bucket's name lies in itself, so
that making values coarse twice changes nothing. The buckets that drift is counted in are `core.buckets`.
"""

import math
from datetime import UTC, date, datetime
from fractions import Fraction

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.odcs import Column, Kind

_STEPS = {"day": "1d", "month": "1mo", "year": "1y"}
_LOWEST = -(2**63)


def coarse(values: pl.Series, column: Column) -> pl.Series:
    """Replace typed values by the left edge of their bucket of the width ``column.bucket``.

    Parameters
    ----------
    values
        Of the column's type; null stays null.

    Returns
    -------
    polars.Series
        Of the same type. Numbers: the greatest multiple of the width that is not above the value; integers
        use the width rounded up to a whole number. Times: the start of their UTC day, month or year, those
        outside the years 1 to 9999 as the first or last of these. Texts: their first characters, after NFC.

    Raises
    ------
    ValueError
        If the column's type has no buckets.
    """
    bucket = pl.col(column.name)
    match column.kind:
        case Kind.NUMBER:
            return _left_edges(values.alias(column.name), float(column.bucket))
        case Kind.INTEGER:
            edge = _whole_edge(bucket, max(1, math.ceil(float(column.bucket))))
        case Kind.TIMESTAMP:
            first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
            edge = _start(bucket, pl.lit(first), pl.lit(last), str(column.bucket))
        case Kind.DATE:
            edge = _start(bucket, pl.lit(date(1, 1, 1)), pl.lit(date(9999, 12, 31)), str(column.bucket))
        case Kind.STRING:
            edge = bucket.str.normalize("NFC").str.slice(0, int(float(column.bucket)))
        case Kind.BOOLEAN:
            raise ValueError(f"column {column.name}: a boolean has no buckets; hash it, drop it or keep it")
    return values.alias(column.name).to_frame().select(edge).to_series()


def _left_edges(values: pl.Series, width: float) -> pl.Series:
    # Multiples of the width as it is written: 0.3 is the third edge of width 0.1, though 3 * 0.1 is above it.
    # numpy divides as IEEE 754 says; a query engine may multiply by a rounded reciprocal instead.
    top, bottom = (float(part) for part in Fraction(str(width)).as_integer_ratio())
    numbers = values.to_numpy().astype(np.float64)
    fine = np.abs(numbers) < 2.0**53 * width
    count = np.floor(np.where(fine, numbers, 0) * bottom / top)
    count = np.where((count + 1) * top / bottom <= numbers, count + 1, count)
    count = np.where(count * top / bottom > numbers, count - 1, count)
    # Beyond that, neighbouring floats are further apart than edges: each is its own bucket.
    edges = pl.Series(values.name, np.where(fine, count * top / bottom + 0.0, numbers))
    return edges.set(values.is_null(), None)


def _whole_edge(value: pl.Expr, width: int) -> pl.Expr:
    lowest = pl.when(value < _LOWEST + width).then(pl.lit(_LOWEST, pl.Int64))
    return lowest.otherwise(value // width * width).name.keep()


def _start(value: pl.Expr, first: pl.Expr, last: pl.Expr, bucket: str) -> pl.Expr:
    return value.clip(first, last).dt.truncate(_STEPS[bucket])
