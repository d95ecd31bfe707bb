"""Metrics at fixed maturities against scikit-learn on the labels that were known at each age."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from mlobs_pipelines.store.metric_store import MetricStore
from tests.steps import loans
from tests.steps.journey import go
from tests.steps.test_metrics_oracles import THRESHOLDS

AGES = {"1d": timedelta(days=1), "3d": timedelta(days=3)}


@pytest.fixture(scope="module")
def developed(scored):
    """Metric rows at fixed maturities, by what they are about."""
    rows = MetricStore(scored.lake).query(scored.model, maturities=AGES).to_pylist()
    keys = ("model_version", "window", "window_start", "maturity")
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), {})[row["metric"]] = row
    return found


def known_at(rows, version, start, end, age):
    """Scored predictions of a window with the label known at an age, and whether any was."""
    asked = rows.predictions.filter(
        pl.col("model_version") == version,
        pl.col("score").is_not_null(),
        pl.col("predicted_at").dt.date() >= start,
        pl.col("predicted_at").dt.date() < end,
        pl.col("predicted_at") <= loans.AS_OF,
    )
    both = asked.join(rows.labels, on="prediction_id", how="inner")
    by_then = both.filter(pl.col("arrived_at") <= pl.col("predicted_at") + age)
    last = by_then.sort("arrived_at", "revision").group_by("prediction_id").agg(pl.col("label").last())
    labelled = pl.Series("known", [True] * last.height, dtype=pl.Boolean)
    return asked.join(last.with_columns(labelled), on="prediction_id", how="left")


def test_every_value_equals_scikit_learn_on_the_labels_of_that_age(developed, rows):
    """Counts and shares to 1e-9 and AUC within its bound, in every window that has reached an age."""
    from sklearn import metrics as sk  # noqa: PLC0415 - heavy

    assert {key[1] for key in developed} == {"1d", "7d", "28d", "1mo"}
    for (version, _, start, age), found in developed.items():
        end = found["label_coverage"]["window_end"]
        raw = known_at(rows, version, start, end, AGES[age])
        labelled = raw.drop_nulls("label")
        label, score = labelled["label"].to_numpy(), labelled["score"].to_numpy()
        expected = {
            "label_coverage": raw["known"].sum() / raw.height,
            "base_rate": label.mean(),
            "brier_score": sk.brier_score_loss(label, score),
            "log_loss": sk.log_loss(label, score, labels=[0, 1]),
            "accuracy": sk.accuracy_score(label, score >= THRESHOLDS[version]),
        }
        assert {name: found[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-9)
        assert abs(found["auc"]["value"] - sk.roc_auc_score(label, score)) <= found["auc"]["bound"] + 1e-12
        assert found["base_rate"]["n"] == label.size
        assert found["label_coverage"]["n"] == raw.height
        assert found["auc"]["label_coverage"] == found["label_coverage"]["value"]


def test_a_window_is_there_once_all_of_it_is_old_enough(developed, rows):
    """Days have a value at an age exactly when their youngest scored prediction has reached it."""
    scored = rows.predictions.filter(pl.col("score").is_not_null(), pl.col("predicted_at") <= loans.AS_OF)
    newest = scored.group_by("model_version", day=pl.col("predicted_at").dt.date()).agg(
        pl.col("predicted_at").max()
    )
    expected = {
        (version, "1d", day, name)
        for version, day, last in newest.iter_rows()
        for name, age in AGES.items()
        if loans.AS_OF - last >= age
    }
    assert {key for key in developed if key[1] == "1d"} == expected


def test_readers_see_the_labels_known_now_unless_they_ask(scored, developed):
    """Without a maturity no row at a fixed age is read; with any, they come beside the others."""
    store = MetricStore(scored.lake)
    plain = store.query(scored.model, metrics=["auc"], segments=[""])
    every = store.query(scored.model, metrics=["auc"], segments=[""], maturities=["any"])
    assert set(plain["maturity"].to_pylist()) == {"mature", "provisional"}
    assert every.num_rows == plain.num_rows + len(developed)


def test_a_value_stays_what_it_is(developed, landing, tmp_path):
    """Seen at an earlier moment, a window that had reached an age had the same value at that age."""
    moment = datetime.combine(loans.DAYS[5], datetime.min.time(), loans.AS_OF.tzinfo)
    walk = loans.walk_of(tmp_path, landing, moment)
    go(walk)
    before = MetricStore(walk.lake).query(walk.model, maturities=AGES).to_pylist()
    assert {row["maturity"] for row in before} == set(AGES)
    for row in before:
        key = tuple(row[name] for name in ("model_version", "window", "window_start", "maturity"))
        later = developed.get(key, {}).get(row["metric"])
        if row["window"] == "1d":
            assert (later["value"], later["n"]) == (row["value"], row["n"])
