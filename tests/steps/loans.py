"""A second model in a folder of its own: small deliveries of loan applications, and walks over them.

Nothing here is asserted; what was drawn is kept as plain rows, for tests that compute answers their own way.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.engine.duck import Duck
from mlobs_pipelines.settings import HashKey, HashKeys
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.lake import Lake

CONTRACTS = Path(__file__).parent / "loan_risk"
DAYS = [date(2024, 2, 25) + timedelta(days=i) for i in range(9)]
FEATURE_DAYS = [DAYS[0] - timedelta(days=i) for i in (3, 2, 1)] + DAYS
AS_OF = datetime(2024, 3, 4, 18, tzinfo=UTC)
LABEL_DAYS = [DAYS[0] + timedelta(days=i) for i in range((AS_OF.date() - DAYS[0]).days + 1)]
REGIONS = ("north", "south", "east", None)
CUSTOMERS = [f"customer-{i:03d}" for i in range(40)]
KEYS = HashKeys(HashKey(b"a key of the tests, long enough", "7e57ca5e"))


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that is delivered, as drawn."""

    predictions: pl.DataFrame
    labels: pl.DataFrame
    accounts: pl.DataFrame
    regions: pl.DataFrame
    training: pl.DataFrame


def draw(seed: int = 7, per_day: int = 200) -> Rows:
    """Draw every row of the model's history."""
    rng = np.random.default_rng(seed)
    accounts, regions = _accounts(rng), _regions(rng)
    predictions = _predictions(rng, per_day, accounts, regions)
    return Rows(predictions, _labels(rng, predictions), accounts, regions, _training(rng))


def deliver(rows: Rows, landing: Path) -> None:
    """Write the landing zone."""
    _days(rows.predictions, "predicted_at", landing / "predictions", "parquet")
    _days(rows.labels, "arrived_at", landing / "labels", "jsonl")
    _days(rows.accounts, "measured_at", landing / "features" / "accounts", "csv")
    _days(rows.regions, "observed_at", landing / "features" / "regions", "csv")
    (landing / "training").mkdir(parents=True)
    for name in ("a", "b"):
        rows.training.write_parquet(landing / "training" / f"{name}.parquet")
        facts = {"importance": {"amount": 0.5, "region": 0.05}}
        (landing / "training" / f"{name}.json").write_text(json.dumps(facts))


def walk_of(home: Path, landing: Path, as_of: datetime = AS_OF, run_id: str = "run") -> Walk:
    """A walk of the model with its lake under `home`, without Dagster."""
    return Walk(
        spec=load_model(CONTRACTS, METRICS),
        lake=Lake(str(home / "lake")),
        duck=Duck("500MB", 2, home / "spill"),
        landing=landing,
        keys=KEYS,
        access={},
        commit={"run_id": run_id, "batch_id": "batch", "code_version": "0"},
        as_of=as_of,
    )


def day_file(landing: Path, day: date) -> Path:
    """The predictions of one day."""
    return landing / "predictions" / f"{day.isoformat()}.parquet"


def copy_of(landing: Path, to: Path) -> Path:
    """A landing zone that a test may break."""
    return Path(shutil.copytree(landing, to))


def _at(day: date, hours: float) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(seconds=round(hours * 3600))


def _accounts(rng: np.random.Generator) -> pl.DataFrame:
    rows = [
        {
            "customer": customer,
            "measured_at": _at(day, 2 + float(rng.integers(0, 3))),
            "delay": float(rng.choice([0.0, 0.5, 6.0])),
            "balance": None if rng.random() < 0.05 else round(float(rng.lognormal(8, 1)), 2),
            "cards": int(rng.integers(0, 5)),
            "grade": str(rng.choice(["A", "B", "C"])),
        }
        for day in FEATURE_DAYS
        for customer in CUSTOMERS[: 36 + day.day % 4]
    ]
    stored = [row["measured_at"] + timedelta(hours=row.pop("delay")) for row in rows]
    return pl.DataFrame(rows).with_columns(pl.Series("stored_at", stored))


def _regions(rng: np.random.Generator) -> pl.DataFrame:
    rows = [
        {
            "region": region,
            "observed_at": _at(day, hour),
            "available_at": _at(day, hour + 1),
            "region_rate": round(float(rng.beta(2, 8)), 4),
        }
        for day in FEATURE_DAYS
        for hour in (0, 6, 12, 18)
        for region in REGIONS[:2]
    ]
    return pl.DataFrame(rows)


def lookup(rows: list[dict], entity: object, at: datetime, ttl: timedelta, names: tuple[str, str]) -> dict:
    """The feature row that was known at an instant, the slow way; {} where there is none."""
    event, created = names
    known = [row for row in rows if row["entity"] == entity and row[event] <= at and row[created] <= at]
    best = max(known, key=lambda row: (row[event], row[created]), default=None)
    return {} if best is None or best[event] <= at - ttl else best


