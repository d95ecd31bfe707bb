"""What identifies somebody: hashed, dropped, put into buckets, or found where nobody has declared it."""

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, csv_of, csv_with, parquet_with, raw
from tests.deliveries.toy import MARK, Toy, rows

SECRET = f"{MARK}-secret"
TOKEN = "ghp_" + "canary7f3a" * 4
GOOD = csv_of(rows())


def _kept(**said: object) -> Toy:
    custom = [{"property": name, "value": value} for name, value in said.items()]
    return Toy(columns={"customer": {"customProperties": custom}, "since": {}})


def _bucketed(name: str, width: object) -> Toy:
    custom = [{"property": "privacy", "value": "bucket"}, {"property": "bucket", "value": width}]
    return Toy(columns={name: {"classification": "pii", "customProperties": custom}})


def _everything(stage: Stage) -> str:
    lake = stage.walk.lake
    return repr([lake.read("toy", name).to_pylist() for name in lake.tables("toy")])


def _nowhere(*values: str):
    def finish(stage: Stage) -> str:
        stored = _everything(stage)
        return "; ".join(
            f"the lake has the secret {number}" for number, value in enumerate(values) if value in stored
        )

    return finish


def _hashed(stage: Stage) -> str:
    found = {row["customer"][:9] for row in stage.walk.lake.read("toy", "predictions").to_pylist()}
    return _nowhere(SECRET)(stage) or ("" if found == {"testkey0:"} else "no hash with its key")


def _gone(stage: Stage) -> str:
    columns = stage.walk.lake.read("toy", "predictions").column_names
    return _nowhere(SECRET)(stage) or ("the column is kept" if "customer" in columns else "")


SOME_BAD = {"customer": SECRET, "score": [0.1, 2, 0.1, 0.1]}
HALF_BAD = {"accepted": 3, "quarantined": 1, "rules": {"range:score": 1}}

CASES = [
    Case(
        "an identifier, hashed, in quarantine too",
        csv_with(**SOME_BAD),
        "partial",
        **HALF_BAD,
        finish=_hashed,
    ),
    Case(
        "an identifier that comes as lists",
        parquet_with(customer=[[SECRET], [], None, [SECRET]]),
        "partial",
        accepted=1,
        quarantined=3,
        toy=Toy("parquet"),
        rules={"type:customer": 3},
        finish=_nowhere(SECRET),
    ),
    Case(
        "an identifier that is dropped",
        csv_with(**SOME_BAD),
        "partial",
        **HALF_BAD,
        toy=_kept(privacy="drop"),
        finish=_gone,
    ),
    Case(
        "an identifier that is kept for a reason",
        csv_with(),
        "accepted",
        accepted=4,
        toy=_kept(privacy="keep", privacyReason="Invented."),
        values={"customer": [f"{MARK}-customer"] * 4},
    ),
    Case(
        "a text of which the beginning is kept",
        csv_with(**SOME_BAD | {"customer": f"AB{SECRET}"}),
        "partial",
        **HALF_BAD,
        toy=_bucketed("customer", 2),
        values={"customer": ["AB"] * 3},
        finish=_nowhere(SECRET),
    ),
    Case(
        "a number of which the bucket is kept",
        csv_with(items=[37, 41, -3, 40]),
        "accepted",
        accepted=4,
        toy=_bucketed("items", 10),
        values={"items": [30, 40, -10, 40]},
    ),
    Case(
        "a day of which the year is kept",
        csv_with(since="1987-06-05"),
        "accepted",
        accepted=4,
        toy=_bucketed("since", "year"),
        finish=_nowhere("1987, 6, 5", "1987-06-05"),
    ),
    Case(
        "a column that nobody has classified, of bad rows",
        lambda it: it.csv([row | {"mail": SECRET} for row in rows(score=2)]),
        "partial",
        quarantined=4,
        rules={"range:score": 4},
        finish=_nowhere(SECRET),
        told={"unknown mail": 1},
    ),
    Case(
        "e-mail addresses in a free text",
        csv_with(note=["ask canary-7f3a@example.org", "none", "a@b", None]),
        "accepted",
        accepted=4,
        told={"note: email": 1},
    ),
    Case(
        "phone numbers in a free text",
        csv_with(note=["call +49 30 1234567", "(030) 1234 5678", "12345678", None]),
        "accepted",
        accepted=4,
        told={"note: phone": 2},
    ),
    Case(
        "cards in a free text",
        csv_with(note=["4111 1111 1111 1111", "4111 1111 1111 1112", "x", None]),
        "accepted",
        accepted=4,
        told={"note: card": 1},
    ),
    Case(
        "national ids in a free text",
        csv_with(note=["078-05-1120", "000-05-1120", "DE89370400440532013000", None]),
        "accepted",
        accepted=4,
        told={"note: national_id": 2},
    ),
    Case(
        "tokens in a free text",
        csv_with(note=[TOKEN, "x", "y", None]),
        "accepted",
        accepted=4,
        told={"note: token": 1},
        marks=["canary7f3a"],
    ),
    Case(
        "e-mail addresses in a column that the contract does not know",
        lambda it: it.csv([row | {"mail": "canary-7f3a@example.org"} for row in rows()]),
        "accepted",
        accepted=4,
        told={"unknown mail": 1, "mail: email": 4},
        finish=_nowhere("@example.org"),
    ),
    Case(
        "e-mail addresses in a column that is classified",
        csv_with(customer="canary-7f3a@example.org"),
        "accepted",
        accepted=4,
        told={},
        finish=_nowhere("@example.org"),
    ),
    Case(
        "a file without its header",
        raw(GOOD.split(b"\n", 1)[1]),
        "refused",
        3,
        refused=3,
        says=["the header is missing"],
        finish=_nowhere(MARK),
    ),
]
