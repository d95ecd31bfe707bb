"""Stored metrics of a multiclass and of a regression model against scikit-learn and scipy on the raw rows."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from mlobs_pipelines.core.metrics.drift import psi
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.steps.layouts import labelled_layout, log_layout
from tests.tasks.models import CLASS_COLUMNS, CLASSES

ALL = ("", "")
SPANS = [
    ("1d", date(2024, 3, 9), date(2024, 3, 10)),
    ("7d", date(2024, 3, 20), date(2024, 3, 27)),
    ("28d", date(2024, 3, 5), date(2024, 4, 2)),
    ("1mo", date(2024, 3, 1), date(2024, 4, 1)),
]
CASES = [(v, s, w) for v in ("a", "b") for s in (ALL, ("site", "north")) for w in SPANS]
LONG = [case for case in CASES if case[2][0] in ("28d", "1mo")]
over_cases = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[1][1]} {c[2][0]}")
over_long = pytest.mark.parametrize("case", LONG, ids=lambda c: f"{c[0]} {c[1][1]} {c[2][0]}")


def close(row, expected, n=None):
    """The value is that expected to 1e-9, lies in its interval and rests on so many rows."""
    assert row["value"] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert row["lower"] is None or row["lower"] <= row["value"] <= row["upper"]
    assert n is None or row["n"] == n


def within(row, exact):
    """The exact figure is no further from the value than its bound."""
    assert abs(row["value"] - exact) <= row["bound"] * (1 + 1e-9) + 1e-9


def test_the_spans_are_windows():
    """The windows compared are those that the product writes."""
    assert [(end - start).days for _, start, end in SPANS] == [1, 7, 28, 31]
    assert SPANS[2][2] - timedelta(days=1) == date(2024, 4, 1)


def test_every_metric_of_the_task_has_rows(iris, wine):
    """Each model has the metrics of its task, and none that only another task has."""
    found = {name: {key[-1] for key in model.stored} for name, model in (("iris", iris), ("wine", wine))}
    shared = {"accuracy", "log_loss", "brier_score", "ece", "auc_macro", "class_recall", "prediction_psi"}
    assert shared <= found["iris"]
    assert {"mae", "rmse", "mape", "r2", "bias", "absolute_error_p95"} <= found["wine"]
    assert {"label_psi", "psi", "label_coverage", "latency_p95"} <= found["iris"] & found["wine"]
    only_binary = {"auc", "selection_rate", "base_rate", "demographic_parity_difference", "recall"}
    assert not only_binary & (found["iris"] | found["wine"])
    assert not shared & found["wine"]


@over_cases
def test_classes_equal_scikit_learn(iris, case):
    """Exact metrics of the multiclass model agree to 1e-9 per version, segment and window."""
    from sklearn import metrics as sk  # noqa: PLC0415 - heavy

    rows = iris.part(case).drop_nulls("label")
    label, scores = rows["label"].to_numpy(), rows.select(CLASS_COLUMNS).to_numpy()
    said = np.array(CLASSES)[scores.argmax(axis=1)]
    truth = label[:, None] == np.array(CLASSES)
    close(iris.read(case, "accuracy"), sk.accuracy_score(label, said), rows.height)
    floor = np.finfo(float).eps
    close(iris.read(case, "log_loss"), -np.log(np.clip(scores[truth], floor, 1 - floor)).mean(), rows.height)
    close(iris.read(case, "brier_score"), ((scores - truth) ** 2).sum(axis=1).mean(), rows.height)
    for average in ("macro", "weighted"):
        found = sk.precision_recall_fscore_support(
            label, said, labels=CLASSES, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), found, strict=False):
            close(iris.read(case, f"{name}_{average}"), value, rows.height)


@over_cases
def test_top_label_calibration_equals_plain_binning(iris, case):
    """ECE and MCE are those of fifteen equal-width bins of the largest score."""
    rows = iris.part(case).drop_nulls("label")
    scores = rows.select(CLASS_COLUMNS).to_numpy()
    top, right = scores.max(axis=1), np.array(CLASSES)[scores.argmax(axis=1)] == rows["label"].to_numpy()
    place = np.minimum((top * 15).astype(int), 14)
    gaps = [(np.sum(place == b), abs(np.mean((top - right)[place == b]))) for b in np.unique(place)]
    close(iris.read(case, "ece"), sum(n * gap for n, gap in gaps) / rows.height)
    close(iris.read(case, "mce"), max(gap for _, gap in gaps))


@over_cases
def test_ranking_is_within_its_bound(iris, case):
    """One-vs-rest AUC, macro and weighted, is scikit-learn's within the printed bound."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - heavy

    rows = iris.part(case).drop_nulls("label")
    label, scores = rows["label"].to_numpy(), rows.select(CLASS_COLUMNS).to_numpy()
    areas = [roc_auc_score(label == name, scores[:, i]) for i, name in enumerate(CLASSES)]
    shares = [(label == name).mean() for name in CLASSES]
    within(iris.read(case, "auc_macro"), np.mean(areas))
    within(iris.read(case, "auc_weighted"), np.dot(areas, shares))


