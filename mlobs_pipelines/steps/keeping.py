"""How long each table of a model is kept: rows as their contracts promise, what was counted from them longer.

A table with rows of several datasets is kept as long as the one that goes first. Deleting is `retention`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS, Dataset
from mlobs_pipelines.core.windows import spans_ending
from mlobs_pipelines.steps.compared import days_before, fixed_days
from mlobs_pipelines.steps.references import FIXED_LAYOUT
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.retention import Rule
from mlobs_pipelines.store.tables import AUDIT, EXPIRED, INCIDENT_ACTIONS, METRICS

ROWS: Mapping[str, tuple[Dataset, ...]] = {
    **{name: (name,) for name in DATASETS},
    **{f"{name}_repeats": (name,) for name in DATASETS},
    "prediction_log": ("predictions",),
    "sampled_out": ("predictions",),
    "feature_snapshots": ("predictions", "features"),
    "labelled_predictions": ("predictions", "labels"),
}
BY_DATASET = ("quarantine", "hash_aliases")  # tables of all datasets, told apart by a column
ENDLESS = (AUDIT.name, EXPIRED.name, INCIDENT_ACTIONS.name, FIXED_LAYOUT.name)
_ROW_ID = "prediction_id"


@dataclass(frozen=True, slots=True)
class Keep:
    """What is not said by contracts.

    Attributes
    ----------
    now
        The moment that ages are counted from.
    statistics_days
        How long what has no rows is kept; None for ever.
    """

    now: datetime
    statistics_days: int | None = None

    def before(self, days: int | None) -> date | None:
        """First day that is kept."""
        return None if days is None else self.now.astimezone(UTC).date() - timedelta(days=days)


def rows_kept_days(spec: ModelSpec, datasets: Collection[Dataset]) -> int | None:
    """How long a table with rows of these datasets is kept: as long as the one that goes first."""
    declared = [spec.contract(dataset).retention_days for dataset in datasets]
    return min((days for days in declared if days is not None), default=None)


def rules(walk: Walk, keep: Keep) -> list[Rule]:
    """A rule for each table there is, several for those that hold more than one dataset; the audit last."""
    names = sorted(walk.lake.tables(walk.model), key=lambda name: (name in ENDLESS, name == AUDIT.name, name))
    return [rule for name in names for rule in _rules(walk, keep, name)]


def _rules(walk: Walk, keep: Keep, table: str) -> Iterator[Rule]:
    keys, columns = walk.lake.columns(walk.model, table)
    if table in BY_DATASET:
        for dataset in DATASETS:
            yield _of_rows(walk.spec, keep, table, (dataset,), dataset)
    elif table in ROWS:
        yield _of_rows(walk.spec, keep, table, ROWS[table])
    elif table in ENDLESS or "day" not in keys:
        yield Rule(table, None, "kept for ever: not by day, or a record of what was done")
    elif _ROW_ID in columns:
        yield _of_rows(walk.spec, keep, table, DATASETS)
    else:
        yield _of_counts(walk, keep, table)


def _of_rows(
    spec: ModelSpec, keep: Keep, table: str, datasets: Collection[Dataset], dataset: str = ""
) -> Rule:
    days, files = rows_kept_days(spec, datasets), " and ".join(f"{name}.odcs.yaml" for name in datasets)
    why = f"no retention in {files}" if days is None else f"retention of {days} days in {files}"
    return Rule(table, keep.before(days), why, dataset, days)


def _of_counts(walk: Walk, keep: Keep, table: str) -> Rule:
    days = keep.statistics_days
    if days is None:
        return Rule(table, None, "holds no rows: kept for ever unless MLOBS_RETENTION_STATISTICS_DAYS is set")
    declared = [walk.spec.contract(dataset).retention_days for dataset in DATASETS]
    if None in declared:
        return Rule(table, None, "outlives rows, which are kept for ever")
    kept = max(days, *(one for one in declared if one is not None))
    before, why = keep.before(kept), f"holds no rows: MLOBS_RETENTION_STATISTICS_DAYS, {kept} days with rows"
    if table == "statistics" and before is not None:
        before, why = _cited(walk, before), f"{why}; longer where a metric that is kept was computed from it"
    return Rule(table, before, why, kept_days=kept)


def _cited(walk: Walk, before: date) -> date:
    """The first day of statistics that a metric of a day from `before` on was computed from."""
    if not walk.lake.exists(walk.model, METRICS.name):
        return before
    monitor = walk.spec.monitor
    days = {date.fromisoformat(day) for day, _ in walk.lake.partitions(walk.model, METRICS.name)}
    spans = [span for day in days if day >= before for span in spans_ending(day, monitor.windows)]
    starts = [one.start for span in spans for one in (span, *days_before(monitor, span))]
    fixed = [one.start for one in fixed_days(monitor).values() if one.start]
    return min([before, *starts, *fixed])
