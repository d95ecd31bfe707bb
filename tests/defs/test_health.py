"""Health: each thing an installation rests on is well, worth a look, or broken, and says what to do."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from mlobs_pipelines.steps.health import Line, State, lake_line, told_lines
from mlobs_pipelines.store.lake import Lake
from mlobs_pipelines.store.tables import NOTIFICATIONS
from tests.defs.conftest import CONTRACTS, LAST, MODEL

NOW = datetime(2013, 6, 29, 20, tzinfo=UTC)
JOB = f"{MODEL}_daily"


def _states(lines):
    return {line.what: line.state for line in lines}


@pytest.fixture
def live(spec):
    """Give the model as if its days were still to come."""
    return replace(spec, monitor=spec.monitor.model_copy(update={"replay_as_of": None, "end_date": None}))


def _run(opened, spent=None, job=JOB, status="SUCCESS", days=1, ago=timedelta(hours=1)):
    """Make a run that started some time ago and took some seconds."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds
    from dagster._core.remote_origin import (  # noqa: PLC0415 - as above
        RegisteredCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.test_utils import create_run_for_test  # noqa: PLC0415 - as above

    from mlobs_pipelines.defs.jobs import range_tags  # noqa: PLC0415 - as above

    tags = {"mlobs/model": MODEL, **range_tags(LAST - timedelta(days=days - 1), LAST)}
    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("mlobs"), "__repository__")
    origin = RemoteJobOrigin(place, job)
    run = create_run_for_test(opened, job_name=job, tags=tags, remote_job_origin=origin)
    (record,) = opened.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
    began = (NOW - ago).timestamp()
    ended = None if spent is None else began + spent
    run = record.dagster_run.with_status(dg.DagsterRunStatus[status])
    return record._replace(dagster_run=run, start_time=began, end_time=ended, create_timestamp=NOW - ago)


def test_the_demo_is_well_after_its_backfill(season, spec):
    """Lake, store and runs are fine; of a replayed history no day is awaited; no daemon is worth a look."""
    from mlobs_pipelines.defs.health import health  # noqa: PLC0415 - Dagster takes seconds

    lines = list(health(season.site, [spec]))
    found = _states(lines)
    assert {name for name, state in found.items() if state is not State.OK} == {"daemon"}
    assert {
        "lake",
        "dagster",
        "queue",
        f"{MODEL} metric store",
        f"job {JOB}",
        f"{MODEL}/metrics",
    } <= found.keys()
    (metrics,) = [line for line in lines if line.what == f"{MODEL}/metrics"]
    assert metrics.says == f"its last day is {LAST}; none is awaited"
    assert metrics.since is not None


def test_the_command_exits_with_one_if_something_is_broken(season, monkeypatch, tmp_path):
    """A walked installation is well, its code loads, rows are JSON; a lake that is a file is broken."""
    from typer.testing import CliRunner  # noqa: PLC0415 - the command line takes seconds

    from mlobs_pipelines.cli import app  # noqa: PLC0415 - as above

    monkeypatch.setenv("MLOBS_HOME", str(season.site.settings.home))
    monkeypatch.setenv("MLOBS_CONTRACTS", str(CONTRACTS))
    monkeypatch.setenv("DAGSTER_HOME", str(season.site.settings.dagster_home))
    done = CliRunner().invoke(app, ["health", "--format", "json", "--load"])
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert {"what": "code location", "state": "ok"}.items() <= rows[-1].items()
    assert "1 worth a look" in done.stderr
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLOBS_LAKE", str(tmp_path / "file"))
    asked = ["health", "--model", MODEL, "--format", "json"]
    broken = CliRunner().invoke(app, asked)
    assert broken.exit_code == 1
    assert {row["what"] for row in json.loads(broken.stdout) if row["state"] == "fail"} >= {"lake"}


def test_days_behind_the_schedule_are_broken_and_say_how_to_catch_up(season, live):
    """Each daily asset is held against the day that its schedule should have walked by now."""
    from mlobs_pipelines.defs.freshness import expected_day, freshness  # noqa: PLC0415 - Dagster takes seconds
    from mlobs_pipelines.defs.health import assets  # noqa: PLC0415 - as above

    assert expected_day(live, NOW) == date(2013, 6, 28)
    lines = list(assets(season.instance, live, NOW, timedelta(hours=6)))
    ahead = {line.what for line in lines if line.state is State.OK}
    assert ahead == {f"{MODEL}/labels"}  # those that arrived after the last day are there already
    (metrics,) = [line for line in lines if line.what == f"{MODEL}/metrics"]
    assert metrics.says == "at 2013-06-26, 2 days behind 2013-06-28"
    assert metrics.do == f"mlobs backfill {MODEL} --from 2013-06-27 --to 2013-06-28"
    early = datetime(2013, 6, 27, 20, tzinfo=UTC)
    assert {one.behind for one in freshness(season.instance, live, early)} == {0}


