"""One pass over a partition's rows into statistics: what is counted, and under which subject and part.

The parts are the contract between scanning and measuring; `core.summaries` says what each adds up to.
Counting features is `features`, the accumulators are `parts`, the stored form is `cells`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa

from mlobs_pipelines.core.buckets import Grid, score_codes
from mlobs_pipelines.engine.attributions import Attribution
from mlobs_pipelines.engine.cells import stored
from mlobs_pipelines.engine.class_lags import ClassLags
from mlobs_pipelines.engine.development import Development
from mlobs_pipelines.engine.features import (
    RECOMPUTED,
    SKEW_CODES,
    Feature,
    FeaturePlan,
    NumberPart,
    feature_of,
    floats,
)
from mlobs_pipelines.engine.folding import Folding, Kept, Segment
from mlobs_pipelines.engine.groups import Groups, Rows
from mlobs_pipelines.engine.hashing import numbered
from mlobs_pipelines.engine.label_sources import LabelSources
from mlobs_pipelines.engine.lags import STATE_CODES, Lags
from mlobs_pipelines.engine.pairs import pairs_of
from mlobs_pipelines.engine.parts import Counted, Part, merge_all
from mlobs_pipelines.engine.reading import BATCH_ROWS
from mlobs_pipelines.engine.requests import Requests
from mlobs_pipelines.engine.sample import RowSample
from mlobs_pipelines.engine.scores import CONFUSION_CODES, ERROR_CODES, RELIABILITY_BINS, ScorePlan, scores_of
from mlobs_pipelines.engine.threads import all_done

__all__ = [
    "CONFUSION_CODES",
    "ERROR_CODES",
    "RECOMPUTED",
    "RELIABILITY_BINS",
    "SKEW_CODES",
    "STATE_CODES",
    "FeaturePlan",
    "LabelScan",
    "LogScan",
    "ScanPlan",
    "ScorePlan",
    "TrainingScan",
    "batches",
    "floats",
    "scan_labels",
    "scan_log",
    "scan_training",
]


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """Everything a scan needs to know of a model.

    Attributes
    ----------
    features
        Features to count.
    segments
        Columns whose values get statistics of their own.
    thresholds
        Decision threshold per model version of a binary model.
    good_status, timeout_status
        Statuses of a request that went well, and of one that took too long; any other is an error.
    lag_unit_s
        Width of a lag bucket in seconds.
    horizons_s
        Maturities in seconds, ascending; the last is the label horizon.
    crosses
        Sets of columns whose values together get statistics of their own.
    classes, values
        Of models that are not binary, as in `ScorePlan`.
    attributions
        Column of each feature's attributions, where the rows have them.
    sample, sampled
        How many whole rows are kept per day, version and role, by the hash of ``prediction_id``, and which
        features of them.
    kept
        Values of segments that have statistics of their own; all, where a segment is not named.
    """

    features: tuple[FeaturePlan, ...]
    segments: tuple[str, ...]
    thresholds: Mapping[str, float]
    good_status: tuple[str, ...] = ("ok",)
    lag_unit_s: float = 3600.0
    horizons_s: tuple[float, ...] = field(default=(7 * 86400.0,))
    crosses: tuple[tuple[str, ...], ...] = ()
    timeout_status: tuple[str, ...] = ("timeout",)
    classes: Mapping[str, str] = field(default_factory=dict)
    values: Grid | None = None
    attributions: Mapping[str, str] = field(default_factory=dict)
    sample: int = 0
    sampled: tuple[str, ...] = ()
    kept: Mapping[Segment, Kept] = field(default_factory=dict)

    @property
    def scores(self) -> ScorePlan:
        """What the model's scores are."""
        return ScorePlan(self.thresholds, self.classes, self.values)

    def closed(self, full: Collection[Segment]) -> "ScanPlan":
        """The same with no room for other values than those kept in some segments."""
        return replace(self, kept={**self.kept, **{key: replace(self.kept[key], room=0) for key in full}})

    def row_samples(self) -> list[RowSample]:
        """What keeps whole rows, if any are kept."""
        features = [feature for feature in self.features if feature.name in self.sampled]
        return [RowSample(features, self.sample)] if self.sample and features else []


def scan_log(log: pa.Table, plan: ScanPlan) -> pa.Table:
    """Count features, skew and operations of prediction-log rows; see `LogScan`."""
    return _whole(LogScan(plan), log)


def scan_labels(labelled: pa.Table, plan: ScanPlan) -> pa.Table:
    """Count scores by label, and how far labels have come, of labelled rows; see `LabelScan`."""
    return _whole(LabelScan(plan), labelled)


def scan_training(rows: pa.Table, plan: ScanPlan) -> pa.Table:
    """Count features and scores of a training set; see `TrainingScan`."""
    return _whole(TrainingScan(plan), rows)


def _whole(scan: "LogScan | LabelScan | TrainingScan", table: pa.Table) -> pa.Table:
    for batch in batches(table):
        scan.add(batch)
    return scan.finish()


def batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """Cut a table into batches of a size that scans like, without copying where it can be helped."""
    if (
        table.num_rows
        and max(column.num_chunks for column in table.columns) > 1 + table.num_rows // BATCH_ROWS
    ):
        table = table.combine_chunks()
    yield from table.to_batches(max_chunksize=BATCH_ROWS)


