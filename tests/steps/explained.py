"""The loan model with SHAP values and waiting times in its log; nothing is asserted."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.walk import Walk
from tests.steps import loans

FEATURES = ("amount", "employed", "region", "balance", "cards", "grade", "region_rate")
TURN = loans.DAYS[6]  # from here on the features weigh the other way round
_COLUMN = "      - {{name: {}, logicalType: number, classification: internal, description: The {}}}\n"
_OBJECTIVE = "  - {metric: attribution_ndcg, window: 1d, fail_below: 0.9}\n"


def draw() -> loans.Rows:
    """The loan model's rows, few of a day, with attributions and times waited."""
    rows, rng = loans.draw(seed=11, per_day=250), np.random.default_rng(12)
    turned = (rows.predictions["predicted_at"].dt.date() >= TURN).to_numpy()
    predictions = _attributed(rng, rows.predictions, turned).with_columns(
        pl.Series("queue_ms", rng.exponential(3, rows.predictions.height))
    )
    return replace(rows, predictions=predictions)


def training(rows: loans.Rows) -> pl.DataFrame:
    """The training set with attributions."""
    return _attributed(np.random.default_rng(13), rows.training, np.zeros(rows.training.height, bool))


def _attributed(rng: np.random.Generator, frame: pl.DataFrame, turned: np.ndarray) -> pl.DataFrame:
    weights = np.geomspace(1, 0.02, len(FEATURES))
    scales = np.where(turned[:, None], weights[::-1], weights)
    values = rng.normal(0, 1, scales.shape) * scales
    columns = [pl.Series(f"shap_{name}", values[:, place]) for place, name in enumerate(FEATURES)]
    known = pl.col("score").is_not_null()
    return frame.with_columns(columns).with_columns(pl.when(known).then(pl.col("^shap_.*$")))


def walk_of(home: Path, rows: loans.Rows) -> Walk:
    """A walk over the rows; version a was trained with attributions, version b only knows importances."""
    loans.deliver(rows, home / "landing")
    training(rows).write_parquet(home / "landing" / "training" / "a.parquet")
    return replace(loans.walk_of(home, home / "landing"), spec=load_model(folder_of(home), METRICS))


def folder_of(home: Path) -> Path:
    """A copy of the model's folder that declares the columns."""
    folder = Path(shutil.copytree(loans.CONTRACTS, home / "contracts" / "loan_risk"))
    predictions, monitor = folder / "predictions.odcs.yaml", folder / "monitor.yaml"
    names = ("queue_ms", *(f"shap_{name}" for name in FEATURES))
    text = predictions.read_text(encoding="utf-8").rstrip("\n") + "\n"
    predictions.write_text(text + "".join(_COLUMN.format(name, name) for name in names), encoding="utf-8")
    text = monitor.read_text(encoding="utf-8").replace("objectives:\n", f"objectives:\n{_OBJECTIVE}")
    monitor.write_text(f'{text}attributions: "shap_{{feature}}"\n', encoding="utf-8")
    return folder
