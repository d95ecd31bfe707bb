"""Two small models that are not binary, in folders of their own: what is delivered, and walks over it.

Nothing here is asserted; what was drawn is kept as plain rows, for tests that compute answers their own way.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.steps.baseline import measure_baselines
from mlobs_pipelines.steps.ingest import ingest
from mlobs_pipelines.steps.join import join
from mlobs_pipelines.steps.log import log
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.snapshot import snapshot
from mlobs_pipelines.steps.statistics import measure
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Lake
from tests.steps.loans import KEYS

HERE = Path(__file__).parent
DAYS = [date(2024, 3, 1) + timedelta(days=i) for i in range(40)]
AS_OF = datetime(2024, 4, 12, tzinfo=UTC)
LABEL_DAYS = [DAYS[0] + timedelta(days=i) for i in range((AS_OF.date() - DAYS[0]).days)]
CLASSES = ("setosa", "versicolor", "virginica")
CLASS_COLUMNS = tuple(f"p_{name}" for name in CLASSES)
SITES = ("east", "north", "south")
VIEWS = {"iris_species": "soils", "wine_quality": "cellars"}
FEATURES = {
    "iris_species": ("petal_length", "sepal_width", "soil_ph"),
    "wine_quality": ("alcohol", "acidity", "cellar_temp"),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that is delivered of one model, as drawn."""

    predictions: pl.DataFrame
    labels: pl.DataFrame
    view: pl.DataFrame
    training: pl.DataFrame


def draw(model: str, per_day: int = 300, seed: int = 11) -> Rows:
    """Draw every row of a model's history; what it is asked drifts a little from day to day."""
    rng = np.random.default_rng(seed)
    asked = _requests(rng, model, np.repeat(np.arange(len(DAYS)), per_day))
    truth = _truth(rng, model, asked)
    answered = [
        _answered(rng, asked, _answers(rng, model, asked, noise), version, role)
        for version, role, noise in (("a", "champion", 0.5), ("b", "shadow", 1.0))
    ]
    learned = _requests(rng, model, np.zeros(4000, dtype=int))
    columns = [*_answers(rng, model, learned, 0.5).iter_columns(), _truth(rng, model, learned)]
    training = learned.select("site", *FEATURES[model]).with_columns(columns)
    predictions = pl.concat(answered).sort("prediction_id", "model_version")
    return Rows(predictions, _labels(rng, asked, truth), _view(rng, model), training)


def deliver(model: str, rows: Rows, landing: Path) -> None:
    """Write the landing zone."""
    _days(rows.predictions, "predicted_at", landing / "predictions", "parquet")
    _days(rows.labels, "arrived_at", landing / "labels", "jsonl")
    _days(rows.view, "observed_at", landing / "features" / VIEWS[model], "csv")
    (landing / "training").mkdir(parents=True)
    rows.training.write_parquet(landing / "training" / "a.parquet")
    (landing / "training" / "a.json").write_text(json.dumps({"importance": {FEATURES[model][0]: 0.5}}))


def walk_of(model: str, home: Path, landing: Path) -> Walk:
    """A walk of a model with its lake under `home`, without Dagster."""
    return Walk(
        spec=load_model(HERE / model, METRICS),
        lake=Lake(str(home / "lake")),
        duck=Duck("500MB", 2, home / "spill"),
        landing=landing,
        keys=KEYS,
        access={},
        commit={"run_id": "run", "batch_id": "batch", "code_version": "0"},
        as_of=AS_OF,
    )


def go(walk: Walk) -> None:
    """Run every step over all days."""
    measure_baselines(walk)
    for dataset, days in (("labels", LABEL_DAYS), ("features", DAYS), ("predictions", DAYS)):
        ingest(walk, dataset, days)
    for step in (snapshot, log, join, measure, score):
        step(walk, DAYS)


def _at(day: date, seconds: float) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=round(seconds))


def _requests(rng: np.random.Generator, model: str, days: np.ndarray) -> pl.DataFrame:
    n, shift = days.size, days / 40
    first, second, viewed = FEATURES[model]
    return pl.DataFrame(
        {
            "prediction_id": [f"ask-{day:02d}-{number:05d}" for number, day in enumerate(days)],
            "correlation_id": [f"request-{number:05d}" for number in range(n)],
            "predicted_at": [
                _at(DAYS[day], at) for day, at in zip(days, rng.uniform(0, 86_000, n), strict=True)
            ],
            "site": rng.choice(SITES, n, p=[0.5, 0.3, 0.2]),
            first: np.round(rng.normal(shift, 1), 2),
            second: np.round(rng.normal(0, 1, n), 2),
            viewed: np.round(rng.normal(7, 0.5, n), 1),
        }
    )


