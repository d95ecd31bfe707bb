"""Suspects of incidents over daily metrics that were written down as they are wanted."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlobs_pipelines.steps.explain import gather, plain, sentence, suspects
from mlobs_pipelines.steps.opened import Opened
from mlobs_pipelines.steps.series import Key
from mlobs_pipelines.steps.suspected import suspected
from mlobs_pipelines.steps.suspects import split
from tests.steps.changed import SIZE, base, calm, day, incident, quality, signal, write
from tests.steps.loans import walk_of


@pytest.fixture
def walk(tmp_path, monkeypatch):
    """Give an empty installation in which the features' importance is known: amount 1, region 0.1."""
    known = {"a": {"amount": 1.0, "region": 0.1}}
    monkeypatch.setattr("mlobs_pipelines.steps.explain._importance", lambda _: known)
    return walk_of(tmp_path, tmp_path)


def told(walk, series, *signals, at=32, roles=None):
    """Suspects of an incident that opens on the day of a number."""
    write(walk, series, roles)
    one = incident(at, *signals)
    return plain(suspects(gather(walk, one.opened, day(SIZE - 1)), one, day(at)))


def raised(series, key, at, by):
    """The same with one series that lies higher from a day on."""
    values = series[key].copy()
    values[at:] += by
    return {**series, key: values}


def test_skew_explains_drift_and_quality(walk):
    """What was served otherwise than known comes first, with its days; drift and decisions after it."""
    series = raised(base(), Key("a", "skew_mismatch_share", "amount"), 30, 0.8)
    series = raised(series, Key("a", "psi", "amount"), 30, 0.6)
    series = raised(series, Key("a", "brier_score"), 30, 0.05)
    found = told(walk, series, quality())
    assert [one["what"] for one in found[:2]] == ["skew of amount", "drift of amount"]
    assert (found[0]["begin"], found[0]["end"], found[0]["score"]) == ("2024-01-31", None, 1.0)
    assert {one["may_follow_from"] for one in found[1:]} <= {"skew of amount", "drift of amount"}
    assert sentence(found[0]) == "skew of amount (skew_mismatch_share 0 to 0.8 since 2024-01-31)"


def test_importance_decides_between_features(walk):
    """A feature that hardly matters moves more, and still stands behind the one that carries the model."""
    series = raised(base(), Key("a", "psi", "amount"), 30, 0.3)
    series = raised(series, Key("a", "psi", "region"), 30, 5.0)
    series = raised(series, Key("a", "brier_score"), 30, 0.05)
    found = told(walk, series, quality())
    assert [one["what"] for one in found if one["kind"] == "drift"] == ["drift of amount", "drift of region"]


def test_without_anything_upstream_the_relation_is_left(walk):
    """Where decisions grow worse and nothing else moves, the inputs say something else of the labels now."""
    found = told(walk, raised(base(), Key("a", "brier_score"), 30, 0.08), quality())
    assert found[0]["kind"] == "relation"
    assert told(walk, base(5), quality()) == []


def test_the_segment_that_carries_the_change_is_named_with_parts_that_add_up(walk):
    """One region grows worse: it is named, and mix and within of all regions sum to the whole change."""
    series = base()
    for at, region in enumerate(("north", "south", "east")):
        series[Key("a", "brier_score", "", "region", region)] = calm(0.15, 0.004, 20 + at)
    series = raised(series, Key("a", "brier_score", "", "region", "south"), 30, 0.2)
    series = raised(series, Key("a", "brier_score"), 30, 0.2 / 3)
    found = told(walk, series, quality())
    assert found[0]["what"] == "region south, for a"
    assert found[0]["share_of_change"] > 0.9 > found[0]["share_of_rows"]
    panel = gather(walk, day(32), day(SIZE - 1)).panel
    keys = [key for key in panel.at if key.segment == "region"]
    start = panel.position(day(30))
    parts = split(panel, keys, (start, panel.days))
    values = panel.values[[panel.at[key] for key in keys]]
    change = values[:, start:].mean() - np.nanmean(values[:, :start])
    assert parts.total.sum() == pytest.approx(change, abs=1e-12)


def test_a_version_that_takes_over_is_a_suspect_of_its_decisions(walk):
    """Where quality of a new champion fails from its first days, the release is what to look at."""
    roles = {"a": ["champion"] * 30 + ["shadow"] * 10, "b": [""] * 30 + ["champion"] * 10}
    series = base() | {Key("b", "request_count"): np.r_[np.full(30, np.nan), calm(300, 10, 3)[30:]]}
    one = replace(quality(), version="b", told={**quality().told, "model_version": "b"})
    found = told(walk, series, one, at=33, roles=roles)
    assert (found[0]["what"], found[0]["begin"]) == ("b became champion", "2024-01-31")


def test_late_labels_are_told_from_bad_decisions(walk):
    """Labels that come late when quality seems to fall are the first suspect."""
    series = base() | {Key("a", "label_lag_p50"): calm(6, 0.3, 9)}
    series = raised(series, Key("a", "label_lag_p50"), 30, 60)
    found = told(walk, raised(series, Key("a", "brier_score"), 30, 0.05), quality())
    assert found[0]["what"] == "labels"
    assert found[0]["metric"] == "label_lag_p50"


def test_suspects_are_kept_with_an_incident_from_its_first_days(walk):
    """What is kept is what was known by each day, few words of it; other days carry it on."""
    series = raised(base(), Key("a", "skew_mismatch_share", "amount"), 30, 0.8)
    write(walk, series)
    one = incident(30, signal("skew_mismatch_share", 3, "feature:amount", feature="amount"))
    kept = suspected(walk, {}, {day(at): [one] for at in range(30, 34)})
    first, *later = (json.loads(kept[day(at), one.id]) for at in range(30, 34))
    assert [found["what"] for found in first] == ["skew of amount"]
    assert later[0] == later[1]
    again = suspected(walk, {one.id: kept[day(31), one.id]}, {day(32): [one]})
    assert again == {(day(32), one.id): kept[day(32), one.id]}


def test_slow_answers_explain_requests_but_not_decisions(walk):
    """Latency is a suspect of what fails in operations, never of quality."""
    series = raised(base(), Key("a", "latency_p95"), 30, 200)
    slow = signal("latency_p95", 2, "requests", ("predictions",))
    assert told(walk, series, slow)[0]["what"] == "requests to a"
    assert all(one["kind"] != "operations" for one in told(walk, series, quality()))


def test_what_to_open_names_runs_versions_and_inputs(walk):
    """A suspect leads to materializations: asset, day, run, table version, a link where Dagster is known."""
    series = raised(base(), Key("a", "psi", "amount"), 30, 0.9)
    (first, *_) = told(walk, series, signal("psi", 4, "feature:amount", feature="amount"))
    opened = Opened(walk, "http://dagster.test/").of(first)
    assert [one["asset"] for one in opened] == ["metrics", "prediction_log"]
    facts = ("partition", "run_id", "table_version", "code_version")
    assert [opened[0][name] for name in facts] == [
        "2024-01-31",
        "run",
        walk.lake.version(walk.model, "metrics"),
        "0",
    ]
    assert opened[0]["link"].startswith("http://dagster.test/assets/loan_risk/metrics?")
    assert opened[1]["run_id"] == ""
    assert json.dumps(opened)
