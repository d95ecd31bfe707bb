"""Summaries of requests, of their waiting, and of features as served against as recomputed."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from mlobs_pipelines.core.summaries.additive import Additive
from mlobs_pipelines.core.vocabulary import Amounts, Floats


@dataclass(frozen=True, slots=True)
class OperationSummary(Additive):
    """Requests of a window.

    Attributes
    ----------
    requests, errors, timeouts : (...,)
        All requests, those whose status is not one of the declared good ones, and those of these that were
        given up for taking too long.
    latency : (..., C)
        Counts over latency cells, ascending.
    low_ms, high_ms : (C,)
        Edges of the cells in milliseconds.
    hours : (...,)
        Hours of the windows' days that had requests.
    """

    requests: Amounts
    errors: Amounts
    timeouts: Amounts
    latency: Amounts
    low_ms: Floats
    high_ms: Floats
    hours: Floats = field(default_factory=lambda: np.array(24.0))
    SHOWN: ClassVar[tuple[str, ...]] = ("requests", "errors", "timeouts")
    FIXED: ClassVar[tuple[str, ...]] = ("low_ms", "high_ms", "hours")


@dataclass(frozen=True, slots=True)
class QueueSummary(Additive):
    """How long the requests of a window had waited before they were worked on, where the log says so.

    Attributes
    ----------
    waits : (..., C)
        Counts over cells of the time waited, ascending.
    low_ms, high_ms : (C,)
        Edges of the cells in milliseconds.
    """

    waits: Amounts
    low_ms: Floats
    high_ms: Floats
    FIXED: ClassVar[tuple[str, ...]] = ("low_ms", "high_ms")


@dataclass(frozen=True, slots=True)
class SkewSummary(Additive):
    """One feature as served against the same feature recomputed point-in-time, row by row.

    Attributes
    ----------
    pairs : (...,)
        Rows where at least one of the two values is present.
    mismatched, missing, extra : (...,)
        Rows with two different values; recomputed only (serving lost it); served only.
    absolute_delta, absolute_sum : (...,)
        Σ|a-b| and Σ(|a|+|b|) over rows with both values (0 for categories).
    numeric
        Whether the values are numbers, so that the two sums mean something.
    """

    pairs: Amounts
    mismatched: Amounts
    missing: Amounts
    extra: Amounts
    absolute_delta: Floats
    absolute_sum: Floats
    numeric: bool = True
    SHOWN: ClassVar[tuple[str, ...]] = (
        "pairs",
        "mismatched",
        "missing",
        "extra",
        "absolute_delta",
        "absolute_sum",
    )
    FIXED: ClassVar[tuple[str, ...]] = ("numeric",)
