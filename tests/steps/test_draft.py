"""A model of one's own from sample files: the draft is silent under check, runs, and holds no row's value."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

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
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps.loans import KEYS

START, DAYS, ROWS = datetime(2024, 3, 1, tzinfo=UTC), 20, 400
EMAIL, NAME = "canary-7f3a@example.org", "Zaphod Canary"


class Shop:
    """Folders in which the command drafts models, and files to draft them from."""

    def __init__(self, home):
        self.home, self.rng = home, np.random.default_rng(5)
        self.at = [START + timedelta(days=DAYS * i / ROWS) for i in range(ROWS)]

    def mlobs(self, *arguments):
        """Run the command in this process."""
        from mlobs_pipelines.cli import app  # noqa: PLC0415 - heavy

        given = {"MLOBS_HOME": str(self.home), "MLOBS_CONTRACTS": str(self.home / "contracts")}
        return CliRunner().invoke(app, [str(one) for one in arguments], env=given)

    def write(self, frame, name):
        """A file of rows."""
        path = self.home / name
        {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[
            path.suffix[1:]
        ](path)
        return path

    def folder(self, model):
        """What was drafted."""
        return self.home / "contracts" / model

    def walked(self, model, length=DAYS):
        """Run every step over what was landed; returns the rows of the metric store."""
        spec = load_model(self.folder(model), METRICS)
        walk = Walk(
            spec=spec,
            lake=Lake(str(self.home / f"lake-{model}")),
            duck=Duck("500MB", 2, self.home / "spill"),
            landing=self.home / "landing" / model,
            keys=KEYS,
            access={},
            commit={"run_id": "run", "batch_id": "batch", "code_version": "0"},
            as_of=spec.monitor.replay_as_of,
        )
        days = [START.date() + timedelta(days=i) for i in range(length)]
        measure_baselines(walk)
        for dataset, extra in (("labels", 6), ("features", 0), ("predictions", 0)):
            ingest(walk, dataset, [*days, *(days[-1] + timedelta(days=i + 1) for i in range(extra))])
        for step in (snapshot, log, join, measure):
            step(walk, days)
        narrow = replace(
            spec, monitor=spec.monitor.model_copy(update={"windows": ("28d",), "objectives": ()})
        )
        score(replace(walk, spec=narrow), days[-1:])
        rows = MetricStore(walk.lake).query(walk.model, segments=[""], last=days[-1], first=days[-1])
        return {row["metric"]: row for row in rows.to_pylist() if not row["feature"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A place for drafts."""
    return Shop(tmp_path_factory.mktemp("shop"))


def cancer(shop):
    """Predictions and labels of scikit-learn's breast cancer data, as a stranger would write them."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - only here
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only here

    data = load_breast_cancer()
    scaled = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    model = LogisticRegression().fit(scaled[::3], data.target[::3])
    at = shop.rng.integers(0, len(data.target), ROWS)
    frame = pl.DataFrame(data.data[at], schema=[str(name) for name in data.feature_names])
    scores = np.clip(model.predict_proba(scaled[at])[:, 1] + shop.rng.normal(0, 0.2, ROWS), 0.001, 0.999)
    frame = frame.with_columns(
        pl.Series("scan id", [f"S{i:05d}" for i in range(ROWS)]),
        pl.Series("scored_at", shop.at),
        pl.Series("clinic", shop.rng.choice(["north", "south"], ROWS)),
        pl.Series("probability", scores),
    )
    lag = [
        one + timedelta(hours=float(h))
        for one, h in zip(shop.at, shop.rng.exponential(20, ROWS), strict=True)
    ]
    labels = frame.select("scan id").with_columns(
        pl.Series("target", data.target[at]), pl.Series("diagnosed_at", lag)
    )
    return frame, labels


def test_breast_cancer_runs_from_two_files(shop):
    """Two CSV files become a binary model without problems, whose AUC is scikit-learn's on the same rows."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - only here

    frame, labels = cancer(shop)
    files = ["--predictions", shop.write(frame, "scans.csv"), "--labels", shop.write(labels, "diagnoses.csv")]
    done = shop.mlobs("init", "scans", *files)
    assert done.exit_code == 0, done.output
    assert shop.mlobs("check", "scans").exit_code == 0
    monitor = load_model(shop.folder("scans"), METRICS).monitor
    assert (monitor.task, monitor.segments, len(monitor.features)) == ("binary", ("clinic",), 31)
    found = shop.walked("scans")
    assert found["auc"]["value"] == pytest.approx(
        roc_auc_score(labels["target"], frame["probability"]), abs=1e-3
    )
    assert (found["auc"]["n"], found["auc"]["maturity"]) == (ROWS, "mature")
    again = shop.mlobs("init", "scans", *files)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert shop.mlobs("init", "scans", *files, "--force").exit_code == 0
    later = frame.with_columns((pl.col("scored_at") + timedelta(days=DAYS)).alias("scored_at"))
    assert shop.mlobs("land", "scans", "--predictions", shop.write(later, "later.csv")).exit_code == 0
    assert len(list((shop.home / "landing" / "scans" / "predictions").iterdir())) == 2 * DAYS


