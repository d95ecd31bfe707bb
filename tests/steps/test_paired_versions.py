"""Stored comparisons of a shadow with the champion, against the same pairs joined by hand from raw rows."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.summaries import PairSummary
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.store.metric_store import MetricStore
from tests.core.pairs import EPS, delong_paired
from tests.steps import loans
from tests.steps.redeclared import metrics_of, redeclared

THRESHOLDS = {"a": 0.5, "b": 0.3}
NAMES = [name for name, one in METRICS.items() if PairSummary in one.functions]
OBJECTIVES = """
  - {metric: auc_difference, window: 7d, fail_below: -0.02, roles: [shadow]}
  - {metric: auc_difference, window: 1d, fail_below: -0.02, min_n: 5000, roles: [shadow]}
  - {metric: mcnemar_p, window: 7d, fail_below: 0.01, roles: [shadow]}
"""


@pytest.fixture(scope="module")
def pairs(rows):
    """What both versions said of each prediction, with the label known as of the run."""
    known = rows.labels.filter(pl.col("arrived_at") <= loans.AS_OF).sort("arrived_at", "revision")
    label = known.group_by("prediction_id").agg(label=pl.col("label").last())
    scored = rows.predictions.filter(
        pl.col("predicted_at") <= loans.AS_OF, pl.col("score").is_not_null()
    ).with_columns(day=pl.col("predicted_at").dt.date())
    champion = scored.filter(pl.col("role") == "champion").select("prediction_id", champion="score")
    shadow = scored.filter(pl.col("role") == "shadow")
    return shadow.join(champion, on="prediction_id").join(label, on="prediction_id", how="left")


def windows(scored, **wanted):
    """Rows of the metric store by window and what they are about, each a mapping of metric to row."""
    found = {}
    for row in MetricStore(scored.lake).query(scored.model, metrics=NAMES, **wanted).to_pylist():
        assert row["model_version"] == "b"
        key = tuple(row[k] for k in ("segment", "segment_value", "window_start", "window_end"))
        found.setdefault(key, {})[row["metric"]] = row
    return found


@pytest.mark.parametrize("window", ["1d", "7d", "28d", "1mo"])
def test_stored_comparisons_are_those_of_the_pairs(scored, pairs, window):
    """Counts, shares and losses agree to 1e-9 and areas within their bound, in every segment and window."""
    found = windows(scored, windows=[window])
    for (name, value, start, end), row in found.items():
        mine = pairs.filter(pl.col("day") >= start, pl.col("day") < end)
        if name:
            mine = mine.filter(pl.col(name).cast(pl.String).fill_null("__null__") == value)
        _agree(row, mine)
    assert {name for name, *_ in found} == {"", "region", "employed"}


def _agree(row, mine):
    assert row["paired_count"]["value"] == mine.height
    known = mine.drop_nulls("label")
    own, champion, label = (known[name].to_numpy().astype(float) for name in ("score", "champion", "label"))
    right = [(s >= THRESHOLDS[v]) == (label == 1) for s, v in ((own, "b"), (champion, "a"))]
    losses = [-np.log(np.where(label == 1, s, 1 - s).clip(EPS)) for s in (own, champion)]
    expected = {
        "accuracy_difference": np.mean(right[0].astype(int) - right[1]),
        "brier_difference": np.mean((own - label) ** 2 - (champion - label) ** 2),
        "log_loss_difference": np.mean(losses[0] - losses[1]),
    }
    for name, value in expected.items():
        assert row[name]["value"] == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert row[name]["n"] == known.height
    if 1 < label.sum() < label.size - 1:
        difference, variance = delong_paired(own, champion, label)
        area = row["auc_difference"]
        assert abs(area["value"] - difference) <= area["bound"] + 1e-12
        inside = -1 < area["lower"] < area["upper"] < 1
        half = 1.959964 * np.sqrt(variance)
        assert not inside or (area["upper"] - area["lower"]) / 2 == pytest.approx(half, rel=0.06)


def test_windows_without_pairs_have_no_rows(scored):
    """The champion, and days before there was another version, are compared with nothing."""
    starts = [start for *_, start, _ in windows(scored, windows=["1d"])]
    assert min(starts) > loans.DAYS[0]
    assert max(starts) == loans.DAYS[-1]


def test_an_objective_judges_the_shadow_alone(scored, tmp_path):
    """A limit on the difference passes, fails or says why not, for the shadow and never for the champion."""
    walk = redeclared(scored, tmp_path, objectives=OBJECTIVES[1:])
    score(walk, loans.DAYS)
    rows = metrics_of(walk, metrics=["auc_difference", "mcnemar_p"])
    judged = rows.filter(pl.col("verdict") != "none")
    assert set(judged["model_version"]) == {"b"}
    assert set(judged["role"]) == {"shadow"}
    few = judged.filter(pl.col("window") == "1d")
    assert set(few["verdict"]) == {"undecided"}
    assert any("too few for a verdict: it takes at least 5,000 rows" in reason for reason in few["reason"])
    week = judged.filter((pl.col("window") == "7d") & (pl.col("window_end") == date(2024, 3, 5)))
    told = {row["metric"]: row for row in week.iter_rows(named=True)}
    assert told["auc_difference"]["verdict"] in ("fail", "undecided")
    assert told["auc_difference"]["told"]["rule"]["limit"] == -0.02
    assert told["mcnemar_p"]["verdict"] in ("pass", "fail")
