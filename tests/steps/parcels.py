"""Predictions of the loan model in several files a day, with corrections: what tests of ingestion deliver.

Nothing here is asserted.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec, load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.settings import HashKeys
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Lake
from tests.steps import loans

FIRST = date(2024, 3, 1)
AS_OF = datetime(2024, 3, 20, tzinfo=UTC)
ONE_FILE = '"{landing}/predictions/{date}.parquet"'
SEVERAL = '"{landing}/predictions/{date}/*.parquet"'
TABLE = "  - name: predictions\n"
CORRECTED = f"{TABLE}    customProperties: [{{property: correction, value: latency_ms}}]\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes
    ----------
    key
        Number of the prediction.
    shift
        Days from the day of delivery to the row's own.
    content
        What it says besides its key.
    version
        Of two rows of one key the higher one stands.
    bad
        Whether it breaks a rule.
    """

    key: int
    shift: int = 0
    content: int = 0
    version: int = 0
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """One file: its day of delivery, counted from the first, its name and its rows; None if unreadable."""

    day: int
    name: str
    rows: tuple[Row, ...] | None


def day_of(number: int) -> date:
    """A day by its number."""
    return FIRST + timedelta(days=number)


def declare(folder: Path, *, rate: float | None = None) -> ModelSpec:
    """Write and read the declaration; with a rate predictions are sampled."""
    shutil.copytree(loans.CONTRACTS, folder)
    contract, monitor = folder / "predictions.odcs.yaml", folder / "monitor.yaml"
    text = contract.read_text(encoding="utf-8")
    assert ONE_FILE in text
    assert TABLE in text
    contract.write_text(text.replace(ONE_FILE, SEVERAL).replace(TABLE, CORRECTED), encoding="utf-8")
    if rate is not None:
        said = f"sampling:\n  rate: {rate}\n  keep: {{status: [], labelled: false}}\n"
        monitor.write_text(monitor.read_text(encoding="utf-8") + said, encoding="utf-8")
    return load_model(folder, METRICS)


def walk_of(spec: ModelSpec, home: Path, landing: Path, keys: HashKeys = loans.KEYS) -> Walk:
    """A walk of the declared model with its lake under `home`."""
    return Walk(
        spec=spec,
        lake=Lake(str(home / "lake")),
        duck=Duck("300MB", 1, home / "spill"),
        landing=landing,
        keys=keys,
        access={},
        commit={"run_id": home.name, "batch_id": "batch", "code_version": "0"},
        as_of=AS_OF,
    )


def deliver(parcels: Iterable[Parcel], landing: Path) -> None:
    """Write files, over those of the same name."""
    (landing / "predictions").mkdir(parents=True, exist_ok=True)
    for parcel in parcels:
        path = landing / "predictions" / day_of(parcel.day).isoformat() / f"{parcel.name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        if parcel.rows is None:
            path.write_bytes(b"PAR1, and then nothing")
        else:
            frame_of(parcel).write_parquet(path)


def frame_of(parcel: Parcel) -> pl.DataFrame:
    """The rows of a file as they are delivered."""
    plain = pl.DataFrame([_plain(parcel.day, row) for row in parcel.rows or ()], schema=SCHEMA)
    return plain.cast({"predicted_at": pl.Datetime("us", "UTC")})


def emptied(parcel: Parcel) -> Parcel:
    """The same file without rows."""
    return replace(parcel, rows=())


SCHEMA = pl.Schema(
    {
        "prediction_id": pl.String(),
        "correlation_id": pl.String(),
        "predicted_at": pl.Datetime("us", "UTC"),
        "model_version": pl.String(),
        "role": pl.String(),
        "training_dataset_id": pl.String(),
        "feature_set_version": pl.String(),
        "score": pl.Float64(),
        "status": pl.String(),
        "latency_ms": pl.Float64(),
        "customer": pl.String(),
        "amount": pl.Float64(),
        "employed": pl.Boolean(),
        "region": pl.String(),
        "balance": pl.Float64(),
        "cards": pl.Int64(),
        "grade": pl.String(),
        "region_rate": pl.Float64(),
    }
)


def _plain(day: int, row: Row) -> dict[str, object]:
    own = day_of(day + row.shift)
    return {
        "prediction_id": f"loan-{row.key}",
        "correlation_id": f"request-{row.key}",
        "predicted_at": datetime(own.year, own.month, own.day, 12, tzinfo=UTC),
        "model_version": "a",
        "role": "king" if row.bad else "champion",
        "training_dataset_id": "set-1",
        "feature_set_version": "1",
        "score": 0.25,
        "status": "ok",
        "latency_ms": float(row.version),
        "customer": f"customer-{row.key % 3}",
        "amount": 100.0 + row.content,
        "employed": None,
        "region": "north",
        "balance": 1.0,
        "cards": 1,
        "grade": "A",
        "region_rate": 0.5,
    }
