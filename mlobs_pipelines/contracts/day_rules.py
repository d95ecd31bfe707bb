"""The `library` and `sql` rules of a contract, on the accepted rows of a day.

Row rules, which quarantine, are `rows`; rules that Great Expectations runs are `expectations`; queries are
answered by `queries`.
"""

import operator
from collections.abc import Callable, Mapping

import polars as pl

from mlobs_pipelines.contracts.odcs import DayRule, Table
from mlobs_pipelines.contracts.queries import QueryError, answer
from mlobs_pipelines.contracts.rule_results import NO_ROWS, Outcome, RuleResult

OPERATORS: Mapping[str, tuple[str, Callable[[float, tuple[float, ...]], bool]]] = {
    "mustBe": ("{0}", lambda found, limit: found == limit[0]),
    "mustNotBe": ("anything but {0}", lambda found, limit: found != limit[0]),
    "mustBeGreaterThan": ("more than {0}", lambda found, limit: operator.gt(found, limit[0])),
    "mustBeGreaterOrEqualTo": ("at least {0}", lambda found, limit: operator.ge(found, limit[0])),
    "mustBeLessThan": ("less than {0}", lambda found, limit: operator.lt(found, limit[0])),
    "mustBeLessOrEqualTo": ("at most {0}", lambda found, limit: operator.le(found, limit[0])),
    "mustBeBetween": ("from {0} to {1}", lambda found, limit: limit[0] <= found <= limit[1]),
    "mustNotBeBetween": (
        "less than {0} or more than {1}",
        lambda found, limit: not limit[0] <= found <= limit[1],
    ),
}


def run_day_rules(table: Table, frame: pl.DataFrame) -> tuple[RuleResult, ...]:
    """Run a table's library and SQL rules on the typed rows of a day, in the order of the contract.

    Parameters
    ----------
    table
        The table of the contract.
    frame
        The accepted rows of the day.

    Returns
    -------
    tuple
        One result for each rule. Metrics count rows: with a null (`nullValues`), with a null or one of the
        texts listed as missing (`missingValues`), with a value that is not among the valid ones or does not
        match the pattern (`invalidValues`; a null is not invalid), whose value or values another row before
        them has (`duplicateValues`; a key with a null is no duplicate), or all of them (`rowCount`). The
        limits of mustBeBetween and mustNotBeBetween are part of the range.
    """
    return tuple(_run(table, rule, frame) for rule in table.day_rules)


def _run(table: Table, rule: DayRule, frame: pl.DataFrame) -> RuleResult:
    if frame.is_empty() and rule.metric != "rowCount":
        return _result(rule, "error", None, frame.height, NO_ROWS)
    absent = [name for name in rule.columns if name not in frame.columns]
    if absent:
        return _result(rule, "error", None, frame.height, f"the rows have no column {', '.join(absent)}")
    return _queried(table, rule, frame) if rule.metric == "sql" else _counted(rule, frame)


def _counted(rule: DayRule, frame: pl.DataFrame) -> RuleResult:
    metric = _METRICS.get(rule.metric)
    if metric is None:
        reason = f"the metric {rule.metric} is not known; valid: {', '.join(_METRICS)}"
        return _result(rule, "error", None, frame.height, reason)
    try:
        count = metric(rule, frame)
    except pl.exceptions.PolarsError as error:  # its text can quote a value
        reason = (
            f"could not be evaluated ({type(error).__name__}); compare its arguments with the column's type"
        )
        return _result(rule, "error", None, frame.height, reason)
    found = 100 * count / max(frame.height, 1) if rule.percent else float(count)
    unit = " %" if rule.percent else ""
    said = f"{count} of {frame.height} rows {_WORDS[rule.metric]}"
    said = f"there are {count} rows" if rule.metric == "rowCount" else said
    said += f" ({found:.4g} %)" if rule.percent else ""
    return _result(
        rule,
        _outcome(rule, found),
        count,
        frame.height,
        f"{said}; the contract asks for {_asked(rule)}{unit}",
    )


