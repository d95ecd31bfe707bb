"""A search for values that look like e-mail addresses, phone numbers, cards, national ids and access tokens.

Looks at what was delivered, before types and privacy, and at columns the contract does not know. It counts,
and never says which value it was. What a finding means for a column is decided where the contract is known.

It would rather miss than cry wolf, because a check that fails every day is switched off: bare digits are no
phone number, a card needs an issuer's prefix and its check digit, national ids need their separators or a
checksum, and nothing is found inside a longer word or number. Of random long integers one in ten has a card's
check digit by chance; where a column holds many and no more of them than chance would give, none is counted.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

EMAIL, PHONE, CARD, NATIONAL_ID, TOKEN = "email", "phone", "card", "national_id", "token"
SENSITIVE_KINDS = (EMAIL, PHONE, CARD, NATIONAL_ID, TOKEN)

_BEFORE, _AFTER = r"(?:^|[^\w.+@-])", r"(?:$|[^\w@.-]|\.(?:$|\W))"
_EMAIL = r"[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"
_PHONE = (
    r"\+[1-9](?:[ ()-]{0,2}[0-9]){7,14}|\+[1-9][0-9]{0,2}(?:\.[0-9]{2,4}){2,4}"
    r"|\(0?[0-9]{2,4}\)[ ]?[0-9]{3,4}[ .-][0-9]{3,5}"
    r"|(?:1[ .-])?[2-9][0-9]{2}[ .-][2-9][0-9]{2}[ .-][0-9]{4}"
)
_CARD = (
    r"[2-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,4}(?:[ -]?[0-9]{1,3})?"
    r"|3[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{4,5}"
)
_ISSUED = (
    r"\A(?:4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # American Express, Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2}|35(?:2[89]|[3-8][0-9])|62[0-9]{2})[0-9]{12,15})\z"  # the others
)
_SSN = r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}"
_CPF = r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
_IBAN = r"[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)"
_IBAN_LENGTHS = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22"
    "GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21MC27MD24ME22MK19MR27MT31"
    "MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"
)
_ACCESS = (
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35}"
    r"|-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----"
)
_PLAIN = {
    EMAIL: rf"{_BEFORE}(?:{_EMAIL}){_AFTER}",
    PHONE: rf"{_BEFORE}(?:{_PHONE}){_AFTER}",
    TOKEN: rf"(?:^|\W)(?:{_ACCESS})",
}
_LIKE_CARD = rf"{_BEFORE}(?:{_CARD}){_AFTER}"
_LIKE_ID = rf"{_BEFORE}(?:{_SSN}|{_CPF}|{_IBAN}){_AFTER}"
_ID = re.compile(rf"(?<![\w.+@-])(?:({_SSN})|({_CPF})|({_IBAN}))(?![\w@-])", re.ASCII)
_ANY = "|".join([*_PLAIN.values(), _LIKE_CARD, _LIKE_ID])
_SHORTEST = 6  # a@b.co
_SMALLEST_CARD = 10**12
_MANY, _CHANCE = 20, 0.3
_SAMPLE, _FEW = 1_000, 100
_CARD_DIGITS = 19


def scan(frame: pl.DataFrame, columns: Iterable[str]) -> dict[tuple[str, str], int]:
    """Count the values of each column that look like one of `SENSITIVE_KINDS`.

    Parameters
    ----------
    frame
        Rows as delivered.
    columns
        Names of the columns to look at; those the frame does not have are passed over.

    Returns
    -------
    dict
        How many rows have such a value, by column and kind; a column or kind without any is left out.
    """
    found: dict[tuple[str, str], int] = {}
    for name in columns:
        if name in frame.columns:
            for kind, count in _scanned(frame[name]).items():
                found[name, kind] = count
    return found


def _scanned(values: pl.Series) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in _texts(values):
        if (text.str.len_bytes().max() or 0) >= _SHORTEST:  # type: ignore[operator] # a number
            for kind, count in _found(text).items():
                counts[kind] = counts.get(kind, 0) + count
    return counts


def _texts(values: pl.Series) -> Iterator[pl.Series]:
    """Yield what can be read as text: texts, long whole numbers, and the parts of nested values."""
    dtype = values.dtype
    if dtype == pl.String:
        yield values
    elif isinstance(dtype, pl.Categorical | pl.Enum):
        yield values.cast(pl.String)
    elif isinstance(dtype, pl.List | pl.Array):
        yield from _texts(values.explode())
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _texts(values.struct.field(field.name))
    elif dtype.is_numeric() and (values.max() or 0) >= _SMALLEST_CARD:  # type: ignore[operator] # a number
        yield values.filter(values >= _SMALLEST_CARD).cast(pl.UInt64, strict=False).cast(pl.String)


def _distinct(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return values with how often each comes, where that is sooner done than looking at every one."""
    if text.head(_SAMPLE).n_unique() > _FEW:
        return text, pl.Series([1], dtype=pl.UInt32).new_from_index(0, len(text))
    counted = text.alias("value").value_counts(name="rows")
    return counted["value"], counted["rows"]


