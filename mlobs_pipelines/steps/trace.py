"""Trace: the journey of one prediction through every table, as stages in the order of the walk.

What a stage says are names, counts, ages and states; values of the row only where they are asked for.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlobs_pipelines.contracts.odcs import Privacy
from mlobs_pipelines.engine.features import SAME
from mlobs_pipelines.steps.holds import held
from mlobs_pipelines.steps.layouts import (
    labelled_layout,
    labels_layout,
    log_layout,
    predictions_layout,
    repeats_layout,
    snapshots_layout,
)
from mlobs_pipelines.steps.privacy import hash_text
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.commits import Commits
from mlobs_pipelines.store.layout import TableLayout
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import DELIVERIES, QUARANTINE, SAMPLED_OUT

ID = "prediction_id"
LONGEST = timedelta(days=31)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that happened to a prediction, or to its label.

    Attributes
    ----------
    name
        delivered, repeated, quarantined, sampled out, held back, logged, snapshot, label, joined or counted.
    version
        The model version; "" where it is about none.
    at
        When, as far as the row tells.
    what
        In words.
    table, day
        Where it is written down.
    facts
        More that plain JSON can hold.
    """

    name: str
    version: str
    at: str
    what: str
    table: str
    day: str
    facts: Mapping[str, Any]