def _queried(table: Table, rule: DayRule, frame: pl.DataFrame) -> RuleResult:
    try:
        found, counts = answer(rule.query, table.name, rule.columns, frame)
    except QueryError as error:
        return _result(rule, "error", None, frame.height, str(error))
    shown = counts or isinstance(found, bool)
    what = (str(found).lower() if isinstance(found, bool) else f"{found:.6g}") if shown else ""
    said = (
        f"the query returned {what}" if shown else "what the query returned is not shown: it could be a value"
    )
    reason = f"{said}; the contract asks for {_asked(rule)}"
    return _result(rule, _outcome(rule, found), None, frame.height, reason)


def _outcome(rule: DayRule, found: float) -> Outcome:
    return "pass" if OPERATORS[rule.operator][1](found, rule.value) else "fail"


def _asked(rule: DayRule) -> str:
    return OPERATORS[rule.operator][0].format(*(f"{limit:.6g}" for limit in rule.value))


def _result(rule: DayRule, outcome: Outcome, count: int | None, rows: int, reason: str) -> RuleResult:
    is_share = count is not None and rows > 0 and rule.metric != "rowCount"
    return RuleResult(
        rule=rule.name or rule.metric,
        kind="sql" if rule.metric == "sql" else "library",
        columns=rule.columns,
        severity=rule.severity,
        outcome=outcome,
        count=count,
        rows=rows,
        share=count / rows if is_share and count is not None else None,
        reason=reason,
        description=rule.description,
        runbook=rule.runbook,
    )


def _nulls(rule: DayRule, frame: pl.DataFrame) -> int:
    return _rows_with(rule, frame, lambda values: values.is_null())


def _missing(rule: DayRule, frame: pl.DataFrame) -> int:
    listed = rule.arguments.get("missingValues") or ()
    words = [word for word in listed if word is not None]
    return _rows_with(rule, frame, lambda values: values.is_null() | _among(values, words))


def _invalid(rule: DayRule, frame: pl.DataFrame) -> int:
    return _rows_with(rule, frame, lambda values: values.is_not_null() & ~_valid(rule, values))


def _valid(rule: DayRule, values: pl.Series) -> pl.Series:
    valid = values.is_not_null()
    if "validValues" in rule.arguments:
        valid &= _among(values, list(rule.arguments["validValues"]))
    if "pattern" in rule.arguments:
        valid &= values.str.contains(rf"\A(?:{rule.arguments['pattern']})\z").fill_null(value=False)
    return valid


def _among(values: pl.Series, listed: list[object]) -> pl.Series:
    """Return which are listed, compared under the column's type; what it cannot hold is not among them."""
    known = pl.Series(listed, dtype=values.dtype, strict=False).drop_nulls()
    return values.is_in(known.implode()).fill_null(value=False)


def _duplicates(rule: DayRule, frame: pl.DataFrame) -> int:
    keys = frame.select(rule.columns).drop_nulls() if rule.columns else frame
    return keys.height - keys.n_unique()


def _rows_with(rule: DayRule, frame: pl.DataFrame, odd: Callable[[pl.Series], pl.Series]) -> int:
    """Count the rows in which any of the rule's columns is odd."""
    names = rule.columns or tuple(frame.columns)
    return int(
        frame.select(pl.any_horizontal([odd(frame[name]) for name in names]).alias("odd"))["odd"].sum()
    )


_METRICS: Mapping[str, Callable[[DayRule, pl.DataFrame], int]] = {
    "nullValues": _nulls,
    "missingValues": _missing,
    "invalidValues": _invalid,
    "duplicateValues": _duplicates,
    "rowCount": lambda _, frame: frame.height,
}
_WORDS = {
    "nullValues": "are null",
    "missingValues": "are missing",
    "invalidValues": "are not valid",
    "duplicateValues": "repeat an earlier one",
    "rowCount": "",
}
