"""Whether a delivery fits, under which version, and what a stranger is told where it does not."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from mlobs_pipelines.contracts.fit import choose, fit, upcast
from mlobs_pipelines.contracts.odcs import Column, Kind, Older, Spelling, Table

TABLE = Table(
    "rows",
    "one row",
    (
        Column("id", Kind.STRING, physical="string"),
        Column("score", Kind.NUMBER, physical="float64"),
        Column("count", Kind.INTEGER, physical="int64"),
        Column("at", Kind.TIMESTAMP, physical="timestamp"),
        Column("free", Kind.NUMBER),
    ),
)
TYPES = {"id": "string", "score": "double", "count": "int64", "at": "timestamp[us, tz=UTC]", "free": "double"}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        dict.fromkeys(TYPES, "string"),
        {"id": "large_string"},
        {"id": "dictionary<values=string, indices=int32, ordered=0>"},
        {"id": "int64"},
        {"score": "float"},
        {"score": "int32"},
        {"score": "decimal128(10, 2)"},
        {"count": "uint8"},
        {"at": "timestamp[ns]"},
        {"score": "null"},
        {"free": "struct<a: int64>"},
        {"more": "string"},
        {"id": "a type nobody has heard of"},
    ],
)
def test_what_can_be_read_row_by_row_fits(changed):
    """Text, narrower types, nulls and extra columns fit; the rows decide the rest."""
    assert fit(TABLE, TYPES | changed) == ""


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"count": "double"}, "column count is double, the contract says int64"),
        ({"score": "bool"}, "column score is bool, the contract says float64"),
        ({"at": "int64"}, "column at is int64, the contract says timestamp"),
        ({"at": "date32[day]"}, "column at is date32[day], the contract says timestamp"),
        ({"id": "double"}, "column id is double, the contract says string"),
        ({"id": "list<item: string>"}, "column id is list<item: string>, the contract says string"),
        ({"id": "binary", "score": "time64[us]"}, "score is time64[us]"),
        ({"SCORE": "double"}, "columns score and SCORE differ in upper and lower case only"),
        ({"score": None}, "missing columns: score."),
        ({"score": None, "scores": "double"}, "missing columns: score (renamed to scores?)"),
        (
            {"score": None, "Score": "double"},
            "(the delivery has Score, which differs in upper and lower case)",
        ),
        ({"score": None, "zzz": "double"}, "columns that the contract does not know: zzz. Deliver"),
    ],
)
def test_what_does_not_fit_is_told_as_a_difference(columns, reason):
    """Missing, renamed and contradicting columns are named, with what to do."""
    delivered = {name: kind for name, kind in (TYPES | columns).items() if kind is not None}
    said = fit(TABLE, delivered)
    assert reason in said
    assert said.endswith("Deliver the contract's columns, or change the contract")


def test_numbers_are_times_only_by_a_declared_epoch():
    """A bare number fits a column of times where the contract says what it counts."""
    column = Column("at", Kind.TIMESTAMP, physical="timestamp", spelling=Spelling(epoch="s"))
    assert fit(Table("rows", "", (column,)), {"at": "int64"}) == ""


OLD = Table(
    "rows", "", (Column("id", Kind.STRING), Column("celsius", Kind.NUMBER), Column("n", Kind.INTEGER))
)
NEW = Table(
    "rows",
    "",
    (
        Column("id", Kind.STRING),
        Column("temp", Kind.NUMBER),
        Column("n", Kind.NUMBER),
        Column("unit", Kind.STRING),
        Column("since", Kind.TIMESTAMP),
        Column("note", Kind.STRING),
    ),
)
UPCASTS = {
    "rows": {"temp": ("factor", "celsius", 1.8), "unit": ("value", "F"), "since": ("value", "2013-01-01")}
}
OLDER = Older("1.0.0", date(2013, 6, 30), (OLD,), UPCASTS)
OLD_COLUMNS = {"id": "string", "celsius": "double", "n": "int64"}


def test_the_present_version_is_chosen_first_and_then_the_newest_that_is_accepted():
    """A delivery is read by the present version, else by the newest older one that fits and still counts."""
    present = dict.fromkeys(NEW.names, "string")
    oldest = Older("0.9.0", date(2013, 12, 31), (OLD,), UPCASTS)
    assert choose(NEW, (OLDER,), present | OLD_COLUMNS, date(2013, 6, 1)).older is None
    assert choose(NEW, (OLDER, oldest), OLD_COLUMNS, date(2013, 6, 30)).version == "1.0.0"
    assert choose(NEW, (OLDER, oldest), OLD_COLUMNS, date(2013, 7, 1)).version == "0.9.0"
    chosen = choose(NEW, (OLDER,), OLD_COLUMNS, date(2013, 6, 30))
    assert (chosen.table, chosen.older, chosen.reason) == (OLD, OLDER, "")


def test_a_version_that_is_no_longer_accepted_is_named():
    """A delivery of an expired version is refused with the version and its last day."""
    refused = choose(NEW, (OLDER,), OLD_COLUMNS, date(2013, 7, 1))
    assert (refused.version, refused.table, refused.older) == ("", NEW, None)
    assert refused.reason.startswith("missing columns: temp, unit, since, note")
    assert "It fits version 1.0.0 of the contract, which was accepted until 2013-06-30" in refused.reason
    assert "version" not in choose(NEW, (OLDER,), {"other": "string"}, date(2013, 6, 1)).reason


def test_older_rows_become_present_ones():
    """Columns are filled by their upcasts, kept by their name, or null; nothing is lost on the way."""
    rows = pl.DataFrame({"id": ["a", "b"], "celsius": [10.0, None], "n": [1, 2**53 + 1]})
    found = upcast(OLDER, NEW, rows)
    start = datetime(2013, 1, 1, tzinfo=UTC)
    assert found.typed.rows() == [("a", 18.0, 1.0, "F", start, None), ("b", None, None, "F", start, None)]
    assert found.failures.rows() == [(1, "precision:n", "n")]


def test_spellings_are_read_once():
    """A percentage that the older table has divided is not divided again by the present one."""
    percent = Spelling(percent=True)
    old = Table("rows", "", (Column("share", Kind.NUMBER, spelling=percent),))
    older = Older("1.0.0", date(2013, 6, 30), (old,), {})
    assert upcast(older, old, pl.DataFrame({"share": [0.5]})).typed.rows() == [(0.5,)]
