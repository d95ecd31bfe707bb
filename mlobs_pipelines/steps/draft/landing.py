"""Rows of samples brought into the form that the draft's contracts promise, in the landing zone, day by day.

What column is what is kept beside the contracts, so that later files of the same form can be landed too.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from mlobs_pipelines.steps.draft.plan import Plan
from mlobs_pipelines.steps.draft.samples import DraftError

MAPPING = "landing.json"
BASELINE_SHARE, FEWEST_DAYS = 0.3, 3
_TEXTS = (
    "prediction_id",
    "correlation_id",
    "model_version",
    "role",
    "status",
    "training_dataset_id",
    "feature_set_version",
)


def mapping_of(plan: Plan) -> dict[str, Any]:
    """What later files are read by: where each column of the contracts comes from."""
    return {
        "task": plan.task,
        "classes": dict(plan.classes),
        "positive": plan.label_words,
        "label_delay_h": plan.asked.label_delay / timedelta(hours=1),
        "predictions": {name: asdict(one) for name, one in plan.sources.items()},
        "columns": {one.column: one.logical for one in plan.others},
        "labels": {name: asdict(one) for name, one in plan.labels.sources.items()} if plan.labels else None,
        "labels_inside": bool(plan.labels and plan.labels.inside),
        "views": {view.name: {"time": view.event_time} for view in plan.views},
    }


def canonical(rows: pl.DataFrame, mapping: Mapping[str, Any]) -> pl.DataFrame:
    """Predictions with the columns that the contract names."""
    _needs(rows, [one["column"] for one in mapping["predictions"].values()], "predictions")
    score = [*mapping["classes"].values()] or [mapping["predictions"]["score"]["column"]]
    made = {name: _column(name, one) for name, one in mapping["predictions"].items()}
    if not mapping["predictions"]["status"]["column"]:
        answered = pl.all_horizontal(pl.col(name).is_not_null() for name in score)
        made["status"] = pl.when(answered).then(pl.lit("ok")).otherwise(pl.lit("error"))
    if (
        mapping["predictions"]["correlation_id"]["constant"] is None
        and not mapping["predictions"]["correlation_id"]["column"]
    ):
        made["correlation_id"] = made["prediction_id"]
    for name in {"score", "latency_ms"} & set(made):
        made[name] = made[name].cast(pl.Float64)
    classes = [pl.col(name).cast(pl.Float64) for name in mapping["classes"].values()]
    others = [_typed(name, kind) for name, kind in mapping["columns"].items() if name in rows.columns]
    return rows.select(*(column.alias(name) for name, column in made.items()), *classes, *others)


def _needs(rows: pl.DataFrame, names: list[str], what: str) -> None:
    absent = sorted({name for name in names if name} - set(rows.columns))
    if absent:
        raise DraftError(f"{what}: missing column {', '.join(absent)}")


def _column(name: str, source: Mapping[str, Any]) -> pl.Expr:
    column = pl.col(source["column"]) if source["column"] else pl.lit(source["constant"])
    return column.cast(pl.String) if name in _TEXTS else column


def _typed(name: str, logical: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64) if logical == "number" else pl.col(name)


def labels_of(
    rows: pl.DataFrame, mapping: Mapping[str, Any], asked: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Labels with the columns that the contract names.

    Parameters
    ----------
    rows
        The file of the labels, or of the predictions where it holds them.
    asked
        Predictions as the contract has them, for labels that do not say when they came.
    """
    sources = mapping["labels"]
    _needs(rows, [one["column"] for one in sources.values()], "labels")
    arrived = sources["arrived_at"]["column"]
    frame = rows.select(
        pl.col(sources["prediction_id"]["column"]).cast(pl.String).alias("prediction_id"),
        _label(mapping).alias("label"),
        _revision(sources).alias("revision"),
        *([pl.col(arrived).alias("arrived_at")] if arrived else []),
    )
    if mapping["labels_inside"]:
        frame = frame.drop_nulls("label").unique("prediction_id", keep="first", maintain_order=True)
    if "arrived_at" not in frame.columns:
        frame = _delayed(frame, asked, mapping["label_delay_h"])
    known = pl.when(pl.col("label").is_null()).then(pl.lit("void")).otherwise(pl.lit("known"))
    return frame.drop_nulls("arrived_at").with_columns(outcome=known, source=pl.lit("file"))


