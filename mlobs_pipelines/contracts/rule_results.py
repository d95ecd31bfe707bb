"""What one rule says about the accepted rows of a day, whoever evaluated it.

Counts, shares and words, never a value of a row. Evaluating rules is `day_rules` and `expectations`.
"""

from dataclasses import dataclass
from typing import Literal

from mlobs_pipelines.contracts.odcs import Severity

FEWEST_ROWS = 20  # an aggregate of fewer rows says too much about each of them
NO_ROWS = "there are no rows to look at"

RuleKind = Literal["expectation", "library", "sql"]
Outcome = Literal["pass", "fail", "error"]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule says about the accepted rows of a day.

    Attributes
    ----------
    rule
        The rule's name in the contract; where it has none, its expectation type or metric.
    kind
        Who evaluated it.
    columns
        The columns it looks at; empty for the whole table.
    severity
        As the contract declares.
    outcome
        "pass" or "fail"; "error" where it could not be evaluated, which is neither.
    count
        Rows that break it, or the count that it limits; None where it counts nothing.
    rows
        Rows it looked at.
    share
        `count` among the rows it looked at, from 0 to 1; None where it counts nothing or not rows.
    reason
        What a person is told.
    description, runbook
        As the contract declares.
    """

    rule: str
    kind: RuleKind
    columns: tuple[str, ...]
    severity: Severity
    outcome: Outcome
    count: int | None
    rows: int
    share: float | None
    reason: str
    description: str = ""
    runbook: str = ""
