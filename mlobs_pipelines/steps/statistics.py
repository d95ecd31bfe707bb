"""Statistics: one pass over a day's rows into mergeable counts; after it no metric reads a row again.

Which rows of the lake these are is said here, how they are read and counted is the engine's business. Turning
counts into metrics is the metrics step.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import pyarrow as pa

from mlobs_pipelines.engine.engines import DayRows
from mlobs_pipelines.engine.folding import Segment
from mlobs_pipelines.engine.groups import WEIGHT
from mlobs_pipelines.engine.label_sources import SOURCE
from mlobs_pipelines.engine.requests import QUEUE_COLUMN
from mlobs_pipelines.engine.scan import RECOMPUTED, ScanPlan
from mlobs_pipelines.engine.stored import Stored
from mlobs_pipelines.steps.bins import load_baselines, scan_plan
from mlobs_pipelines.steps.labelled import KEY, Known, known, moments
from mlobs_pipelines.steps.layouts import STATISTICS_LAYOUT, labelled_layout, log_layout, snapshots_layout
from mlobs_pipelines.steps.segments import folded_rows, kept, note
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, chunks, published
from mlobs_pipelines.store.layout import TableLayout
from mlobs_pipelines.store.tables import as_of_key

HISTORY = ("early", "revisions", "conflict", "said_labels", "said_lags_s")
LOG_COLUMNS = ("day", KEY, "predicted_at", "model_version", "role", "status", "latency_ms", QUEUE_COLUMN)
LABEL_COLUMNS = (
    "day",
    KEY,
    "model_version",
    "role",
    "label",
    "state",
    "lag_s",
    "age_s",
    "as_of",
    *HISTORY,
    SOURCE,
)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What one day came to.

    Attributes
    ----------
    cells, rows
        Stored rows, and how many rows its log has.
    folded, full
        How many values of each segment were folded, and where there was no room for all.
    """

    cells: pa.Table
    rows: int
    folded: Mapping[str, int]
    full: Collection[Segment]

    def facts(self) -> dict[str, Evidence]:
        """What was folded, for people."""
        if not self.folded:
            return {}
        rows = sum(folded_rows(self.cells).values())
        return {"segment_values_folded": sum(self.folded.values()), "segment_rows_folded": rows}


def measure(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Count each day's prediction log, feature skew and labels per version and segment.

    Returns
    -------
    dict of date to Outcome

    Raises
    ------
    BaselineError
        If a declared version's baseline has not been measured.
    """
    plan = replace(scan_plan(walk, load_baselines(walk)), kept=kept(walk))
    outcomes: Outcomes = {}
    for chunk in chunks("statistics", days, gaps=True):
        outcomes |= _measure_chunk(walk, plan, chunk)
    return outcomes


def _measure_chunk(walk: Walk, plan: ScanPlan, days: list[date]) -> Outcomes:
    looks = moments(walk, days)
    partitions = [(day.isoformat(), as_of_key(moment)) for day, moment in looks.items()]
    counted: dict[str, _Counted] = {}

    def compute() -> pa.Table:
        # Labels are read after the table's version was: a run that had more of them cannot be undone.
        labels, stamped = known(walk, looks), []
        for day, moment in looks.items():
            counted[day.isoformat()] = _count_day(walk, plan, labels, day.isoformat(), moment)
            stamped.append(_stamped(counted[day.isoformat()].cells, moment))
        return pa.concat_tables(stamped)

    versions = walk.lake.update(walk.model, STATISTICS_LAYOUT, partitions, compute, commit=walk.commit)
    sources = {
        layout.name: published(walk, layout, days)
        for layout in (log_layout(walk.spec), snapshots_layout(walk.spec), labelled_layout(walk.spec))
    }
    result = {}
    for day, (text, key) in zip(sorted(days), sorted(partitions), strict=True):
        inputs = {name: hashes[text] for name, hashes in sources.items() if text in hashes}
        version = versions[(text, key)]
        facts = {"as_of": key, **counted[text].facts()}
        said = note(counted[text].folded, walk.spec.monitor.segment_cap)
        result[day] = Outcome(counted[text].rows, version.rows, 0, version, inputs, facts, said)
    return result


def _count_day(walk: Walk, plan: ScanPlan, known_labels: Known, day: str, moment: datetime) -> _Counted:
    """Count a day, and once more where a segment has more new values than there is room for."""
    found = _counted(walk, plan, known_labels, day, moment)
    return _count_day(walk, plan.closed(found.full), known_labels, day, moment) if found.full else found


def _counted(walk: Walk, plan: ScanPlan, known_labels: Known, day: str, moment: datetime) -> _Counted:
    found = walk.engine.count(plan, _day_rows(walk, plan, known_labels, day, moment))
    cells = pa.concat_tables([found.log.finish(), found.labels.finish()])
    folding = found.log.folding
    return _Counted(cells, found.rows, folding.folded(), folding.full | found.labels.folding.full)


def _day_rows(walk: Walk, plan: ScanPlan, known_labels: Known, day: str, moment: datetime) -> DayRows:
    """The day's predictions with recomputed features, and with their labels."""
    names = {feature.name: RECOMPUTED + feature.name for feature in plan.features if feature.recomputed}
    served = (*(feature.name for feature in plan.features), *plan.attributions.values())
    # Nothing of a day is counted that was not known yet when its labels were joined.
    return DayRows(
        log=_stored(walk, log_layout(walk.spec), day, (*LOG_COLUMNS, *served, *_cut_by(plan))),
        snapshots=_stored(walk, snapshots_layout(walk.spec), day, ("day", KEY, *names)) if names else None,
        recomputed=names,
        labelled=known_labels.rows(day, (*LABEL_COLUMNS, *plan.scores.columns, *_cut_by(plan))),
        key=KEY,
        moment=moment,
    )


def _cut_by(plan: ScanPlan) -> tuple[str, ...]:
    return (*plan.segments, *(name for cross in plan.crosses for name in cross), WEIGHT)


def _stored(walk: Walk, layout: TableLayout, day: str, columns: Sequence[str]) -> Stored | None:
    if not walk.lake.exists(walk.model, layout.name):
        return None
    schema = pa.schema([field for field in layout.schema if field.name in columns])
    return Stored(walk.lake.dataset(walk.model, layout, where={"day": [day]}), schema)


def _stamped(cells: pa.Table, moment: datetime) -> pa.Table:
    schema, rows = STATISTICS_LAYOUT.schema, cells.num_rows
    at = pa.repeat(pa.scalar(moment, schema.field("as_of").type), rows)
    stamped = cells.append_column("as_of", at)
    return stamped.append_column("as_of_key", pa.repeat(as_of_key(moment), rows)).select(schema.names)