def _label(mapping: Mapping[str, Any]) -> pl.Expr:
    column = pl.col(mapping["labels"]["label"]["column"])
    if mapping["task"] == "multiclass":
        return column.cast(pl.String)
    if mapping["task"] == "regression":
        return column.cast(pl.Float64)
    return (
        (column.cast(pl.String) == mapping["positive"]).cast(pl.Int64)
        if mapping["positive"]
        else column.cast(pl.Int64)
    )


def _revision(sources: Mapping[str, Any]) -> pl.Expr:
    given = sources.get("revision")
    if given:
        return pl.col(given["column"]).cast(pl.Int64)
    return (
        pl.int_range(1, pl.len() + 1)
        .over(pl.col(sources["prediction_id"]["column"]).cast(pl.String))
        .cast(pl.Int64)
    )


def _delayed(frame: pl.DataFrame, asked: pl.DataFrame | None, hours: float) -> pl.DataFrame:
    """Labels that came so long after their predictions."""
    if asked is None:
        raise DraftError("labels do not say when they came: land them together with their predictions")
    at = asked.select(
        "prediction_id", arrived_at=pl.col("predicted_at") + pl.duration(seconds=int(hours * 3600))
    )
    return frame.join(at.unique("prediction_id", keep="first"), on="prediction_id", how="left")


def baseline_of(
    version: str, predictions: pl.DataFrame, labels: pl.DataFrame | None
) -> tuple[pl.DataFrame, str]:
    """Rows that stand for a version's training set, where none is given: those of its first days."""
    mine = predictions.filter(pl.col("model_version") == version)
    days = sorted(mine["predicted_at"].dt.date().unique())
    most = max(FEWEST_DAYS, round(BASELINE_SHARE * len(days)))
    first = mine.filter(pl.col("predicted_at").dt.date() <= days[:most][-1])
    if labels is not None:
        last = labels.sort("revision").unique("prediction_id", keep="last", maintain_order=True)
        first = first.join(last.select("prediction_id", "label"), on="prediction_id", how="left")
    return first, f"its first {min(most, len(days))} days"


def training_of(
    rows: pl.DataFrame, plan: Plan, mapping: Mapping[str, Any], label: str | None
) -> pl.DataFrame:
    """Rows of a training file with the columns that a baseline needs."""
    scores = [*plan.classes.values()] or [plan.sources["score"].column]
    _needs(rows, [*(one.column for one in plan.features), *scores], "training")
    return rows.select(
        *(_typed(one.column, one.logical) for one in plan.features),
        *(pl.col(name).cast(pl.Float64).alias(name if plan.classes else "score") for name in scores),
        *([_label(mapping).alias("label")] if label and label in rows.columns else []),
    )


def write_days(rows: pl.DataFrame, at: str, folder: Path, name: str, form: str) -> int:
    """Write rows into a folder per day; returns the number of days."""
    days = 0
    for (day,), some in rows.drop_nulls(at).group_by(pl.col(at).dt.date().alias("at__"), maintain_order=True):
        target = folder / str(day) / f"{name}.{form}"
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(some, target, form)
        days += 1
    return days


def _write(rows: pl.DataFrame, target: Path, form: str) -> None:
    if form == "parquet":
        rows.write_parquet(target)
    elif form == "csv":
        rows.write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    else:
        times = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime)]
        texts = rows.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
        texts.write_ndjson(target)


def facts(plan: Plan, rows: int, origin: str) -> str:
    """What is known of a version's training set."""
    told: dict[str, object] = {
        "training_dataset_id": plan.sources["training_dataset_id"].constant,
        "feature_set_version": plan.sources["feature_set_version"].constant,
        "rows": rows,
        "origin": origin,
        "importance": {},
    }
    return json.dumps({name: value for name, value in told.items() if value is not None}, indent=2) + "\n"
