"""A draft written down: contracts and monitor in the model's folder, rows and baselines in its landing zone.

What is written is worked out in the neighbouring modules; here it meets the file system.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from mlobs_pipelines.steps.draft import documents, landing, monitor
from mlobs_pipelines.steps.draft.plan import Asked, Plan
from mlobs_pipelines.steps.draft.planning import planned
from mlobs_pipelines.steps.draft.samples import DraftError, read


@dataclass(frozen=True, slots=True)
class Files:
    """Sample files, by what they hold.

    Attributes
    ----------
    views
        Files of feature values; each is a view named like the file.
    """

    predictions: Sequence[Path]
    labels: Sequence[Path] = ()
    training: Sequence[Path] = ()
    views: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a draft goes."""

    contracts: Path
    landing: Path


def draft(asked: Asked, files: Files, places: Places, now: datetime) -> tuple[Plan, list[str]]:
    """Draft a model from sample files.

    Returns
    -------
    plan, landed
        What was found out, and what was landed, in words.

    Raises
    ------
    DraftError
        If something cannot be told; names the option that decides. Nothing is written then.
    """
    left_out: list[str] = []
    predictions = read(files.predictions, left_out)
    labels = read(files.labels) if files.labels else None
    views = {name: read([path]) for name, path in files.views.items()}
    plan = planned(asked, predictions, labels, views)
    mapping = landing.mapping_of(plan)
    training = _training(plan, mapping, files)
    statuses = documents.statuses(plan, predictions)
    texts = {
        "predictions.odcs.yaml": documents.predictions_contract(plan, statuses),
        "labels.odcs.yaml": documents.labels_contract(plan),
        "features.odcs.yaml": documents.features_contract(plan),
        "monitor.yaml": monitor.monitor(plan, statuses, now),
        landing.MAPPING: json.dumps(mapping, indent=2) + "\n",
    }
    made, known, landed = _land(mapping, files, places.landing, predictions, labels, views)
    _baselines(plan, places.landing, made, known, training)
    places.contracts.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (places.contracts / name).write_text(text, encoding="utf-8")
    kept = {one.column for one in plan.others} | {one.column for one in plan.sources.values()}
    kept |= set(plan.classes.values())
    if plan.labels and plan.labels.inside:
        kept |= {one.column for one in plan.labels.sources.values()}
    left_out += [name for name in predictions.columns if name not in kept]
    return plan, [*landed, *([f"without {', '.join(sorted(left_out))}"] if left_out else [])]


def land(folder: Path, files: Files, root: Path) -> list[str]:
    """Land later files of the same form as those the model was drafted from.

    Raises
    ------
    DraftError
        If the model was not drafted, or a file has not the columns.
    """
    path = folder / landing.MAPPING
    if not path.is_file():
        raise DraftError(f"{path} is missing: only models drafted by `mlobs init` can be landed")
    mapping: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    predictions = read(files.predictions) if files.predictions else None
    labels = read(files.labels) if files.labels else None
    return _land(
        mapping, files, root, predictions, labels, {name: read([one]) for name, one in files.views.items()}
    )[2]


def _land(
    mapping: Mapping[str, Any],
    files: Files,
    root: Path,
    predictions: pl.DataFrame | None,
    labels: pl.DataFrame | None,
    views: Mapping[str, pl.DataFrame],
) -> tuple[pl.DataFrame | None, pl.DataFrame | None, list[str]]:
    """Write rows into the landing zone; returns predictions and labels as the contracts have them."""
    told, known = [], None
    made = landing.canonical(predictions, mapping) if predictions is not None else None
    if made is not None:
        days = landing.write_days(
            made, "predicted_at", root / "predictions", _stem(files.predictions), "parquet"
        )
        told.append(f"{made.height:,} predictions of {days} days" + _timeless(made))
    given = predictions if mapping["labels_inside"] else labels
    if mapping["labels"] and given is not None:
        known = landing.labels_of(given, mapping, made)
        name = _stem(files.labels or files.predictions)
        days = landing.write_days(known, "arrived_at", root / "labels", name, "jsonl")
        told.append(f"{known.height:,} labels on {days} days of arrival")
    for name, rows in views.items():
        if name not in mapping["views"]:
            raise DraftError(
                f"features {name}: no such view; there are: {', '.join(mapping['views']) or 'none'}"
            )
        time = mapping["views"][name]["time"]
        days = landing.write_days(rows, time, root / "features" / name, name, "csv")
        told.append(f"{rows.height:,} rows of {name} on {days} days")
    return made, known, told


def _timeless(rows: pl.DataFrame) -> str:
    """Rows that belong to no day, in words."""
    count = rows["predicted_at"].null_count()
    return f" ({count:,} without a time left out)" if count else ""


def _stem(paths: Sequence[Path]) -> str:
    return "-".join(path.stem for path in paths)[:80]


def _training(plan: Plan, mapping: Mapping[str, Any], files: Files) -> tuple[pl.DataFrame, str] | None:
    if not files.training:
        return None
    label = plan.labels.sources["label"].column if plan.labels else None
    rows = landing.training_of(read(files.training), plan, mapping, label)
    return rows, _stem(files.training)


def _baselines(
    plan: Plan,
    root: Path,
    made: pl.DataFrame | None,
    known: pl.DataFrame | None,
    training: tuple[pl.DataFrame, str] | None,
) -> None:
    (root / "training").mkdir(parents=True, exist_ok=True)
    for version in plan.versions:
        if training is not None:
            rows, origin = training
        elif made is not None:
            rows, origin = landing.baseline_of(version, made, known)
        rows.write_parquet(root / "training" / f"{version}.parquet")
        (root / "training" / f"{version}.json").write_text(
            landing.facts(plan, rows.height, origin), encoding="utf-8"
        )
