"""The tables that steps hand rows over in, derived from a model's contracts.

Columns of the contract, plus what each step adds. How tables are stored is the store's business.
"""

from collections.abc import Mapping

import pyarrow as pa

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import Column
from mlobs_pipelines.engine.cells import CELLS_SCHEMA, SORT_BY
from mlobs_pipelines.engine.groups import WEIGHT
from mlobs_pipelines.engine.label_sources import SOURCE
from mlobs_pipelines.steps.privacy import TYPES, stored_type
from mlobs_pipelines.store.layout import TableLayout

UTC_TIME = pa.timestamp("us", tz="UTC")
DAY = pa.field("day", pa.string())
ORIGIN = list(
    pa.schema([("delivered_on", pa.string()), ("delivery", pa.string()), ("delivery_row", pa.int64())])
)
DECISIONS: Mapping[str, pa.DataType | None] = {
    "binary": pa.bool_(),
    "multiclass": pa.string(),
    "regression": None,
}
LABELS: Mapping[str, pa.DataType] = {
    "binary": pa.int64(),
    "multiclass": pa.string(),
    "regression": pa.float64(),
}
BASELINE_LAYOUT = TableLayout("baseline", CELLS_SCHEMA, ("model_version",), SORT_BY)
BASELINE_FEATURES = TableLayout(
    "baseline_features",
    pa.schema(
        [
            ("model_version", pa.string()),
            ("feature", pa.string()),
            ("kind", pa.string()),
            ("location", pa.float64()),
            ("scale", pa.float64()),
            ("atoms", pa.list_(pa.float64())),
            ("edges", pa.list_(pa.int32())),
            ("categories", pa.list_(pa.string())),
            ("importance", pa.float64()),
            ("baseline_id", pa.string()),
        ]
    ),
    ("model_version",),
    ("feature",),
)
STATISTICS_LAYOUT = TableLayout(
    "statistics",
    pa.schema([*CELLS_SCHEMA, ("as_of", UTC_TIME), ("as_of_key", pa.string())]),
    ("day", "as_of_key"),
    SORT_BY,
)
LABELS_USED = TableLayout(
    "labels_used",
    pa.schema(
        [
            ("month", pa.string()),
            ("day", pa.string()),
            ("arrived_day", pa.string()),
            ("digest", pa.string()),
            ("as_of", pa.string()),
            ("labels_version", pa.int64()),
            ("log_files", pa.string()),
        ]
    ),
    ("month",),
    ("day", "arrived_day"),
    volatile=("labels_version", "log_files"),
)


def predictions_layout(spec: ModelSpec) -> TableLayout:
    """Predictions as ingested."""
    schema = pa.schema([*_schema(_columns(spec, "predictions")), *_weight(spec), *ORIGIN])
    return TableLayout("predictions", schema, ("day",), ("prediction_id", "model_version"))


def labels_layout(spec: ModelSpec) -> TableLayout:
    """Labels as ingested, by day of arrival."""
    schema = pa.schema([*_schema(_columns(spec, "labels")), *ORIGIN])
    return TableLayout("labels", schema, ("day",), ("prediction_id", "arrived_at"))


def features_layout(spec: ModelSpec) -> TableLayout:
    """Rows of every feature view in one table; columns of other views are null."""
    columns = _columns(spec, "features")
    schema = pa.schema([DAY, ("view", pa.string()), *_fields(columns), *ORIGIN])
    times = {view.event_time: None for view in spec.monitor.feature_views.values()}
    return TableLayout("features", schema, ("day",), ("view", *times))


def repeats_layout(source: TableLayout) -> TableLayout:
    """Rows of a table that another row of their day has said before, and why each stands back."""
    schema = pa.schema([*source.schema, ("reason", pa.string())])
    return TableLayout(f"{source.name}_repeats", schema, source.keys, source.sort_by)


def snapshots_layout(spec: ModelSpec) -> TableLayout:
    """Features as known at each prediction, with age and miss reason per view."""
    contract = {column.name: column for column in _columns(spec, "features")}
    fields = [DAY, ("prediction_id", pa.string()), ("predicted_at", UTC_TIME)]
    for view in spec.monitor.feature_views:
        served = [item.name for item in spec.monitor.features if item.view == view]
        fields += [(name, TYPES[contract[name].kind]) for name in served]
        fields += [(f"{view}__age_s", pa.float64()), (f"{view}__miss", pa.string())]
    return TableLayout("feature_snapshots", pa.schema(fields), ("day",), ("prediction_id",))


def log_layout(spec: ModelSpec) -> TableLayout:
    """Predictions of known versions, with what each led to: yes or no, or a class; nothing for a number."""
    columns, kind = _columns(spec, "predictions"), DECISIONS[spec.monitor.task]
    decision = [] if kind is None else [pa.field("decision", kind)]
    schema = pa.schema([*_schema(columns), *_weight(spec), *decision])
    return TableLayout("prediction_log", schema, ("day",), ("prediction_id", "model_version"))


def labelled_layout(spec: ModelSpec) -> TableLayout:
    """Predictions with the label known as of a moment."""
    contract = {column.name: column for column in _columns(spec, "predictions")}
    schema = pa.schema(
        [
            DAY,
            ("prediction_id", pa.string()),
            ("predicted_at", UTC_TIME),
            ("model_version", pa.string()),
            ("role", pa.string()),
            ("status", pa.string()),
            *((name, pa.float64()) for name in spec.monitor.score_columns),
            *((name, TYPES[contract[name].kind]) for name in spec.monitor.segments),
            ("label", LABELS[spec.monitor.task]),
            ("outcome", pa.string()),
            ("arrived_at", UTC_TIME),
            ("first_arrived_at", UTC_TIME),
            ("revisions", pa.int64()),
            ("conflict", pa.bool_()),
            ("early", pa.bool_()),
            ("state", pa.string()),
            ("lag_s", pa.float64()),
            ("age_s", pa.float64()),
            ("said_labels", pa.list_(LABELS[spec.monitor.task])),
            ("said_lags_s", pa.list_(pa.float64())),
            *_source(spec),
            ("as_of", UTC_TIME),
            *_weight(spec),
        ]
    )
    return TableLayout("labelled_predictions", schema, ("day",), ("prediction_id", "model_version"))


def _columns(spec: ModelSpec, dataset: str) -> list[Column]:
    contract = {"predictions": spec.predictions, "features": spec.features, "labels": spec.labels}[dataset]
    distinct = {column.name: column for table in contract.tables for column in table.columns}
    return list(distinct.values())


def _source(spec: ModelSpec) -> list[pa.Field]:
    """Where labels come from, if their contract says so."""
    known = [column for column in _columns(spec, "labels") if column.name == SOURCE]
    return [pa.field(SOURCE, pa.string()) for column in known if column.kind == "string"]


def _weight(spec: ModelSpec) -> list[pa.Field]:
    return [] if spec.monitor.sampling is None else [pa.field(WEIGHT, pa.float64())]


def _fields(columns: list[Column]) -> list[pa.Field]:
    kept = {column.name: stored_type(column) for column in columns}
    return [pa.field(name, kind) for name, kind in kept.items() if kind is not None]


def _schema(columns: list[Column]) -> pa.Schema:
    return pa.schema([DAY, *_fields(columns)])
