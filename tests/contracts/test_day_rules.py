"""Rules about the accepted rows of a day: metrics, operators and queries."""

import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_pipelines.contracts.day_rules import OPERATORS, run_day_rules
from mlobs_pipelines.contracts.odcs import DayRule, Table
from mlobs_pipelines.contracts.queries import QueryError, answer
from mlobs_pipelines.contracts.rule_results import RuleResult

CANARY = "CANARY-7f3a"
DAY = pl.DataFrame(
    {"a": ["x", None, "y", "x"] * 10, "b": [1.0, 2.0, 3.0, None] * 10, "order": list(range(40))}
)


def _run(metric: str, *columns: str, frame: pl.DataFrame = DAY, **said: object) -> RuleResult:
    rule = {"operator": "mustBe", "value": (0.0,), "query": "", "arguments": {}} | said
    (result,) = run_day_rules(
        Table("rows", "", (), (), (DayRule(name="", metric=metric, columns=columns, **rule),)), frame
    )
    return result


@pytest.mark.parametrize(
    ("metric", "columns", "arguments", "count"),
    [
        ("nullValues", ("a",), {}, 10),
        ("nullValues", ("a", "b"), {}, 20),
        ("missingValues", ("a",), {"missingValues": ["y", None]}, 20),
        ("missingValues", ("b",), {"missingValues": [2]}, 20),
        ("invalidValues", ("a",), {"validValues": ["x"]}, 10),
        ("invalidValues", ("a",), {"pattern": "x|z"}, 10),
        ("invalidValues", ("a",), {"validValues": ["x", "y"], "pattern": "y"}, 20),
        ("invalidValues", ("b",), {"validValues": [1, 2]}, 10),
        ("duplicateValues", ("a",), {}, 28),
        ("duplicateValues", ("a", "b"), {}, 18),
        ("duplicateValues", (), {}, 0),
    ],
)
def test_metrics_count_rows(metric, columns, arguments, count):
    """Each metric counts the rows that a reader would count by hand."""
    result = _run(metric, *columns, arguments=arguments)
    assert (result.count, result.rows, result.share) == (count, 40, count / 40)
    assert result.outcome == ("pass" if count == 0 else "fail")
    assert (result.rule, result.kind, result.columns) == (metric, "library", columns)


def test_rows_are_counted_and_a_day_without_rows_counts_none():
    """The number of rows is known without any; everything else is undecided."""
    limits = {"operator": "mustBeBetween", "value": (1.0, 40.0)}
    assert _run("rowCount", **limits).outcome == "pass"
    empty = _run("rowCount", frame=DAY.clear(), **limits)
    assert (empty.outcome, empty.count, empty.share) == ("fail", 0, None)
    assert empty.reason == "there are 0 rows; the contract asks for from 1 to 40"
    assert _run("nullValues", "a", frame=DAY.clear()).outcome == "error"


def test_reasons_say_counts_and_what_was_asked():
    """A failure is told in counts and in the words of the contract."""
    said = {"operator": "mustBeLessThan", "value": (5.0,), "percent": True}
    assert _run("nullValues", "a", **said).reason == (
        "10 of 40 rows are null (25 %); the contract asks for less than 5 %"
    )
    assert _run("nullValues", "a").reason == "10 of 40 rows are null; the contract asks for 0"


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(OPERATORS)), st.integers(0, 6), st.integers(0, 6), st.integers(1, 6))
def test_operators_are_those_of_arithmetic(operator, low, width, rows):
    """Every operator of the standard compares as its name says; a range has both of its ends."""
    high = low + width
    expected = {
        "mustBe": rows == low,
        "mustNotBe": rows != low,
        "mustBeGreaterThan": rows > low,
        "mustBeGreaterOrEqualTo": rows >= low,
        "mustBeLessThan": rows < low,
        "mustBeLessOrEqualTo": rows <= low,
        "mustBeBetween": low <= rows <= high,
        "mustNotBeBetween": rows < low or rows > high,
    }[operator]
    value = (float(low), float(high)) if "Between" in operator else (float(low),)
    result = _run("rowCount", frame=DAY.head(rows), operator=operator, value=value)
    assert (result.outcome == "pass") == expected


