"""Rules of the contract about a day: errors hold it, warnings do not; no answer that is a value is shown."""

from tests.deliveries.promise import Case
from tests.deliveries.stage import Stage, csv_with
from tests.deliveries.toy import Toy, rows


def _day(**rule: object) -> Toy:
    return Toy(quality=[{"type": "library", **rule}])


def _of_note(**rule: object) -> Toy:
    return Toy(columns={"note": {"quality": [{"type": "library", **rule}]}})


def _gx(kind: str, severity: str = "error", **kwargs: object) -> Toy:
    rule = {
        "type": "custom",
        "engine": "greatExpectations",
        "name": "expected",
        "severity": severity,
        "implementation": {"type": kind, "kwargs": kwargs},
    }
    return Toy(quality=[rule])


def _judged(outcome: str, rule: str, severity: str = "error"):
    def finish(stage: Stage) -> str:
        wanted = (rule, severity, outcome)
        found = [
            (row["rule"], row["severity"], row["outcome"])
            for row in stage.walk.lake.read("toy", "rule_results").to_pylist()
        ]
        return "" if wanted in found else f"rules say {found} instead of {wanted}"

    return finish


def _mended(stage: Stage) -> None:
    stage.csv(rows(2), "-a.csv")
    stage.ingest()
    stage.csv(rows(2, start=2), "-b.csv")


HALF = csv_with(note=[None, None, "x", "y"])
NULLS = {"metric": "nullValues", "unit": "percent", "mustBeLessThan": 30, "name": "nulls"}
FEW = {"metric": "rowCount", "mustBeGreaterOrEqualTo": 4, "name": "enough"}

CASES = [
    Case(
        "too few rows in a day",
        csv_with(),
        "held",
        accepted=4,
        toy=_day(**FEW | {"mustBeGreaterOrEqualTo": 5}),
        says=["enough", "there are 4 rows", "at least 5"],
        finish=_judged("fail", "enough"),
    ),
    Case(
        "enough rows once another file is there",
        _mended,
        "accepted",
        accepted=4,
        toy=_day(**FEW),
        finish=_judged("pass", "enough"),
    ),
    Case(
        "too few rows, as a warning",
        csv_with(),
        "accepted",
        accepted=4,
        toy=_day(**FEW | {"mustBeGreaterOrEqualTo": 5, "severity": "warning"}),
        finish=_judged("fail", "enough", "warn"),
    ),
    Case(
        "too many nulls in a day",
        HALF,
        "held",
        accepted=4,
        toy=_of_note(**NULLS),
        says=["2 of 4 rows are null", "less than 30 %"],
    ),
    Case(
        "few enough nulls in a day",
        HALF,
        "accepted",
        accepted=4,
        toy=_of_note(**NULLS | {"mustBeLessThan": 60}),
        finish=_judged("pass", "nulls"),
    ),
    Case(
        "missing words in a day",
        csv_with(note=["?", "-", None, "x"]),
        "held",
        accepted=4,
        says=["3 of 4 rows are missing"],
        toy=_of_note(metric="missingValues", arguments={"missingValues": [None, "?", "-"]}, mustBeLessThan=2),
    ),
    Case(
        "a pair of columns that comes twice in a day",
        csv_with(note=["x", "x", "y", "y"], region=["a", "a", "a", "b"]),
        "held",
        accepted=4,
        says=["1 of 4 rows repeat"],
        toy=_day(metric="duplicateValues", arguments={"properties": ["note", "region"]}, mustBe=0),
    ),
    Case(
        "a SQL rule that fails",
        csv_with(),
        "held",
        accepted=4,
        says=["the query returned 4"],
        toy=Toy(
            quality=[
                {
                    "type": "sql",
                    "name": "asked",
                    "query": "SELECT count(*) FROM ${table} WHERE score < 0.5",
                    "mustBeLessThan": 4,
                }
            ]
        ),
    ),
    Case(
        "a SQL rule that holds",
        csv_with(),
        "accepted",
        accepted=4,
        finish=_judged("pass", "asked"),
        toy=Toy(
            quality=[
                {
                    "type": "sql",
                    "name": "asked",
                    "query": "SELECT avg(score) FROM ${table}",
                    "mustBeBetween": [0.2, 0.3],
                }
            ]
        ),
    ),
    Case(
        "a SQL rule whose answer is a value",
        csv_with(),
        "held",
        accepted=4,
        says=["not shown"],
        toy=Toy(
            quality=[
                {
                    "type": "sql",
                    "name": "asked",
                    "query": "SELECT max(amount) FROM ${table}",
                    "mustBeLessThan": 4,
                }
            ]
        ),
    ),
    Case(
        "a SQL rule that casts a value it cannot",
        csv_with(),
        "held",
        accepted=4,
        says=["the query could not be run"],
        toy=Toy(
            quality=[
                {"type": "sql", "name": "asked", "query": "SELECT sum(note::INT) FROM ${table}", "mustBe": 4}
            ]
        ),
    ),
    Case(
        "an expectation that fails",
        csv_with(),
        "held",
        accepted=4,
        toy=_gx("expect_column_values_to_be_between", column="amount", max_value=1000),
        says=["expected", "4 of 4 rows"],
        finish=_judged("fail", "expected"),
    ),
    Case(
        "an expectation that fails, as a warning",
        csv_with(),
        "accepted",
        accepted=4,
        toy=_gx("expect_column_values_to_be_in_set", "warning", column="note", value_set=["x"]),
        finish=_judged("fail", "expected", "warn"),
    ),
    Case(
        "an expectation about two columns",
        csv_with(score=[0.1, 0.2, 0.3, 0.4], latency_ms=[1, 2, 3, 0]),
        "held",
        accepted=4,
        toy=_gx("expect_column_pair_values_a_to_be_greater_than_b", column_A="latency_ms", column_B="score"),
        says=["1 of 4 rows"],
    ),
    Case(
        "an expectation that holds",
        csv_with(),
        "accepted",
        accepted=4,
        toy=_gx("expect_column_values_to_not_be_null", column="note"),
        finish=_judged("pass", "expected"),
    ),
    Case(
        "a day without rows is not held by rules about values",
        csv_with(score=2),
        "partial",
        quarantined=4,
        toy=_gx("expect_column_values_to_not_be_null", column="note"),
        rules={"range:score": 4},
    ),
]
