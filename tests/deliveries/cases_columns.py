"""Deliveries without the contract's columns, with others, with columns of another type, or without rows."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, arrow, csv_of, csv_with, parquet_with, raw
from tests.deliveries.toy import MARK, Older, Row, Toy, rows

PARQUET, JSONL = Toy("parquet"), Toy("jsonl")


def _renamed(made: list[Row], **names: str) -> list[Row]:
    return [{names.get(name, name): value for name, value in row.items()} for row in made]


def _without(*names: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows()]


def _twice_in_parquet(stage: Stage) -> None:
    table = arrow(rows(), {})
    pq.write_table(table.append_column("score", table.column("score")), stage.path(".parquet"))


_OLDER = Toy(
    version="2.0.0",
    older=Older(
        "2024-03-31",
        columns={"amount": None, "cents": {"logicalType": "number"}},
        upcast={"amount": {"from": "cents", "factor": 0.01}},
    ),
)
_EXPIRED = Toy(
    version="2.0.0",
    older=Older(
        "2024-03-09",
        columns={"amount": None, "sum": {"logicalType": "number"}},
        upcast={"amount": {"from": "sum"}},
    ),
)
_NEW_REQUIRED = Toy(
    version="2.0.0",
    columns={"channel": {"required": True}},
    older=Older("2024-03-10", upcast={"channel": {"value": "web"}}),
)
_ADDED = Toy(version="1.1.0", columns={"channel": {}}, older=Older("2024-12-31"))
_TYPED = Toy("parquet", columns={"amount": {"physicalType": "double"}, "items": {"physicalType": "bigint"}})

CASES = [
    Case("no file", lambda _: None, "missing", 0),
    Case("nothing wrong", csv_with(), "accepted", accepted=4, told={}, landed={"2024-03-10": 4}),
    Case(
        "renamed column",
        lambda it: it.csv(_renamed(rows(), score="scores")),
        "refused",
        refused=4,
        says=["missing columns: score (renamed to scores?)"],
    ),
    Case(
        "missing required column",
        lambda it: it.csv(_without("amount")),
        "refused",
        refused=4,
        says=["missing columns: amount"],
    ),
    Case(
        "missing optional column",
        lambda it: it.csv(_without("note")),
        "refused",
        refused=4,
        says=["missing columns: note"],
    ),
    Case(
        "two columns missing from Parquet",
        lambda it: it.parquet(_without("items", "member")),
        "refused",
        refused=4,
        toy=PARQUET,
        says=["items", "member"],
    ),
    Case(
        "two columns missing from JSON lines",
        lambda it: it.jsonl(_without("items", "member")),
        "refused",
        refused=4,
        toy=JSONL,
        says=["items", "member"],
    ),
    Case(
        "extra column",
        lambda it: it.csv([row | {"colour": "canary-7f3a red"} for row in rows()]),
        "accepted",
        accepted=4,
        told={"unknown colour": 1},
    ),
    Case(
        "extra column of lists in Parquet",
        parquet_with(colours=[[f"{MARK} red"], [], None, []]),
        "accepted",
        accepted=4,
        toy=PARQUET,
        told={"unknown colours": 1},
    ),
    Case(
        "extra column without a name",
        lambda it: it.csv([{"": number} | row for number, row in enumerate(rows())]),
        "accepted",
        accepted=4,
        told={"unknown ": 1},
    ),
    Case(
        "a blank behind a column's name",
        lambda it: it.csv(_renamed(rows(), score="score ")),
        "refused",
        refused=4,
        says=["missing columns: score (renamed to score ?)"],
    ),
    Case(
        "columns in another order",
        lambda it: it.csv([dict(reversed(row.items())) for row in rows()]),
        "accepted",
        accepted=4,
        told={},
    ),
    Case(
        "a column twice in CSV",
        lambda it: it.raw(csv_of(_renamed(rows(), note="x")).replace(b",x\n", b",score\n")),
        "refused",
        says=["column score occurs more than once"],
        rows_in=0,
    ),
    Case(
        "a column twice in Parquet",
        _twice_in_parquet,
        "refused",
        rows_in=0,
        toy=PARQUET,
        says=["column score occurs more than once"],
    ),
    Case(
        "a column in capitals",
        lambda it: it.csv(_renamed(rows(), score="SCORE")),
        "refused",
        refused=4,
        says=["score", "differs in upper and lower case"],
    ),
    Case(
        "a column twice but for capitals",
        lambda it: it.csv([row | {"Score": 1} for row in rows()]),
        "refused",
        refused=4,
        says=["columns score and Score differ in upper and lower case only"],
    ),
    Case(
        "a file of another table",
        raw(b"airport,seen_at\ncanary-7f3a,2024-03-10T00:00:00Z\n"),
        "refused",
        1,
        refused=1,
        says=["none of its 2 columns", "another table"],
    ),
    Case(
        "timestamps under a declared double",
        lambda it: it.parquet(rows(amount=datetime(2024, 3, 10, tzinfo=UTC))),
        "refused",
        refused=4,
        toy=_TYPED,
        says=["column amount is timestamp", "the contract says double"],
    ),
    Case(
        "booleans under a declared bigint",
        parquet_with(items=True),
        "refused",
        refused=4,
        toy=_TYPED,
        says=["column items is bool, the contract says bigint"],
    ),
    Case(
        "lists under a declared double",
        parquet_with(amount=[[1.0], [2.0], [], None]),
        "refused",
        refused=4,
        toy=_TYPED,
        says=["column amount is list"],
    ),
    Case(
        "text under a declared double",
        parquet_with(amount=["1", "2", "canary-7f3a", "4"]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=_TYPED,
        rules={"type:amount": 1},
    ),
    Case(
        "a narrower type than declared",
        lambda it: it.parquet(rows(), items=pa.array([1, 2, 3, 4], pa.int16())),
        "accepted",
        accepted=4,
        toy=_TYPED,
        values={"items": [1, 2, 3, 4]},
    ),
    Case(
        "older version in its window",
        lambda it: it.csv(_renamed(rows(amount=[1250, 100, 5, 0]), amount="cents")),
        "accepted",
        accepted=4,
        toy=_OLDER,
        values={"amount": [12.5, 1.0, 0.05, 0.0]},
    ),
    Case(
        "older version with a bad row",
        lambda it: it.csv(_renamed(rows(amount=[1250, "canary-7f3a", 5, None]), amount="cents")),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_OLDER,
        rules={"type:cents": 1, "required:amount": 2},
        values={"amount": [12.5, 0.05]},
    ),
    Case(
        "older version past its window",
        lambda it: it.csv(_renamed(rows(), amount="sum")),
        "refused",
        refused=4,
        toy=_EXPIRED,
        says=["missing columns: amount", "accepted until 2024-03-09"],
    ),
    Case(
        "older version without a column required now",
        csv_with(),
        "accepted",
        accepted=4,
        toy=_NEW_REQUIRED,
        values={"channel": ["web"] * 4},
    ),
    Case(
        "neither the present version nor an older one",
        lambda it: it.csv(_without("note", "amount")),
        "refused",
        refused=4,
        toy=_OLDER,
        says=["missing columns"],
    ),
    Case(
        "column that was added later is absent",
        csv_with(),
        "accepted",
        accepted=4,
        toy=_ADDED,
        values={"channel": [None] * 4},
    ),
    Case(
        "column that was added later is there",
        csv_with(channel="web"),
        "accepted",
        accepted=4,
        toy=_ADDED,
        values={"channel": ["web"] * 4},
    ),
    Case(
        "CSV with a header and no row",
        lambda it: it.raw(csv_of(rows()).split(b"\n")[0] + b"\n"),
        "accepted",
        0,
    ),
    Case("Parquet without a row", lambda it: it.parquet(rows(), size=0), "accepted", 0, toy=PARQUET),
    Case("zero bytes of CSV", raw(b""), "refused", 0, says=["empty (0 bytes)"]),
    Case("zero bytes of Parquet", raw(b""), "refused", 0, toy=PARQUET, says=["empty (0 bytes)"]),
    Case("zero bytes of JSON lines", raw(b""), "refused", 0, toy=JSONL, says=["empty (0 bytes)"]),
    Case(
        "a key missing from some JSON lines",
        lambda it: it.jsonl([*rows(2), *(_without("note")[2:])]),
        "accepted",
        accepted=4,
        toy=JSONL,
        values={"note": ["canary-7f3a note"] * 2 + [None] * 2},
    ),
    Case(
        "a required key missing from some JSON lines",
        lambda it: it.jsonl([*rows(2), *(_without("amount")[2:])]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=JSONL,
        rules={"required:amount": 2},
    ),
]