@pytest.mark.parametrize(
    ("query", "columns", "value", "reason"),
    [
        ("SELECT count(*) FROM ${table}", (), 40.0, "the query returned 40"),
        ('SELECT count(*) FROM "${object}" WHERE ${property} IS NULL', ("b",), 10.0, "the query returned 10"),
        ("SELECT max(${column}) FROM ${table}", ("order",), 39.0, "what the query returned is not shown"),
        ("SELECT 100.0 * count(a) / count(*) FROM rows", (), 75.0, "the query returned 75"),
        ("SELECT count(*) = 40 FROM rows", (), 1.0, "the query returned true"),
        (
            "WITH q AS (SELECT * FROM rows WHERE b > 2) SELECT count(*) FROM q",
            (),
            10.0,
            "the query returned 10",
        ),
        ("SELECT sum(b) FROM rows", (), 60.0, "what the query returned is not shown"),
        ("SELECT b FROM rows ORDER BY b LIMIT 1", (), 1.0, "what the query returned is not shown"),
    ],
)
def test_queries_are_compared_and_shown_only_if_they_count(query, columns, value, reason):
    """A query passes by its number; a number that could be the value of a row is not repeated."""
    result = _run("sql", *columns, query=query, value=(value,))
    assert (result.outcome, result.kind, result.count) == ("pass", "sql", None)
    assert result.reason.startswith(reason)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT * FROM rows", "more than one row of 3 columns"),
        ("SELECT a FROM rows LIMIT 1", "no finite number"),
        ("SELECT 'nan'::double", "no finite number"),
        ("SELECT 1 WHERE false", "no row"),
        ("SELECT null", "COALESCE"),
        ("SELECT 1; SELECT 2", "2 queries"),
        ("DROP TABLE rows", "no single SELECT"),
        ("SET memory_limit = '9GB'", "no single SELECT"),
        ("COPY rows TO 'out.csv'", "no single SELECT"),
        ("nonsense", "no single SELECT"),
        ("SELECT nope FROM rows", "BinderException"),
        ("SELECT count(*) FROM elsewhere", "CatalogException"),
        ("SELECT count(*) FROM read_csv('/etc/passwd')", "may read the rows of the day"),
        ("SELECT count(*) FROM '/etc/passwd'", "Exception"),
        ("SELECT count(*) FROM ${column}", "under no column"),
        ("SELECT cast(a AS int) FROM rows", "ConversionException"),
    ],
)
def test_queries_without_an_answer_say_why(query, reason):
    """A query that cannot be run, reaches outside or has no one number is an error of the rule."""
    result = _run("sql", query=query)
    assert result.outcome == "error"
    assert reason in result.reason


def test_a_query_that_takes_too_long_is_stopped():
    """A runaway query ends after its time and says so."""
    began = time.monotonic()
    with pytest.raises(QueryError, match="stopped after"):
        answer("SELECT count(*) FROM range(1000000000) a, range(1000000) b", "rows", (), DAY, seconds=0.3)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("metric", "columns", "arguments"),
    [
        ("invalidValues", ("b",), {"pattern": "x"}),
        ("nullValues", ("nowhere",), {}),
        ("freshness", ("a",), {}),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_an_error_and_no_failure(metric, columns, arguments):
    """A rule that does not fit its column says nothing about the data."""
    assert _run(metric, *columns, arguments=arguments).outcome == "error"


def test_no_value_reaches_a_result():
    """Planted values are in no result, whatever the rule and however it ends."""
    frame = pl.DataFrame({"a": [CANARY, CANARY, None], "b": [8675309.5, 8675309.5, 1.0]})
    results = [
        _run("duplicateValues", "a", frame=frame),
        _run("invalidValues", "a", frame=frame, arguments={"validValues": ["x"]}),
        _run("invalidValues", "b", frame=frame, arguments={"pattern": "x"}),
        _run("sql", query="SELECT a FROM rows", frame=frame),
        _run("sql", query="SELECT cast(a AS int) FROM rows", frame=frame),
        _run("sql", query="SELECT error(a) FROM rows", frame=frame),
        _run("sql", query="SELECT max(b) FROM rows", frame=frame),
    ]
    assert CANARY not in repr(results)
    assert "8675309" not in repr(results)
    assert "8.67531e+06" not in repr(results)
