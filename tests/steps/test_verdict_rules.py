"""Limits from earlier windows, baselines and the champion: right by hand, from what a verdict carries."""

import math
from datetime import date, timedelta

import polars as pl
import pytest

from mlobs_pipelines.steps.metrics import score
from tests.steps.loans import DAYS
from tests.steps.redeclared import metrics_of, redeclared

OBJECTIVES = {
    "previous": "{metric: auc, window: 1d, relative_to: previous, fail_below_change: 0.01}",
    "ratio": "{metric: request_count, window: 1d, relative_to: previous, fail_below_change_ratio: 0.2}",
    "baseline": "{metric: null_share, window: 7d, relative_to: baseline, fail_above_change: 0}",
    "quality": "{metric: auc, window: 7d, relative_to: baseline, fail_below_change: 0.02}",
    "champion": "{metric: mean_score, window: 1d, relative_to: champion, fail_below_change: 0.005}",
    "sigmas": "{metric: auc, window: 1d, sigmas: 3, reference_windows: 7}",
    "improving": "{metric: label_backlog, window: 1d, sigmas: 0.5, reference_windows: 7}",
    "seasonal": "{metric: auc, window: 1d, sigmas: 3, seasonal: weekday}",
    "min_n": "{metric: auc, window: 1d, fail_below: 0.1, min_n: 150}",
    "failing": "{metric: request_count, window: 1d, fail_below: 190, failing: {of: 5, at_least: 1}}",
}


TOGETHER = (
    ("previous", "ratio", "baseline", "quality", "champion", "improving"),
    ("sigmas", "failing"),
    ("seasonal",),
    ("min_n",),
)  # a window of a metric is judged by one objective


@pytest.fixture(scope="module")
def judged(scored, tmp_path_factory):
    """Rows of a metric that one objective judges, by the objective's name."""
    found = {}
    for names in TOGETHER:
        objectives = "".join(f"  - {OBJECTIVES[name]}\n" for name in names)
        fewer = {"[1d, 7d, 28d, 1mo]": "[1d, 7d]"}
        walk = redeclared(scored, tmp_path_factory.mktemp(names[0]), objectives=objectives, changes=fewer)
        score(walk, DAYS)
        found |= {name: metrics_of(walk, **_judged_by(OBJECTIVES[name])) for name in names}
    return found


def _judged_by(objective):
    """Metric and window of an objective."""
    return {f"{key}s": [objective.split(f"{key}: ")[1].split(",")[0]] for key in ("metric", "window")}


def _told(rows):
    """Judged rows with their rule."""
    kept = rows.filter(pl.col("verdict") != "none")
    assert kept.height
    return [(row, row["told"]["rule"]) for row in kept.iter_rows(named=True)]


def _value(rows, row, start, version=None):
    """The stored value of the same metric in another window, or of another version."""
    (value,) = rows.filter(
        (pl.col("window_start") == start)
        & (pl.col("window") == row["window"])
        & (pl.col("segment") == row["segment"])
        & (pl.col("segment_value") == row["segment_value"])
        & (pl.col("feature") == row["feature"])
        & (pl.col("model_version") == (version or row["model_version"]))
    )["value"]
    return value


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_verdict_can_be_computed_again_from_what_it_carries(judged, name):
    """The limit follows from the rule and the reference values beside it, and the verdict from the limit."""
    for row, rule in _told(judged[name]):
        if rule["limit"] is None:
            assert row["verdict"] == "undecided"
            continue
        assert row["threshold"] == rule["limit"]
        values = [one["value"] for one in rule.get("reference", [])]
        if "sigmas" in rule:
            mean = sum(values) / len(values)
            std = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
            away = rule["sigmas"] * std * (1 if rule["fails"] == "above" else -1)
            assert rule["limit"] == pytest.approx(min(max(mean + away, -math.inf), math.inf), abs=1e-12)
        elif values:
            (size,) = [rule[key] for key in rule if "_change" in key]
            size *= abs(values[0]) if any(key.endswith("_ratio") for key in rule) else 1
            away = size if rule["fails"] == "above" else -size
            assert rule["limit"] == pytest.approx(values[0] + away, abs=1e-12)
        if "failing" not in rule and row["verdict"] in ("pass", "fail"):
            beyond = (
                row["value"] > rule["limit"] if rule["fails"] == "above" else row["value"] < rule["limit"]
            )
            assert beyond == (row["verdict"] == "fail")


