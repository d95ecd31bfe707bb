"""Windows of a multiclass and of a regression model held against other days and against the champion."""

import dataclasses
import shutil

import numpy as np
import polars as pl
import pytest
import yaml

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.metrics.drift import psi
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.metric_store import MetricStore
from tests.tasks.models import CLASS_COLUMNS, CLASSES, DAYS, HERE

DAY, BEFORE = DAYS[20], DAYS[19]
KINDS = {
    "previous": ("previous", "b", (BEFORE, BEFORE)),
    "rolling": ({"days": 3}, "b", (DAYS[17], BEFORE)),
    "window": ({"from": DAYS[1], "to": DAYS[4]}, "b", (DAYS[1], DAYS[4])),
    "champion": ("champion", "a", (DAY, DAY)),
}
OBJECTIVES = {
    "iris_species": {"metric": "accuracy", "fail_below_change": 0.3},
    "wine_quality": {"metric": "mae", "fail_above_change": 3},
}


def rescored(model, home, **said):
    """Rows of one day's window after the monitor was edited, scored from what is stored."""
    folder = home / model.walk.model
    shutil.copytree(HERE / model.walk.model, folder)
    monitor = yaml.safe_load((folder / "monitor.yaml").read_text(encoding="utf-8"))
    monitor |= {"windows": ["1d"], "segments": [], "objectives": [], **said}
    (folder / "monitor.yaml").write_text(yaml.safe_dump(monitor), encoding="utf-8")
    shutil.copytree(model.walk.lake.root, home / "lake")
    walk = dataclasses.replace(model.walk, lake=Lake(str(home / "lake")), spec=load_model(folder, METRICS))
    score(walk, [DAY])
    rows = MetricStore(walk.lake).query(walk.model, windows=["1d"], segments=[""]).to_pylist()
    day = [row for row in rows if row["window_start"] == DAY]
    return {(row["model_version"], row["metric"], row["feature"]): row for row in day}


def scored(model, version, first, last):
    """Raw scored rows of a version's days."""
    day = pl.col("predicted_at").dt.date()
    rows = model.raw.filter(pl.col("model_version") == version, pl.col("status") == "ok")
    return rows.filter(day >= first, day <= last)


@pytest.mark.parametrize("kind", list(KINDS))
def test_classes_are_held_against_other_days(iris, tmp_path, kind):
    """PSI of predicted and of true classes is that of the rows of both sides, whatever is compared with."""
    said, version, span = KINDS[kind]
    found = rescored(iris, tmp_path, compared_with=said)
    now, then = scored(iris, "b", DAY, DAY), scored(iris, version, *span)

    def predicted(rows):
        return np.bincount(rows.select(CLASS_COLUMNS).to_numpy().argmax(axis=1), minlength=3)

    def true(rows):
        return np.array([(rows["label"] == name).sum() for name in CLASSES])

    for metric, classes in (("prediction_psi", predicted), ("label_psi", true)):
        assert found["b", metric, ""]["value"] == pytest.approx(psi(classes(now), classes(then)), abs=1e-12)
    assert found["b", "psi", "score"]["value"] is not None
    assert found["b", "prediction_psi", ""]["baseline_id"].split(":")[0].startswith(kind)


@pytest.mark.parametrize("kind", list(KINDS))
def test_numbers_are_held_against_other_days(wine, tmp_path, kind):
    """KS of predicted numbers is scipy's on the rows of both sides, and label drift has a value."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - heavy

    said, version, span = KINDS[kind]
    found = rescored(wine, tmp_path, compared_with=said)
    now, then = (
        rows["score"].to_numpy() for rows in (scored(wine, "b", DAY, DAY), scored(wine, version, *span))
    )
    row = found["b", "ks", "score"]
    assert abs(row["value"] - ks_2samp(now, then).statistic) <= row["bound"] + 1e-9
    assert found["b", "label_psi", ""]["value"] is not None


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_a_change_from_the_champion_is_judged(name, request, tmp_path):
    """An objective relative to the champion takes the champion's value of the same window."""
    model = request.getfixturevalue(name)
    objective = {"window": "1d", "relative_to": "champion", **OBJECTIVES[model.walk.model]}
    found = rescored(model, tmp_path, objectives=[objective])
    metric = objective["metric"]
    own, champion = (found[version, metric, ""] for version in ("b", "a"))
    assert own["verdict"] == "pass"
    limit = champion["value"] + (-0.3 if name == "iris" else 3)
    assert own["threshold"] == pytest.approx(limit, abs=1e-12)
