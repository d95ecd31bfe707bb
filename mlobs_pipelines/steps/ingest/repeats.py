"""Which rows say again what another row of their day has said, and which of them stands.

A pure function of the rows, whatever order their deliveries came in. Where rows are kept is `publication`.
"""

from collections.abc import Sequence

import polars as pl

from mlobs_pipelines.contracts.odcs import Privacy, Table

IDENTITY = ("delivered_on", "delivery", "delivery_row")
RELEASED = " (released)"  # ends the name under which rows of a delivery left quarantine
IDENTICAL, SUPERSEDED, CONFLICT = "identical", "superseded", "conflict"
_KEY = ("day", "key_a", "key_b")


def fingerprint(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """What is needed of each row to find repeats: hashes of its key and content, and where it came from.

    Parameters
    ----------
    frame
        Rows as stored, all of one table of a contract.

    Returns
    -------
    polars.DataFrame
        A row for each: day, key_a and key_b (two 64-bit hashes of the key, valid in this process), content (a
        hash of the other columns; identifying ones are left out, since two keys hash one value differently),
        version (the correction column, null where none is declared) and `IDENTITY`.
    """
    keys, rest = _keys(table), _content(table, frame.columns)
    version = pl.col(table.correction) if table.correction else pl.lit(None, pl.Int64)
    return frame.select(
        "day",
        key_a=pl.struct(keys).hash(1),
        key_b=pl.struct(keys).hash(2),
        content=pl.struct(rest).hash(3) if rest else pl.lit(0, pl.UInt64),
        version=version,
        **{name: pl.col(name) for name in IDENTITY},
    )


def key_hashes(frame: pl.DataFrame, table: Table) -> pl.Series:
    """The first hash of each row's key, as of `fingerprint`."""
    return frame.select(pl.struct(_keys(table)).hash(1)).to_series()


def losers(prints: pl.DataFrame) -> pl.DataFrame:
    """The rows that must stand back, each with its reason.

    Of the rows of one key the one of the highest version stands, and of these the one delivered first: by
    day of delivery, then by the delivery's name, then by row.

    Parameters
    ----------
    prints
        Fingerprints of all rows of some days of one table.

    Returns
    -------
    polars.DataFrame
        day, `IDENTITY` and reason: identical to the row that stands, superseded by a higher version, or in
        conflict with it.
    """
    several = prints.filter(pl.struct(_KEY).is_duplicated())
    order = [*_KEY, "version", *IDENTITY]
    falling = [name == "version" for name in order]
    ranked = several.sort(order, descending=falling, nulls_last=falling)
    first = ranked.group_by(_KEY, maintain_order=True).agg(
        pl.col("content").first().alias("standing"), pl.col("version").first().alias("highest")
    )
    beaten = ranked.filter(~pl.struct(_KEY).is_first_distinct()).join(first, on=_KEY, how="left")
    older = (pl.col("version") < pl.col("highest")) | (
        pl.col("version").is_null() & pl.col("highest").is_not_null()
    )
    same = pl.when(pl.col("content") == pl.col("standing")).then(pl.lit(IDENTICAL))
    reason = same.when(older).then(pl.lit(SUPERSEDED)).otherwise(pl.lit(CONFLICT))
    return beaten.select("day", *IDENTITY, reason=reason)


def _keys(table: Table) -> list[pl.Expr]:
    """What makes a row one that was said before: its key, or where there is none its place in its delivery.

    So a row that left quarantine and is accepted when its delivery is read again is there once.
    """
    if table.primary_key:
        return [pl.col(name) for name in table.primary_key]
    day, delivery, row = IDENTITY
    return [pl.col(day), pl.col(delivery).str.strip_suffix(RELEASED), pl.col(row)]


def _content(table: Table, columns: Sequence[str]) -> list[str]:
    hashed = {column.name for column in table.columns if column.privacy is Privacy.HASH}
    left_out = {*table.primary_key, *hashed}
    return [name for name in table.names if name in columns and name not in left_out]
