"""What a release guard found: one row per check and group, with its numbers, its verdict and a sentence.

Working them out is `rivals`, `fitness` and `suitability`.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlobs_pipelines.core.release import together
from mlobs_pipelines.core.vocabulary import Verdict

MOST = 6
FAMILIES = ("compatibility", "skew", "drift", "quality", "calibration", "operations")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    check
        Family: one of `FAMILIES`.
    what
        Metric, or what of the compatibility.
    verdict, reason
        Pass, fail or undecided, and why.
    feature, segment, segment_value
        What it is about; "" for all.
    candidate, champion
        The metric of either version; None where there is none.
    difference, lower, upper
        Candidate minus champion, with its 95 % interval.
    limit
        Margin by which the candidate may be worse, or the value that it must not exceed.
    p
        Of the hypothesis that it keeps within the margin, corrected for the number of groups.
    n
        Rows that the verdict rests on.
    test
        How it was decided.
    excused
        Whether a verdict *undecided* does not hold the release back: the group is too small to matter.
    """

    check: str
    what: str
    verdict: Verdict
    reason: str
    feature: str = ""
    segment: str = ""
    segment_value: str = ""
    candidate: float | None = None
    champion: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    p: float | None = None
    n: int | None = None
    test: str = ""
    excused: bool = False

    @property
    def group(self) -> str:
        """The group in words; "" for all rows."""
        return f"{self.segment}={self.segment_value}" if self.segment else ""

    def row(self) -> dict[str, Any]:
        """The finding as a record."""
        return asdict(self) | {"verdict": str(self.verdict)}


def finite(value: float) -> float | None:
    """A plain number, None where it is not defined."""
    return float(value) if math.isfinite(value) else None


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """What all findings say together."""
    return together([str(one.verdict) for one in findings if not one.excused])


def reasons_of(findings: Sequence[Finding], verdict: Verdict) -> list[str]:
    """Why they say so: what failed, or what is undecided, in a sentence for each reason."""
    about: dict[str, list[str]] = {}
    for one in findings:
        if one.verdict is verdict and not one.excused:
            about.setdefault(one.reason, []).append(
                " ".join(filter(None, (one.what, one.feature, one.group)))
            )
    return [f"{_named(names)}: {reason}" for reason, names in about.items()]


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