def test_diabetes_runs_from_one_file(shop):
    """One file with predictions and labels becomes a regression model whose errors are those of its rows."""
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 - only here

    data = load_diabetes(scaled=False)
    at = shop.rng.integers(0, len(data.target), ROWS)
    said = data.target[at] + shop.rng.normal(0, 30, ROWS)
    frame = pl.DataFrame(data.data[at], schema=list(data.feature_names)).with_columns(
        id=pl.int_range(ROWS),
        timestamp=pl.Series([START + (at - START) / 5 for at in shop.at]),
        prediction=pl.Series(said),
        target=pl.Series(data.target[at]),
    )
    done = shop.mlobs("init", "diabetes", "--predictions", shop.write(frame, "diabetes.parquet"))
    assert done.exit_code == 0, done.output
    found = shop.walked("diabetes", DAYS // 5)
    assert found["mae"]["value"] == pytest.approx(np.abs(said - data.target[at]).mean())
    assert found.get("latency_p95", {"value": None})["value"] is None


def test_a_draft_holds_no_value_of_a_row(shop):
    """Personal data are classified restricted, views and classes are found, and no document holds a value."""
    shares = shop.rng.dirichlet([1, 1, 1], ROWS)
    customers = [f"K{i % 40:03d}" for i in range(ROWS)]
    frame = pl.DataFrame(
        {
            "uuid": [f"u-{i:05d}" for i in range(ROWS)],
            "ts": [one.strftime("%Y-%m-%dT%H:%M:%SZ") for one in shop.at],
            "contact": [EMAIL] * ROWS,
            "customer": customers,
            "full_name": [NAME] * ROWS,
            "income": shop.rng.lognormal(10, 1, ROWS),
            "visits": shop.rng.integers(0, 9, ROWS),
            **{f"p_{name}": shares[:, i] for i, name in enumerate(("basic", "gold", "plus"))},
            "version": ["m1", "m2"] * (ROWS // 2),
            "class": shop.rng.choice(["basic", "gold", "plus"], ROWS),
        }
    )
    view = pl.DataFrame(
        {"customer": customers[:40], "observed_at": shop.at[:40], "visits": shop.rng.integers(0, 9, 40)}
    )
    files = [
        "--predictions",
        shop.write(frame, "plans.jsonl"),
        "--features",
        shop.write(view, "activity.csv"),
    ]
    done = shop.mlobs("init", "plans", *files, "--owner", "team:plans")
    assert done.exit_code == 0, done.output
    spec = load_model(shop.folder("plans"), METRICS)
    assert (spec.monitor.task, set(spec.monitor.classes)) == ("multiclass", {"basic", "gold", "plus"})
    assert set(spec.monitor.versions) == {"m1", "m2"}
    assert spec.monitor.feature_views["activity"].entity == "customer"
    assert {one.name: one.view for one in spec.monitor.features} == {"income": None, "visits": "activity"}
    restricted = {one.name for one in spec.table("predictions").columns if one.restricted}
    assert restricted == {"contact", "customer", "full_name"}
    text = "".join(path.read_text(encoding="utf-8") for path in shop.folder("plans").iterdir()) + done.output
    assert not [word for word in (EMAIL, NAME, "K001", "u-00001") if word in text]


def words(**columns):
    """A small file of predictions."""
    usual = {"id": range(40), "ts": [START + timedelta(hours=i) for i in range(40)], "score": [0.2, 0.7] * 20}
    given = {
        name: value
        for name, value in {**usual, "x": np.arange(40) / 7, **columns}.items()
        if value is not None
    }
    return pl.DataFrame(given)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (words(score=None), "--score-column"),
        (words(id=None), "--id-column"),
        (words(ts=None), "--time-column"),
        (words(ts=None, a=[START] * 40, b=[START] * 40), "--time-column"),
        (words(), "--task"),
        (words(label=["yes", "no"] * 20), "--positive"),
        (words(x=None, label=[0, 1] * 20), "no column of the predictions can be a feature"),
    ],
)
def test_what_cannot_be_told_names_the_option_that_decides(shop, frame, said):
    """Ambiguous files end with 2 and the option that decides, and nothing is written."""
    done = shop.mlobs("init", "doubtful", "--predictions", shop.write(frame, "doubtful.parquet"))
    assert done.exit_code == 2
    assert said in done.stderr
    assert not shop.folder("doubtful").exists()
    assert not (shop.home / "landing" / "doubtful").exists()


def test_the_options_decide(shop):
    """With the options that the messages name, the same files are drafted."""
    frame = words(
        score=None,
        ts=None,
        said=[0.2, 0.7] * 20,
        made=[START] * 40,
        sent=[START] * 40,
        result=["yes", "no"] * 20,
    )
    chosen = [
        "--score-column",
        "said",
        "--time-column",
        "made",
        "--label-column",
        "result",
        "--positive",
        "yes",
    ]
    done = shop.mlobs(
        "init", "chosen", "--predictions", shop.write(frame, "chosen.parquet"), *chosen, "--label-delay", "3d"
    )
    assert done.exit_code == 0, done.output
    landed = json.loads((shop.folder("chosen") / "landing.json").read_text())
    assert (landed["positive"], landed["label_delay_h"]) == ("yes", 72)
    (file,) = (shop.home / "landing" / "chosen" / "labels").rglob("*.jsonl")
    assert pl.read_ndjson(file)["label"].sum() == 20


def test_a_model_needs_a_name_and_files(shop):
    """A name that no folder can have, a missing file and an unknown kind of file are wrong usage."""
    assert shop.mlobs("init", "My Model", "--predictions", "x.csv").exit_code == 2
    assert "no file" in shop.mlobs("init", "model", "--predictions", "x.csv").stderr
    assert "not one of .csv" in shop.mlobs("init", "model", "--predictions", "x.xlsx").stderr
    assert "unknown model nothing" in shop.mlobs("land", "nothing").stderr
