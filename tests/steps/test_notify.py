"""Messages about incidents over a real webhook and a real mail server: what is due, once, and failures."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from mlobs_pipelines.contracts.slos import IncidentRules
from mlobs_pipelines.destinations.channels import send
from mlobs_pipelines.steps.notify import ATTEMPTS, notify
from mlobs_pipelines.store.tables import INCIDENT_DAYS, INCIDENTS, NOTIFICATIONS
from tests.post import Mailbox, Webhook, served
from tests.steps.loans import KEYS, walk_of

NOW = datetime(2024, 3, 5, 12, tzinfo=UTC)
SUSPECTS = json.dumps(
    [{"what": "skew of amount", "text": "skew of amount (skew_mismatch_share 0 to 0.9 since …)"}]
)
TOLD = {"metric": "psi", "feature": "amount", "window": "7d", "reason": "0.4 is above 0.25", "n": 900}


@pytest.fixture
def walk(tmp_path):
    """Give an installation whose last day has no incident yet."""
    return walk_of(tmp_path, tmp_path)


def routed(walk, *routes):
    """The same walk under a monitor with these routes."""
    monitor = walk.spec.monitor.model_copy(update={"incidents": IncidentRules(routes=routes)})
    return dataclasses.replace(walk, spec=dataclasses.replace(walk.spec, monitor=monitor))


def stand(walk, *incidents, day="2024-03-04"):
    """Let these be the incidents of the last day."""
    rows = [_row(day, **one) for one in incidents]
    walk.lake.replace(
        walk.model, INCIDENTS, [(day,)], pa.Table.from_pylist(rows, INCIDENTS.schema), commit={}
    )
    counts = pa.Table.from_pylist([{"day": day, "as_of": NOW}], INCIDENT_DAYS.schema)
    walk.lake.replace(walk.model, INCIDENT_DAYS, [(day,)], counts, commit={})


def _row(day, name="loan_risk-20240303-aaaaaa", severity="critical", state="open", **more):
    signal = {"tier": 4, "key": "k", "check": "metrics/drift", "told": TOLD}
    stored = [{"first": "2024-03-03", "last": day, "failures": 2, "signal": signal}]
    plain = {"cause": "drift of amount", "title": "drift of amount", "reopened": 0, "versions": ["a"]}
    facts = {"opened_on": NOW.date(), "resolved_on": NOW.date(), "signals": json.dumps(stored)}
    about = {"model": "loan_risk", "incident": name, "severity": severity, "state": state, "day": day}
    owned = {"owners": ["team:credit"], "runbook": "https://example.org/r", "segments": ["region=north"]}
    return {**plain, **facts, **about, **owned, "suspects": SUSPECTS, **more}


def outcomes(walk, channels=None, now=NOW, carry=send, url=""):
    """What became of each message."""
    return [f"{one.event} {what}" for one, what in notify(walk, channels or {}, now, carry, url)]


def carried(told):
    """A way to send that keeps titles."""
    return lambda _, title, *__: told.append(title)


def test_a_webhook_and_a_mailbox_get_the_whole_message_once(walk):
    """Both are told what, since when, how bad, whose and where to look; a second round sends nothing."""
    walk = routed(walk, {"channel": "hook"}, {"channel": "mail"})
    stand(walk, {})
    with served(Webhook) as hook, served(Mailbox) as mail:
        channels = {
            "hook": [f"json://127.0.0.1:{hook.server_address[1]}/"],
            "mail": [
                f"mailto://127.0.0.1:{mail.server_address[1]}/?from=ml@example.org&to=me@example.org&mode=insecure"
            ],
        }
        assert outcomes(walk, channels, url="http://dagster.test") == ["opened sent", "opened sent"]
        assert outcomes(walk, channels) == []
        stand(walk, {"state": "resolved"})
        assert outcomes(walk, channels) == ["resolved sent", "resolved sent"]
        first, last = hook.kept
        posted = mail.kept[0].replace("=\r\n", "")
    assert first["title"] == "[critical] loan_risk: drift of amount"
    assert (first["type"], last["type"]) == ("failure", "success")
    for part in ("0.4 is above 0.25", "since 2024-03-03", "team:credit", "https://example.org/r"):
        assert part in first["message"]
    assert "suspects:\n- skew of amount (skew_mismatch_share 0 to 0.9" in first["message"]
    page = "http://dagster.test/assets/loan_risk/metrics?view=partitions&partition=2024-03-03"
    assert page in first["message"]
    assert "guide: docs/runbooks/drift.md" in first["message"]
    assert page not in last["message"]
    assert "loan_risk/metrics/drift of 2024-03-03" in first["message"]
    assert "drift of amount" in posted
    assert KEYS.current.key_id not in first["message"]


def test_what_fails_is_tried_again_and_given_up(walk):
    """A refused message waits longer each time; after the last attempt it is dead, with its text kept."""
    walk = routed(walk, {"channel": "hook"})
    stand(walk, {})
    seen, now = [], NOW
    with served(Webhook) as hook:
        hook.status = 500
        channels = {"hook": [f"json://127.0.0.1:{hook.server_address[1]}/?secret=canary"]}
        for wait in (0, 0, 1, 2, 4, 8, 60):
            now += timedelta(minutes=wait)
            seen += outcomes(walk, channels, now)
    retried = ["opened failed"] * (ATTEMPTS - 1)
    assert seen == [retried[0], "opened retry", *retried[1:], "opened dead"]
    rows = walk.lake.read(walk.model, NOTIFICATIONS).to_pylist()
    assert [row["attempt"] for row in rows] == list(range(1, ATTEMPTS + 1))
    assert rows[-1]["body"].startswith("drift of amount")
    assert not any("canary" in json.dumps(row, default=str) for row in rows)


def test_a_channel_without_addresses_is_named(walk):
    """Where the installation knows no such channel, the ledger says which setting is missing."""
    walk = routed(walk, {"channel": "nowhere"})
    stand(walk, {})
    assert outcomes(walk) == ["opened failed"]
    (row,) = walk.lake.read(walk.model, NOTIFICATIONS).to_pylist()
    assert row["error"] == "MLOBS_CHANNELS names no channel nowhere"


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"severities": ("ticket",)}, 0),
        ({"versions": ("b",)}, 0),
        ({"segments": ("region=south",)}, 0),
        ({"versions": ("a",), "segments": ("region=north",), "severities": ("critical",)}, 1),
    ],
)
def test_routes_choose_by_severity_version_and_segment(walk, route, said):
    """A channel hears of what its route is about, and of nothing else."""
    walk, told = routed(walk, {"channel": "c", **route}), []
    stand(walk, {})
    outcomes(walk, {"c": ["x"]}, carry=carried(told))
    assert len(told) == said


def test_what_grows_worse_or_comes_back_is_told_again(walk):
    """Escalation and return are told once each; what is acknowledged or muted is not."""
    walk, channels = routed(walk, {"channel": "c"}), {"c": ["x"]}
    said = []
    for change in (
        {"severity": "ticket"},
        {"severity": "critical"},
        {"severity": "critical"},
        {"state": "resolved"},
        {"reopened": 1, "state": "muted"},
        {"reopened": 1, "state": "acknowledged"},
        {"reopened": 1},
    ):
        stand(walk, change)
        said.append(outcomes(walk, channels, carry=carried([])))
    assert [one[0] if one else "" for one in said] == [
        *("opened sent", "escalated sent", "", "resolved sent", "", "", "reopened sent")
    ]


def test_quiet_hours_limits_and_history_hold_back(walk):
    """Nothing is sent at night or beyond the limit, and it is sent after; history is never told."""
    quiet = {"from": "19:00", "to": "08:00", "timezone": "Europe/Berlin"}
    limit = {"messages": 1, "per": "1h"}
    walk = routed(walk, {"channel": "c", "quiet": quiet, "at_most": limit})
    stand(walk, {}, {"name": "loan_risk-20240303-bbbbbb"})
    told, channels = [], {"c": ["x"]}
    night = NOW.replace(hour=6, minute=30)  # half past seven in Berlin
    assert outcomes(walk, channels, night, carried(told)) == ["opened quiet"] * 2
    assert outcomes(walk, channels, NOW, carried(told)) == ["opened sent", "opened limit"]
    assert outcomes(walk, channels, NOW + timedelta(minutes=59), carried(told)) == ["opened limit"]
    assert outcomes(walk, channels, NOW + timedelta(days=9), carried(told)) == []
    assert outcomes(walk, channels, NOW + timedelta(hours=2), carried(told)) == ["opened sent"]
    assert len(told) == 2