@pytest.mark.parametrize("name", ["previous", "ratio"])
def test_a_change_is_measured_from_the_window_before(judged, name):
    """The reference is the stored value of the adjacent earlier window; the first window has none."""
    rows = judged[name]
    first = dict(rows.group_by("model_version").agg(pl.col("window_start").min()).iter_rows())
    for row, rule in _told(rows):
        if row["window_start"] == first[row["model_version"]]:
            assert row["reason"].startswith("the previous window has no value")
        else:
            (reference,) = rule["reference"]
            before = row["window_start"] - timedelta(days=1)
            assert date.fromisoformat(reference["window_start"]) == before
            assert reference["value"] == _value(rows, row, before)


def test_a_change_from_the_champion_is_that_of_the_same_window(judged):
    """The shadow is held against the champion's value; the champion against nothing."""
    rows = judged["champion"]
    told = _told(rows)
    assert {row["model_version"] for row, _ in told} == {"b"}
    for row, rule in told:
        assert rule["reference"][0]["value"] == _value(rows, row, row["window_start"], "a")


def test_a_change_from_the_baseline_is_that_of_the_training_rows(judged, rows):
    """The reference is the share of training rows without a value, of the segment where it is one's."""
    training = rows.training
    for row, rule in _told(judged["baseline"]):
        some = training
        if row["segment"] and row["segment_value"] != "__null__":
            some = training.filter(pl.col(row["segment"]).cast(pl.String) == row["segment_value"])
        elif row["segment"]:
            some = training.filter(pl.col(row["segment"]).is_null())
        if some.height:
            expected = some[row["feature"]].null_count() / some.height
            assert rule["reference"] == [{"n": some.height, "value": pytest.approx(expected, abs=1e-12)}]
        else:
            assert rule["limit"] is None


def test_quality_is_held_against_that_of_the_training_rows(judged, rows):
    """The reference is the AUC of scores and labels in the training set, as scikit-learn has it."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - only this test needs it

    expected = roc_auc_score(rows.training["label"], rows.training["score"])
    for row, rule in _told(judged["quality"]):
        if not row["told"]["rule"].get("sigmas") and "reference" in rule:
            assert rule["reference"] == [{"n": 3000, "value": pytest.approx(expected, abs=1e-3)}]


def test_reference_windows_come_before_the_judged_one(judged):
    """Seven windows give a limit, fewer none; neither the judged window nor a later one is among them."""
    for row, rule in _told(judged["sigmas"]):
        starts = [date.fromisoformat(one["window_start"]) for one in rule["reference"]]
        assert all(start < row["window_start"] for start in starts)
        assert (rule["limit"] is None) == (len(starts) < 7)
        if len(starts) < 7 and "too few" not in row["reason"]:
            assert row["reason"] == f"only {len(starts)} of 7 reference windows have a value; it takes 7"


def test_an_improvement_never_fails(judged):
    """Fewer errors than ever are no reason to alert: only rises of an error share are judged."""
    assert {rule["fails"] for _, rule in _told(judged["improving"])} == {"above"}


def test_other_weekdays_are_no_reference(judged):
    """In nine days the same weekday came once before at most."""
    for row, rule in _told(judged["seasonal"]):
        assert len(rule["reference"]) == (row["window_start"] >= DAYS[7] and row["model_version"] == "a")
        assert row["verdict"] == "undecided"


def test_too_few_rows_for_the_declared_minimum_are_undecided(judged):
    """A window of fewer rows than `min_n` has no verdict, and says so."""
    for row, _ in _told(judged["min_n"]):
        assert (row["verdict"] == "undecided") == (row["n"] < 150)
    reasons = [row["reason"] for row, _ in _told(judged["min_n"]) if row["verdict"] == "undecided"]
    assert any(reason.endswith("it takes at least 150 rows") for reason in reasons)


def test_enough_of_the_latest_windows_must_fail(judged):
    """Once enough of five windows fail the objective does; windows that are not there leave it undecided."""
    rows = judged["failing"]
    values = {(row["model_version"], row["window_start"]): row["value"] for row, _ in _told(rows)}
    for row, rule in _told(rows):
        days = [row["window_start"] - timedelta(days=back) for back in range(5)]
        found = [values.get((row["model_version"], day)) for day in days]
        verdicts = ["none" if value is None else "fail" if value < 190 else "pass" for value in found]
        # A day without requests of the version but with others' is there, and cannot be judged.
        told = ["none" if one["verdict"] == "undecided" else one["verdict"] for one in rule["windows"]]
        assert told == verdicts
        expected = "fail" if "fail" in verdicts else "undecided" if "none" in verdicts else "pass"
        assert row["verdict"] == expected
        assert row["reason"].startswith(f"{verdicts.count('fail')} of 5 windows fail")
