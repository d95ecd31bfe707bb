"""Rules that Great Expectations runs."""

import logging
import subprocess
import sys
from typing import Any

import polars as pl
import pytest

from mlobs_pipelines.contracts.expectations import run_expectations
from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.contracts.odcs import Column, Expectation, Kind, Table
from mlobs_pipelines.contracts.odcs_gx import gx_types
from mlobs_pipelines.contracts.rule_results import RuleResult
from tests.contracts.conftest import DEMO

CANARY = "CANARY-7f3a"


def _run(frame: pl.DataFrame, *rules: tuple[str, dict[str, Any]]) -> tuple[RuleResult, ...]:
    columns = tuple(Column(name, Kind.STRING) for name in ("score", "id"))
    table = Table(
        "rows", "", columns, tuple(Expectation(kind, kwargs, "warn", "why") for kind, kwargs in rules)
    )
    return run_expectations(table, frame)


@pytest.fixture
def frame() -> pl.DataFrame:
    """Forty rows with two missing scores and one odd id."""
    scores = [0.25, 0.75] * 19 + [None, None]
    return pl.DataFrame({"score": scores, "id": ["a"] * 39 + [CANARY]})


def test_results_follow_the_contract_and_hold_counts(frame: pl.DataFrame):
    """Results come in the order of the contract with their counts, shares and reasons."""
    mean, filled, ids = _run(
        frame,
        ("expect_column_mean_to_be_between", {"column": "score", "min_value": 0.6}),
        ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "score", "min_value": 0.9}),
        ("expect_column_values_to_be_in_set", {"column": "id", "value_set": ["a"]}),
    )
    assert [result.outcome for result in (mean, filled, ids)] == ["fail", "pass", "fail"]
    assert (mean.reason, mean.count, mean.share) == ("the mean is 0.5", None, None)
    assert filled.reason == "the proportion is 0.95"
    assert (ids.rule, ids.kind) == ("expect_column_values_to_be_in_set", "expectation")
    assert (ids.count, ids.rows, ids.share) == (1, 40, 0.025)
    assert ids.reason == "1 of 40 rows break it (2.5 %)"
    assert (ids.columns, ids.severity, ids.description) == (("id",), "warn", "why")


def test_a_rule_gets_the_columns_it_is_about(frame: pl.DataFrame):
    """Columns of a condition are handed over too, and all of them to a rule about the table."""
    condition = {"type": "comparison", "column": {"name": "id"}, "operator": "==", "parameter": "a"}
    filled = {"column": "score", "row_condition": condition}
    (given,) = _run(frame, ("expect_column_values_to_not_be_null", filled))
    assert (given.outcome, given.count, given.rows) == ("fail", 1, 39)
    (both,) = _run(frame, ("expect_table_columns_to_match_set", {"column_set": ["score", "id"]}))
    assert both.outcome == "pass"
    (rows,) = _run(frame, ("expect_table_row_count_to_equal", {"value": 40}))
    assert rows.outcome == "pass"


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_mean_to_be_between", {"column": "id", "min_value": 0}),
        ("expect_column_mean_to_be_between", {"column": "nowhere", "min_value": 0}),
        ("expect_column_mean_to_be_between", {"column": "score", "min_value": "much"}),
        ("expect_nothing_of_the_kind", {}),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_an_error_and_no_failure(
    frame: pl.DataFrame, kind: str, kwargs: dict[str, Any]
):
    """An exception says nothing about the data; the rules after it still run."""
    broken, last = _run(frame, (kind, kwargs), ("expect_column_to_exist", {"column": "id"}))
    assert (broken.outcome, last.outcome) == ("error", "pass")
    assert broken.reason.startswith("could not be evaluated")


def test_nothing_is_said_about_no_rows_and_no_values(frame: pl.DataFrame):
    """An empty delivery and a column of nulls leave a rule undecided."""
    rule = ("expect_column_mean_to_be_between", {"column": "score", "min_value": 0})
    assert _run(frame.clear(), rule)[0].reason == "there are no rows to look at"
    nothing = frame.with_columns(score=pl.lit(None, pl.Float64))
    assert _run(nothing, rule)[0].outcome == "error"
    assert _run(nothing)[:] == ()


def test_no_value_reaches_a_result_or_a_log(
    frame: pl.DataFrame, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
):
    """Values that Great Expectations would list as examples or put into exceptions stay behind."""
    caplog.set_level(logging.DEBUG)
    results = _run(
        frame,
        ("expect_column_values_to_be_in_set", {"column": "id", "value_set": ["a"]}),
        ("expect_column_max_to_be_between", {"column": "id", "max_value": "B"}),
        ("expect_column_mean_to_be_between", {"column": "id", "min_value": 0}),
        ("expect_column_values_to_match_strftime_format", {"column": "id", "strftime_format": "%Y"}),
        ("expect_column_distinct_values_to_be_in_set", {"column": "id", "value_set": ["a"]}),
        ("expect_column_most_common_value_to_be_in_set", {"column": "id", "value_set": ["a"]}),
    )
    written = capsys.readouterr()
    assert CANARY not in repr((results, caplog.text, written.out, written.err))


def test_an_aggregate_of_few_rows_is_not_shown():
    """The mean of a handful of rows would give the rows away."""
    few = pl.DataFrame({"score": [0.123], "id": ["a"]})
    (result,) = _run(few, ("expect_column_mean_to_be_between", {"column": "score", "min_value": 0}))
    assert result.outcome == "pass"
    assert result.reason.startswith("what was observed is not shown")


def test_the_demo_rules_tell_good_from_bad():
    """A void outcome with a label, and an arrival without one, are both found."""
    table = load_model(DEMO).table("labels")
    labels = {"label": [1, None, 0, None], "outcome": ["late", "void", "void", "late"]}
    results = run_expectations(table, pl.DataFrame(labels, schema_overrides={"label": pl.Int64}))
    assert [result.count for result in results] == [1, 1]


def test_types_known_without_an_import_are_those_of_the_library():
    """The list that contracts are checked against names real expectation classes and their arguments."""
    import great_expectations.expectations as gxe  # noqa: PLC0415 - takes seconds

    known = gx_types()
    real = {one.expectation_type: one for one in vars(gxe).values() if hasattr(one, "expectation_type")}
    assert len(known) > 45
    for name, kind in known.items():
        assert set(kind.required) <= kind.arguments <= set(real[name].__fields__)


def test_contracts_are_checked_without_importing_the_heavy_libraries():
    """Loading a model does not import Great Expectations or pandas."""
    code = f"""
import sys
from pathlib import Path
from mlobs_pipelines.contracts.folder import load_model

load_model(Path({str(DEMO)!r}))
print(sorted({{"great_expectations", "pandas", "pandera"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
