"""Sample files as frames: CSV, Parquet and JSON lines, with names that columns may have and times as times.

No message quotes a value. What the columns are is `columns`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

READERS: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda path: pl.read_csv(path, infer_schema_length=None, try_parse_dates=True),
    ".tsv": lambda path: pl.read_csv(path, infer_schema_length=None, try_parse_dates=True, separator="\t"),
    ".parquet": pl.read_parquet,
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".ndjson": lambda path: pl.read_ndjson(path, infer_schema_length=None),
}
_FORMS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_TAKEN = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Categorical, pl.Enum)
RESERVED = ("day", "delivered_on", "delivery", "delivery_row", "reason", "decision", "sample_weight", "view")
_LOOKS_LIKE_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")


class DraftError(ValueError):
    """Files that no draft can be made of; says which option would decide."""


def read(paths: Sequence[Path], left_out: list[str] | None = None) -> pl.DataFrame:
    """Read files of one kind of rows, one after the other.

    Parameters
    ----------
    left_out
        Takes the names of columns that no contract can have.

    Raises
    ------
    DraftError
        If a file is not there, of another kind, unreadable or without rows.
    """
    frames = [_one(path) for path in paths]
    try:
        rows = pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        raise DraftError(f"{_names(paths)}: the files have columns of different types") from None
    if rows.is_empty():
        raise DraftError(f"{_names(paths)}: no rows")
    plain = _plain(rows)
    if left_out is not None:
        left_out += [name for name in rows.columns if name not in plain.columns]
    return _timed(plain.rename(_usable(plain.columns)))


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns that can be in a contract; nested, binary and empty ones cannot."""
    kept = [name for name, kind in rows.schema.items() if kind.is_numeric() or kind in _TAKEN]
    words = [name for name in kept if rows[name].dtype in (pl.Categorical, pl.Enum)]
    exact = [name for name in kept if rows[name].dtype.is_decimal()]
    plain = [pl.col(words).cast(pl.String), pl.col(exact).cast(pl.Float64)]
    return rows.select(kept).with_columns(plain)


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _one(path: Path) -> pl.DataFrame:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DraftError(f"{path.name}: not one of {', '.join(READERS)}")
    if not path.is_file():
        raise DraftError(f"no file {path}")
    try:
        return reader(path)
    except (pl.exceptions.PolarsError, OSError, ValueError):
        raise DraftError(f"{path.name}: cannot be read as {path.suffix.lower()[1:]}") from None


def _usable(names: Sequence[str]) -> dict[str, str]:
    """A name for each column that a contract may have: letters, digits and underscores, none twice."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "column"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        while plain in found.values() or plain in RESERVED:
            plain += "_"
        found[name] = plain
    return found


def _timed(rows: pl.DataFrame) -> pl.DataFrame:
    """Texts that are times as times, UTC where they do not say."""
    return rows.with_columns(_time(rows[name]) for name in rows.columns if _is_time(rows[name]))


def _is_time(values: pl.Series) -> bool:
    if values.dtype in (pl.Date, pl.Datetime):
        return True
    known = values.drop_nulls()
    if values.dtype != pl.String or known.is_empty():
        return False
    return _LOOKS_LIKE_TIME.fullmatch(known[0]) is not None and not _parsed(known).has_nulls()


def _time(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        return _parsed(values)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    zone = values.dtype.time_zone if isinstance(values.dtype, pl.Datetime) else None
    plain = values.dt.replace_time_zone("UTC") if zone is None else values.dt.convert_time_zone("UTC")
    return plain.cast(pl.Datetime("us", "UTC"))


def _parsed(values: pl.Series) -> pl.Series:
    """ISO 8601 texts; null where one is not."""
    found = values.str.to_datetime(time_unit="us", time_zone="UTC", strict=False, format="%+")
    for form in _FORMS:
        plain = values.str.to_datetime(time_unit="us", strict=False, format=form)
        found = found.fill_null(plain.dt.replace_time_zone("UTC"))
    days = values.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return found.fill_null(days.dt.replace_time_zone("UTC"))
