"""What the records of deliveries mean: accepted, in part, refused, missing, not due yet, gone."""

from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl
import pytest

from mlobs_pipelines.store.tables import DELIVERIES

DAY = date(2013, 6, 22)
LATER = datetime(2013, 7, 1, tzinfo=UTC)
RECORD = {
    "dataset": "predictions",
    "day": str(DAY),
    "table": "predictions",
    "delivery": "predictions/x.parquet",
    "state": "accepted",
    "rows_in": 10,
    "accepted": 10,
    "repeated": 0,
    "quarantined": 0,
    "refused": 0,
    "sampled_out": 0,
    "reason": "",
    "contract_version": "1.0.0",
    "at_source": True,
    "event_days": [str(DAY)],
    "normalised": "{}",
    "suspects": "{}",
    "unknown_columns": [],
}


@pytest.fixture
def contract(spec):
    """The contract of predictions, which promises a delivery a day within six hours."""
    return replace(spec.predictions, version="1.0.0", frequency_days=1, latency_h=6.0)


def judged(contract, *records, day=DAY, as_of=LATER, repeats=()):
    """Judge some records of a day."""
    from mlobs_pipelines.defs.deliveries import judge_deliveries  # noqa: PLC0415 - Dagster takes seconds

    schema = pl.DataFrame(DELIVERIES.schema.empty_table()).schema
    rules = pl.DataFrame(schema={"day": pl.String, "rules": pl.String, "len": pl.UInt32})
    beaten = pl.DataFrame(
        [(str(day), reason, count) for reason, count in repeats],
        schema={"delivered_on": pl.String, "reason": pl.String, "len": pl.UInt32},
        orient="row",
    )
    found = pl.DataFrame([RECORD | record for record in records], schema=schema)
    return judge_deliveries(contract, day, as_of, found, rules, beaten)


def test_a_promised_delivery_is_missing_once_it_is_due(contract):
    """Before it is due nothing is decided; afterwards its absence is an error that names whom to ask."""
    early = judged(contract, as_of=datetime(2013, 6, 23, 5, tzinfo=UTC))
    assert (early.passed, early.undecided) == (True, True)
    late = judged(contract, as_of=datetime(2013, 6, 23, 6, tzinfo=UTC))
    assert (late.passed, late.severe) == (False, True)
    assert "Missing: no delivery (promised every 1 d, due by 2013-06-23 06:00 UTC)" in late.description


def test_nothing_is_missing_that_was_not_promised(contract):
    """Without a frequency, or within its days after a delivery, an empty day is in order."""
    assert judged(replace(contract, frequency_days=None)).passed
    weekly = replace(contract, frequency_days=7)
    assert judged(weekly, {"day": "2013-06-16"}).passed
    assert not judged(weekly, {"day": "2013-06-15"}).passed


def test_a_table_that_is_missing_beside_others_is_named(spec):
    """Where one of several tables was delivered, the check says which ones were not."""
    views = replace(spec.features, frequency_days=1)
    found = judged(views, {"table": "weather", "delivery": "weather/x"})
    assert not found.passed
    assert "no delivery of departures, carriers, planes (" in found.description
    assert judged(views, *({"table": name, "delivery": name} for name in views.names)).passed


def test_an_empty_delivery_is_an_empty_day(contract):
    """A file without rows says that there is nothing; that is no failure."""
    found = judged(contract, {"rows_in": 0, "accepted": 0})
    assert (found.passed, found.description) == (True, "An empty delivery: an empty day.")


def test_counts_of_all_deliveries_add_up_in_what_is_told(contract):
    """Several deliveries of a day are told together, each refused one with its reason."""
    bad = {"delivery": "predictions/y", "state": "refused", "accepted": 0, "refused": 10, "reason": "torn"}
    part = {
        "delivery": "predictions/z",
        "state": "partial",
        "accepted": 7,
        "quarantined": 3,
        "reason": "r: 3",
    }
    found = judged(contract, {}, bad, part)
    assert (found.passed, found.severe) == (False, True)
    assert "Refused: predictions/y: torn." in found.description
    assert "3 of 30 rows broke the contract" in found.description
    assert found.description.endswith("17 of 30 rows flow on.")
    assert {found.metadata[f"deliveries_{state}"].value for state in ("accepted", "partial", "refused")} == {
        1
    }


@pytest.mark.parametrize(
    ("reason", "passed", "severe"),
    [
        ("identical", False, False),
        ("conflict", False, True),
        ("superseded", True, True),
    ],
)
def test_repeats_warn_conflicts_fail_and_corrections_pass(contract, reason, passed, severe):
    """A row said twice is a warning, a contradiction an error, a declared correction in order."""
    found = judged(contract, {"accepted": 8, "repeated": 2}, repeats=[(reason, 2)])
    assert found.passed == passed
    assert found.metadata[f"repeated_{reason}"].value == 2
    if not passed:
        assert found.severe == severe
        assert "2 rows" in found.description


def test_what_is_gone_or_under_an_older_schema_is_said_without_failing(contract):
    """A reader is told of vanished files and of deliveries under another version of the schema."""
    found = judged(contract, {"at_source": False}, {"delivery": "b", "contract_version": "0.9.0"})
    assert found.passed
    assert "1 of 2 deliveries are no longer at their source; their rows are kept." in found.description
    assert "Delivered under schema 0.9.0" in found.description


def test_personal_data_is_told_by_column_and_kind():
    """The privacy check sums what the scanner counted in all deliveries of its day."""
    from mlobs_pipelines.defs.deliveries import judge_privacy  # noqa: PLC0415 - Dagster takes seconds

    records = pl.DataFrame(
        [RECORD | {"suspects": '{"note: email": 2}'}, RECORD | {"suspects": '{"note: email": 1}'}]
    )
    found = judge_privacy(DAY, records)
    assert not found.passed
    assert "note: email: 3 values" in found.description
    assert judge_privacy(date(2013, 6, 23), records).passed