@over_long
def test_curves_by_class_equal_scikit_learn(iris, case):
    """Precision, recall and F1 of each class, and the confusion matrix, agree to 1e-9."""
    from sklearn import metrics as sk  # noqa: PLC0415 - heavy

    rows = iris.part(case).drop_nulls("label")
    said = np.array(CLASSES)[rows.select(CLASS_COLUMNS).to_numpy().argmax(axis=1)]
    found = sk.precision_recall_fscore_support(rows["label"].to_numpy(), said, labels=CLASSES)
    for name, values in zip(("precision", "recall", "f1"), found, strict=False):
        for one, value in zip(CLASSES, values, strict=True):
            close(iris.read(case, f"class_{name}", one), value)
    if case[1] != ALL:  # a detail is told of all rows only
        return
    confusion = sk.confusion_matrix(rows["label"].to_numpy(), said, labels=CLASSES, normalize="all")
    for i, true in enumerate(CLASSES):
        for j, predicted in enumerate(CLASSES):
            close(iris.read(case, "confusion_share", f"{true}→{predicted}"), confusion[i, j])


@over_cases
def test_errors_equal_scikit_learn(wine, case):
    """Metrics of the regression model agree to 1e-9, percentiles of the error within their bound."""
    from sklearn import metrics as sk  # noqa: PLC0415 - heavy

    rows = wine.part(case).drop_nulls("label")
    label, said = rows["label"].to_numpy(), rows["score"].to_numpy()
    close(wine.read(case, "mae"), sk.mean_absolute_error(label, said), rows.height)
    close(wine.read(case, "rmse"), sk.root_mean_squared_error(label, said), rows.height)
    close(wine.read(case, "bias"), (said - label).mean(), rows.height)
    close(wine.read(case, "r2"), sk.r2_score(label, said), rows.height)
    there = label != 0
    relative = sk.mean_absolute_percentage_error(label[there], said[there])
    close(wine.read(case, "mape"), relative, int(there.sum()))
    close(wine.read(case, "mape_undefined_share"), 1 - there.mean(), rows.height)
    for level in (50, 90, 95):
        exact = np.quantile(np.abs(said - label), level / 100, method="inverted_cdf")
        within(wine.read(case, f"absolute_error_p{level}"), exact)


@over_cases
def test_drift_of_what_is_predicted_equals_counting(iris, wine, case):
    """PSI of predicted classes is that of their counts, KS of predicted numbers scipy's within its bound."""
    from scipy.stats import ks_2samp  # noqa: PLC0415 - heavy

    def classes(frame):
        return np.bincount(frame.select(CLASS_COLUMNS).to_numpy().argmax(axis=1), minlength=3)

    def trained(model):
        name, value = case[1]
        return model.rows.training.filter(pl.col(name) == value) if name else model.rows.training

    close(iris.read(case, "prediction_psi"), psi(classes(iris.part(case)), classes(trained(iris))))
    now, then = (frame["score"].to_numpy() for frame in (wine.part(case), trained(wine)))
    within(wine.read(case, "ks", "score"), ks_2samp(now, then).statistic)
    if case[1] == ALL and case[2][0] in ("28d", "1mo"):
        close(wine.read(case, "value_mean", "score"), now.mean(), now.size)


