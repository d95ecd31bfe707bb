"""Identifiers in every type and spelling: what is kept digit by digit, and what can no longer be trusted."""

from decimal import Decimal

import pyarrow as pa

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, arrow_with, csv_with, jsonl_with, parquet_with
from tests.deliveries.toy import MARK, Toy, rows

PARQUET, JSONL = Toy("parquet"), Toy("jsonl")
GREAT = [9_007_199_254_740_993 + number for number in range(4)]  # from 2**53 + 1 on
WIDE = [18_446_744_073_709_551_610 + number for number in range(4)]  # beyond 64 bits with a sign


def _key(**more: object) -> Toy:
    return Toy(columns={"prediction_id": more})


def _custom(**said: object) -> Toy:
    return _key(customProperties=[{"property": name, "value": value} for name, value in said.items()])


def _texts(*values: object) -> dict[str, list[object]]:
    return {"prediction_id": [str(value) for value in values]}


def _unquoted(stage: Stage) -> None:
    """JSON numbers, which a reader of doubles would round."""
    lines = [f'{{"prediction_id": {number}, ' for number in WIDE]
    stage.jsonl(rows())
    text = stage.path(".jsonl").read_text().splitlines()
    heads = [f'{{"prediction_id": "{MARK}-p{number}", ' for number in range(4)]
    whole = [line.replace(head, new) for line, head, new in zip(text, heads, lines, strict=True)]
    stage.raw("\n".join(whole).encode())


TRIMMED, COMPOSED = _custom(trim=True), "é"

