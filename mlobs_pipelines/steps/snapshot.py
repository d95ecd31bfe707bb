"""Snapshot: for each prediction, the features as they were known at its time, recomputed from feature tables.

The join's semantics are `engine.joins`; what was served stays in the prediction log, and their difference
is counted by the statistics step.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.engine.engines import Rows
from mlobs_pipelines.engine.joins import View
from mlobs_pipelines.engine.stored import Stored
from mlobs_pipelines.steps.holds import held, released
from mlobs_pipelines.steps.layouts import features_layout, predictions_layout, snapshots_layout
from mlobs_pipelines.steps.privacy import to_current
from mlobs_pipelines.steps.walk import Evidence, Outcome, Outcomes, Walk, chunks, keys, published, texts
from mlobs_pipelines.store.lake import PartitionVersion
from mlobs_pipelines.store.tables import HASH_ALIASES


def snapshot(walk: Walk, days: Sequence[date]) -> Outcomes:
    """Take the point-in-time feature snapshot of each prediction day.

    Returns
    -------
    dict of date to Outcome
        Facts hold, per view, the share of predictions that found a value.
    """
    outcomes: Outcomes = {}
    layout = snapshots_layout(walk.spec)
    for chunk in chunks("feature_snapshots", days):
        rows = _snapshot_rows(walk, chunk)
        versions = walk.lake.replace(walk.model, layout, keys(chunk), rows, commit=walk.commit)
        inputs = _inputs(walk, chunk)
        for day in chunk:
            today = rows.filter(pc.equal(rows.column("day"), day.isoformat()))
            outcomes[day] = _outcome(walk, today, versions[(day.isoformat(),)], inputs[day])
    return outcomes


def feature_reach_days(spec: ModelSpec) -> int:
    """How many days before a prediction its feature rows are looked for, over all views."""
    return max((-(-view.reach // timedelta(days=1)) for view in views(spec)), default=0)


def views(spec: ModelSpec) -> list[View]:
    """The model's feature views as the join needs them."""
    monitor = spec.monitor
    return [
        View(name, view.entity, view.ttl, tuple(f.name for f in monitor.features if f.view == name))
        for name, view in monitor.feature_views.items()
    ]


def _snapshot_rows(walk: Walk, days: list[date]) -> pa.Table:
    found = views(walk.spec)
    wanted = list(dict.fromkeys(["prediction_id", "predicted_at", "day", *(view.entity for view in found)]))
    source = predictions_layout(walk.spec)
    stored = walk.lake.read(walk.model, source, where={"day": texts(days)})
    stored = released(stored, held(walk, "predictions", days))
    predictions = _current(walk, _distinct(walk, stored, wanted))
    # A prediction asked again on another day is looked up on each, so rows are numbered for the join.
    numbered = predictions.set_column(0, "prediction_id", pa.array(range(predictions.num_rows), pa.int64()))
    columns = {name: predictions.column(name) for name in ("prediction_id", "predicted_at", "day")}
    for view in found:
        joined = walk.engine.point_in_time(numbered, view_rows(walk, view, days), view)
        columns |= {name: joined.column(name) for name in joined.column_names[1:]}
    layout = snapshots_layout(walk.spec)
    return pa.table({name: columns[name] for name in layout.schema.names}).cast(layout.schema)


def _distinct(walk: Walk, predictions: pa.Table, columns: list[str]) -> pa.Table:
    rest = ", ".join(f'min("{name}") AS "{name}"' for name in columns if name not in ("prediction_id", "day"))
    by = "day, prediction_id"
    sql = f"SELECT prediction_id, day, {rest} FROM predictions GROUP BY {by} ORDER BY {by}"  # noqa: S608 - contract names
    return walk.duck.query(sql, {"predictions": predictions})


def _current(walk: Walk, rows: pa.Table) -> pa.Table:
    """Rows whose identifiers are all hashed under one key, as far as a rotation has seen them."""
    entities = [view.entity for view in walk.spec.monitor.feature_views.values()]
    if not walk.lake.exists(walk.model, HASH_ALIASES.name):
        return rows
    pairs = pl.DataFrame(walk.lake.read(walk.model, HASH_ALIASES, columns=["column", "old", "new"]))
    return to_current(pl.DataFrame(rows), entities, pairs, walk.keys).to_arrow().cast(rows.schema)


def view_rows(walk: Walk, view: View, days: Sequence[date], beyond: int = 0) -> Rows:
    """The view's rows that predictions of the days may see: in their files, unless a rotation is undone.

    With `beyond` those of so many days after them too, which no prediction may see.
    """
    layout = features_layout(walk.spec)
    declared = walk.spec.monitor.feature_views[view.name]
    times = {declared.event_time: "observed_at", declared.created_at: "available_at"}
    columns = dict.fromkeys([view.entity, *times, *view.features])
    schema = pa.schema([layout.schema.field(name) for name in columns])
    if not walk.lake.exists(walk.model, layout.name):
        return schema.empty_table().rename_columns([times.get(name, name) for name in columns])
    where = {"day": _seen_days(walk, view, days, beyond)}
    rows = Stored(walk.lake.dataset(walk.model, layout, where=where), schema, {"view": view.name}, times)
    return _current(walk, rows.table()) if walk.lake.exists(walk.model, HASH_ALIASES.name) else rows


def _seen_days(walk: Walk, view: View, days: Sequence[date], beyond: int) -> list[str]:
    """Days that the view's rows may be of, without those that are held back."""
    first = min(days) - timedelta(days=-(-view.reach // timedelta(days=1)))
    last = max(days) + timedelta(days=beyond)
    away = held(walk, "features", [first, last])
    span = texts([first + timedelta(days=at) for at in range((last - first).days + 1)])
    return [day for day in span if day not in away]


def _inputs(walk: Walk, days: list[date]) -> dict[date, dict[str, str]]:
    predictions = published(walk, predictions_layout(walk.spec), days)
    reach = feature_reach_days(walk.spec)
    span = [min(days) - timedelta(days=reach) + timedelta(days=i) for i in range(len(days) + reach)]
    features = published(walk, features_layout(walk.spec), span)
    return {
        day: {
            **({"predictions": predictions[day.isoformat()]} if day.isoformat() in predictions else {}),
            **({"features": features[day.isoformat()]} if day.isoformat() in features else {}),
        }
        for day in days
    }


def _outcome(walk: Walk, rows: pa.Table, version: PartitionVersion, inputs: dict[str, str]) -> Outcome:
    facts: dict[str, Evidence] = {}
    for view in views(walk.spec):
        miss = rows.column(f"{view.name}__miss")
        facts[f"{view.name}_coverage"] = miss.null_count / len(miss) if len(miss) else None
        for reason in pc.value_counts(miss.drop_null()).to_pylist():
            facts[f"{view.name}_{reason['values']}"] = reason["counts"]
        facts[f"{view.name}_age_max_s"] = pc.max(rows.column(f"{view.name}__age_s")).as_py()
    return Outcome(rows.num_rows, rows.num_rows, 0, version, inputs, facts)
