"""Rules of the contract about single rows, which set rows aside, and columns that are odd and break none."""

from tests.deliveries.promise import Case
from tests.deliveries.stage import Write, csv_with
from tests.deliveries.toy import MARK, Toy, rows

PARQUET = Toy("parquet")


def _options(name: str, **options: object) -> Toy:
    return Toy(columns={name: {"logicalTypeOptions": options}})


def _column(name: str, **more: object) -> Toy:
    return Toy(columns={name: more})


def _noted(*values: object) -> Write:
    """Deliver one row for each note."""
    return lambda stage: stage.jsonl(rows(len(values), note=list(values)))


def _form(form: str) -> Toy:
    return Toy("jsonl", columns={"note": {"logicalTypeOptions": {"format": form}}})


def _of_note(**rule: object) -> Toy:
    return Toy(columns={"note": {"quality": [{"type": "library", **rule}]}})


HALF = csv_with(note=[None, None, "x", "y"])

CASES = [
    Case(
        "required",
        csv_with(amount=[None, 1, 2, 3]),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"required:amount": 1},
    ),
    Case(
        "unique",
        csv_with(note=["a", MARK, MARK, None]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=_column("note", unique=True),
        rules={"unique:note": 1},
    ),
    Case(
        "minimum and maximum",
        csv_with(score=[0, 1, -0.01, 1.01]),
        "partial",
        accepted=2,
        quarantined=2,
        rules={"range:score": 2},
    ),
    Case(
        "exclusive limits",
        csv_with(amount=[0, 1, 0.5, 2]),
        "partial",
        accepted=1,
        quarantined=3,
        toy=_options("amount", exclusiveMinimum=0, exclusiveMaximum=1),
        rules={"range:amount": 3},
    ),
    Case(
        "limits of times",
        csv_with(since=["2019-12-31", "2020-01-01", "2021-01-01", "2021-01-02"]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_options("since", minimum="2020-01-01", maximum="2021-01-01"),
        rules={"range:since": 2},
    ),
    Case(
        "integers of a declared width",
        csv_with(items=[127, 128, -128, -129]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_options("items", format="i8"),
        rules={"range:items": 2},
    ),
    Case(
        "lengths",
        csv_with(note=["ab", "abc", "äöü", MARK]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_options("note", minLength=3, maxLength=5),
        rules={"length:note": 2},
    ),
    Case(
        "a pattern for the whole text",
        csv_with(note=["AB-1", "xAB-1", "AB-1\n", "ab-1"]),
        "partial",
        accepted=1,
        quarantined=3,
        toy=_options("note", pattern="[A-Z]{2}-[0-9]"),
        rules={"pattern:note": 3},
    ),
    Case(
        "a category never seen, with an enumeration",
        csv_with(role=["champion", "canary-7f3a", "Champion", " champion"]),
        "partial",
        accepted=1,
        quarantined=3,
        rules={"allowed:role": 3},
    ),
    Case(
        "a category never seen, without one",
        csv_with(region=["canary-7f3a new", "b", "c", "d"]),
        "accepted",
        accepted=4,
    ),
    Case(
        "invalidValues of a library rule",
        csv_with(note=["x", "y", MARK, None]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=_of_note(metric="invalidValues", arguments={"validValues": ["x", "y"]}, mustBe=0),
        rules={"allowed:note": 1},
    ),
    Case(
        "nullValues of a library rule",
        HALF,
        "partial",
        accepted=2,
        quarantined=2,
        toy=_of_note(metric="nullValues", mustBe=0),
        rules={"required:note": 2},
    ),
    Case(
        "duplicateValues of a library rule",
        csv_with(note=["x", "x", None, None]),
        "partial",
        accepted=3,
        quarantined=1,
        toy=_of_note(metric="duplicateValues", mustBe=0),
        rules={"unique:note": 1},
    ),
    Case(
        "whole multiples",
        csv_with(amount=[0.3, 0.35, 0.1, 0.15]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_options("amount", multipleOf=0.1),
        rules={"multiple_of:amount": 2},
    ),
    Case(
        "numbers of 32 bits",
        csv_with(amount=[0.5, 0.1, 16777217, 16777216]),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_options("amount", format="f32"),
        rules={"single:amount": 2},
    ),
    Case(
        "format email",
        _noted("a@b.example", MARK, "a@b", "@b.example"),
        "partial",
        accepted=1,
        quarantined=3,
        toy=_form("email"),
        rules={"form:note": 3},
    ),
    Case(
        "format uuid",
        _noted("123e4567-e89b-12d3-a456-426614174000", "123e4567", MARK),
        "partial",
        3,
        accepted=1,
        quarantined=2,
        toy=_form("uuid"),
        rules={"form:note": 2},
    ),
    Case(
        "format ipv4",
        _noted("10.0.0.1", "10.0.0.256", "10.0.0", "10.0.0.01"),
        "partial",
        accepted=1,
        quarantined=3,
        toy=_form("ipv4"),
        rules={"form:note": 3},
    ),
    Case(
        "format ipv6",
        _noted("::1", "2001:db8::1", "2001:db8:::1", MARK),
        "partial",
        accepted=2,
        quarantined=2,
        toy=_form("ipv6"),
        rules={"form:note": 2},
    ),
    Case(
        "format uri",
        _noted("https://example.org/a?b#c", MARK, "//example.org"),
        "partial",
        3,
        accepted=1,
        quarantined=2,
        toy=_form("uri"),
        rules={"form:note": 2},
    ),
    Case(
        "format hostname",
        _noted("example.org", "-example.org", "exa mple.org"),
        "partial",
        3,
        accepted=1,
        quarantined=2,
        toy=_form("hostname"),
        rules={"form:note": 2},
    ),
    Case(
        "format date-time",
        _noted("2024-03-10T08:00:00Z", "2024-03-10 25:00", MARK),
        "partial",
        3,
        accepted=1,
        quarantined=2,
        toy=_form("date-time"),
        rules={"form:note": 2},
    ),
    Case(
        "several rules broken by one row",
        csv_with(score=[2, 0.1, 0.1, 0.1], role=["canary-7f3a", *["champion"] * 3], amount=[None, 1, 1, 1]),
        "partial",
        accepted=3,
        quarantined=1,
        rules={"range:score": 1, "allowed:role": 1, "required:amount": 1},
    ),
    Case("every row broken", csv_with(score=2), "partial", quarantined=4, rules={"range:score": 4}),
    Case("a constant column", csv_with(amount=0), "accepted", accepted=4),
    Case(
        "an optional column of nulls only",
        csv_with(note=None),
        "accepted",
        accepted=4,
        values={"note": [None] * 4},
    ),
    Case(
        "a required column of nulls only",
        csv_with(amount=None),
        "partial",
        quarantined=4,
        rules={"required:amount": 4},
    ),
    Case(
        "a column whose values are all different",
        lambda it: it.parquet(rows(2000, region=[f"canary-7f3a {n}" for n in range(2000)])),
        "accepted",
        2000,
        accepted=2000,
        toy=PARQUET,
    ),
]
