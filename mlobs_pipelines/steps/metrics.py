"""Metrics: every window that holds a changed day, from stored statistics to judged rows of the metric store.

No row of a prediction is read here. What a metric is, is `core.metrics`; what a verdict is, `core.verdicts`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.core.vocabulary import Window
from mlobs_pipelines.core.windows import Span, month_of, spans_ending, spans_touching
from mlobs_pipelines.steps.bins import Baseline, load_baselines
from mlobs_pipelines.steps.layouts import BASELINE_LAYOUT, STATISTICS_LAYOUT
from mlobs_pipelines.steps.scoring import Scope, score_version
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, report
from mlobs_pipelines.store.lake import Between
from mlobs_pipelines.store.tables import METRICS, as_of_key

ENDS_PER_BATCH = 62
STEP = "metrics"


_Known = Mapping[date, datetime]


def score(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Compute and judge the metrics of every window that holds one of `days`.

    Windows that end after the last of `days` are among them where their last day has statistics, so the
    metric store does not depend on the order in which days were run.

    Returns
    -------
    dict of date to Outcome
        For `days`, and for every other day whose windows were scored again.

    Raises
    ------
    BaselineError
        If a declared version's baseline has not been measured.
    """
    baselines = load_baselines(walk)
    outcomes: Outcomes = {}
    known = _known(walk)
    spans = spans_touching(set(days), set(known), walk.spec.monitor.windows)
    ends = sorted({span.last for span in spans} | set(days) | {month_of(day).last for day in days})
    report(STEP, 0, len(ends))
    for start in range(0, len(ends), ENDS_PER_BATCH):
        batch = ends[start : start + ENDS_PER_BATCH]
        chosen = [span for span in spans if batch[0] <= span.last <= batch[-1]]
        outcomes |= _score_batch(walk, baselines, chosen, batch)
        report(STEP, start + len(batch), len(ends))
    return outcomes


def _known(walk: Walk) -> _Known:
    """The latest statistics of each day that are not newer than the run's knowledge time."""
    if not walk.lake.exists(walk.model, STATISTICS_LAYOUT.name):
        return {}
    latest: dict[str, str] = {}
    for day, key in walk.lake.partitions(walk.model, STATISTICS_LAYOUT.name):
        if key <= as_of_key(walk.as_of):
            latest[day] = max(key, latest.get(day, ""))
    return {date.fromisoformat(day): datetime.strptime(key, "%Y%m%dT%H%M%S%z") for day, key in latest.items()}


def _score_batch(
    walk: Walk, baselines: Mapping[str, Baseline], spans: list[Span], ends: list[date]
) -> Outcomes:
    """Score spans that end in one stretch of days, in one commit."""
    known = _known(walk)
    moments = {span: _moment(known, span) for span in spans}
    partitions = {(span.last.isoformat(), as_of_key(moments[span])) for span in spans}
    partitions |= {
        (day.isoformat(), as_of_key(walk.as_of)) for day in ends if day not in {s.last for s in spans}
    }

    def compute() -> pa.Table:
        replaced = {_key(span, moment) for span, moment in moments.items()} | _lapsed(walk, known, ends)
        fresh = _scored(walk, baselines, spans, moments)
        return pa.concat_tables([fresh, _others(walk, partitions, replaced)])

    versions = walk.lake.update(walk.model, METRICS, sorted(partitions), compute, commit=walk.commit)
    result: Outcomes = {}
    for (day, key), version in sorted(versions.items()):
        result[date.fromisoformat(day)] = Outcome(0, version.rows, 0, version, {}, {"as_of": key})
    return result


def _moment(known: _Known, span: Span) -> datetime:
    return max(known[day] for day in span.days if day in known)


def _key(span: Span, moment: datetime) -> str:
    return "|".join([span.last.isoformat(), as_of_key(moment), str(span.window)])


def _lapsed(walk: Walk, known: _Known, ends: Sequence[date]) -> set[str]:
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


def _scored(
    walk: Walk, baselines: Mapping[str, Baseline], spans: list[Span], moments: Mapping[Span, datetime]
) -> pa.Table:
    if not spans:
        return METRICS.empty()
    rows, hashes = _statistics(walk, spans)
    base = walk.lake.read(walk.model, BASELINE_LAYOUT)
    tables = [METRICS.empty()]
    for version in sorted(set(rows.column("model_version").to_pylist()) & set(baselines)):
        scope = Scope(
            walk.spec,
            version,
            baselines[version],
            tuple(spans),
            tuple(moments[span] for span in spans),
            tuple(_fingerprint(span, hashes) for span in spans),
            walk.commit.get("run_id", ""),
        )
        mine, theirs = (t.filter(pc.equal(t.column("model_version"), version)) for t in (rows, base))
        tables.append(score_version(scope, mine, theirs))
    return pa.concat_tables(tables)


def _statistics(walk: Walk, spans: list[Span]) -> tuple[pa.Table, dict[date, str]]:
    known = _known(walk)
    first, last = min(span.start for span in spans), max(span.last for span in spans)
    where = {"day": Between(first.isoformat(), last.isoformat())}
    rows = walk.lake.read(walk.model, STATISTICS_LAYOUT, where=where)
    versions = walk.lake.partition_versions(walk.model, STATISTICS_LAYOUT.name, where=where)
    latest = {(day.isoformat(), as_of_key(moment)) for day, moment in known.items()}
    keys = pc.binary_join_element_wise(rows.column("day"), rows.column("as_of_key"), "|")
    rows = rows.filter(pc.is_in(keys, pa.array([f"{day}|{key}" for day, key in latest])))
    return rows, {date.fromisoformat(key[0]): v.content_hash for key, v in versions.items() if key in latest}


def _fingerprint(span: Span, hashes: Mapping[date, str]) -> str:
    """Short hash of the statistics a window was computed from, to recompute it or to see it unchanged."""
    parts = [f"{day.isoformat()}={hashes[day]}" for day in span.days if day in hashes]
    return f"statistics:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}:{len(parts)}d"