class _Tables:
    """Rows of one prediction, by table."""

    def __init__(self, walk: Walk, given: str) -> None:
        self.walk = walk
        self.names = _stored_ids(walk, given)

    def rows(self, layout: TableLayout, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Those of a table with a column of ids, in a fixed order."""
        if not self.walk.lake.exists(self.walk.model, layout.name):
            return []
        mine = pc.is_in(pc.field(ID), pa.array(self.names))
        table = self.walk.lake.dataset(self.walk.model, layout).to_table(columns=columns, filter=mine)
        found: list[dict[str, Any]] = table.to_pylist()
        return sorted(found, key=lambda row: (row.get("day", ""), str(row.get("model_version", ""))))


def _stored_ids(walk: Walk, given: str) -> list[str]:
    """The id as tables hold it: as it is, or hashed under the key in use and the one before."""
    if walk.spec.table("predictions").column(ID).privacy is not Privacy.HASH:
        return [given]
    keys = [key for key in (walk.keys.current, walk.keys.previous) if key is not None]
    return [given, *(hash_text(given, key) for key in keys)]


def trace(walk: Walk, prediction: str, *, values: bool = False) -> list[dict[str, Any]]:
    """Follow one prediction from its delivery to the windows it was counted in.

    Parameters
    ----------
    prediction
        Its id, as it was delivered or, where the contract has it hashed, as tables show it.
    values
        Whether to tell what is in the row: features, score and labels.

    Returns
    -------
    list of dict
        Stages in the order of the walk, each with the run and the version of its table; none for an id that
        no table knows.
    """
    tables, commits = _Tables(walk, prediction), dict[str, Commits]()
    found = []
    for stage in _stages(tables, values=values):
        known = commits.setdefault(stage.table, Commits.of(walk.lake, walk.model, stage.table))
        writer = known.writer(stage.day)
        where = {"table": stage.table, "day": stage.day, "run_id": writer.run_id if writer else ""}
        version = {"table_version": writer.table_version if writer else None}
        plain = {"stage": stage.name, "model_version": stage.version, "at": stage.at, "what": stage.what}
        found.append({**plain, **where, **version, **stage.facts})
    return found


def _stages(tables: _Tables, *, values: bool) -> Iterator[Stage]:
    delivered = tables.rows(predictions_layout(tables.walk.spec))
    yield from _delivered(tables, delivered)
    yield from _repeated(tables)
    yield from _quarantined(tables)
    for row in tables.rows(SAMPLED_OUT):
        what = f"left out by the sampling that the monitor declares, from {row['delivery']}"
        yield Stage("sampled out", "", "", what, SAMPLED_OUT.name, row["day"], {})
    yield from _held(tables, delivered)
    yield from _snapshots(tables, delivered, values=values)
    logged = tables.rows(log_layout(tables.walk.spec))
    yield from _logged(tables, logged, values=values)
    yield from _labels(tables, values=values)
    yield from _joined(tables, values=values)
    yield from _counted(tables, logged)


def _delivered(tables: _Tables, rows: Sequence[Row]) -> Iterator[Stage]:
    for row in rows:
        record = _record(tables.walk, "predictions", row["delivered_on"], row["delivery"])
        state = f", which was {record['state']} under contract {record['contract_version']}" if record else ""
        what = f"row {row['delivery_row']} of {row['delivery']}{state}"
        facts = {"delivery": row["delivery"], "sha256": record["sha256"][:12] if record else ""}
        at = row["predicted_at"].isoformat()
        yield Stage("delivered", row["model_version"], at, what, "predictions", row["day"], facts)


def _record(walk: Walk, dataset: str, day: str, delivery: str) -> Row | None:
    rows = walk.lake.read(walk.model, DELIVERIES, where={"dataset": dataset, "day": day}).to_pylist()
    return next((row for row in rows if row["delivery"] == delivery), None)


def _repeated(tables: _Tables) -> Iterator[Stage]:
    for layout in (predictions_layout(tables.walk.spec), labels_layout(tables.walk.spec)):
        again = repeats_layout(layout)
        for row in tables.rows(again):
            word = "says the same" if row["reason"] == "identical" else f"is {row['reason']}"
            what = f"row {row['delivery_row']} of {row['delivery']} {word}: it stands back"
            yield Stage("repeated", row.get("model_version", ""), "", what, again.name, row["day"], {})


def _quarantined(tables: _Tables) -> Iterator[Stage]:
    columns = ["dataset", "day", "delivery", "row_number", "rules", "released_at", "row_json"]
    if not tables.walk.lake.exists(tables.walk.model, QUARANTINE.name):
        return
    rows = tables.walk.lake.dataset(tables.walk.model, QUARANTINE)
    for name in tables.names:
        quoted = json.dumps(name, ensure_ascii=False)
        maybe = rows.to_table(columns=columns, filter=pc.match_substring(pc.field("row_json"), quoted))
        for row in maybe.to_pylist():
            if name in json.loads(row["row_json"]).values():
                gone = f"; released {row['released_at']:%Y-%m-%d}" if row["released_at"] else "; it waits"
                what = f"row {row['row_number']} of {row['delivery']} broke {', '.join(row['rules'])}{gone}"
                facts = {"dataset": row["dataset"], "rules": row["rules"]}
                yield Stage("quarantined", "", "", what, QUARANTINE.name, row["day"], facts)


def _held(tables: _Tables, rows: Sequence[Row]) -> Iterator[Stage]:
    for day in sorted({row["day"] for row in rows}):
        for text in held(tables.walk, "predictions", [date.fromisoformat(day)]).values():
            what = f"its day is held back by a rule: {text}"
            yield Stage("held back", "", "", what, "rule_results", day, {})


def _snapshots(tables: _Tables, delivered: Sequence[Row], *, values: bool) -> Iterator[Stage]:
    monitor = tables.walk.spec.monitor
    if not monitor.feature_views:
        return
    known = {row["day"]: row for row in tables.rows(snapshots_layout(tables.walk.spec))}
    for served in delivered:
        if (row := known.get(served["day"])) is None:
            continue
        features = [
            _feature(one.name, str(one.view), row, served, values=values)
            for one in monitor.features
            if one.view
        ]
        what = _summed(features, [_view(name, row) for name in monitor.feature_views])
        at, facts = row["predicted_at"].isoformat(), {"features": features}
        yield Stage("snapshot", served["model_version"], at, what, "feature_snapshots", row["day"], facts)


def _summed(features: Sequence[Row], ages: Sequence[str]) -> str:
    states = [one["state"] for one in features]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"{counts}; {', '.join(ages)}"


def _view(name: str, row: Row) -> str:
    miss, age = row[f"{name}__miss"], row[f"{name}__age_s"]
    return f"{name} missing ({miss})" if miss else f"{name} {timedelta(seconds=round(age or 0))} old"


def _feature(name: str, view: str, row: Row, served: Row, *, values: bool) -> dict[str, Any]:
    """Whether what was served is what was known: fresh, missing (both), skewed, not served, or not known."""
    known, given = row.get(name), served.get(name)
    state = _state(known, given)
    told = {"feature": name, "view": view, "state": state, "age_s": row[f"{view}__age_s"]}
    return {**told, "miss": row[f"{view}__miss"], **({"served": given, "known": known} if values else {})}


def _state(known: object, given: object) -> str:
    if known is None or given is None:
        return "missing" if known is given else "not known then" if known is None else "not served"
    if isinstance(known, str) or isinstance(given, str):
        return "fresh" if known == given else "skewed"
    ours, theirs = float(str(known)), float(str(given))
    return "fresh" if abs(ours - theirs) <= SAME * (abs(ours) + abs(theirs)) else "skewed"


def _logged(tables: _Tables, rows: Sequence[Row], *, values: bool) -> Iterator[Stage]:
    for row in rows:
        served = row.get("feature_set_version") or "unknown"
        what = f"as {row['role']}, status {row['status']}, feature set {served}"
        names = (*tables.walk.spec.monitor.score_columns, "decision", "latency_ms")
        facts = {name: row.get(name) for name in names} if values else {}
        at = row["predicted_at"].isoformat()
        yield Stage("logged", row["model_version"], at, what, "prediction_log", row["day"], facts)


def _labels(tables: _Tables, *, values: bool) -> Iterator[Stage]:
    rows = sorted(tables.rows(labels_layout(tables.walk.spec)), key=lambda row: str(row["arrived_at"]))
    for row in rows:
        revision = f"revision {row['revision']} " if row.get("revision") is not None else ""
        what = f"{revision}in row {row['delivery_row']} of {row['delivery']}"
        facts = {name: row.get(name) for name in ("label", "outcome")} if values else {}
        yield Stage("label", "", row["arrived_at"].isoformat(), what, "labels", row["day"], facts)


def _joined(tables: _Tables, *, values: bool) -> Iterator[Stage]:
    for row in tables.rows(labelled_layout(tables.walk.spec)):
        lag = f" after {timedelta(seconds=round(row['lag_s']))}" if row["lag_s"] is not None else ""
        more = [f"{row['revisions']} revisions"] if (row["revisions"] or 0) > 1 else []
        flags = [*more, *(name for name in ("early", "conflict") if row[name])]
        what = ", ".join([f"{row['state']}{lag}", *flags, f"as of {row['as_of']:%Y-%m-%d %H:%M}"])
        facts = {name: row.get(name) for name in ("label", "outcome")} if values else {}
        arrived = row["arrived_at"].isoformat() if row["arrived_at"] else ""
        name = labelled_layout(tables.walk.spec).name
        yield Stage("joined", row["model_version"], arrived, what, name, row["day"], facts)


def _counted(tables: _Tables, logged: Sequence[Row]) -> Iterator[Stage]:
    """Windows of the metric store that hold the prediction's day, by length."""
    for version, day in dict.fromkeys((row["model_version"], row["day"]) for row in logged):
        at = date.fromisoformat(day)
        rows = MetricStore(tables.walk.lake).query(
            tables.walk.model,
            metrics=["request_count"],
            versions=[version],
            segments=[""],
            first=at,
            last=at + LONGEST,
        )
        windows = [row for row in rows.to_pylist() if row["window_start"] <= at < row["window_end"]]
        for name in dict.fromkeys(row["window"] for row in windows):
            mine = [row for row in windows if row["window"] == name]
            ends = (min(row["day"] for row in mine), max(row["day"] for row in mine))
            several = f"{len(mine)}, that end {' to '.join(ends)}"
            span = f"the one that ends {ends[0]}" if len(mine) == 1 else several
            yield Stage("counted", version, "", f"windows of {name}: {span}", "metrics", ends[0], {})