def _predictions(
    rng: np.random.Generator, per_day: int, accounts: pl.DataFrame, regions: pl.DataFrame
) -> pl.DataFrame:
    by_customer = accounts.with_columns(entity="customer").partition_by("customer", as_dict=True)
    views = {key[0]: frame.to_dicts() for key, frame in by_customer.items()}
    region_rows = regions.with_columns(entity="region").to_dicts()
    rows = []
    for position, day in enumerate(DAYS):
        for number in range(per_day):
            row = _request(rng, day, number)
            account = lookup(
                views.get(row["customer"], []),
                row["customer"],
                row["predicted_at"],
                timedelta(hours=36),
                ("measured_at", "stored_at"),
            )
            region = lookup(
                region_rows,
                row["region"],
                row["predicted_at"],
                timedelta(hours=12),
                ("observed_at", "available_at"),
            )
            row |= {name: account.get(name) for name in ("balance", "cards", "grade")}
            row["region_rate"] = region.get("region_rate")
            rows += _answers(rng, _damaged(rng, row), both=position >= 4)
    return pl.DataFrame(rows, infer_schema_length=None)


def _request(rng: np.random.Generator, day: date, number: int) -> dict:
    return {
        "prediction_id": f"loan-{day.isoformat()}-{number:04d}",
        "correlation_id": f"request-{day.isoformat()}-{number:04d}",
        "predicted_at": _at(day, float(rng.uniform(0, 23.9))),
        "training_dataset_id": "set-1",
        "feature_set_version": "1",
        "customer": None if rng.random() < 0.03 else str(rng.choice(CUSTOMERS)),
        "amount": round(float(rng.lognormal(9, 0.7 + 0.02 * day.day)), -2),
        "employed": None if rng.random() < 0.02 else bool(rng.random() < 0.8),
        "region": REGIONS[int(rng.integers(0, 4))],
    }


def _damaged(rng: np.random.Generator, row: dict) -> dict:
    lot = rng.random()
    if lot < 0.04:
        row["balance"] = None
    elif lot < 0.08:
        row["balance"] = round(float(rng.lognormal(8, 1)), 2)
        row["grade"] = "D"
    return row


def _answers(rng: np.random.Generator, row: dict, *, both: bool) -> list[dict]:
    answers = []
    for version, role in (("a", "champion"), ("b", "shadow"))[: 2 if both else 1]:
        score = float(np.clip(rng.beta(2, 5), 0, 1))
        failed = rng.random() < 0.02
        answers.append(
            {
                **row,
                "model_version": version,
                "role": role,
                "score": None if failed else float(rng.choice([score, round(score, 1)])),
                "status": "timeout" if failed else "ok",
                "latency_ms": round(float(rng.lognormal(3, 0.5)), 3),
            }
        )
    return answers


def _labels(rng: np.random.Generator, predictions: pl.DataFrame) -> pl.DataFrame:
    asked = predictions.unique("prediction_id", keep="first", maintain_order=True).sort("prediction_id")
    rows = []
    for prediction_id, at, score in asked.select("prediction_id", "predicted_at", "score").iter_rows():
        if rng.random() < 0.04:
            continue
        arrived = at + timedelta(seconds=int(rng.exponential(15 * 3600)))
        label = int(rng.random() < (score or 0.3))
        rows.append(_label(prediction_id, label if rng.random() > 0.03 else None, arrived, 1))
        if rng.random() < 0.06:
            changed = None if rng.random() < 0.5 else 1 - label
            later = arrived + timedelta(seconds=int(rng.exponential(10 * 3600)))
            rows.append(_label(prediction_id, changed, later, 2))
    drawn = pl.DataFrame(rows, infer_schema_length=None)
    return drawn.filter(pl.col("arrived_at").dt.date() <= LABEL_DAYS[-1])


def _label(prediction_id: str, label: int | None, arrived: datetime, revision: int) -> dict:
    word = {1: "bad", 0: "good", None: "void"}[label]
    return {
        "prediction_id": prediction_id,
        "label": label,
        "outcome": word,
        "arrived_at": arrived,
        "revision": revision,
        "source": "live",
    }


def _training(rng: np.random.Generator, rows: int = 3000) -> pl.DataFrame:
    score = rng.beta(2, 4, rows)
    pick = rng.integers(0, 3, rows)
    return pl.DataFrame(
        {
            "amount": np.round(rng.lognormal(9, 0.7, rows), -2),
            "employed": rng.random(rows) < 0.8,
            "region": [REGIONS[i] for i in pick],
            "balance": [
                None if lot < 0.05 else round(v, 2)
                for lot, v in zip(rng.random(rows), rng.lognormal(8, 1, rows), strict=True)
            ],
            "cards": rng.integers(0, 4, rows),
            "grade": [("A", "B", "C")[i] for i in pick],
            "region_rate": np.round(rng.beta(2, 8, rows), 4),
            "score": score,
            "label": (rng.random(rows) < score).astype(int),
        }
    )


def _days(frame: pl.DataFrame, time: str, folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    for (day,), rows in frame.group_by(pl.col(time).dt.date(), maintain_order=True):
        path = folder / f"{day.isoformat()}.{kind}"
        if kind == "parquet":
            rows.write_parquet(path)
        elif kind == "csv":
            rows.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        else:
            text = rows.with_columns(pl.col(time).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
            text.write_ndjson(path)
