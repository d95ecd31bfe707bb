"""Incidents of real days walked once: what went wrong with each delivery, and the commands about it."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.store.tables import INCIDENTS
from tests.defs.conftest import CONTRACTS, MISSING, MODEL, PARTIAL, REFUSED, REPLAY, REPLAYED


@pytest.fixture(scope="module")
def found(season):
    """Give each incident as it stood on the last day."""
    rows = pl.DataFrame(season.site.lake.read(MODEL, INCIDENTS))
    return {row["cause"]: row for row in rows.sort("day").to_dicts()}


def test_each_fault_of_a_delivery_is_one_incident(found):
    """A replayed file, bad rows, and files missing or refused are one incident each, from its day."""
    opened = {cause: str(row["opened_on"]) for cause, row in found.items() if cause.startswith("predictions")}
    assert opened["predictions: rows are delivered again"] == REPLAY
    assert opened["predictions: rows break the contract"] == PARTIAL
    assert opened["predictions: deliveries are missing or refused"] == MISSING
    severities = [row["severity"] for row in found.values() if str(row["opened_on"]) in {REPLAY, MISSING}]
    assert sorted(severities) == ["critical", "ticket"]


def test_rules_that_break_with_a_missing_file_are_its_symptoms(found):
    """The rule that asks for rows is part of the incident of the missing file, whose days it shares."""
    row = found["predictions: deliveries are missing or refused"]
    signals = {one["signal"]["told"]["kind"]: one for one in json.loads(row["signals"])}
    assert (signals["missing"]["first"], signals["refused"]["first"]) == (MISSING, REFUSED)
    assert any(kind.startswith("rule ") for kind in signals)
    assert set(row["checks"]) == {"predictions/contract", "predictions/rules"}


def test_the_check_names_what_is_open(season, walked, found):
    """The check of a day fails while an incident is open, as an error where one is critical."""
    told = {
        one.partition: one
        for one in walked.get_asset_check_evaluations()
        if one.check_name == "open_incidents"
    }
    assert len(told) == 7
    assert told["2013-06-20"].passed
    last = told[REFUSED]
    assert (last.passed, last.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found["predictions: deliveries are missing or refused"]["incident"] in last.description
    assert season.site is not None


@pytest.fixture
def command(season, tmp_path, monkeypatch):
    """Run a command about incidents on a copy of the lake."""
    from mlobs_pipelines.cli import app  # noqa: PLC0415 - only where the command line is looked at

    shutil.copytree(season.site.settings.home / "lake", tmp_path / "lake")
    monkeypatch.setenv("MLOBS_HOME", str(tmp_path))
    monkeypatch.setenv("MLOBS_CONTRACTS", str(CONTRACTS))

    def run(*arguments, code=0, group="incidents"):
        done = CliRunner().invoke(app, [group, *arguments])
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return run


def test_people_find_mute_and_resolve_an_incident(command, found, tmp_path):
    """`list`, `show`, `ack`, `mute` and `resolve` speak of the same incident, and what was done is kept."""
    incident = found["predictions: deliveries are missing or refused"]["incident"]
    listed = json.loads(command("list", MODEL, "--state", "open", "--format", "json").stdout)
    assert incident in {row["incident"] for row in listed}
    shown = command("show", incident).stdout
    assert "flight_delays/predictions/contract of 2013-06-23" in shown
    assert command("ack", incident).stdout == f"{incident}: acknowledged\n"
    assert (
        "mute until a later one"
        in command("mute", incident, "--until", MISSING, "--reason", "x", code=2).output
    )
    muted = command("mute", incident, "--until", "2013-07-01", "--reason", "known").stdout
    assert muted == f"{incident}: muted until 2013-07-01\n"
    assert ": known" in command("show", incident).stdout
    assert command("record", incident).stdout.startswith(f"# Incident {incident}\n")
    command("similar", incident, "--format", "json")
    to = tmp_path / "records" / "one.md"
    closed = command("resolve", incident, "--record", str(to)).stdout
    assert closed == f"{incident}: resolved\nwritten: {to}\n"
    assert "| state | resolved |" in to.read_text(encoding="utf-8")
    assert "was resolved on" in command("ack", incident, code=2).output
    assert "did you mean" in command("show", incident[:-1], code=2).output


def test_open_incidents_are_explained_worst_first(command, found):
    """`explain` tells of every open incident, critical ones first; seven days are too few for any suspect."""
    told = json.loads(command(MODEL, "--format", "json", group="explain").stdout)
    live = {row["incident"] for row in found.values() if row["state"] == "open"}
    assert {one["incident"] for one in told} <= live
    severities = [one["severity"] for one in told]
    assert severities == sorted(severities)
    assert told[0]["suspects"] == []
    said = command(MODEL, told[0]["incident"], group="explain").stdout
    assert "no suspect: nothing that is upstream" in said
    assert "did you mean" in command(MODEL, told[0]["incident"][:-1], group="explain", code=2).output


def test_one_prediction_is_traced(command, season):
    """`trace` tells its stages; asked for values it leaves an audit; an unknown id is wrong usage."""
    rows = season.site.lake.read(MODEL, "prediction_log", where={"day": REPLAYED}, columns=["prediction_id"])
    name = rows.column("prediction_id")[0].as_py()
    stages = json.loads(command(MODEL, name, "--format", "json", group="trace").stdout)
    assert {"delivered", "repeated", "logged", "joined", "counted"} <= {one["stage"] for one in stages}
    shown = command(MODEL, name, "--show-values", group="trace").stdout
    assert "beside what was known then" in shown
    audit = command(MODEL, "--action", "trace.show_values", "--format", "json", group="audit").stdout
    assert [one["object"] for one in json.loads(audit)] == ["prediction"]
    assert name not in audit
    assert "has no prediction of this id" in command(MODEL, "nobody", group="trace", code=2).output


def test_sending_takes_routes(command):
    """A model without routes is told how to get them; nothing was sent, so the list is empty."""
    assert "write incidents.routes" in command("send", MODEL, group="alerts", code=2).output
    assert command("list", MODEL, "--format", "json", group="alerts").stdout == "[]\n"


def test_the_sensor_tells_a_webhook(season, spec, tmp_path, instance):
    """A model with routes has a sensor; a tick tells the channel of what is open, the next one nothing."""
    from mlobs_pipelines.contracts.slos import IncidentRules  # noqa: PLC0415 - only here
    from mlobs_pipelines.defs.alerts import alert_sensors  # noqa: PLC0415 - Dagster takes seconds
    from tests.post import Webhook, served  # noqa: PLC0415 - only here

    shutil.copytree(season.site.settings.home / "lake", tmp_path / "lake")
    rules = IncidentRules(routes=({"channel": "oncall", "severities": ("critical",)},))
    routed = replace(spec, monitor=spec.monitor.model_copy(update={"incidents": rules}))
    with served(Webhook) as hook:
        address = SecretStr(f"json://127.0.0.1:{hook.server_address[1]}/")
        changed = {"home": tmp_path, "channels": {"oncall": [address]}}
        settings = season.site.settings.model_copy(update=changed)
        site = Site(settings, lambda: datetime(2013, 6, 27, 11, 30, tzinfo=UTC))
        (sensor,) = alert_sensors(site, routed)
        said = [sensor(dg.build_sensor_context(instance)).skip_message for _ in range(2)]
    assert len(hook.kept) > 0
    assert said == [f"{len(hook.kept)} sent", "nothing is due"]
    assert all(one["title"].startswith("[critical] flight_delays: ") for one in hook.kept)
    assert alert_sensors(site, spec) == []
