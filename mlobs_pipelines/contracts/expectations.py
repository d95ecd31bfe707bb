"""The rules of a contract that Great Expectations runs, on the accepted rows of a day.

Great Expectations and pandas are imported when the first rule runs, because that takes seconds. Results hold
counts and shares, never a value of a row.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

import polars as pl

from mlobs_pipelines.contracts.lean import lean_imports
from mlobs_pipelines.contracts.odcs import Expectation, Table
from mlobs_pipelines.contracts.rule_results import FEWEST_ROWS, NO_ROWS, Outcome, RuleResult

_WORD = re.compile(r"\w+")
_COUNTS = ("element_count", "missing_count", "unexpected_count")
_SHARES = ("missing_percent", "unexpected_percent", "unexpected_percent_nonmissing")
_STATISTICS = ("mean", "stdev", "proportion", "unique_value_count", "row_count")


def run_expectations(table: Table, frame: pl.DataFrame) -> tuple[RuleResult, ...]:
    """Run a table's expectations on a typed frame, in the order of the contract.

    An expectation that cannot be evaluated is an error of its own, not a failure of the data.
    """
    if not table.expectations:
        return ()
    there = [name for name in table.names if name in frame.columns]
    return tuple(_run(table.expectations, frame.select(_about(table.expectations, there) or there)))


def _about(expectations: Sequence[Expectation], names: Sequence[str]) -> list[str]:
    """Columns that rules may be about, so that no other is handed over: those among the words they are given.

    A rule about the table's columns is about all of them.
    """
    if not all(rule.type.startswith(("expect_column_", "expect_table_row_")) for rule in expectations):
        return list(names)
    given = " ".join(json.dumps(dict(rule.kwargs), default=str, ensure_ascii=False) for rule in expectations)
    words = set(_WORD.findall(given))
    return [name for name in names if name in words]


def _run(expectations: Sequence[Expectation], frame: pl.DataFrame) -> Iterator[RuleResult]:
    if frame.is_empty():
        for expectation in expectations:
            yield _result(expectation, "error", 0, NO_ROWS)
        return
    with _quiet():
        yield from _run_all(frame, expectations)


def _run_all(frame: pl.DataFrame, expectations: Sequence[Expectation]) -> Iterator[RuleResult]:
    """Run all rules at once, or, where one of them raises, each alone: the others must still run."""
    try:
        found = _validated(frame, expectations)
    except Exception as error:  # noqa: BLE001 - whatever a rule raises is reported, without its text
        if len(expectations) == 1:
            yield _result(
                expectations[0], "error", frame.height, f"could not be evaluated ({type(error).__name__})"
            )
            return
        for expectation in expectations:
            yield from _run_all(frame, [expectation])
        return
    for expectation, result in zip(expectations, found, strict=True):
        yield _one(result, expectation, frame.height)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of Great Expectations shut: it prints exceptions, which can hold values of rows."""
    logger = logging.getLogger("great_expectations")
    before = logger.disabled, logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.disabled, logger.level = before


@cache
def _library() -> Any:  # noqa: ANN401 - Great Expectations is untyped here
    with lean_imports():
        return import_module("great_expectations")  # its import takes seconds and few contracts need it


@cache
def _definition() -> Any:  # noqa: ANN401 - Great Expectations is untyped here
    """Return the one in-memory data source of this process: making one costs more than a day's rules."""
    context = _library().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("delivery").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def _validated(frame: pl.DataFrame, expectations: Sequence[Expectation]) -> list[Any]:
    """Return Great Expectations' results in the order of the expectations; it returns errors first."""
    rules = [
        {"type": rule.type, "kwargs": rule.kwargs, "meta": {"position": position}}
        for position, rule in enumerate(expectations)
    ]
    suite = _library().ExpectationSuite(name="contract", expectations=rules)
    batch = _definition().get_batch({"dataframe": frame.to_pandas()})
    found = batch.validate(suite, result_format="SUMMARY")
    if len(found.results) != len(rules):
        raise LookupError("a rule has no result")
    return sorted(found.results, key=lambda result: result.expectation_config.meta["position"])


def _one(found: Any, expectation: Expectation, rows: int) -> RuleResult:  # noqa: ANN401 - as above
    if _raised(found.exception_info):
        reason = "could not be evaluated on these rows; check its arguments"
        return _result(expectation, "error", rows, reason)
    if "observed_value" in found.result and found.result["observed_value"] is None:
        return _result(expectation, "error", rows, "there are no values to look at")
    numbers = _numbers(expectation.type, found.result, rows)
    return _result(expectation, "pass" if bool(found.success) else "fail", rows, _reason(numbers), numbers)


def _raised(info: Any) -> bool:  # noqa: ANN401 - one exception, or one for each metric
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(_raised(one) for one in info.values() if isinstance(one, dict))


def _numbers(kind: str, result: dict[str, Any], rows: int) -> dict[str, float]:
    """Keep what no single row can be read from: counts, shares, and aggregates of enough rows."""
    kept = {name: float(result[name]) for name in (*_COUNTS, *_SHARES) if result.get(name) is not None}
    statistic = next((name for name in _STATISTICS if name in kind), "")
    shown = statistic in ("proportion", "unique_value_count", "row_count") or rows >= FEWEST_ROWS
    if statistic and shown and "observed_value" in result:
        kept[f"observed_{statistic}"] = float(result["observed_value"])
    return kept


def _reason(numbers: dict[str, float]) -> str:
    if "unexpected_count" in numbers:
        share = numbers.get("unexpected_percent", 0.0)
        broken, rows = numbers["unexpected_count"], numbers["element_count"]
        return f"{broken:.0f} of {rows:.0f} rows break it ({share:.3g} %)"
    observed = [
        f"the {name.removeprefix('observed_').replace('_', ' ')} is {numbers[name]:.6g}" for name in numbers
    ]
    return observed[0] if observed else "what was observed is not shown: it could be the value of one row"


def _result(
    expectation: Expectation,
    outcome: Outcome,
    rows: int,
    reason: str,
    numbers: Mapping[str, float] = MappingProxyType({}),
) -> RuleResult:
    count = numbers.get("unexpected_count")
    looked_at = int(numbers.get("element_count", rows))
    return RuleResult(
        rule=expectation.name or expectation.type,
        kind="expectation",
        columns=_columns(expectation.kwargs),
        severity=expectation.severity,
        outcome=outcome,
        count=None if count is None else int(count),
        rows=looked_at,
        share=count / looked_at if count is not None and looked_at else None,
        reason=reason,
        description=expectation.description,
        runbook=expectation.runbook,
    )


def _columns(kwargs: dict[str, Any]) -> tuple[str, ...]:
    single = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    return (*single, *kwargs.get("column_list", ()))