@over_cases
def test_label_shift_equals_counting(iris, wine, case):
    """Label PSI is that of the classes that came true, or of labels in the bins of the predicted numbers."""
    name, value = case[1]

    def before(model):
        return model.rows.training.filter(pl.col(name) == value) if name else model.rows.training

    now, then = (
        [(frame["label"] == one).sum() for one in CLASSES] for frame in (iris.part(case), before(iris))
    )
    close(iris.read(case, "label_psi"), psi(np.array(now), np.array(then)))
    bins = load_baselines(wine.walk)[case[0]].features["score"]
    from mlobs_pipelines.core.buckets import bucket_codes  # noqa: PLC0415 - beside its only use

    now, then = (
        np.bincount(
            np.searchsorted(
                bins.edges,
                bucket_codes(frame["label"].drop_nulls().to_numpy(), bins.grid.location, bins.grid.scale),
                side="right",
            ),
            minlength=bins.edges.size + 1,
        )
        for frame in (wine.part(case), before(wine))
    )
    close(wine.read(case, "label_psi"), psi(now, then))


def test_volume_and_labels_are_counted(iris, wine):
    """Scored rows and label coverage do not depend on the task."""
    case = ("a", ALL, SPANS[3])
    for model in (iris, wine):
        close(model.read(case, "row_count"), model.part(case).height)
        asked = model.rows.predictions.filter(pl.col("model_version") == "a")
        asked = asked.filter(pl.col("predicted_at").dt.month() == 3)
        close(model.read(case, "request_count"), asked.height)


def test_the_log_says_which_class_was_predicted(iris, wine):
    """The decision is the class of the largest score, the first of equal ones; a number leads to none."""
    log = pl.DataFrame(iris.walk.lake.read("iris_species", log_layout(iris.walk.spec)))
    scored = log.drop_nulls(CLASS_COLUMNS)
    said = np.array(CLASSES)[scored.select(CLASS_COLUMNS).to_numpy().argmax(axis=1)]
    assert (scored["decision"].to_numpy() == said).all()
    assert log.filter(pl.col("status") != "ok")["decision"].null_count() == (log["status"] != "ok").sum()
    assert "decision" not in log_layout(wine.walk.spec).schema.names


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_revisions_conflict_where_labels_differ(name, request):
    """A text or a number that a revision changes is a conflict; one that it repeats is none."""
    model = request.getfixturevalue(name)
    rows = pl.DataFrame(model.walk.lake.read(model.walk.model, labelled_layout(model.walk.spec)))
    labels = model.rows.labels
    differ = labels.group_by("prediction_id").agg(n=pl.struct("label", "outcome").n_unique())
    expected = set(differ.filter(pl.col("n") > 1)["prediction_id"])
    assert expected
    assert set(rows.filter(pl.col("conflict"))["prediction_id"]) == expected
    assert rows.filter(pl.col("revisions") > 1).height > rows.filter(pl.col("conflict")).height


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_objectives_of_the_task_are_judged(name, request):
    """Every objective of the monitor judges rows, also one about a class and one against the baseline."""
    model = request.getfixturevalue(name)
    for objective in model.walk.spec.monitor.objectives:
        judged = [
            row
            for row in model.stored.values()
            if (row["metric"], row["window"]) == (objective.metric, objective.window)
            and row["verdict"] in ("pass", "fail")
            and row["segment"] == ""
        ]
        assert judged, objective.metric
        named = {row["feature"] for row in judged}
        assert objective.features is None or named == set(objective.features)


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_the_report_is_written(name, request, tmp_path):
    """The report of a model that is not binary names its metrics."""
    from mlobs_pipelines.steps.tell import write_report  # noqa: PLC0415 - heavy

    model = request.getfixturevalue(name)
    assert write_report(model.walk, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    error, ranking = "Mean absolute error", "AUC, mean of the classes"
    headline, shown, absent = {"iris": ("auc_macro", ranking, error), "wine": ("mae", error, ranking)}[name]
    assert shown in text
    assert absent not in text
    assert "decides at a score" not in text
    assert f"--metric {headline} --window 28d" in text
    assert ("Observed rate against mean score" in text) == (name == "iris")