def _signal(asked: pl.DataFrame, model: str) -> np.ndarray:
    first, second, _ = (asked[name].to_numpy() for name in FEATURES[model])
    return np.column_stack([1 - first, 0.5 * second, first - 0.5])


def _truth(rng: np.random.Generator, model: str, asked: pl.DataFrame) -> pl.Series:
    signal = _signal(asked, model)
    if model == "wine_quality":
        quality = 5 + 2 * signal[:, 2] + rng.normal(0, 1, asked.height)
        return pl.Series("label", np.maximum(np.round(quality, 1), 0.0))
    index = np.argmax(signal + rng.gumbel(size=signal.shape), axis=1)
    return pl.Series("label", [CLASSES[one] for one in index])


def _answers(rng: np.random.Generator, model: str, asked: pl.DataFrame, noise: float) -> pl.DataFrame:
    signal = _signal(asked, model)
    if model == "wine_quality":
        return pl.DataFrame({"score": np.round(5 + 2 * signal[:, 2] + rng.normal(0, noise, asked.height), 2)})
    logits = signal + rng.normal(0, noise, signal.shape)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Rounded scores tie, within a row and between rows.
    return pl.DataFrame(dict(zip(CLASS_COLUMNS, np.round(shares, 2).T, strict=True)))


def _answered(
    rng: np.random.Generator, asked: pl.DataFrame, answers: pl.DataFrame, version: str, role: str
) -> pl.DataFrame:
    failed = rng.random(asked.height) < 0.02
    scores = [
        pl.when(pl.Series(~failed)).then(column).alias(column.name) for column in answers.iter_columns()
    ]
    return asked.with_columns(
        *scores,
        model_version=pl.lit(version),
        role=pl.lit(role),
        training_dataset_id=pl.lit("set-1"),
        feature_set_version=pl.lit("1"),
        status=pl.Series(np.where(failed, "timeout", "ok")),
        latency_ms=pl.Series(np.round(rng.lognormal(3, 0.5, asked.height), 3)),
    )


def _labels(rng: np.random.Generator, asked: pl.DataFrame, truth: pl.Series) -> pl.DataFrame:
    """First labels, of which some are void, late or missing, and revisions that change some of them."""
    n = asked.height
    lag = pl.Series(rng.exponential(20 * 3600, n)).round() * 1_000_000
    first = asked.select("prediction_id", "predicted_at").with_columns(
        truth, lag.cast(pl.Duration("us")).alias("lag")
    )
    first = first.with_columns(arrived_at=pl.col("predicted_at") + pl.col("lag"), revision=pl.lit(1))
    first = first.with_columns(label=pl.when(pl.Series(rng.random(n) > 0.03)).then("label"))
    second = first.filter(pl.Series(rng.random(n) < 0.06)).with_columns(
        pl.col("label").shuffle(seed=1),
        arrived_at=pl.col("arrived_at") + pl.duration(hours=5),
        revision=pl.lit(2),
    )
    rows = pl.concat([first.filter(pl.Series(rng.random(n) > 0.04)), second]).drop("predicted_at", "lag")
    rows = rows.with_columns(
        outcome=pl.when(pl.col("label").is_null()).then(pl.lit("void")).otherwise(pl.lit("known")),
        source=pl.lit("live"),
    )
    return rows.filter(pl.col("arrived_at").dt.date() <= LABEL_DAYS[-1])


def _view(rng: np.random.Generator, model: str) -> pl.DataFrame:
    rows = [
        {
            "site": site,
            "observed_at": _at(day, 3600),
            "available_at": _at(day, 7200),
            FEATURES[model][2]: round(float(rng.normal(7, 0.5)), 1),
        }
        for day in DAYS
        for site in SITES
    ]
    return pl.DataFrame(rows)


def _days(frame: pl.DataFrame, time: str, folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    for (day,), rows in frame.group_by(pl.col(time).dt.date(), maintain_order=True):
        path = folder / f"{day.isoformat()}.{kind}"
        if kind == "parquet":
            rows.write_parquet(path)
        elif kind == "csv":
            rows.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        else:
            rows.with_columns(pl.col(time).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_ndjson(path)


def joined(rows: Rows) -> pl.DataFrame:
    """Predictions with the latest label known as of the run, joined the plain way."""
    known = rows.labels.filter(pl.col("arrived_at") <= AS_OF).sort("arrived_at", "revision")
    latest = known.group_by("prediction_id", maintain_order=True).agg(pl.col("label").last())
    return rows.predictions.join(latest, on="prediction_id", how="left")
