"""A digest of rows that does not depend on their order: the same rows, the same digest, whatever holds them.

Exact: two rows are equal if every value is written alike. Nothing is kept of the rows.
"""

import hashlib

import polars as pl

_MODULUS = 1 << 256


class RowDigest:
    """Adds up the SHA-256 of each row's values, names and types apart."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Count a frame's rows in; its columns in any order."""
        if not frame.width:
            return
        texts = frame.select(
            pl.concat_str([_exact(frame, name) for name in sorted(frame.columns)])
        ).to_series()
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        self._sum = (self._sum + sum(int.from_bytes(digest, "big") for digest in digests)) % _MODULUS
        self.rows += frame.height

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        return hashlib.sha256(f"{self.rows}:{self._sum:x}".encode()).hexdigest()


def _exact(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Write a column's values so that no two differ and are written alike; null is a sign of its own."""
    text = _text(pl.col(name), frame.schema[name])
    label = f"{len(name)}:{name}="
    sized = pl.concat_str(pl.lit(label), text.str.len_bytes().cast(pl.String), pl.lit(":"), text)
    return sized.fill_null(label + "null")


def _text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime | pl.Duration) or dtype in (pl.Date, pl.Time):
        return value.to_physical().cast(pl.String)
    if dtype == pl.Binary:
        return value.bin.encode("hex")
    if dtype.is_nested():
        return pl.when(value.is_not_null()).then(pl.struct(value).struct.json_encode())
    return value.cast(pl.String)
