"""Matured days that windows are calibrated on while their own labels are late, read from stored statistics.

Which days those are depends on a window's knowledge time alone: statistics that were counted later say
nothing of it. What is estimated with them is `estimation`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.core.metrics import Metric
from mlobs_pipelines.core.summaries import (
    ClassCorrectedSummary,
    ClassEstimatedSummary,
    ClassExpectedSummary,
    CorrectedSummary,
    EstimatedSummary,
    Summary,
    ValueEstimatedSummary,
)
from mlobs_pipelines.core.vocabulary import Flags, Window
from mlobs_pipelines.core.windows import Span
from mlobs_pipelines.engine.cells import CELLS_SCHEMA, EXCESS, EXCESS_ONCE, EXCESS_TWICE
from mlobs_pipelines.engine.class_lags import LAGS
from mlobs_pipelines.engine.scores import LOSSES
from mlobs_pipelines.steps.binning import SCORE
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.tables import as_of_key

REACH_DAYS = 56
ALWAYS = (Window.FOUR_WEEKS, Window.MONTH)
SIDES, CLASS_SIDES = ("positive", "negative"), ("class_positive", "class_negative")
KINDS: Mapping[str, tuple[type[Summary], ...]] = {
    "binary": (EstimatedSummary,),
    "multiclass": (ClassEstimatedSummary, ClassExpectedSummary),
    "regression": (ValueEstimatedSummary,),
}
CORRECTED: Mapping[str, type[Summary]] = {"binary": CorrectedSummary, "multiclass": ClassCorrectedSummary}
_PARTS = {
    "binary": (*SIDES, LAGS),
    "multiclass": ("reliability_right", "reliability_wrong", *CLASS_SIDES, LAGS),
    "regression": LOSSES,
}
_LAYERS = ("", EXCESS, EXCESS_ONCE, EXCESS_TWICE)
_FIRST = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Scores and lags by label of matured days, of every version, and which of them each window may use.

    Attributes
    ----------
    rows
        Stored statistics; the day is the number of an entry, counted as days from 1970 on.
    entries : (E,)
        Days, each as it was known at one moment: (day, knowledge time).
    chosen : (W, E) bool
        Entries that each window is calibrated on.
    """

    rows: pa.Table
    entries: tuple[tuple[str, str], ...]
    chosen: Flags

    @staticmethod
    def nothing(windows: int) -> "Cohorts":
        """No day has matured."""
        return Cohorts(CELLS_SCHEMA.empty_table(), (), np.zeros((windows, 0), dtype=np.bool_))

    def of(self, version: str) -> "Cohorts":
        """The same of one version."""
        return replace(self, rows=self.rows.filter(pc.equal(self.rows.column("model_version"), version)))

    def origin(self, window: int | None) -> dict[str, Any]:
        """Which days a window is calibrated on, in words; None: on the training set."""
        if window is None:
            return {"rows_of": "training set"}
        mine = [entry for entry, used in zip(self.entries, self.chosen[window], strict=True) if used]
        newest = max(key for _, key in mine)
        about = {"first_day": mine[0][0], "last_day": mine[-1][0], "days": len(mine), "as_of": newest}
        return {"rows_of": "matured days", **about}

    def at(self, windows: Sequence[int]) -> "Cohorts":
        """The same for some of the windows."""
        return replace(self, chosen=self.chosen[list(windows)])

    @property
    def stretch(self) -> Span:
        """All entries as if they were days after one another."""
        return Span(Window.DAY, _FIRST, _FIRST + timedelta(days=max(1, len(self.entries))))


def estimated_windows(spec: ModelSpec) -> frozenset[Window]:
    """Kinds of window that quality is estimated for: the long ones, and those that an objective asks for.

    The same are corrected for labels that come late because of what they say.
    """
    about = {name for name, metric in spec.metrics.items() if rests_on_others(spec, metric)}
    return frozenset(ALWAYS) | {one.window for one in spec.monitor.objectives if one.metric in about}


