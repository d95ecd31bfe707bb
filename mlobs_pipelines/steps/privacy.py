"""What is kept of the values of a contract's columns: all, a keyed hash, a bucket, or nothing.

Pure functions on frames, and the pairs of hashes by which joins go on when a key is replaced. Which keys
there are is `settings`; what lies in which bucket is `coarsening`.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

import polars as pl
import pyarrow as pa

from mlobs_pipelines.contracts.coercion import DTYPES, coerce
from mlobs_pipelines.contracts.odcs import Column, Kind, Privacy, Table
from mlobs_pipelines.settings import HashKey, HashKeys
from mlobs_pipelines.steps.coarsening import coarse

TYPES = {
    Kind.STRING: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Kind.DATE: pa.date32(),
}
ALIASES = pl.Schema({"column": pl.String(), "old": pl.String(), "new": pl.String()})
_HASH = re.compile(r"[0-9a-f]{8}:[0-9a-f]{32}")


def hash_text(value: str, key: HashKey) -> str:
    """Replace an identifier by ``<key id>:<32 hex digits>``: HMAC-SHA-256 of its NFC text, cut to half.

    Sources: RFC 2104 for HMAC; RFC 4868, section 2, for half of the output; Unicode Annex 15 for NFC.

    Examples
    --------
    >>> hash_text("N14228", HashKey(b"0123456789abcdef", "9f9f5111"))
    '9f9f5111:20ba954a2d9d2c7d71af1fc19567c3fe'
    """
    return _hash_all([value], key)[0]


def protect(frame: pl.DataFrame, table: Table, keys: HashKeys, *, hashed: bool = False) -> pl.DataFrame:
    """Replace what the contract does not let be stored in typed rows.

    Parameters
    ----------
    frame
        Rows as `coerce` typed them. Columns that the contract does not name pass as they are.
    keys
        The current one is used.
    hashed
        Whether values that are hashes under one of `keys` already stay as they are, which only rows from
        quarantine may ask for.

    Returns
    -------
    polars.DataFrame
        Every row in its place. HASH: text as of `hash_text`; BUCKET: the value's bucket as of `coarse`;
        DROP: no such column; null stays null.

    Raises
    ------
    ValueError
        With `hashed`, if values are hashes under neither key.
    """
    present = [column for column in table.columns if column.name in frame.columns]
    kept = []
    for column in present:
        values = frame.get_column(column.name)
        if column.privacy is Privacy.HASH:
            kept.append(_hashed(_text_of(values), keys, hashed=hashed))
        elif column.privacy is Privacy.BUCKET:
            kept.append(_coarse(values, column, hashed=hashed))
    return frame.with_columns(kept).drop(_dropped(present))


def protect_raw(frame: pl.DataFrame, table: Table, keys: HashKeys, *, hashed: bool = False) -> pl.DataFrame:
    """Replace what the contract does not let be stored in rows as delivered, for quarantine.

    A value that its column's type can represent is hashed as that value, so that the row joins once it is
    released; any other as the text it was delivered as. A bucket needs a typed value: numbers and times that
    were delivered as something else are hashed.

    Parameters
    ----------
    frame
        Rows as delivered, of any types.
    keys, hashed
        As of `protect`.

    Returns
    -------
    polars.DataFrame
        Every row in its place, with the contract's columns only: what it does not name has no
        classification. Columns to drop are gone.

    Raises
    ------
    ValueError
        As of `protect`.
    """
    present = [column for column in table.columns if column.name in frame.columns]
    guarded = [column for column in present if column.privacy in (Privacy.HASH, Privacy.BUCKET)]
    texts = _texts_raw(frame, guarded)
    kept = []
    for column in guarded:
        values, text = frame.get_column(column.name), texts[column.name]
        if column.privacy is Privacy.BUCKET and _has_buckets(values.dtype, column):
            kept.append(_coarse(text if column.kind is Kind.STRING else values, column, hashed=hashed))
        else:
            kept.append(_hashed(text, keys, hashed=hashed))
    return frame.select(column.name for column in present).with_columns(kept).drop(_dropped(present))


def stored_type(column: Column) -> pa.DataType | None:
    """The type of a column in the lake: text for a hash, None for one that is not kept."""
    if column.privacy is Privacy.DROP:
        return None
    return pa.string() if column.privacy is Privacy.HASH else TYPES[column.kind]


def stored_table(table: Table) -> Table:
    """The table as its rows are once they are protected, with no rule that a hash or bucket cannot keep.

    What rows from quarantine are checked against: `required`, keys and types hold for them as before.
    """
    kept = [column for column in table.columns if column.privacy is not Privacy.DROP]
    return replace(table, columns=tuple(_stored(column) for column in kept))


def aliases(frame: pl.DataFrame, table: Table, keys: HashKeys, *, raw: bool = False) -> pl.DataFrame:
    """Pair the hashes under the previous and the current key of every distinct value of the hashed columns.

    Parameters
    ----------
    frame
        Rows before they are protected: typed, or with `raw` as delivered.
    keys
        Without a previous key there are no pairs. Whether a day is in the overlap is the caller's to ask.

    Returns
    -------
    polars.DataFrame
        ``column``, ``old``, ``new``; each pair once, in order.
    """
    chosen = [c for c in table.columns if c.privacy is Privacy.HASH and c.name in frame.columns]
    if keys.previous is None:
        return pl.DataFrame(schema=ALIASES)
    texts = _texts_raw(frame, chosen) if raw else {c.name: _text_of(frame.get_column(c.name)) for c in chosen}
    pairs = [pl.DataFrame(schema=ALIASES)]
    for name, values in texts.items():
        distinct = values.drop_nulls().unique()
        old, new = (_hash_distinct(distinct, key) for key in (keys.previous, keys.current))
        pairs.append(pl.DataFrame({"column": pl.repeat(name, len(old), eager=True), "old": old, "new": new}))
    return pl.concat(pairs).unique().sort("column", "old")


def to_current(frame: pl.DataFrame, columns: list[str], pairs: pl.DataFrame, keys: HashKeys) -> pl.DataFrame:
    """Replace hashes under older keys by those under the current one, through any number of rotations.

    Both sides of a join must pass through here with the same pairs. A value that was not seen during a
    rotation keeps its older hash, which is then the same on both sides wherever the pairs connect it.

    Parameters
    ----------
    columns
        The columns of hashes. A pair counts for all of them: a hash depends on value and key alone.
    pairs
        As of `aliases`, of every rotation there was.

    Returns
    -------
    polars.DataFrame
        Every row in its place.
    """
    present = [name for name in columns if name in frame.columns]
    if pairs.is_empty() or not present:
        return frame
    known = _representatives(pairs, keys.current.key_id)
    return frame.with_columns(
        pl.col(name).replace(known.get_column("hash"), known.get_column("shown")) for name in present
    )


def _stored(column: Column) -> Column:
    if column.privacy is Privacy.KEEP:
        return column
    return Column(
        name=column.name,
        kind=Kind.STRING if column.privacy is Privacy.HASH else column.kind,
        required=column.required,
        unique=column.unique and column.privacy is Privacy.HASH,
        primary_key=column.primary_key,
        classification=column.classification,
        privacy=column.privacy,
        bucket=column.bucket,
        description=column.description,
    )


def _text_of(values: pl.Series) -> pl.Series:
    """Values of any type as the text that is hashed.

    Numbers as their shortest digits, truth values as true and false, instants as microseconds and days as
    days since 1970 (UTC), bytes as hexadecimal digits, lists and structs as they print.
    """
    kind = values.dtype
    if kind == pl.Binary:
        return values.bin.encode("hex")
    if kind.is_nested() or kind == pl.Object or kind.is_float():
        plain = values if kind == pl.Object else values.to_physical()
        texts = [None if value is None else repr(_unsigned_zero(value)) for value in plain.to_list()]
        return pl.Series(values.name, texts, pl.String)
    return (values.to_physical() if kind.is_temporal() else values).cast(pl.String)


def _texts_raw(frame: pl.DataFrame, columns: Iterable[Column]) -> dict[str, pl.Series]:
    """The text that is hashed of each value of some columns as delivered, by column."""
    chosen = tuple(column for column in columns if column.name in frame.columns)
    typed = coerce(Table("raw", "", chosen), frame.select(column.name for column in chosen)).typed
    texts = {}
    for column in chosen:
        delivered = _without_nulls(_text_of(frame.get_column(column.name)), column)
        read = _text_of(typed.get_column(column.name))
        texts[column.name] = read.zip_with(read.is_not_null(), delivered).alias(column.name)
    return texts


def _without_nulls(texts: pl.Series, column: Column) -> pl.Series:
    """Take out the texts that mean null: a hash of them would be a value once the row is released."""
    compared = texts.str.strip_chars() if column.spelling.trim else texts
    empty = compared.is_in(list(column.spelling.nulls))
    return texts.set(empty.fill_null(value=False), None)


def _unsigned_zero(value: object) -> object:
    return value + 0.0 if isinstance(value, float) else value  # -0.0 and 0.0 are one number


def _dropped(columns: Iterable[Column]) -> list[str]:
    return [column.name for column in columns if column.privacy is Privacy.DROP]


def _has_buckets(delivered: pl.DataType, column: Column) -> bool:
    if column.kind is Kind.STRING:
        return delivered.is_integer() or delivered in (pl.String, pl.Categorical, pl.Enum)
    # Percentages are divided by 100 when they are read, so they are not yet in the unit of the buckets.
    return delivered == DTYPES[column.kind] and not column.spelling.percent


def _coarse(values: pl.Series, column: Column, *, hashed: bool) -> pl.Series:
    made = coarse(values, column)
    if not hashed or column.kind is not Kind.STRING:
        return made
    # What could not be put into a bucket came into quarantine as a hash, whose beginning is no bucket.
    done = values.str.contains(f"^{_HASH.pattern}$").fill_null(value=False)
    return values.zip_with(done, made)


def _hashed(texts: pl.Series, keys: HashKeys, *, hashed: bool) -> pl.Series:
    distinct = texts.drop_nulls().unique()
    values = distinct.to_list()
    done = _hash_known(values, keys, texts.name) if hashed else _hash_all(values, keys.current)
    return texts.replace_strict(distinct, pl.Series(done, dtype=pl.String), default=None)


def _hash_distinct(texts: pl.Series, key: HashKey) -> pl.Series:
    """Hash each of some texts, none of them null, as of `hash_text`."""
    return pl.Series(_hash_all(texts.to_list(), key), dtype=pl.String)


def _hash_all(values: Iterable[str], key: HashKey) -> list[str]:
    start = hmac.new(key.secret, digestmod="sha256")
    found = []
    for value in values:
        digest = start.copy()
        digest.update(unicodedata.normalize("NFC", value).encode())
        found.append(f"{key.key_id}:{digest.hexdigest()[:32]}")
    return found


def _hash_known(values: list[str], keys: HashKeys, column: str) -> list[str]:
    """Hash what is no hash yet; a hash under an unknown key would never be joined again."""
    known = {key.key_id for key in (keys.current, keys.previous) if key is not None}
    done = {value for value in values if _HASH.fullmatch(value)}
    strange = sum(value[:8] not in known for value in done)
    if strange:
        raise ValueError(
            f"{strange} distinct values of column {column} are hashed under a key that is neither the "
            "present nor the previous one: set MLOBS_HMAC_PREVIOUS_KEY (or its file) to the key of that time"
        )
    return [value if value in done else _hash_all([value], keys.current)[0] for value in values]


def _representatives(pairs: pl.DataFrame, key_id: str) -> pl.DataFrame:
    """Give every hash the one that stands for its value: under the current key, or the first there is.

    Hashes of one value are connected by pairs in whatever order keys followed each other, even when an older
    key came back; so it is components that are looked for, not the ends of chains.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - only a rotation needs it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - as above

    hashes = pl.concat([pairs.get_column("old"), pairs.get_column("new")]).unique().sort()
    ends = [hashes.search_sorted(pairs.get_column(name)).to_numpy() for name in ("old", "new")]
    shape = (len(hashes), len(hashes))
    _, component = connected_components(coo_array((ends[0] >= 0, tuple(ends)), shape=shape), directed=False)
    is_current = pl.col("hash").str.starts_with(f"{key_id}:")
    ranked = pl.DataFrame({"hash": hashes, "component": component}).sort(~is_current, "hash")
    return ranked.with_columns(shown=pl.col("hash").first().over("component")).filter(
        pl.col("shown") != pl.col("hash")
    )