def test_the_grace_is_counted_from_the_tick(live):
    """Right after its schedule's tick a day may still be missing; before the first day none is expected."""
    from mlobs_pipelines.defs.freshness import expected_day  # noqa: PLC0415 - Dagster takes seconds

    days = {expected_day(live, NOW, timedelta(hours=hours)) for hours in range(30)}
    assert days == {date(2013, 6, 28), date(2013, 6, 27)}
    assert expected_day(live, datetime(2012, 1, 1, tzinfo=UTC)) is None
    ended = replace(live, monitor=live.monitor.model_copy(update={"end_date": date(2013, 6, 20)}))
    assert expected_day(ended, NOW) == date(2013, 6, 20)


def test_dagster_shows_how_far_assets_are(season, live):
    """The sensor gives the report's check a state without a run: which assets are behind, and by how much."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds

    from mlobs_pipelines.defs.freshness import freshness_parts  # noqa: PLC0415 - as above
    from mlobs_pipelines.defs.resources import Site  # noqa: PLC0415 - as above

    site = Site(season.site.settings, clock=lambda: NOW)
    check, sensor = freshness_parts(site, live)
    (event,) = sensor(dg.build_sensor_context(instance=season.instance)).asset_events
    assert [event.asset_check_key] == list(check.check_keys)
    assert not event.passed
    assert "behind 2013-06-28: predictions by 2 days" in event.description
    assert event.metadata["most_days_behind"].value == 2
    rows = {row.data["asset"]: row.data for row in event.metadata["assets"].records}
    assert (rows["metrics"]["last day"], rows["labels"]["days behind"]) == ("2013-06-26", 0)
    with dg.DagsterInstance.ephemeral() as opened:
        opened.report_runless_asset_event(event)
        (kept,) = opened.event_log_storage.get_asset_check_execution_history(event.asset_check_key, limit=1)
    assert kept.status.value == "FAILED"


def test_a_replayed_history_awaits_nothing(season, spec, instance):
    """Its check passes and says why."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds

    from mlobs_pipelines.defs.freshness import freshness_parts  # noqa: PLC0415 - as above

    _, sensor = freshness_parts(season.site, spec)
    (event,) = sensor(dg.build_sensor_context(instance=instance)).asset_events
    assert (event.passed, event.description.startswith("No day is awaited")) == (True, True)


def test_an_asset_without_days_is_behind_since_the_first(instance, live):
    """Nothing materialized means that everything from the model's first day on is missing."""
    from mlobs_pipelines.defs.freshness import freshness  # noqa: PLC0415 - Dagster takes seconds

    (one, *_) = freshness(instance, live, NOW)
    assert (one.last, one.since, one.next) == (None, None, live.monitor.start_date)
    assert one.behind == (one.expected - live.monitor.start_date).days + 1


def test_a_daemon_that_lives_died_or_never_was(tmp_path):
    """A heartbeat is well, an old one or one with errors is broken, none at all is worth a look."""
    import dagster as dg  # noqa: PLC0415 - Dagster takes seconds
    from dagster._daemon.types import DaemonHeartbeat  # noqa: PLC0415 - Dagster takes seconds
    from dagster._utils.error import SerializableErrorInfo  # noqa: PLC0415 - as above

    from mlobs_pipelines.defs.health import daemons  # noqa: PLC0415 - as above

    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:  # one in memory keeps no heartbeats
        assert _states(daemons(opened, NOW)) == {"daemon": State.WARN}
        kinds = sorted(opened.get_required_daemon_types())
        for kind in kinds:
            opened.add_daemon_heartbeat(DaemonHeartbeat(NOW.timestamp(), kind, "x", []))
        assert set(_states(daemons(opened, NOW)).values()) == {State.OK}
        assert set(_states(daemons(opened, NOW + timedelta(hours=1))).values()) == {State.FAIL}
        wrong = SerializableErrorInfo("secret", [], "ValueError")
        opened.add_daemon_heartbeat(DaemonHeartbeat(NOW.timestamp(), kinds[0], "x", [wrong]))
        (bad,) = [line for line in daemons(opened, NOW) if line.state is State.FAIL]
        assert bad.says == "it reports errors"


