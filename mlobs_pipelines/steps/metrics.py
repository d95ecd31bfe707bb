"""Metrics: every window that holds a changed day, from stored statistics to judged rows of the metric store.

No row of a prediction is read here. What a metric is, is `core.metrics`; what a verdict is, `core.verdicts`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span, month_of, spans_ending, spans_touching
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.steps.cohorts import calibrated_anew, read_cohorts
from mlobs_pipelines.steps.compared import (
    Compared,
    concerned,
    days_before,
    fixed_days,
    gathered,
    lined_up,
    outdated,
    windows_judged,
)
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT
from mlobs_pipelines.steps.lineup import Beside, Scope, of_baseline, of_champion
from mlobs_pipelines.steps.recounted import counted_otherwise, warning
from mlobs_pipelines.steps.scoring import score_version
from mlobs_pipelines.steps.stored import (
    Known,
    Statistics,
    known_days,
    later_moments,
    statistics_between,
)
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, report
from mlobs_pipelines.store.tables import METRICS, as_of_key

ENDS_PER_BATCH = 62
STEP = "metrics"


def score(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Compute and judge the metrics of every window that holds one of `days`.

    Windows that end after the last of `days` are among them where their last day has statistics, so the
    metric store does not depend on the order in which days were run. So are windows whose verdict or baseline
    depends on one of `days`, and every window that was compared with something else than is declared now.

    Where a later moment has been looked from already, its windows that rest on `days` are scored again too:
    what is known as of a moment does not depend on the order of the runs.

    Returns
    -------
    dict of date to Outcome
        For `days`, and for every other day whose windows were scored again.

    Raises
    ------
    BaselineError
        If a declared version's baseline has not been measured.
    """
    outcomes: Outcomes = {}
    # Later moments whose windows rest on these days too: they may have been scored before.
    for moment, some in later_moments(walk, days).items():
        outcomes |= _score_later(replace(walk, as_of=moment), sorted(some))
    return outcomes | _score(walk, days)


def _score_later(walk: Walk, days: Sequence[date]) -> Outcomes:
    given, known = _given(walk), known_days(walk)
    spans = [span for span in _chosen(walk, given, days, known) if _moment(walk, known, span) == walk.as_of]
    return _score_batches(walk, given, spans, sorted({span.last for span in spans}))


def _score(walk: Walk, days: Sequence[date]) -> Outcomes:
    given = _given(walk)
    spans = _chosen(walk, given, days, known_days(walk))
    ends = sorted({span.last for span in spans} | set(days) | {month_of(day).last for day in days})
    return _score_batches(walk, given, spans, ends)


def _score_batches(walk: Walk, given: Compared, spans: list[Span], ends: list[date]) -> Outcomes:
    outcomes: Outcomes = {}
    report(STEP, 0, len(ends))
    for start in range(0, len(ends), ENDS_PER_BATCH):
        batch = ends[start : start + ENDS_PER_BATCH]
        chosen = [span for span in spans if batch[0] <= span.last <= batch[-1]]
        outcomes |= _score_batch(walk, given, chosen, batch)
        report(STEP, start + len(batch), len(ends))
    return outcomes


def _given(walk: Walk) -> Compared:
    baselines = load_baselines(walk)
    fixed = [(c.start, c.end) for c in fixed_days(walk.spec.monitor).values() if c.start and c.end]
    days = (
        statistics_between(walk, min(first for first, _ in fixed), max(last for _, last in fixed))
        if fixed
        else None
    )
    return gathered(walk, baselines, days[0] if days else STATISTICS_LAYOUT.empty())


def _chosen(walk: Walk, given: Compared, days: Sequence[date], known: Known) -> list[Span]:
    """Windows to score, by last day, shorter ones first."""
    monitor = walk.spec.monitor
    every = spans_touching(set(known), set(known), monitor.windows)
    spans = set(spans_touching(set(days), set(known), monitor.windows)) | concerned(monitor, days, every)
    timed = [(span, _moment(walk, known, span)) for span in every]
    spans |= calibrated_anew(walk.spec, days, known, walk.as_of, timed)
    stored = {(span.last.isoformat(), as_of_key(moment), str(span.window)): span for span, moment in timed}
    spans |= outdated(walk, given, stored)
    return sorted(spans, key=lambda span: (span.end, span.needed, span.window))


