"""Attributions and waiting times from the log to judged rows of the metric store, against the raw rows."""

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import ndcg_score

from mlobs_pipelines.contracts.folder import check_folder
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.steps.bins import load_baselines
from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import explained
from tests.steps.journey import go

WEEK = ("7d", date(2024, 2, 25), date(2024, 3, 3))
DAY, LATE = (("1d", day, day.replace(day=day.day + 1)) for day in (date(2024, 2, 27), date(2024, 3, 2)))
GROUPS = [("", ""), ("region", "north"), ("region", "__null__")]
IMPORTANCE = {"amount": 0.5, "region": 0.05}


@pytest.fixture(scope="module")
def drawn():
    """Every row that is delivered."""
    return explained.draw()


@pytest.fixture(scope="module")
def walked(drawn, tmp_path_factory):
    """A walk whose lake holds everything."""
    walk = explained.walk_of(tmp_path_factory.mktemp("explained"), drawn)
    go(walk)
    return walk


@pytest.fixture(scope="module")
def stored(walked):
    """Every metric row, by what it is about."""
    rows = MetricStore(walked.lake).query(walked.model).to_pylist()
    keys = ("model_version", "segment", "segment_value", "window", "window_start", "feature", "metric")
    return {tuple(row[key] for key in keys): row for row in rows}


def part(drawn, version, group, span):
    """Raw rows of one version, group and window."""
    day, (name, value) = pl.col("predicted_at").dt.date(), group
    rows = drawn.predictions.filter(pl.col("model_version") == version, day >= span[1], day < span[2])
    return rows.filter(pl.col(name).fill_null("__null__") == value) if name else rows


def sizes(rows):
    """|attribution| of all features of the rows that have a score."""
    columns = [f"shap_{name}" for name in explained.FEATURES]
    return np.abs(rows.select(columns).drop_nulls().to_numpy())


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("span", [WEEK, DAY, LATE], ids=["week", "day", "late"])
@pytest.mark.parametrize("version", ["a", "b"])
def test_ndcg_is_that_of_the_raw_rows(stored, drawn, version, span, group):
    """Gains are the training's mean |SHAP| where it has them, and its importances where it has not."""
    rows = part(drawn, version, group, span)
    if rows.is_empty():
        return
    live = sizes(rows).mean(axis=0)
    training = explained.training(drawn)
    if group[0]:
        training = training.filter(pl.col(group[0]).fill_null("__null__") == group[1])
    row = stored[(version, *group, span[0], span[1], "", "attribution_ndcg")]
    if training.is_empty() and version == "a":  # a group that training never saw has no order to keep
        assert row["value"] is None
        return
    gains, order = sizes(training).mean(axis=0) if training.height else live, live
    if version == "b":
        known = [explained.FEATURES.index(name) for name in IMPORTANCE]
        gains, order = np.array(list(IMPORTANCE.values())), live[known]
    assert row["value"] == pytest.approx(ndcg_score([gains], [order]), rel=1e-9)
    assert row["n"] == len(sizes(rows))
    assert row["lower"] <= row["value"] <= row["upper"]


@pytest.mark.parametrize("group", GROUPS)
def test_each_feature_has_its_mean_and_share(stored, drawn, group):
    """Mean and share are plain arithmetic on |SHAP|, the 95 % point within its bound."""
    found = sizes(part(drawn, "a", group, WEEK))
    for place, name in enumerate(explained.FEATURES):
        key = ("a", *group, WEEK[0], WEEK[1], name)
        mean, share = (stored[(*key, f"attribution_{kind}")] for kind in ("mean", "share"))
        assert mean["value"] == pytest.approx(found[:, place].mean(), rel=1e-9)
        assert mean["n"] == len(found)
        half = 1.959963984540054 * found[:, place].std(ddof=1) / np.sqrt(len(found))
        assert mean["upper"] - mean["value"] == pytest.approx(half, rel=1e-6)
        assert share["value"] == pytest.approx(found[:, place].sum() / found.sum(), rel=1e-9)
    long = stored[("a", "", "", "1mo", date(2024, 2, 1), "amount", "attribution_p95")]
    rows = sizes(part(drawn, "a", ("", ""), ("1mo", date(2024, 2, 1), date(2024, 3, 1))))
    exact = np.quantile(rows[:, 0], 0.95, method="inverted_cdf")
    assert abs(long["value"] - exact) <= long["bound"] <= 0.04 * exact