def test_runs_that_wait_long_are_told(instance):
    """A short queue is well; one whose oldest run waits for more than half an hour is broken."""
    from mlobs_pipelines.defs.health import queue  # noqa: PLC0415 - Dagster takes seconds

    assert queue([], NOW).state is State.OK
    waits = [_run(instance, status="QUEUED", ago=timedelta(minutes=minutes)) for minutes in (5, 20)]
    assert queue(waits, NOW).says == "2 runs wait, the oldest for 20 min"
    late = queue([*waits, _run(instance, status="QUEUED", ago=timedelta(minutes=40))], NOW)
    assert (late.state, late.since) == (State.FAIL, NOW - timedelta(minutes=40))


def test_runs_that_failed_hang_or_drag_are_told(instance):
    """A job's last run counts; how long one may take is what runs of about as many days took."""
    from mlobs_pipelines.defs.health import runs  # noqa: PLC0415 - Dagster takes seconds

    usual = [_run(instance, spent) for spent in (60, 62, 58, 61, 60)]
    assert _states(runs([_run(instance, 63), *usual], MODEL, NOW)) == {f"job {JOB}": State.OK}
    assert _states(runs([_run(instance, 600), *usual], MODEL, NOW)) == {f"job {JOB}": State.WARN}
    assert _states(runs([_run(instance, 600, days=30), *usual], MODEL, NOW)) == {f"job {JOB}": State.OK}
    failed = [_run(instance, 3, status="FAILURE"), *usual]
    assert _states(runs(failed, MODEL, NOW)) == {f"job {JOB}": State.FAIL}
    assert _states(runs([_run(instance, 63), *failed], MODEL, NOW)) == {f"job {JOB}": State.OK}
    (hangs, _) = runs([_run(instance, status="STARTED", ago=timedelta(minutes=9)), *usual], MODEL, NOW)
    assert (hangs.state, "has run for 9 min" in hangs.says) == (State.FAIL, True)
    (starts, _) = runs([_run(instance, status="STARTING", ago=timedelta(minutes=20)), *usual], MODEL, NOW)
    assert (starts.state, "starting for 20 min" in starts.says) == (State.FAIL, True)
    assert _states(runs([], MODEL, NOW)) == {f"{MODEL} runs": State.WARN}


def test_messages_that_did_not_arrive_are_told(tmp_path):
    """Of each channel the last message counts: given up is broken, tried again is worth a look."""
    lake = Lake(str(tmp_path))

    def tell(*states):
        rows = [
            {
                **dict.fromkeys(("incident", "cause", "event"), "x"),
                "day": str(NOW.date()),
                "channel": channel,
                "state": state,
                "at": NOW + timedelta(minutes=number),
            }
            for number, (channel, state) in enumerate(states)
        ]
        table = pa.Table.from_pylist(rows, schema=NOTIFICATIONS.schema)
        lake.replace(MODEL, NOTIFICATIONS, [(str(NOW.date()),)], table, commit={})
        return _states(told_lines(lake, MODEL, NOW))

    assert _states(told_lines(lake, MODEL, NOW)) == {f"{MODEL} messages": State.OK}
    assert tell(("chat", "failed"), ("chat", "sent")) == {f"{MODEL} messages": State.OK}
    assert tell(("chat", "sent"), ("chat", "failed"), ("page", "dead")) == {
        f"{MODEL} channel chat": State.WARN,
        f"{MODEL} channel page": State.FAIL,
    }


def test_a_lake_that_cannot_be_written_is_told_without_its_address(tmp_path):
    """What breaks is a line with the error's class; nothing is left behind by looking."""
    from mlobs_pipelines.defs.health import looked  # noqa: PLC0415 - Dagster takes seconds

    root = tmp_path / "lake"
    assert lake_line(Lake(str(root)), NOW).state is State.WARN
    assert not root.exists()
    root.mkdir()
    assert lake_line(Lake(str(root)), NOW).state is State.OK
    assert not list(root.iterdir())
    (tmp_path / "file").write_text("")
    (line,) = looked("lake", "mend it", lambda: [lake_line(Lake(str(tmp_path / "file")), NOW)])
    assert (line.state, line.do) == (State.FAIL, "mend it")
    assert str(tmp_path) not in line.says


def test_a_line_is_printed_with_its_moment():
    """The moment is ISO-8601, or nothing where none is known."""
    assert Line("x", State.OK, NOW, "y").row()["since"] == NOW.isoformat()
    assert Line("x", State.FAIL, None, "y", "z").row() == {
        "what": "x",
        "state": "fail",
        "since": None,
        "says": "y",
        "do": "z",
    }