def _score_batch(walk: Walk, given: Compared, spans: list[Span], ends: list[date]) -> Outcomes:
    """Score spans that end in one stretch of days, in one commit."""
    known = known_days(walk)
    moments = {span: _moment(walk, known, span) for span in spans}
    partitions = {(span.last.isoformat(), as_of_key(moments[span])) for span in spans}
    partitions |= {
        (day.isoformat(), as_of_key(walk.as_of)) for day in ends if day not in {s.last for s in spans}
    }

    told: list[date] = []

    def compute() -> pa.Table:
        replaced = {_key(span, moment) for span, moment in moments.items()} | _lapsed(walk, known, ends)
        fresh, told[:] = _scored(walk, given, spans)
        return pa.concat_tables([fresh, _others(walk, partitions, replaced)])

    versions = walk.lake.update(walk.model, METRICS, sorted(partitions), compute, commit=walk.commit)
    result, note = Outcomes(), warning(walk.spec.monitor, told)
    for (day, key), version in sorted(versions.items()):
        result[date.fromisoformat(day)] = Outcome(0, version.rows, 0, version, {}, {"as_of": key}, note)
    return result


def _moment(walk: Walk, known: Known, span: Span) -> datetime:
    """When the newest of what a window's rows rest on was known."""
    rests = [span, *days_before(walk.spec.monitor, span)]
    found = [known[day] for one in rests for day in one.days if day in known]
    return max(found, default=walk.as_of)


def _key(span: Span, moment: datetime) -> str:
    return "|".join([span.last.isoformat(), as_of_key(moment), str(span.window)])


def _lapsed(walk: Walk, known: Known, ends: Sequence[date]) -> set[str]:
    """What this moment may have said of windows that are not due any more: their days were withdrawn."""
    spans = [span for day in ends for span in spans_ending(day, walk.spec.monitor.windows)]
    return {_key(span, walk.as_of) for span in spans if not _due(span, known)}


def _due(span: Span, known: Mapping[date, datetime]) -> bool:
    return span.last in known or (span.window is Window.MONTH and span.present(known.keys()) > 0)


def _others(walk: Walk, partitions: set[tuple[str, str]], replaced: set[str]) -> pa.Table:
    """Rows of the same partitions about windows that are not scored now: an earlier moment's history."""
    stored = walk.lake.read(walk.model, METRICS, where={"day": sorted({day for day, _ in partitions})})
    parts, keys = (
        pc.binary_join_element_wise(*(stored.column(name) for name in names), "|")
        for names in (("day", "as_of_key"), ("day", "as_of_key", "window"))
    )
    mine = pc.is_in(parts, pa.array([f"{day}|{key}" for day, key in partitions]))
    return stored.filter(pc.and_(mine, pc.invert(pc.is_in(keys, pa.array(sorted(replaced), pa.string())))))


def _scored(walk: Walk, given: Compared, spans: list[Span]) -> tuple[pa.Table, list[date]]:
    """Rows of some windows, and days under them that were counted for other label maturities."""
    if not spans:
        return METRICS.empty(), []
    monitor, known = walk.spec.monitor, known_days(walk)
    before = {earlier for span in spans for earlier in windows_judged(monitor, span)}
    every = tuple(sorted({*spans, *before}, key=lambda span: (span.end, span.needed, span.window)))
    rests = [one for span in every for one in (span, *days_before(monitor, span))]
    statistics = statistics_between(walk, min(one.start for one in rests), max(one.last for one in rests))
    wanted, moments = set(spans), tuple(_moment(walk, known, span) for span in every)
    scope = Scope(
        walk.spec,
        every,
        np.array([span in wanted for span in every]),
        moments,
        tuple(_fingerprint(span, statistics[1]) for span in every),
        walk.commit.get("run_id", ""),
        read_cohorts(walk, every, moments),
    )
    return _judged(scope, given, statistics), counted_otherwise(statistics[0], monitor.labels.horizons, known)


def _judged(scope: Scope, given: Compared, statistics: Statistics) -> pa.Table:
    versions, monitor = lined_up(scope, given, statistics), scope.spec.monitor
    named = {
        to: {objective.metric for objective in monitor.objectives if objective.relative_to == to}
        for to in ("baseline", "champion")
    }
    champions = of_champion(scope.spec, versions, named["champion"])
    tables = [METRICS.empty()]
    for version in versions:
        baseline = of_baseline(scope.spec, version, named["baseline"])
        tables.append(score_version(scope, version, Beside(baseline, champions.get(version.name, {}))))
    return pa.concat_tables(tables)


def _fingerprint(span: Span, hashes: Mapping[date, str]) -> Mapping[str, object]:
    """Short hash of the statistics a window was computed from, to recompute it or to see it unchanged."""
    parts = [f"{day.isoformat()}={hashes[day]}" for day in span.days if day in hashes]
    text = hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
    return {"statistics": text, "days": len(parts)}
