"""A simulated shop's returns model: what is delivered on each day, and what a fault can change of it.

Everything is drawn from one seed; the faults are in `shop_faults.py`, running them is `faults.py`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST, START, DAYS = date(2025, 1, 1), 38, 56  # of faults: the first day, and how many days there are
ROWS, TRAINING = 500, 20_000
REGIONS, CHANNELS = ("east", "north", "south", "west"), ("email", "shop", "web")
CATEGORIES = ("bags", "coats", "hats", "shirts", "shoes", "toys")
STOCK, CATALOGUE = ("stock_days", "courier_hours"), ("return_rate", "rating")
FEATURES = ("price", "discount", "items", "channel", "category", "region", *STOCK, *CATALOGUE)
WEIGHTS = {
    "price": 0.8,
    "discount": 0.5,
    "items": 0.3,
    "courier_hours": 0.6,
    "return_rate": 0.9,
    "rating": -0.5,
}
LAG_H, LOST = 10.0, 0.02
Frames = dict[str, pl.DataFrame]
Change = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes
    ----------
    family
        upstream, skew, concept, label, operations, version or segment.
    says
        In words.
    causes
        Beginnings of what may be named as its cause.
    days
        How long it lasts.
    served, told, known, labels
        What it does to the rows that are served, to the outcomes, to a view's rows, and to the labels.
    early
        From how many days before on it concerns labels.
    files
        What it does to the files: by dataset and day.
    """

    family: str
    says: str
    causes: tuple[str, ...]
    days: int = 7
    served: Change | None = None
    told: Change | None = None
    known: Mapping[str, Change] = field(default_factory=dict)
    labels: Change | None = None
    early: int = 0
    files: Callable[[str, int, dict[int, pl.DataFrame]], pl.DataFrame | None] | None = None

    @property
    def end(self) -> int:
        """The day after its last."""
        return START + self.days


def day_of(number: int) -> date:
    """The day of a number."""
    return FIRST + timedelta(days=number)


def moment(number: float) -> datetime:
    """The instant of a number of days."""
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=number)


def view_rows(number: int, seed: int) -> Frames:
    """What warehouse and catalogue know every two hours of a day."""
    rng = np.random.default_rng((seed, 1, number))
    found = {}
    for view, entity, names in (("stock", "region", REGIONS), ("catalogue", "category", CATEGORIES)):
        size = 12 * len(names)
        hours = np.repeat(np.arange(12) * 2, len(names))
        at = [moment(number + hour / 24) for hour in hours]
        numbers = (
            {"stock_days": rng.gamma(4, 5, size), "courier_hours": rng.gamma(6, 8, size)}
            if view == "stock"
            else {"return_rate": rng.beta(4, 12, size), "rating": 1 + 4 * rng.beta(8, 3, size)}
        )
        frame = pl.DataFrame({entity: list(names) * 12, "observed_at": at, "available_at": at})
        found[view] = frame.with_columns(**{name: values.round(4) for name, values in numbers.items()})
    return found


def orders(rng: np.random.Generator, size: int) -> pl.DataFrame:
    """What is known of orders by themselves."""
    return pl.DataFrame(
        {
            "price": rng.lognormal(4, 0.6, size).round(2),
            "discount": rng.beta(2, 6, size).round(3),
            "items": 1 + rng.poisson(1.5, size),
            "channel": rng.choice(CHANNELS, size),
            "category": rng.choice(CATEGORIES, size),
            "region": rng.choice(REGIONS, size),
        }
    )


def logit(rows: pl.DataFrame) -> np.ndarray:
    """What the model makes of an order: the truth, as long as nothing is wrong."""
    values = {
        "price": np.log(np.maximum(rows["price"].fill_null(55.0).to_numpy(), 1e-3)) / 0.6 - 4 / 0.6,
        "discount": (rows["discount"].to_numpy() - 0.25) / 0.14,
        "items": (rows["items"].to_numpy() - 2.5) / 1.2,
        "courier_hours": (rows["courier_hours"].fill_null(48).to_numpy() - 48) / 20,
        "return_rate": (rows["return_rate"].fill_null(0.25).to_numpy() - 0.25) / 0.105,
        "rating": (rows["rating"].fill_null(3.9).to_numpy() - 3.9) / 0.5,
    }
    return -0.4 + sum(WEIGHTS[name] * value for name, value in values.items())


def sigmoid(values: np.ndarray) -> np.ndarray:
    """From the log-odds to the probability."""
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


def _looked_up(rows: pl.DataFrame, views: Frames) -> pl.DataFrame:
    """What both views said last before each order."""
    ordered = rows.sort("predicted_at")
    for view, entity, names in (("stock", "region", STOCK), ("catalogue", "category", CATALOGUE)):
        known = views[view].select(entity, "observed_at", *names).sort("observed_at")
        ordered = ordered.join_asof(
            known,
            left_on="predicted_at",
            right_on="observed_at",
            by=entity,
            tolerance="12h",
            check_sortedness=False,
        ).drop("observed_at", strict=False)
    return ordered