class LogScan:
    """Counts features, skew and operations of prediction-log rows.

    Batches hold ``day``, ``model_version``, ``role``, ``status``, ``latency_ms``, segments, served features
    and, where they exist, ``queue_ms``, recomputed ones (``pit__<feature>``) and ``sample_weight``: for how
    many rows each stands. How rows are ordered and cut into batches changes last digits of sums, and nothing
    else.
    """

    def __init__(self, plan: ScanPlan) -> None:
        self._groups = Groups(plan.segments, plan.crosses, plan.kept)
        cuts = self._groups.cuts
        self._features = _features(cuts, plan)
        self._requests = Requests(cuts, plan.good_status, plan.timeout_status)
        self._samples = plan.row_samples()

    def add(self, batch: Rows) -> None:
        """Count a batch."""
        rows = self._groups.assign(batch)
        all_done([partial(part.add, rows, batch) for part in self._parts], batch.num_rows)

    @property
    def _parts(self) -> list[Feature | Attribution | Requests | RowSample]:
        return [*self._features, self._requests, *self._samples]

    @property
    def folding(self) -> Folding:
        """Which values of segments were folded."""
        return self._groups.folding

    def merge(self, other: "LogScan") -> None:
        """Add what another scan of the same plan has counted; it is used up."""
        merge_all(self._parts, other._parts, self._groups.merge(other._groups))

    def finish(self) -> pa.Table:
        """Rows of ``CELLS_SCHEMA``."""
        return stored(self._groups, _all(self._parts, self._groups))


def _features(cuts: int, plan: ScanPlan) -> list[Feature | Attribution]:
    """What counts the planned features, and their attributions."""
    features = [feature_of(cuts, feature) for feature in plan.features]
    return [*features, *(Attribution(cuts, *named) for named in plan.attributions.items())]


def _all(
    parts: Sequence[
        Feature | Attribution | NumberPart | Part | Requests | RowSample | Development | LabelSources
    ],
    groups: Groups,
) -> Iterator[Counted]:
    for part in parts:
        yield from part.counted(groups)


class LabelScan:
    """Counts scores by label, and how far labels have come, of labelled prediction rows.

    Batches hold ``day``, ``model_version``, ``role``, ``score`` or a column per class, ``label``, ``state``,
    ``lag_s``, ``age_s``, segments and, where rows were sampled, ``sample_weight``. Rows without a score are
    left out. Labels may have a ``source``; rows whose label changed may have ``said_labels`` and
    ``said_lags_s``: see `Development`. Rows beside which the champion's score stands
    (`champions.beside_champion`) are counted as pairs too.
    """

    def __init__(self, plan: ScanPlan) -> None:
        self._plan, self._groups = plan, Groups(plan.segments, plan.crosses, plan.kept)
        cuts = self._groups.cuts
        self._scores, self._lags = scores_of(cuts, plan.scores), Lags(cuts, plan.lag_unit_s, plan.horizons_s)
        self._class_lags = ClassLags(cuts, plan.scores, plan.lag_unit_s, plan.horizons_s[-1])
        self._development = Development(plan.scores, plan.horizons_s)
        self._sources = LabelSources(cuts, plan.scores)
        self._pairs = pairs_of(self._groups, plan.scores)

    def add(self, batch: Rows) -> None:
        """Count a batch."""
        scored = _complete(batch, self._plan.scores.columns)
        rows = self._groups.assign(scored)
        counting = (self._scores, self._lags, self._class_lags, self._development, self._sources)
        works = [partial(part.add, rows, scored) for part in counting]
        all_done([*works, partial(self._pairs.add, scored)], scored.num_rows)

    @property
    def folding(self) -> Folding:
        """Which values of segments were folded."""
        return self._groups.folding

    @property
    def _parts(self) -> list[NumberPart | Part | Development]:
        labels = [*self._lags.parts, *self._class_lags.parts, self._development, self._sources]
        return [*self._scores.parts, *labels, *self._pairs.parts]

    def merge(self, other: "LabelScan") -> None:
        """Add what another scan of the same plan has counted; it is used up."""
        merge_all(self._parts, other._parts, self._groups.merge(other._groups))

    def finish(self) -> pa.Table:
        """Rows of ``CELLS_SCHEMA``."""
        return stored(self._groups, _all(self._parts, self._groups))


def _complete(batch: Rows, columns: Sequence[str]) -> Rows:
    """Rows without a null in any of the columns."""
    for name in columns:
        column = batch.column(name)
        batch = batch.filter(column.is_valid()) if column.null_count else batch
    return batch


class TrainingScan:
    """Counts features of a training set, rows as of a prediction log, and the ``score`` of a binary model.

    Other scores are counted as those of days are: see `LabelScan`.
    Its sample goes by the place of a row in the file, which need not have ids.
    """

    def __init__(self, plan: ScanPlan) -> None:
        self._groups = Groups(plan.segments, plan.crosses, plan.kept)
        self._features = _features(self._groups.cuts, plan)
        self._scores = [Part(self._groups.cuts, "score", "cells")] if plan.scores.binary else []
        self._samples, self._seen = plan.row_samples(), 0

    def add(self, batch: Rows) -> None:
        """Count a batch."""
        rows = self._groups.assign(batch)
        all_done([partial(feature.add, rows, batch) for feature in self._features], batch.num_rows)
        for part in self._scores:
            part.add(rows, score_codes(floats(batch.column("score"))))
        for sample in self._samples:
            sample.add(rows, batch, numbered(self._seen, batch.num_rows))
        self._seen += batch.num_rows

    @property
    def folding(self) -> Folding:
        """Which values of segments were folded."""
        return self._groups.folding

    def finish(self) -> pa.Table:
        """Rows of ``CELLS_SCHEMA``."""
        return stored(self._groups, _all([*self._features, *self._scores, *self._samples], self._groups))