def _found(text: pl.Series) -> dict[str, int]:
    values, rows = _distinct(text)
    kept = values.str.contains(_ANY).fill_null(value=False)
    if not kept.any():
        return {}
    near, rows = values.filter(kept), rows.filter(kept)
    found = {kind: int(rows.filter(near.str.contains(form)).sum()) for kind, form in _PLAIN.items()}
    found[CARD] = _cards(near, rows)
    found[NATIONAL_ID] = _national_ids(near, rows)
    return {kind: count for kind, count in found.items() if count}


def _cards(near: pl.Series, rows: pl.Series) -> int:
    """Count values with a card number; none where many could be one and no more are than by chance."""
    frame = pl.DataFrame({"place": pl.int_range(len(near), eager=True), "rows": rows, "number": near})
    issued = (
        frame.with_columns(pl.col("number").str.extract_all(_LIKE_CARD))
        .explode("number")
        .with_columns(pl.col("number").str.replace_all("[^0-9]", ""))
        .filter(pl.col("number").str.contains(_ISSUED))
    )
    if issued.is_empty():
        return 0
    right = issued.filter(pl.Series(_luhn(issued["number"])))
    if issued.height >= _MANY and right.height < _CHANCE * issued.height:
        return 0
    return int(right.unique("place")["rows"].sum())


def _luhn(numbers: pl.Series) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which numbers end in their check digit (ISO/IEC 7812-1)."""
    padded = "".join(numbers.str.zfill(_CARD_DIGITS)).encode()
    digits = np.frombuffer(padded, dtype=np.uint8).reshape(-1, _CARD_DIGITS) - ord("0")
    doubled = digits[:, -2::-2] * 2
    total = digits[:, ::-2].sum(axis=1) + (doubled - 9 * (doubled > 9)).sum(axis=1)
    return np.asarray(total % 10 == 0)


def _national_ids(near: pl.Series, rows: pl.Series) -> int:
    like = near.str.contains(_LIKE_ID)
    texts, rows = near.filter(like), rows.filter(like)
    return sum(count for text, count in zip(texts, rows, strict=True) if _has_national_id(text))


def _has_national_id(text: str) -> bool:
    return any(
        (ssn and _is_ssn(ssn)) or (cpf and _is_cpf(cpf)) or (iban and _is_iban(iban))
        for ssn, cpf, iban in _ID.findall(text)
    )


def _is_ssn(number: str) -> bool:
    """Return whether the United States can have issued a social security number."""
    area, group, serial = number.split("-")
    return area not in {"000", "666"} and group != "00" and serial != "0000"


def _is_cpf(number: str) -> bool:
    """Return whether a Brazilian taxpayer's number ends in its two check digits."""
    digits = [int(char) for char in number if char.isdigit()]
    if len(set(digits)) == 1:
        return False
    return all(_cpf_digit(digits[:place]) == digits[place] for place in (9, 10))


def _cpf_digit(digits: list[int]) -> int:
    weighted = sum(
        digit * weight for digit, weight in zip(digits, range(len(digits) + 1, 1, -1), strict=True)
    )
    return weighted * 10 % 11 % 10


def _is_iban(number: str) -> bool:
    """Return whether a bank account's number has its country's length and check digits (ISO 13616)."""
    compact = number.replace(" ", "")
    if f"{compact[:2]}{len(compact)}" not in _COUNTRIES:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


_COUNTRIES = frozenset(_IBAN_LENGTHS[place : place + 4] for place in range(0, len(_IBAN_LENGTHS), 4))