def test_features_that_change_places_fail_the_objective(stored):
    """Under 0.9 the day fails, and its evidence holds all that it takes to compute the value by hand."""
    row, before = (stored[("a", "", "", *span[:2], "", "attribution_ndcg")] for span in (LATE, DAY))
    assert (before["verdict"], row["verdict"]) == ("pass", "fail")
    told = json.loads(row["inputs"])["attributions"]
    assert [name for name, _, _ in told] == list(explained.FEATURES)
    _, now, then = zip(*told, strict=True)
    assert ndcg_score([then], [now]) == pytest.approx(row["value"], rel=1e-4)


def test_queue_times_are_those_of_the_raw_rows(stored, drawn):
    """Quantiles of the time waited lie within their bound of the exact ones, over all requests."""
    waits = part(drawn, "a", ("", ""), WEEK)["queue_ms"].to_numpy()
    for level in (50, 95, 99):
        row = stored[("a", "", "", *WEEK[:2], "", f"queue_time_p{level}")]
        exact = np.quantile(waits, level / 100, method="inverted_cdf")
        assert abs(row["value"] - exact) <= row["bound"] <= 0.04 * exact
        assert row["n"] == waits.size


def test_timeouts_are_counted_among_the_errors(stored, drawn):
    """The timeout share is that of the raw rows; availability is what errors leave."""
    rows = part(drawn, "a", ("", ""), WEEK)
    share, error, rest = (
        stored[("a", "", "", *WEEK[:2], "", name)]["value"]
        for name in ("timeout_share", "error_share", "availability")
    )
    assert share == pytest.approx((rows["status"] == "timeout").mean(), rel=1e-12)
    assert error == share
    assert rest == pytest.approx(1 - error, rel=1e-12)


def test_the_baselines_id_follows_its_attributions(walked):
    """Two training sets that differ in their attributions alone are two baselines."""
    found = load_baselines(walked)
    assert found["a"].baseline_id != found["b"].baseline_id


def test_what_the_monitor_says_of_attributions_has_to_be_in_the_contract(tmp_path):
    """A missing column, one that is no number, one that is hashed and a template for none are told."""
    folder = explained.folder_of(tmp_path)
    assert check_folder(folder, METRICS) == []
    predictions, monitor = folder / "predictions.odcs.yaml", folder / "monitor.yaml"
    good, said = predictions.read_text(encoding="utf-8"), monitor.read_text(encoding="utf-8")
    for old, new, told in (
        ("name: shap_cards,", "name: shape_cards,", "no column 'shap_cards' for the attributions of cards"),
        ("shap_cards, logicalType: number", "shap_cards, logicalType: string", "is declared as string"),
        (
            "shap_cards, logicalType: number, classification: internal",
            "shap_cards, logicalType: number, classification: restricted",
            "shap_cards is restricted",
        ),
    ):
        assert old in good
        predictions.write_text(good.replace(old, new), encoding="utf-8")
        assert any(told in str(problem) for problem in check_folder(folder, METRICS)), told
    predictions.write_text(good, encoding="utf-8")
    monitor.write_text(said.replace("shap_{feature}", "shap"), encoding="utf-8")
    (problem,) = check_folder(folder, METRICS)
    assert "'shap' names no column for each feature; write it as in shap_{feature}" in str(problem)


def test_a_training_set_with_some_attributions_is_refused(drawn, tmp_path):
    """Attributions of all features or of none: with fewer, the order of features would be made up."""
    from mlobs_pipelines.steps.baseline import measure_baselines  # noqa: PLC0415 - only here
    from mlobs_pipelines.steps.bins import BaselineError  # noqa: PLC0415 - only here

    walk = explained.walk_of(tmp_path, drawn)
    rows = explained.training(drawn).drop("shap_grade")
    rows.write_parquet(tmp_path / "landing" / "training" / "a.parquet")
    with pytest.raises(BaselineError, match="missing column shap_grade"):
        measure_baselines(walk)


def test_no_model_without_them_gets_rows(scored):
    """A log without attributions and waiting times has no rows about them."""
    names = {"attribution_mean", "attribution_ndcg", "queue_time_p50"}
    metrics = set(MetricStore(scored.lake).query(scored.model)["metric"].to_pylist())
    assert "timeout_share" in metrics
    assert not metrics & names
