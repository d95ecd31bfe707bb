"""Writes a landing zone: predictions, feature views, labels and training sets, a file per day.

What the files hold is decided in the sibling modules; a zone is built beside its place and moved in whole.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from mlobs_pipelines.demo.history import STAGES, History, Progress, build_history
from mlobs_pipelines.demo.incidents import deliver, stall
from mlobs_pipelines.demo.plan import DemoPlan
from mlobs_pipelines.demo.serving import correlation_ids, prediction_log

MANIFEST = "demo.json"
CLOCK_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
LABEL_COLUMNS = ("prediction_id", "label", "outcome", "arrived_at", "revision", "source")


@dataclass(frozen=True, slots=True)
class LandingSummary:
    """Counts of what was written.

    Attributes
    ----------
    days
        Files of predictions.
    predictions
        Rows in them, replayed ones included.
    requests
        Flights served; each is answered by every version that serves at the time.
    labels
        Rows in the label files, void ones included.
    void_labels
        Labels that say that there is no outcome.
    lost_labels
        Requests whose label never arrives.
    feature_rows
        Rows per feature view.
    training_rows
        Rows per model version.
    """

    days: int
    predictions: int
    requests: int
    labels: int
    void_labels: int
    lost_labels: int
    feature_rows: dict[str, int]
    training_rows: dict[str, int]


def _silent(_stage: str, _done: int, _total: int) -> None:
    return


def build_landing(plan: DemoPlan, root: Path, progress: Progress = _silent) -> LandingSummary:
    """Build the demo's landing zone; the same plan gives the same bytes.

    Parameters
    ----------
    plan
        Days, share, incidents and seed.
    root
        Folder of the zone; an earlier zone of the demo is replaced.
    progress
        Called with the stage that starts, stages done and stages in all.

    Raises
    ------
    mlobs_pipelines.demo.flights.DemoDataMissingError
        When a package that the demo needs is not installed.
    FileExistsError
        When `root` holds something that the demo did not write.
    """
    _refuse_foreign(root)
    history = build_history(plan.seed, progress)
    progress("write files", STAGES - 1, STAGES)
    summary = write_landing(plan, history, root)
    progress("done", STAGES, STAGES)
    return summary


def write_landing(plan: DemoPlan, history: History, root: Path) -> LandingSummary:
    """Write the zone of a plan from a history that is already built."""
    _refuse_foreign(root)
    fresh = root.with_name(f".{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    summary = _write_all(plan, history, fresh)
    _write_json(fresh / MANIFEST, {"plan": _plain(plan), "summary": asdict(summary)})
    shutil.rmtree(root, ignore_errors=True)
    fresh.rename(root)
    return summary


def _refuse_foreign(root: Path) -> None:
    if root.exists() and any(root.iterdir()) and not (root / MANIFEST).exists():
        raise FileExistsError(
            f"{root} holds files that the demo did not write: choose an empty folder or remove them"
        )


def _plain(plan: DemoPlan) -> dict[str, object]:
    days = {"start": plan.start.isoformat(), "end": plan.end.isoformat()}
    return {**days, "share": plan.share, "incidents": sorted(plan.incidents), "seed": plan.seed}


def _write_all(plan: DemoPlan, history: History, root: Path) -> LandingSummary:
    requests = _requests(plan, history)
    labels = _labels_of(requests, history, plan)
    written = _write_predictions(plan, history, requests, root)
    _write_days(labels, "arrived_at", root / "labels", _write_jsonl)
    return LandingSummary(
        days=len(written),
        predictions=sum(written),
        requests=requests.height,
        labels=labels.height,
        void_labels=labels.filter(pl.col("outcome") == "void").height,
        lost_labels=requests.height - labels["prediction_id"].n_unique(),
        feature_rows=_write_views(plan, history, root),
        training_rows=_write_training(history, root),
    )


def _requests(plan: DemoPlan, history: History) -> pl.DataFrame:
    day = pl.col("predicted_at").dt.date()
    chosen = history.flights.filter(day.is_between(plan.start, plan.end), pl.col("sample") < plan.share)
    return chosen.with_columns(correlation_ids(chosen["prediction_id"]))


def _labels_of(requests: pl.DataFrame, history: History, plan: DemoPlan) -> pl.DataFrame:
    feed = history.labels.join(requests.select("prediction_id"), on="prediction_id", how="semi")
    return stall(feed, plan.incidents).select(LABEL_COLUMNS)


def _write_predictions(plan: DemoPlan, history: History, requests: pl.DataFrame, root: Path) -> list[int]:
    logs = [prediction_log(requests, model, plan.incidents) for model in history.models]
    rows = pl.concat(logs).sort("predicted_at", "prediction_id", "model_version")
    days = _by_day(rows, "predicted_at")
    folder = root / "predictions"
    folder.mkdir()
    counts = []
    for day in days:
        content = deliver(day, days, plan.incidents)
        content.write_parquet(folder / f"{day}.parquet")
        counts.append(content.height)
    return counts


def _write_views(plan: DemoPlan, history: History, root: Path) -> dict[str, int]:
    counts = {}
    for name, rows in history.views.items():
        day = pl.col("observed_at").dt.date()
        needed = rows.filter(day.is_between(_first_needed(name, plan.start), plan.end))
        _write_days(needed, "observed_at", root / "features" / name, _write_csv)
        counts[name] = needed.height
    return counts


def _first_needed(view: str, start: date) -> date:
    """Give the day of the oldest row that a prediction of the first day may use."""
    if view == "planes":
        return (start.replace(day=1) - timedelta(days=1)).replace(day=1)
    return start - timedelta(days=1)


def _write_training(history: History, root: Path) -> dict[str, int]:
    folder = root / "training"
    folder.mkdir()
    for model in history.models:
        model.rows.write_parquet(folder / f"{model.version.name}.parquet")
        _write_json(folder / f"{model.version.name}.json", model.facts())
    return {model.version.name: model.rows.height for model in history.models}


def _by_day(rows: pl.DataFrame, clock: str) -> dict[date, pl.DataFrame]:
    dated = rows.with_columns(_day=pl.col(clock).dt.date())
    parts = dated.partition_by("_day", as_dict=True, include_key=False)
    return {day: part for (day,), part in sorted(parts.items())}


def _write_days(
    rows: pl.DataFrame, clock: str, folder: Path, write: Callable[[pl.DataFrame, Path], None]
) -> None:
    folder.mkdir(parents=True)
    for day, part in _by_day(rows, clock).items():
        write(part, folder / str(day))


def _write_csv(rows: pl.DataFrame, stem: Path) -> None:
    rows.write_csv(stem.with_suffix(".csv"), datetime_format=CLOCK_FORMAT)


def _write_jsonl(rows: pl.DataFrame, stem: Path) -> None:
    text = rows.with_columns(pl.col("arrived_at").dt.strftime(CLOCK_FORMAT))
    text.write_ndjson(stem.with_suffix(".jsonl"))


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
