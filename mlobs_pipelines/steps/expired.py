"""Days whose rows have expired: steps leave them as they are, and say so, instead of finding nothing.

What was counted from their rows outlives them; computed again it would be nothing. Deleting is `retention`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.steps.keeping import ROWS, rows_kept_days
from mlobs_pipelines.steps.snapshot import feature_reach_days
from mlobs_pipelines.steps.walk import Outcome, Outcomes, Walk, texts
from mlobs_pipelines.store.content import content_hash
from mlobs_pipelines.store.lake import PartitionVersion
from mlobs_pipelines.store.layout import TableLayout
from mlobs_pipelines.store.retention import Expiry
from mlobs_pipelines.store.tables import EXPIRED

Step = Callable[[Walk, Sequence[date]], Outcomes]
_READS: Mapping[str, tuple[str, ...]] = {
    "prediction_log": ("predictions",),
    "feature_snapshots": ("predictions", "features"),
    "labelled_predictions": ("prediction_log", "labels"),
    "statistics": ("prediction_log", "feature_snapshots", "labelled_predictions"),
    "slo_status": ("metrics",),
    "incidents": ("metrics", *(f"{name}_repeats" for name in DATASETS)),
}


def mark(walk: Walk, expiries: Collection[Expiry], at: datetime) -> None:
    """Keep in the lake from which day on tables have rows, before the others are deleted."""
    marks = {row["table"]: row for row in _marks(walk)}
    before = dict(marks)
    for expiry in expiries:
        rule = expiry.rule
        known = marks.get(rule.table)
        if rule.before is None or rule.dataset or not expiry.first < rule.before.isoformat():
            continue
        if expiry.gone.partitions and (known is None or known["before"] < rule.before):
            facts = {"before": rule.before, "kept_days": rule.kept_days, "at": at}
            marks[rule.table] = {"table": rule.table, **facts}
    if marks != before:
        rows = pa.Table.from_pylist(list(marks.values()), schema=EXPIRED.schema)
        keys = [(name,) for name in marks]
        walk.lake.replace(walk.model, EXPIRED, keys, rows, commit=walk.commit)


def expired_before(walk: Walk) -> dict[str, date]:
    """By table, the first day that steps may still write; tables of which nothing expired are not there.

    A contract that promises more than it did when rows were deleted brings their days back: they can be
    delivered again.
    """
    found = {row["table"]: _limit(walk.spec, row) for row in _marks(walk)}
    own = {table: day for table, day in found.items() if day is not None}
    reach = {"features": _reach(walk.spec), "metrics": _period(walk.spec)}
    for table, read in _READS.items():
        days = [own[name] + reach.get(name, timedelta()) for name in read if name in own]
        if days:
            own[table] = max(own.get(table, days[0]), *days)
    return own


def living(walk: Walk, layout: TableLayout, step: Step, days: Sequence[date]) -> Outcomes:
    """Run a step for the days it may still write; the others come back as they are, with a note."""
    before = expired_before(walk).get(layout.name)
    gone = [day for day in days if before is not None and day < before]
    if before is None or not gone:
        return step(walk, days)
    alive = [day for day in days if day not in set(gone)]
    done = step(walk, alive) if alive else {}
    return {**_left(walk, layout, gone, note(walk, layout.name, before)), **done}


def told(walk: Walk, first: date, last: date) -> list[str]:
    """A sentence for each table of which days from `first` to `last` have expired."""
    found = expired_before(walk)
    reached = {table: before for table, before in found.items() if first < before}
    return [
        f"{table}: {first} to {min(last, before - timedelta(days=1))}: {note(walk, table, before)}"
        for table, before in sorted(reached.items())
    ]


def note(walk: Walk, table: str, before: date) -> str:
    """What to tell of days before `before`."""
    promises = [
        f"{name}.odcs.yaml keeps {walk.spec.contract(name).retention_days} days"
        for name in (ROWS.get(table) or DATASETS)
        if walk.spec.contract(name).retention_days is not None
    ]
    said = f" ({', '.join(promises)})" if promises else ""
    return (
        f"Expired: rows that days before {before} rest on were deleted{said}. The day is left as it is; what "
        "was counted from its rows is kept."
    )


def _reach(spec: ModelSpec) -> timedelta:
    """How far lookups of a day that is kept reach back to features that are gone.

    Features that are kept for less time than lookups reach back are missed by every lookup, from the start.
    """
    days, kept = feature_reach_days(spec), spec.features.retention_days
    return timedelta(days=days if kept is None or kept > days else 0)


def _period(spec: ModelSpec) -> timedelta:
    """How far error budgets reach back to metrics."""
    return timedelta(days=max((slo.objective.period_days - 1 for slo in spec.monitor.slos), default=0))


def _marks(walk: Walk) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = walk.lake.read(walk.model, EXPIRED).to_pylist()
    return rows


def _limit(spec: ModelSpec, row: Mapping[str, Any]) -> date | None:
    """The first day with rows, under what contracts promise now instead of when rows were deleted."""
    before: date = row["before"]
    if row["table"] not in ROWS:
        return before
    promised = rows_kept_days(spec, ROWS[row["table"]])
    if promised is None:
        return None
    return before - timedelta(days=max(0, promised - row["kept_days"]))


def _left(walk: Walk, layout: TableLayout, days: Sequence[date], said: str) -> Outcomes:
    """What is stored of some days: of several moments the latest."""
    stored: dict[str, PartitionVersion] = {}
    version = 0
    if walk.lake.exists(walk.model, layout.name):
        version = walk.lake.version(walk.model, layout.name)
        for key, one in walk.lake.partition_versions(
            walk.model, layout.name, where={"day": texts(days)}
        ).items():
            stored[key[0]] = max(one, stored.get(key[0], one), key=lambda found: found.key)
    nothing = content_hash(layout.empty(), ignore=layout.volatile)
    outcomes = {}
    for day in days:
        empty = PartitionVersion((day.isoformat(),), 0, 0, nothing, version)
        kept = stored.get(day.isoformat(), empty)
        outcomes[day] = Outcome(0, kept.rows, 0, kept, note=said)
    return outcomes