def rests_on_others(spec: ModelSpec, metric: Metric) -> bool:
    """Whether a model's metric is estimated or corrected with other days than those of its window."""
    task = spec.monitor.task
    return not metric.functions.keys().isdisjoint([*KINDS[task], CORRECTED.get(task)])


def read_cohorts(walk: Walk, spans: Sequence[Span], moments: Sequence[datetime]) -> Cohorts:
    """Read the matured days before each window, as they were known at its knowledge time.

    Parameters
    ----------
    moments
        When the statistics of each window were known.
    """
    windows = estimated_windows(walk.spec)
    if not any(span.window in windows for span in spans):
        return Cohorts.nothing(len(spans))
    keys: dict[str, list[str]] = {}
    for day, key in walk.lake.partitions(walk.model, STATISTICS_LAYOUT.name):
        keys.setdefault(day, []).append(key)
    horizon = walk.spec.monitor.labels.horizon
    mine = [
        set(_matured(keys, span, moment, horizon)) if span.window in windows else set()
        for span, moment in zip(spans, moments, strict=True)
    ]
    entries = tuple(sorted(set().union(*mine)))
    chosen = np.array([[entry in some for entry in entries] for some in mine], dtype=np.bool_)
    return Cohorts(_rows(walk, entries), entries, chosen.reshape(len(spans), len(entries)))


def _matured(
    keys: Mapping[str, Sequence[str]], span: Span, moment: datetime, horizon: timedelta
) -> Iterator[tuple[str, str]]:
    """Days before a window whose labels are due at a moment, each as it was known then."""
    latest = as_of_key(moment)
    for day in _before(span, moment, horizon):
        known = [key for key in keys.get(day.isoformat(), ()) if key <= latest]
        if known:
            yield day.isoformat(), max(known)


def _before(span: Span, moment: datetime, horizon: timedelta) -> list[date]:
    """The latest days before a window that are over by the label horizon at a moment."""
    end = min(span.start, (moment.astimezone(UTC) - horizon).date())
    return [end - timedelta(days=back) for back in range(REACH_DAYS, 0, -1)]


def _rows(walk: Walk, entries: Sequence[tuple[str, str]]) -> pa.Table:
    if not entries:
        return CELLS_SCHEMA.empty_table()
    where = {"day": sorted({day for day, _ in entries}), "as_of_key": sorted({key for _, key in entries})}
    parts = [part + more for part in _PARTS[walk.spec.monitor.task] for more in _LAYERS]
    asked = pc.field("subject").isin([SCORE, "label"]) & pc.field("part").isin(parts)
    names = [*CELLS_SCHEMA.names, "as_of_key"]
    rows = walk.lake.dataset(walk.model, STATISTICS_LAYOUT, where=where).to_table(names, filter=asked)
    both = pc.binary_join_element_wise(rows.column("day"), rows.column("as_of_key"), "|")
    number = pc.index_in(both, pa.array(["|".join(entry) for entry in entries]))
    dates = pa.array([(_FIRST + timedelta(days=at)).isoformat() for at in range(len(entries))])
    numbered = rows.set_column(rows.column_names.index("day"), "day", dates.take(number.combine_chunks()))
    return numbered.filter(pc.is_valid(number)).select(CELLS_SCHEMA.names)


def calibrated_anew(
    spec: ModelSpec,
    changed: Collection[date],
    known: Mapping[date, datetime],
    as_of: datetime,
    spans: Iterable[tuple[Span, datetime]],
) -> set[Span]:
    """Windows whose cohort holds a changed day as it is known now.

    A day that was counted after a window's own knowledge time is no news to it: what could be estimated then
    stays what it was.

    Parameters
    ----------
    known
        When the statistics of each day were known.
    spans
        Windows with their knowledge time.
    """
    windows, days, horizon = estimated_windows(spec), set(changed), spec.monitor.labels.horizon
    return {
        span
        for span, moment in spans
        if span.window in windows
        and any(day in days and known.get(day, as_of) <= moment for day in _before(span, moment, horizon))
    }