CASES = [
    Case(
        "ids as integers in Parquet",
        arrow_with(prediction_id=pa.array([1, 2, 3, 730173])),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values=_texts(1, 2, 3, 730173),
        told={"as_text:prediction_id": 4},
    ),
    Case(
        "ids beyond 2^53 as integers in Parquet",
        arrow_with(prediction_id=pa.array(GREAT)),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values=_texts(*GREAT),
        told={"as_text:prediction_id": 4},
        marks=["9007199"],
    ),
    Case(
        "ids beyond 2^63 as unsigned integers in Parquet",
        arrow_with(prediction_id=pa.array(WIDE, pa.uint64())),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values=_texts(*WIDE),
        marks=["1844674"],
    ),
    Case(
        "ids beyond 2^63 as decimals in Parquet",
        arrow_with(prediction_id=pa.array(map(Decimal, WIDE), pa.decimal128(38, 0))),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values=_texts(*WIDE),
        marks=["1844674"],
    ),
    Case(
        "ids beyond 2^53 as text in CSV",
        csv_with(prediction_id=GREAT),
        "accepted",
        accepted=4,
        values=_texts(*GREAT),
        told={},
    ),
    Case(
        "ids beyond 2^53 as integers in JSON",
        jsonl_with(prediction_id=GREAT),
        "accepted",
        accepted=4,
        toy=JSONL,
        values=_texts(*GREAT),
        told={"as_text:prediction_id": 4},
    ),
    Case(
        "ids beyond 2^63 as integers in JSON",
        _unquoted,
        "accepted",
        accepted=4,
        toy=JSONL,
        values=_texts(*WIDE),
    ),
    Case(
        "ids as integers and as text in JSON",
        jsonl_with(prediction_id=[1, "1a", 730173, "01"]),
        "accepted",
        accepted=4,
        toy=JSONL,
        values=_texts(1, "1a", 730173, "01"),
    ),
    Case(
        "ids as floats in Parquet",
        parquet_with(prediction_id=[1.0, 2.0, 3.0, 730173.0]),
        "partial",
        quarantined=4,
        toy=PARQUET,
        rules={"precision:prediction_id": 4},
    ),
    Case(
        "ids as floats that lost digits",
        arrow_with(prediction_id=pa.array([float(n) for n in GREAT])),
        "partial",
        quarantined=4,
        toy=PARQUET,
        rules={"precision:prediction_id": 4},
        marks=["9007199"],
    ),
    Case(
        "ids as floats in JSON",
        jsonl_with(prediction_id=[1.5, 2.5, 3.5, 730173.5]),
        "partial",
        quarantined=4,
        toy=JSONL,
        rules={"precision:prediction_id": 4},
    ),
    Case(
        "ids as booleans",
        parquet_with(prediction_id=[True, False, True, False]),
        "partial",
        quarantined=4,
        toy=PARQUET,
        rules={"type:prediction_id": 4},
    ),
    Case(
        "ids as bytes of UTF-8",
        arrow_with(prediction_id=pa.array([b"a", b"b", b"c", b"\xc3\xa9"])),
        "accepted",
        accepted=4,
        toy=PARQUET,
        values=_texts("a", "b", "c", "é"),
        told={"decoded:prediction_id": 4},
    ),
    Case(
        "ids as other bytes",
        arrow_with(prediction_id=pa.array([b"a", b"b", b"canary-7f3a\xff", b"\x00\x01"])),
        "partial",
        accepted=2,
        quarantined=2,
        toy=PARQUET,
        rules={"encoding:prediction_id": 2},
    ),
    Case(
        "ids with leading zeros",
        csv_with(prediction_id=["007", "7", "07", "1e5"]),
        "accepted",
        accepted=4,
        values=_texts("007", "7", "07", "1e5"),
    ),
    Case("ids that differ in capitals", csv_with(prediction_id=["a", "A", "b", "B"]), "accepted", accepted=4),
    Case(
        "ids padded with blanks",
        csv_with(prediction_id=["a ", " b", "\tc", "d"]),
        "partial",
        accepted=1,
        quarantined=3,
        rules={"padded:prediction_id": 3},
    ),
    Case(
        "ids padded, where the contract trims",
        csv_with(prediction_id=["a ", " b", "\tc", "d"]),
        "accepted",
        accepted=4,
        toy=TRIMMED,
        values=_texts("a", "b", "c", "d"),
        told={"trimmed:prediction_id": 3},
    ),
    Case(
        "ids of one letter in two forms of Unicode",
        csv_with(prediction_id=["e\u0301", COMPOSED, "b", "c"]),
        "accepted",
        accepted=3,
        repeated=1,
        told={"unicode:prediction_id": 1},
    ),
    Case(
        "ids with a replacement character",
        csv_with(prediction_id=["canary-7f3a\ufffd", "b", "c", "d"]),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"encoding:prediction_id": 1},
    ),
    Case(
        "ids that are null in CSV",
        csv_with(prediction_id=[None, "b", None, "d"]),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"required:prediction_id": 2},
    ),
    Case(
        "ids that are null in Parquet",
        parquet_with(prediction_id=[None, "b", None, "d"]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=PARQUET,
        rules={"required:prediction_id": 2},
    ),
    Case(
        "ids that are null in JSON",
        jsonl_with(prediction_id=[None, "b", "c", None]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=JSONL,
        rules={"required:prediction_id": 2},
    ),
    Case(
        "ids that are empty texts, with a least length",
        jsonl_with(prediction_id=["", "b", "c", "d"]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=Toy("jsonl", columns={"prediction_id": {"logicalTypeOptions": {"minLength": 1}}}),
        rules={"length:prediction_id": 1, "required:prediction_id": 1},
    ),
    Case(
        "ids that are empty texts, without a least length",
        jsonl_with(prediction_id=["", "b", "c", "d"]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=JSONL,
        rules={"required:prediction_id": 1},
    ),
    Case(
        "ids written NULL and N/A",
        csv_with(prediction_id=["NULL", "N/A", "nan", "None"]),
        "accepted",
        accepted=4,
        values=_texts("NULL", "N/A", "nan", "None"),
    ),
    Case(
        "ids written NULL and N/A, declared as such",
        csv_with(prediction_id=["NULL", "N/A", "c", "d"]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_custom(nullValues=["NULL", "N/A"]),
        rules={"required:prediction_id": 2},
        told={"null_text:prediction_id": 2},
    ),
    Case(
        "ids that are too long",
        csv_with(prediction_id=["canary-7f3a" * 1000, "b", "c", "d"]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=_key(logicalTypeOptions={"maxLength": 64}),
        rules={"length:prediction_id": 1},
    ),
    Case(
        "ids of emoji and other scripts",
        csv_with(prediction_id=["🚕", "航班", "рейс", "رحلة"]),
        "accepted",
        accepted=4,
        values=_texts("🚕", "航班", "рейс", "رحلة"),
        told={},
    ),
    Case(
        "ids as categories",
        arrow_with(prediction_id=pa.array(["a", "b", "c", "d"]).dictionary_encode()),
        "accepted",
        accepted=4,
        toy=PARQUET,
    ),
]
