"""How producers write texts, numbers and booleans, and what those spellings mean under a column.

Every function gives null for what its column cannot represent exactly; why it is null is asked afterwards, of
the lost values only. Times are `instants`.
"""

import polars as pl

from mlobs_pipelines.contracts.odcs import Column, Spelling

BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "t": True,
    "1": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "f": False,
    "0": False,
}
EXACT = 2**53  # beyond it neighbouring integers share a 64-bit float
_MANTISSA = {"Float64": 2**53, "Float32": 2**24, "Float16": 2**11}
_NOT_FINITE = r"(?i)\A[+-]?(?:nan|inf|infinity)\z"
_LONG_WHOLE = r"\A[+-]?[0-9]{16,}(?:\.0*)?\z"
_GROUPED = r"\A[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)?(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?\z"
_POWER = r"\A([^eE]*)(?:[eE]([+-]?[0-9]{1,4}))?\z"
_PERCENT = r"[ \x{00A0}\x{202F}]?%\z"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F]"

Reasons = list[tuple[str, pl.Series]]


def clean(column: Column, text: pl.Series) -> tuple[pl.Series, dict[str, int]]:
    """Take off what the contract says is not part of a text, and count what was changed.

    Returns
    -------
    tuple
        The texts, trimmed and freed of texts that mean null where the contract says so; and how many values
        each step changed.
    """
    counts: dict[str, int] = {}
    if column.spelling.trim:
        trimmed = text.str.strip_chars()
        text, counts["trimmed"] = trimmed, int((text != trimmed).sum())
    if column.spelling.nulls:
        meant = text.is_in(list(column.spelling.nulls)).fill_null(value=False)
        text, counts["null_text"] = without(text, meant), int(meant.sum())
    return text, {what: count for what, count in counts.items() if count}


def composed(text: pl.Series) -> tuple[pl.Series, int]:
    """Return texts in Unicode's canonical composition (NFC), and how many of them were in another form."""
    after = text.str.normalize("NFC")
    return after, int((text != after).sum())


def without(values: pl.Series, unwanted: pl.Series) -> pl.Series:
    """Return the values with null where `unwanted` is true."""
    return values.set(unwanted, None) if unwanted.any() else values


def is_ascii(text: pl.Series) -> bool:
    """Return whether no text has a character beyond ASCII."""
    return bool(text.str.len_bytes().sum() == text.str.len_chars().sum())


