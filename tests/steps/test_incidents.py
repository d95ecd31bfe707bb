"""Incidents of the loan model, kept from day to day in the lake: order, restarts, people."""

import dataclasses
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from mlobs_pipelines.steps.incidents import act, current, follow
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.store.tables import AUDIT, INCIDENT_DAYS, INCIDENTS
from tests.steps.loans import DAYS
from tests.steps.redeclared import FEW_FEATURES, metrics_of, redeclared

STRICT = """  - {metric: request_count, window: 1d, fail_above: 0}
  - {metric: psi, window: 7d, fail_above: 0.001}
"""
NOW = datetime(2024, 3, 5, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def failing(scored, tmp_path_factory):
    """The scored lake under objectives that most windows fail, its incidents worked out in one run."""
    walk = redeclared(scored, tmp_path_factory.mktemp("incidents"), objectives=STRICT, changes=FEW_FEATURES)
    score(walk, DAYS)
    follow(walk, DAYS)
    return walk


def rows(walk) -> pl.DataFrame:
    """Every row of the table."""
    return pl.DataFrame(walk.lake.read(walk.model, INCIDENTS)).drop("run_id", "as_of")


def test_failed_verdicts_are_in_incidents(failing):
    """Every row that fails on a day is a failing signal of one incident of that day."""
    failed = metrics_of(failing).filter((pl.col("verdict") == "fail") & (pl.col("window") != "1mo"))
    found = rows(failing)
    assert failed.height
    for day in DAYS:
        mine = found.filter((pl.col("day") == day.isoformat()) & (pl.col("state") != "resolved"))
        signals = [one for text in mine["signals"] for one in json.loads(text)]
        keys = [one["signal"]["key"] for one in signals if one["last"] == day.isoformat()]
        wanted = failed.filter(pl.col("day") == day.isoformat())
        assert len([key for key in keys if key.startswith("metrics|")]) == wanted.height
        assert len(set(keys)) == len(keys)
        assert mine["failing"].sum() == len(keys)


def test_days_in_any_order_and_again_give_the_same(failing, tmp_path):
    """Days one by one, the last first, give what one run gives; another run changes nothing."""
    walk = dataclasses.replace(redeclared(failing, tmp_path), spec=failing.spec)
    keys = [(day.isoformat(),) for day in DAYS]
    for layout in (INCIDENTS, INCIDENT_DAYS):
        walk.lake.replace(walk.model, layout, keys, layout.empty(), commit={})
    for day in reversed(DAYS):
        follow(walk, [day])
    assert rows(walk).equals(rows(failing))
    assert not any(outcome.version.changed for outcome in follow(failing, DAYS[2:4]).values())


def test_every_day_is_counted(failing):
    """A row a day says how many are unresolved, also where there are none."""
    days = pl.DataFrame(failing.lake.read(failing.model, INCIDENT_DAYS))
    assert days["day"].to_list() == [day.isoformat() for day in DAYS]
    live = rows(failing).filter(pl.col("state") != "resolved")
    assert days["unresolved"].sum() == live.height
    assert days["opened"].sum() == rows(failing)["incident"].n_unique()


def test_actions_outlive_every_rerun(failing, tmp_path):
    """A mute is seen at once, written to the audit, and still there after days were worked out again."""
    walk = dataclasses.replace(redeclared(failing, tmp_path), spec=failing.spec)
    row = next(one for one in current(walk.lake, walk.model) if one["state"] == "open")
    until = DAYS[-1].replace(month=3, day=20)
    after = act(walk, row, "mute", "ann", NOW, "a known move", until)
    assert (after["state"], after["muted_until"], after["acted_by"]) == ("muted", until, "ann")
    follow(walk, DAYS)
    again = {one["incident"]: one for one in current(walk.lake, walk.model)}[row["incident"]]
    assert {**again, "run_id": "", "as_of": ""} == {**after, "run_id": "", "as_of": ""}
    (audit,) = walk.lake.read(walk.model, AUDIT).to_pylist()
    assert (audit["who"], audit["action"], audit["object"]) == ("ann", "incidents.mute", row["incident"])
    with pytest.raises(ValueError, match="mute until a later one"):
        act(walk, row, "mute", "ann", NOW, "", DAYS[0])


def test_a_resolved_incident_is_left_alone(failing, tmp_path):
    """What a person resolves is resolved; acting on it again says so."""
    walk = dataclasses.replace(redeclared(failing, tmp_path), spec=failing.spec)
    row = next(one for one in current(walk.lake, walk.model) if one["state"] == "open")
    after = act(walk, row, "resolve", "ann", NOW)
    assert (after["state"], after["resolved_on"]) == ("resolved", DAYS[-1])
    with pytest.raises(ValueError, match="was resolved on"):
        act(walk, after, "ack", "ann", NOW)