def served_day(number: int, seed: int, views: Frames) -> pl.DataFrame:
    """Orders of a day as the champion answered them, with what really was known."""
    rng = np.random.default_rng((seed, 2, number))
    rows = orders(rng, ROWS).with_columns(
        predicted_at=pl.Series([moment(number + part) for part in np.sort(rng.uniform(0, 0.999, ROWS))]),
        prediction_id=pl.Series([f"{day_of(number)}-{at:04d}" for at in range(ROWS)]),
    )
    rows = _looked_up(rows, views)
    return rows.with_columns(
        correlation_id=pl.col("prediction_id"),
        model_version=pl.lit("v1"),
        role=pl.lit("champion"),
        training_dataset_id=pl.lit("set-1"),
        feature_set_version=pl.lit("1"),
        status=pl.lit("ok"),
        latency_ms=pl.Series(rng.lognormal(4, 0.3, ROWS).round(3)),
        eta=pl.Series(logit(rows)),
        chance=pl.Series(rng.random(ROWS)),
        wait_h=pl.Series(rng.exponential(LAG_H, ROWS)),
        lost=pl.Series(rng.random(ROWS) < LOST),
    )


def simulate(
    fault: Fault | None, numbers: range, seed: int
) -> tuple[dict, dict[int, pl.DataFrame], pl.DataFrame]:
    """Views by day, served rows by day, and every label of those days.

    Scores are computed from what was served, outcomes from what was true.
    """
    views = {number: view_rows(number, seed) for number in numbers}
    served, labels = {}, []
    for number in numbers:
        rng = np.random.default_rng((seed, 3, number))
        active = fault is not None and START <= number < fault.end
        if active:
            for view, change in fault.known.items():
                views[number][view] = change(views[number][view], rng)
        before = views.get(number - 1, views[number])
        both = {view: pl.concat([before[view], views[number][view]]) for view in views[number]}
        rows = served_day(number, seed, both)
        if active and fault.told:
            rows = fault.told(rows, rng)
        labels.append(_labels(rows))
        if fault is not None and fault.labels and START - fault.early <= number < fault.end:
            labels[-1] = fault.labels(labels[-1], rng)
        rows = rows.with_columns(score=pl.lit(None, pl.Float64))
        if active and fault.served:
            rows = fault.served(rows, rng)
        served[number] = _scored(rows)
    return views, served, pl.concat(labels)


def _labels(rows: pl.DataFrame) -> pl.DataFrame:
    came = rows.filter(~pl.col("lost"))
    label = (came["chance"].to_numpy() < sigmoid(came["eta"].to_numpy())).astype(np.int64)
    return came.select(
        "prediction_id",
        pl.Series("label", label),
        pl.Series("outcome", np.where(label == 1, "returned", "kept")),
        "predicted_at",
        "region",
        "wait_h",
        revision=pl.lit(1, pl.Int64),
        source=pl.lit("shop"),
    )


def _scored(rows: pl.DataFrame) -> pl.DataFrame:
    score = pl.Series("own", sigmoid(logit(rows)).round(6))
    told = pl.when(pl.col("status") == "ok").then(pl.coalesce("score", score))
    return rows.with_columns(score=told).drop("eta", "chance", "wait_h", "lost")


def arrived(labels: pl.DataFrame) -> pl.DataFrame:
    """Labels with the moment they arrive, by day of arrival."""
    wait = pl.duration(seconds=(pl.col("wait_h") * 3600).round())
    rows = labels.with_columns(arrived_at=(pl.col("predicted_at") + wait).dt.truncate("1s"))
    rows = rows.with_columns(day=(pl.col("arrived_at") - moment(0)).dt.total_days())
    return rows.drop("predicted_at", "wait_h", "region").sort("arrived_at", "prediction_id")


def land(home: Path, fault: Fault | None, numbers: range, seed: int) -> None:
    """Write the files of some days; labels that arrive on them too, of earlier orders as well."""
    since = range(max(0, numbers.start - 10), numbers.stop)
    views, served, labels = simulate(fault, since, seed)
    by_day = {
        int(key[0]): part.drop("day")
        for key, part in arrived(labels).partition_by("day", as_dict=True).items()
    }
    datasets = {"predictions": served, "labels": by_day}
    datasets |= {view: {at: rows[view] for at, rows in views.items()} for view in ("stock", "catalogue")}
    for dataset, frames in datasets.items():
        for number in numbers:
            rows = frames.get(number)
            if fault is not None and fault.files:
                rows = fault.files(dataset, number, frames)
            if rows is not None and rows.height:
                _write(home, dataset, number, rows)


def _write(home: Path, dataset: str, number: int, rows: pl.DataFrame) -> None:
    folder = home / (dataset if dataset in {"predictions", "labels"} else f"features/{dataset}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / day_of(number).isoformat()
    if dataset == "predictions":
        rows.write_parquet(path.with_suffix(".parquet"))
    elif dataset == "labels":
        rows.write_ndjson(path.with_suffix(".jsonl"))
    else:
        rows.write_csv(path.with_suffix(".csv"), datetime_format="%Y-%m-%dT%H:%M:%SZ")


def train(home: Path, seed: int) -> None:
    """Write the training set of both versions."""
    numbers = range(1000, 1000 + TRAINING // ROWS)
    _, served, labels = simulate(None, numbers, seed)
    rows = pl.concat(served.values()).join(labels.select("prediction_id", "label"), on="prediction_id")
    (home / "training").mkdir(parents=True, exist_ok=True)
    rows.select("prediction_id", "predicted_at", *FEATURES, "score", "label").write_parquet(
        home / "training" / "v1.parquet"
    )
    importance = {name: abs(WEIGHTS.get(name, 0.0)) / 10 for name in FEATURES}
    (home / "training" / "v1.json").write_text(json.dumps({"importance": importance}))