def nothing(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return as many nulls as there are values."""
    return pl.Series(values.name, [None], dtype=dtype).new_from_index(0, len(values))


def padded(text: pl.Series) -> pl.Series:
    """Return which texts have white space around them."""
    return (text != text.str.strip_chars()).fill_null(value=False)


def undecoded(text: pl.Series) -> pl.Series:
    """Return which texts hold the character that stands for bytes nobody could decode."""
    return text.str.contains(_REPLACEMENT, literal=True).fill_null(value=False)


def to_text(_: Column, values: pl.Series) -> pl.Series:
    """Return texts; integers as their digits, bytes where they are UTF-8 text, null for everything else."""
    dtype = values.dtype
    if dtype == pl.String:
        return values
    if dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0):
        return values.cast(pl.String)
    if dtype == pl.Binary:
        text = pl.Series(values.name, [_decoded(raw) for raw in values], dtype=pl.String)
        return without(text, text.str.contains(_CONTROL).fill_null(value=False))
    return nothing(values, pl.String())


def _decoded(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None


def why_no_text(_: Column, lost: pl.Series) -> Reasons:
    """Return why values are no texts: floats have lost the digits of an id, bytes may be no UTF-8."""
    if lost.dtype.is_float():
        return [("precision", lost.is_not_null())]
    return [("encoding", lost.is_not_null())] if lost.dtype == pl.Binary else []


def to_integers(column: Column, values: pl.Series) -> pl.Series:
    """Return whole numbers of 64 bits; floats only where they cannot have lost digits."""
    found = _integers(column.spelling, values)
    if not column.spelling.percent:
        return found
    return without(found, (found % 100 != 0).fill_null(value=False)) // 100


def _integers(spelling: Spelling, values: pl.Series) -> pl.Series:
    dtype = values.dtype
    if dtype.is_integer():
        return values.cast(pl.Int64, strict=False)
    if dtype.is_float():
        whole = (values == values.floor()) & (values.abs() < _MANTISSA[str(dtype)])
        return without(values, ~whole.fill_null(value=False)).cast(pl.Int64, strict=False)
    if isinstance(dtype, pl.Decimal):
        cast = values.cast(pl.Int64, strict=False)
        same = (cast.cast(pl.Decimal(38, dtype.scale), strict=False) == values).fill_null(value=False)
        return without(cast, ~same)
    if dtype == pl.String:
        return _plain(spelling, values).cast(pl.Int64, strict=False)
    return nothing(values, pl.Int64())


def why_no_integer(column: Column, lost: pl.Series) -> Reasons:
    """Return why values are no integers: not finite, or floats too great to have kept their last digits."""
    if lost.dtype.is_float():
        whole = lost == lost.floor()
        return [
            ("finite", ~lost.is_finite()),
            ("precision", whole & (lost.abs() >= _MANTISSA[str(lost.dtype)])),
        ]
    return why_no_number(column, lost)[:1] if lost.dtype == pl.String else []


def to_numbers(column: Column, values: pl.Series) -> pl.Series:
    """Return finite 64-bit floats; integers only where a float holds them exactly."""
    dtype = values.dtype
    if dtype == pl.String:
        found = _number_text(column.spelling, values)
    elif dtype.is_numeric():
        found = _exact(values)
        found = found / 100 if column.spelling.percent else found
    else:
        found = nothing(values, pl.Float64())
    finite = found.is_finite()
    return found if finite.all() else without(found, ~finite.fill_null(value=True))


def _exact(values: pl.Series) -> pl.Series:
    cast, dtype = values.cast(pl.Float64, strict=False), values.dtype
    whole = dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)
    if not whole or not (cast.abs() >= EXACT).any():
        return cast
    back = cast.cast(pl.Int128, strict=False)
    return without(cast, ~(back == values.cast(pl.Int128, strict=False)).fill_null(value=False))


def _number_text(spelling: Spelling, text: pl.Series) -> pl.Series:
    plain = _plain(spelling, text)
    if spelling.percent:
        return _hundredths(plain)
    found = plain.cast(pl.Float64, strict=False)
    found = without(found, _rounded(plain, found))
    return without(found, _vanished(plain, found))


def _hundredths(text: pl.Series) -> pl.Series:
    """Divide by moving the point, which rounds once."""
    power = text.str.extract(_POWER, 2).fill_null("0").cast(pl.Int64, strict=False) - 2
    shifted = text.str.extract(_POWER, 1) + "e" + power.cast(pl.String)
    return shifted.cast(pl.Float64, strict=False)


def _rounded(text: pl.Series, found: pl.Series) -> pl.Series:
    """Return which whole numbers are no longer the number that was written."""
    great = (found.abs() >= EXACT).fill_null(value=False)
    if not great.any():
        return great
    whole = text.str.contains(_LONG_WHOLE).fill_null(value=False)
    written = text.str.replace(r"\.0*\z", "").cast(pl.Int128, strict=False)
    same = written == found.cast(pl.Int128, strict=False)
    return great & whole & ~same.fill_null(value=False)


def _vanished(text: pl.Series, found: pl.Series) -> pl.Series:
    """Return which numbers became zero because they are too small for a float."""
    zero = (found == 0).fill_null(value=False)
    return zero & text.str.contains(r"\A[+-]?[0.]*[1-9]").fill_null(value=False) if zero.any() else zero


def _plain(spelling: Spelling, text: pl.Series) -> pl.Series:
    """Rewrite decimal commas, dots between thousands and percent signs; null where they do not fit."""
    if spelling.percent:
        text = text.str.replace(_PERCENT, "")
    if not spelling.decimal_comma:
        return text
    odd = text.str.contains(_NOT_FINITE)
    text = without(text, ~(text.str.contains(_GROUPED) | odd).fill_null(value=False))
    return text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)


def why_no_number(column: Column, lost: pl.Series) -> Reasons:
    """Return why values are no numbers: not finite, or with more digits than a float keeps."""
    if lost.dtype.is_float():
        return [("finite", lost.is_not_null())]
    if lost.dtype.is_integer() or lost.dtype.is_decimal():
        return [("precision", lost.is_not_null())]
    if lost.dtype != pl.String:
        return []
    plain = _plain(column.spelling, lost)
    found = plain.cast(pl.Float64, strict=False)
    return [("finite", ~found.is_finite().fill_null(value=True)), ("precision", found.is_not_null())]


def to_booleans(_: Column, values: pl.Series) -> pl.Series:
    """Return booleans: typed, the numbers 0 and 1, or one of the texts of `BOOLEANS`."""
    dtype = values.dtype
    if dtype == pl.Boolean:
        return values
    if dtype == pl.String:
        return values.replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)
    if dtype.is_numeric():
        one = values == 1
        return without(one, ~(one | (values == 0)).fill_null(value=False))
    return nothing(values, pl.Boolean())


def why_no_boolean(_: Column, lost: pl.Series) -> Reasons:
    """Return why values are no booleans; there is no better word than their type."""
    del lost
    return []
