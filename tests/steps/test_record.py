"""The record of an incident, and others alike, from what the lake holds of it."""

import json
from datetime import UTC, datetime

import pytest

from mlobs_pipelines.destinations.records import record
from mlobs_pipelines.steps.incidents import act, current, follow
from mlobs_pipelines.steps.metrics import score
from mlobs_pipelines.steps.record import recorded, similar
from tests.steps.loans import DAYS
from tests.steps.redeclared import redeclared

STRICT = "  - {metric: psi, window: 7d, fail_above: 0.001}\n"
NOW = datetime(2024, 3, 5, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def acted(scored, tmp_path_factory):
    """Incidents of a strict monitor, one of which was acknowledged and resolved."""
    walk = redeclared(scored, tmp_path_factory.mktemp("record"), objectives=STRICT)
    score(walk, DAYS)
    follow(walk, DAYS)
    row = next(one for one in current(walk.lake, walk.model) if one["state"] == "open")
    row = act(walk, row, "ack", "ann", NOW, "on it")
    return walk, act(walk, row, "resolve", "ann", NOW.replace(hour=11), "was a <test> | of ours")


def test_the_record_holds_what_is_known_and_asks_for_the_rest(acted):
    """Days, signals, actions and causes are filled in; impact, cause, decision and lessons are headings."""
    walk, row = acted
    text = record(recorded(walk, row, "http://dagster.test"))
    assert text.startswith(f"# Incident {row['incident']}\n")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    known = ["Timeline", "Evidence", "Causes", "Actions", "Similar incidents"]
    form = ["Impact", "Root cause", "Decision", "What went well", "What went badly", "Lessons", "Follow-ups"]
    assert headings == [*known, *form]
    assert "ack by ann: on it" in text
    assert "| 2024-03-05 11:00 | ann | resolve | was a \\<test\\> \\| of ours |" in text
    for one in json.loads(row["signals"]):
        assert f"first failure of {one['signal']['told']['model_version']} psi" in text


def test_the_same_failures_are_alike_earlier_only(acted):
    """An incident is like an earlier one of the same failures, not like a later one or itself."""
    _, row = acted
    before = {**row, "incident": "loan_risk-20240101-000000", "opened_on": row["opened_on"].replace(month=1)}
    other = {**before, "incident": "loan_risk-20240102-000000", "signals": "[]", "suspects": "[]"}
    (found,) = similar(row, [row, before, other])
    assert (found["incident"], found["alike"], found["note"]) == (before["incident"], 1.0, row["note"])
    assert similar(before, [row, before]) == []
